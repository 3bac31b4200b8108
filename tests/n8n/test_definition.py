"""What a definition becomes: ids that stay, paths of the tenant's own, a note, a webhook that says what runs."""

from __future__ import annotations

from typing import Any

import pytest

from providers.errors import ConfigurationError
from providers.n8n.definition import canonical, health_path, owned, prepared, revision_of, webhook_paths, with_resets
from providers.n8n.naming import credential_id, is_marked, is_of_tenant, node_id, tag_name
from tests.n8n.conftest import echo

MARK = "tenantry/acme"


def made(**changes: Any) -> dict[str, Any]:
    return prepared(echo() | changes, mark=MARK, key="echo")


def test_ids_are_the_same_in_each_run_and_differ_between_tenants() -> None:
    assert canonical(made()) == canonical(made())
    other = prepared(echo(), mark="tenantry/other", key="echo")
    ids = [{node["id"] for node in each["nodes"]} for each in (made(), other)]
    assert not ids[0] & ids[1]
    assert [node.get("webhookId") for node in made()["nodes"] if node["type"].endswith(".webhook")] == [
        node_id(MARK, "echo", "Webhook\0webhook"),
        node_id(MARK, "echo", "Health\0webhook"),
    ]


def test_paths_are_the_tenants_own_unless_given() -> None:
    assert webhook_paths(made()) == ["tenantry/acme/echo"]
    assert health_path(MARK, "echo") == "tenantry/acme/echo/health"
    given = echo()
    given["nodes"][0]["parameters"]["path"] = "/orders/:id"
    wanted = prepared(given, mark=MARK, key="echo")
    assert webhook_paths(wanted) == [f"{node_id(MARK, 'echo', 'Webhook' + chr(0) + 'webhook')}/orders/:id"]
    given["nodes"][0]["disabled"] = True
    assert webhook_paths(prepared(given, mark=MARK, key="echo")) == []
    assert health_path("a b/ü", "k") == "a-b/-/k/health"


def test_the_revision_says_what_runs() -> None:
    changed = echo()
    changed["nodes"][1]["parameters"]["options"] = {"dotNotation": False}
    assert revision_of(made()) == revision_of(made())
    assert revision_of(prepared(changed, mark=MARK, key="echo")) != revision_of(made())


def test_the_note_is_the_mark() -> None:
    assert is_marked(made(), MARK, "echo")
    assert not is_marked(made(), MARK, "other")
    assert is_of_tenant(made(), MARK)
    assert not is_of_tenant(made(), "tenantry/acm")
    # Words alone prove nothing: the id must follow from them.
    forged = {"nodes": [{"id": "x", "parameters": {"content": "## tenantry/acme echo\nhello"}}]}
    assert not is_of_tenant(forged, MARK)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pinData": {}}, "pinData is not known here"),
        ({"settings": {"timeSavedPerExecution": 3}}, "timeSavedPerExecution cannot be given"),
        ({"nodes": [{"name": "Health", "type": "x", "typeVersion": 1}]}, "are taken"),
        ({"nodes": [{"name": "A", "type": "x"}]}, "no typeVersion"),
        ({"nodes": [{"name": "A", "type": "x", "typeVersion": 1}] * 2}, "must differ"),
    ],
)
def test_what_cannot_be_served_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"workflow 'echo': .*{said}"):
        made(**change)


def test_only_what_is_ours_is_compared() -> None:
    wanted = made(settings={"timezone": "Europe/Berlin"})
    found = {**wanted, "settings": {**wanted["settings"], "callerPolicy": "any"}, "active": True}
    assert owned(found, wanted) == wanted
    # What n8n adds by itself: a webhook's id to a node that could wait, a credential's new name.
    added = {**found, "nodes": [{"webhookId": "n8n's own", **node} for node in found["nodes"]]}
    assert owned(added, wanted) == wanted
    moved = {**found, "nodes": found["nodes"][::-1]}
    assert owned(moved, wanted) != wanted
    other = {**found, "settings": {**found["settings"], "timezone": "Asia/Tokyo"}}
    assert owned(other, wanted)["settings"]["timezone"] == "Asia/Tokyo"
    gone = {**found, "settings": {"executionOrder": "v1"}}
    assert owned(gone, wanted) != wanted


def test_a_setting_that_is_not_given_any_more_is_taken_back() -> None:
    assert with_resets({"executionOrder": "v1"}, {"timezone": "Europe/Berlin", "executionTimeout": 5}) == {
        "executionOrder": "v1",
        "timezone": "DEFAULT",
        "executionTimeout": -1,
    }


def test_names_fit_into_n8n() -> None:
    for mark in (MARK, "p" * 60 + "/" + "s" * 60, "tenantry/Ünïcödé Ltd"):
        assert 1 <= len(tag_name(mark)) <= 24
        assert tag_name(mark) != tag_name(f"{mark}x")
        assert "," not in tag_name(mark)
    assert tag_name(MARK).startswith("acme-")
    assert len(credential_id(MARK, "email/smtp")) == 16
    assert credential_id(MARK, "email/smtp").isalnum()

"""What holds on every n8n, simulated or real: objects are made once, kept as defined, answer, and go."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from providers.errors import OwnershipError, ProviderError, RefusedError
from providers.n8n import credential, tag, workflow
from providers.n8n.naming import credential_id, credential_name, tag_name
from tests.n8n.conftest import REGION, Server, echo, inputs

WORKFLOW, CREDENTIAL, TAG = (
    workflow.N8nWorkflowProvider(),
    credential.N8nCredentialProvider(),
    tag.N8nTagProvider(),
)


@pytest.fixture
def tagged(n8n: Server, mark: str) -> Iterator[str]:
    """The tenant's tag. Afterwards it goes, and takes what is left of the tenant along."""
    props = {"region": REGION, "tenant_mark": mark}
    made = TAG.create(props)
    yield made.id
    TAG.delete(made.id, made.outs)
    assert n8n.workflows(mark) == []
    assert n8n.credentials(mark) == []
    assert tag_name(mark) not in n8n.tags()


def drift(id_: str, props: dict[str, Any]) -> list[str]:
    """What a refresh, and then a plan, would change."""
    seen = WORKFLOW.read(id_, props)
    assert seen.id == id_
    return sorted(key for key in workflow.OWNED if seen.outs[key] != props[key])


def header(mark: str, **changes: Any) -> dict[str, Any]:
    props = {
        "region": REGION,
        "tenant_mark": mark,
        "key": "echo/service",
        "type": "httpHeaderAuth",
        "name": credential_name(mark, "echo/service"),
        "data": {"name": "X-Token", "value": "a-hidden-value"},
    }
    return props | changes


def test_a_workflow_answers_once_it_is_made(n8n: Server, mark: str, tagged: str) -> None:
    made = WORKFLOW.create(inputs(mark))
    answer = httpx.post(made.outs["webhook_urls"][0], json={"msg": "hello"}, timeout=30)
    assert (answer.status_code, answer.json()) == (200, {"echo": "hello"})
    health = httpx.get(made.outs["health_url"], timeout=30).json()
    assert health["status"] == "ok"
    assert health["workflow"] == "echo"
    row = n8n.call("GET", f"/workflows/{made.id}").json()
    assert [each["name"] for each in row["tags"]] == [tag_name(mark)]
    assert drift(made.id, made.outs) == []


def test_making_it_again_finds_it(n8n: Server, mark: str, tagged: str) -> None:
    first = WORKFLOW.create(inputs(mark))
    version = n8n.call("GET", f"/workflows/{first.id}").json()["versionId"]
    assert WORKFLOW.create(inputs(mark)).id == first.id
    assert len(n8n.workflows(mark)) == 1
    assert n8n.call("GET", f"/workflows/{first.id}").json()["versionId"] == version


def test_one_that_was_cut_off_after_its_creation_is_adopted(n8n: Server, mark: str, tagged: str) -> None:
    props = inputs(mark)
    body = {"name": props["name"], **json.loads(props["definition"])}
    left = n8n.call("POST", "/workflows", body).json()["id"]
    made = WORKFLOW.create(props)
    assert made.id == left
    assert drift(left, made.outs) == []


def test_an_update_is_live_when_it_returns(n8n: Server, mark: str, tagged: str) -> None:
    made = WORKFLOW.create(inputs(mark, definition=echo(timezone="Europe/Berlin", executionTimeout=120)))
    changed = echo()
    changed["nodes"][1]["parameters"]["assignments"]["assignments"][0]["value"] = "something else"
    news = inputs(mark, definition=changed)
    assert WORKFLOW.diff(made.id, made.outs, news).changes
    outs = WORKFLOW.update(made.id, made.outs, news).outs
    answer = httpx.post(outs["webhook_urls"][0], json={"msg": "x"}, timeout=30)
    assert answer.json() == {"echo": "something else"}
    assert drift(made.id, outs) == []
    # What is not given any more is taken back, since n8n keeps what a request leaves out.
    settings = n8n.call("GET", f"/workflows/{made.id}").json()["settings"]
    assert "timezone" not in settings
    assert "executionTimeout" not in settings
    assert not WORKFLOW.diff(made.id, outs, news).changes


def wait_gone(url: str) -> None:
    until = time.monotonic() + 30
    # An archived one is refused at once, and let go of later.
    while "is not registered" not in (answer := httpx.post(url, json={}, timeout=30)).text:
        assert time.monotonic() < until, f"{url} is there still: {answer.status_code} {answer.text}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        ("name", ["name"]),
        ("node", ["definition", "published"]),
        ("setting", ["definition"]),
        ("tags", ["tag"]),
        ("unpublished", ["published"]),
        ("archived", ["published"]),
    ],
)
def test_what_somebody_changed_is_seen_and_undone(
    n8n: Server, mark: str, tagged: str, what: str, seen: list[str]
) -> None:
    made = WORKFLOW.create(inputs(mark, definition=echo(timezone="Europe/Berlin")))
    row = n8n.call("GET", f"/workflows/{made.id}").json()
    body = {key: row[key] for key in ("name", "nodes", "connections", "settings")}
    path = f"/workflows/{made.id}"
    if what == "name":
        assert n8n.call("PUT", path, body | {"name": "another name"}).status_code == 200
    elif what == "node":
        body["nodes"][2]["parameters"]["options"] = {"dotNotation": False}
        assert n8n.call("PUT", f"{path}?publishIfActive=false", body).status_code == 200
    elif what == "setting":
        assert n8n.call("PUT", path, body | {"settings": {"timezone": "Asia/Tokyo"}}).status_code == 200
    elif what == "tags":
        assert n8n.call("PUT", f"{path}/tags", []).status_code == 200
    else:
        verb = "unpublish" if what == "unpublished" else "archive"
        assert n8n.call("POST", f"{path}/{verb}", {}).status_code == 200
        # n8n lets go of a webhook a moment later: until then it would answer as if nothing had happened.
        wait_gone(made.outs["webhook_urls"][0])
    assert drift(made.id, made.outs) == seen
    olds = WORKFLOW.read(made.id, made.outs).outs
    news = inputs(mark, definition=echo(timezone="Europe/Berlin"))
    assert WORKFLOW.diff(made.id, olds, news).changes
    assert drift(made.id, WORKFLOW.update(made.id, olds, news).outs) == []
    assert httpx.post(made.outs["webhook_urls"][0], json={"msg": "y"}, timeout=30).json() == {"echo": "y"}


def test_what_is_not_ours_is_left_alone(n8n: Server, mark: str, tagged: str) -> None:
    """Another tag, and a setting that we did not give."""
    made = WORKFLOW.create(inputs(mark))
    other = n8n.call("POST", "/tags", {"name": f"x{mark[-8:]}"}).json()["id"]
    ours = [{"id": row["id"]} for row in n8n.call("GET", f"/workflows/{made.id}/tags").json()]
    n8n.call("PUT", f"/workflows/{made.id}/tags", [*ours, {"id": other}])
    row = n8n.call("GET", f"/workflows/{made.id}").json()
    body = {key: row[key] for key in ("name", "nodes", "connections")} | {"settings": {"timezone": "Asia/Tokyo"}}
    assert n8n.call("PUT", f"/workflows/{made.id}", body).status_code == 200
    assert drift(made.id, made.outs) == []
    changed = echo(executionTimeout=60)
    WORKFLOW.update(made.id, made.outs, inputs(mark, definition=changed))
    row = n8n.call("GET", f"/workflows/{made.id}").json()
    assert {each["name"] for each in row["tags"]} == {tag_name(mark), f"x{mark[-8:]}"}
    assert row["settings"]["timezone"] == "Asia/Tokyo"
    n8n.call("DELETE", f"/tags/{other}")


def test_a_name_that_is_somebody_elses_is_refused(n8n: Server, mark: str, tagged: str) -> None:
    body = {"name": f"{mark} echo", "nodes": [], "connections": {}, "settings": {}}
    other = n8n.call("POST", "/workflows", body).json()["id"]
    with pytest.raises(OwnershipError, match=rf"{mark} echo.*{other}.*does not bear the mark.*Rename or delete"):
        WORKFLOW.create(inputs(mark))
    assert n8n.call("DELETE", f"/workflows/{other}").status_code == 200


def test_a_path_that_is_somebody_elses_is_named(n8n: Server, mark: str, tagged: str) -> None:
    taken = echo()
    taken["nodes"][0]["parameters"]["path"] = f"path-{mark[-8:]}"
    first = WORKFLOW.create(inputs(mark, "first", taken))
    with pytest.raises(OwnershipError, match=rf"{mark} second.*path-{mark[-8:]}.*{mark} first.*{first.id}"):
        WORKFLOW.create(inputs(mark, "second", taken))
    assert httpx.post(first.outs["webhook_urls"][0], json={"msg": "z"}, timeout=30).json() == {"echo": "z"}


def test_what_n8n_does_not_know_is_refused_in_its_words(n8n: Server, mark: str, tagged: str) -> None:
    wrong = echo()
    wrong["nodes"][1]["type"] = "n8n-nodes-base.doesNotExist"
    with pytest.raises(RefusedError, match=r"workflow .*400.*Unrecognized node type"):
        WORKFLOW.create(inputs(mark, definition=wrong))
    # The next try mends it: one workflow, not two.
    made = WORKFLOW.create(inputs(mark))
    assert [row["id"] for row in n8n.workflows(mark)] == [made.id]


def test_deleting_is_for_good_and_may_be_repeated(n8n: Server, mark: str, tagged: str) -> None:
    made = WORKFLOW.create(inputs(mark))
    started = time.monotonic()
    WORKFLOW.delete(made.id, made.outs)
    WORKFLOW.delete(made.id, made.outs)
    assert time.monotonic() - started < 60
    assert n8n.call("GET", f"/workflows/{made.id}").status_code == 404
    assert WORKFLOW.read(made.id, made.outs).id == ""
    assert httpx.post(made.outs["webhook_urls"][0], json={}, timeout=30).status_code == 404
    with pytest.raises(ProviderError, match=r"gone from n8n\. Run refresh, then up"):
        WORKFLOW.update(made.id, made.outs, inputs(mark))


def test_an_archived_one_is_deleted_too(n8n: Server, mark: str, tagged: str) -> None:
    made = WORKFLOW.create(inputs(mark))
    n8n.call("POST", f"/workflows/{made.id}/archive", {})
    WORKFLOW.delete(made.id, made.outs)
    assert n8n.workflows(mark) == []


def test_a_credential_is_made_changed_and_deleted(n8n: Server, mark: str, tagged: str) -> None:
    made = CREDENTIAL.create(header(mark))
    assert made.id == credential_id(mark, "echo/service")
    assert CREDENTIAL.create(header(mark)).id == made.id
    assert len(n8n.credentials(mark)) == 1
    assert CREDENTIAL.read(made.id, made.outs).outs == header(mark) | {"server": n8n.url}
    n8n.call("PATCH", f"/credentials/{made.id}", {"name": "another name"})
    seen = CREDENTIAL.read(made.id, made.outs).outs
    assert seen["name"] == "another name"
    CREDENTIAL.update(made.id, seen, header(mark))
    assert [row["name"] for row in n8n.credentials(mark)] == [f"{mark} echo/service"]
    CREDENTIAL.delete(made.id, made.outs)
    CREDENTIAL.delete(made.id, made.outs)
    assert CREDENTIAL.read(made.id, made.outs).id == ""


def test_a_credential_that_is_somebody_elses_is_refused(n8n: Server, mark: str, tagged: str) -> None:
    props = header(mark)
    id_ = credential_id(mark, props["key"])
    body = {"id": id_, "name": "not ours", "type": "httpHeaderAuth", "data": {"name": "X", "value": "y"}}
    assert n8n.call("POST", "/credentials", body).status_code == 200
    with pytest.raises(OwnershipError, match="is taken by the credential 'not ours'"):
        CREDENTIAL.create(props)
    n8n.call("DELETE", f"/credentials/{id_}")


def test_a_refused_credential_shows_no_data(n8n: Server, mark: str, tagged: str) -> None:
    with pytest.raises(RefusedError) as caught:
        CREDENTIAL.create(header(mark, data={"a-hidden-value": "a-hidden-value"}))
    assert "a-hidden-value" not in str(caught.value).replace('property "a-hidden-value"', "")
    with pytest.raises(RefusedError, match="not a known type"):
        CREDENTIAL.create(header(mark, type="nothingOfThatName"))


def test_a_webhook_asks_for_its_key(n8n: Server, mark: str, tagged: str) -> None:
    CREDENTIAL.create(header(mark))
    guarded = echo()
    guarded["nodes"][0]["parameters"]["authentication"] = "headerAuth"
    guarded["nodes"][0]["credentials"] = {"httpHeaderAuth": "service"}
    made = WORKFLOW.create(inputs(mark, definition=guarded))
    url = made.outs["webhook_urls"][0]
    assert httpx.post(url, json={"msg": "x"}, timeout=30).status_code == 403
    assert httpx.post(url, json={"msg": "x"}, headers={"X-Token": "wrong"}, timeout=30).status_code == 403
    answer = httpx.post(url, json={"msg": "x"}, headers={"X-Token": "a-hidden-value"}, timeout=30)
    assert answer.json() == {"echo": "x"}
    # n8n writes a credential's new name into nodes: no drift.
    n8n.call("PATCH", f"/credentials/{credential_id(mark, 'echo/service')}", {"name": f"{mark} renamed"})
    row = n8n.call("GET", f"/workflows/{made.id}").json()
    body = {key: row[key] for key in ("name", "nodes", "connections", "settings")}
    assert n8n.call("PUT", f"/workflows/{made.id}", body).status_code == 200
    assert drift(made.id, made.outs) == []
    CREDENTIAL.delete(credential_id(mark, "echo/service"), header(mark))


def test_tenants_at_once_do_not_meet(n8n: Server, mark: str) -> None:
    """Five at a time, each with the same keys: each has its own, and none is left afterwards."""
    marks = [f"{mark}-{number}" for number in range(5)]

    def whole(own: str) -> str:
        tag_made = TAG.create({"region": REGION, "tenant_mark": own})
        CREDENTIAL.create(header(own))
        made = WORKFLOW.create(inputs(own))
        answer = httpx.post(made.outs["webhook_urls"][0], json={"msg": own}, timeout=30).json()["echo"]
        WORKFLOW.delete(made.id, made.outs)
        TAG.delete(tag_made.id, tag_made.outs)
        return str(answer)

    with ThreadPoolExecutor(len(marks)) as pool:
        assert list(pool.map(whole, marks)) == marks
    assert [n8n.workflows(own) + n8n.credentials(own) for own in marks] == [[]] * len(marks)


def test_a_caller_is_told_what_is_wrong(n8n: Server, mark: str, tagged: str) -> None:
    """The words are n8n's: people read them, and the simulator must not differ."""
    url = WORKFLOW.create(inputs(mark)).outs["webhook_urls"][0]
    wrong = httpx.put(url, json={}, timeout=30)
    assert (wrong.status_code, set(wrong.json())) == (404, {"code", "message", "stacktrace"})
    assert wrong.json()["message"] == (
        "This webhook is not registered for PUT requests. Did you mean to make a POST request?"
    )
    asked = httpx.options(url, headers={"Origin": "http://x.invalid"}, timeout=30)
    assert (asked.status_code, asked.headers["Access-Control-Allow-Methods"]) == (204, "OPTIONS, POST")
    unused, without, broken, last = echo(), echo(), echo(), echo()
    del unused["nodes"][0]["parameters"]["responseMode"]
    without["nodes"].pop()
    del without["connections"]["Set"]
    broken["nodes"][2]["parameters"] = {"respondWith": "json", "responseBody": "no JSON", "options": {}}
    last["nodes"].pop()
    del last["connections"]["Set"]
    last["nodes"][0]["parameters"]["responseMode"] = "lastNode"
    for key, definition, status, said in (
        ("unused", unused, 500, "Unused Respond to Webhook node found in the workflow"),
        ("without", without, 500, "No Respond to Webhook node found in the workflow"),
        ("broken", broken, 500, "Error in workflow"),
    ):
        made = WORKFLOW.create(inputs(mark, key, definition))
        answer = httpx.post(made.outs["webhook_urls"][0], json={"msg": "x"}, timeout=30)
        assert (answer.status_code, answer.json()["message"]) == (status, said)
    made = WORKFLOW.create(inputs(mark, "last", last))
    assert httpx.post(made.outs["webhook_urls"][0], json={"msg": "x"}, timeout=30).json() == {"echo": "x"}


def test_an_email_node_is_no_drift(n8n: Server, mark: str, tagged: str) -> None:
    """n8n gives it a webhook's id, since it could wait for an answer."""
    mail = echo()
    mail["nodes"].append({"name": "Send", "type": "n8n-nodes-base.emailSend", "typeVersion": 2.1, "parameters": {}})
    mail["nodes"][-1]["parameters"] = {"fromEmail": "a@x.invalid", "toEmail": "b@x.invalid", "subject": "s"}
    with pytest.raises(RefusedError, match=r"400.*Missing required credential: smtp"):
        WORKFLOW.create(inputs(mark, definition=mail))
    mail["nodes"][-1]["credentials"] = {"smtp": "mail"}
    made = WORKFLOW.create(inputs(mark, definition=mail))
    row = n8n.call("GET", f"/workflows/{made.id}").json()
    assert "webhookId" in next(node for node in row["nodes"] if node["name"] == "Send")
    assert drift(made.id, made.outs) == []


def test_a_tag_is_found_again_and_takes_what_is_left_along(n8n: Server, mark: str) -> None:
    props = {"region": REGION, "tenant_mark": mark}
    made = TAG.create(props)
    assert TAG.create(props).id == made.id
    assert TAG.read(made.id, made.outs).outs["name"] == tag_name(mark)
    # Two that no state knows: one without its tag, and a published one.
    lost = inputs(mark, "lost")
    assert n8n.call("POST", "/workflows", {"name": lost["name"], **json.loads(lost["definition"])}).status_code == 200
    WORKFLOW.create(inputs(mark))
    CREDENTIAL.create(header(mark))
    # One that is somebody else's, with a name that begins like ours.
    body = {"name": f"{mark} other", "nodes": [], "connections": {}, "settings": {}}
    other = n8n.call("POST", "/workflows", body).json()["id"]
    TAG.delete(made.id, made.outs)
    TAG.delete(made.id, made.outs)
    assert [row["id"] for row in n8n.workflows(mark)] == [other]
    assert n8n.credentials(mark) == []
    assert TAG.read(made.id, made.outs).id == ""
    n8n.call("DELETE", f"/workflows/{other}")

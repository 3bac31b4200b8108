"""What a tenant has on a server that many share: read from events of the engine, kept from run to run."""

from types import SimpleNamespace
from typing import Any

import pytest

from automation.objects import Made, kept, made_of

URN = "urn:pulumi:shop::tenantry::tenantry:pos:PointOfSale$tenantry:pos:Items$pulumi-python:dynamic/tenantry:Item::tea"
DOCUMENT = {"doctype": "Item", "docname": "SH-TEA", "ready": True, "reason": "", "mine": True}


def event(op: str = "create", outputs: dict[str, Any] | None = None) -> Any:
    """As the engine tells it: of what is deleted, there is an old state only."""
    state = SimpleNamespace(outputs=DOCUMENT if outputs is None else outputs, custom=True)
    gone = op.startswith("delete")
    metadata = SimpleNamespace(
        urn=URN,
        op=op,
        type=URN.split("::")[2].rsplit("$", 1)[-1],
        old=state if gone else None,
        new=None if gone else state,
    )
    return SimpleNamespace(res_outputs_event=SimpleNamespace(metadata=metadata))


def after(before: list[dict[str, Any]] | None, *events: Any) -> list[dict[str, Any]]:
    told = {one.urn: one for told in events if (one := made_of(told)) is not None}
    return kept(before, told, step_of=lambda _urn: "step_6_items", redact=lambda text: text.replace("hunter2", "***"))


def test_an_object_is_kept_by_its_name_on_the_server() -> None:
    assert after(None, event()) == [
        {
            "urn": URN,
            "step": "step_6_items",
            "kind": "Item",
            "name": "SH-TEA",
            "ready": True,
            "reason": None,
            "ours": True,
        }
    ]


def test_one_that_its_server_knows_by_a_number_is_called_as_people_do_too() -> None:
    company = {"model": "res.company", "reference": "res.company,2", "named": {"name": "Shop hunter2"}}
    (row,) = after(None, event(outputs={**company, "ready": True, "reason": ""}))
    assert (row["kind"], row["name"], row["title"]) == ("res.company", "res.company,2", "Shop ***")
    (plain,) = after(None, event(outputs={**company, "named": {"name": 7}, "ready": True, "reason": ""}))
    assert "title" not in plain


def test_one_that_could_not_be_made_says_why_without_secrets() -> None:
    missing = DOCUMENT | {"docname": None, "ready": False, "reason": "no such group; hunter2"}
    (row,) = after(None, event("update", missing))
    assert (row["name"], row["ready"], row["reason"]) == (None, False, "no such group; ***")
    (healed,) = after([row], event("update"))
    assert (healed["name"], healed["ready"], healed["reason"]) == ("SH-TEA", True, None)


def test_what_is_deleted_goes_and_the_rest_stays() -> None:
    other = {
        "urn": "other",
        "step": None,
        "kind": "Company",
        "name": "Shop",
        "ready": True,
        "reason": None,
        "ours": True,
    }
    rows = after([other], event())
    assert len(rows) == 2
    assert after(rows, event("delete")) == [other]


def test_of_a_replacement_the_new_object_counts() -> None:
    rows = after(None, event("create-replacement"))
    assert after(rows, event("delete-replaced")) == rows


@pytest.mark.parametrize("outputs", [{}, {"ready": True}, {"ready": "yes", "reason": ""}, {"docname": "x"}])
def test_what_says_nothing_of_that_kind_is_no_such_object(outputs: dict[str, Any]) -> None:
    assert made_of(event(outputs=outputs)) is None
    assert made_of(SimpleNamespace(res_outputs_event=None)) is None  # type: ignore[arg-type]


def test_one_without_a_doctype_is_called_by_its_type() -> None:
    found = made_of(event(outputs={"ready": True, "reason": ""}))
    assert found == Made(urn=URN, kind="Item", name="", ready=True, reason="", ours=True)

"""The engine's semantics by number, sentence by sentence, as far as no other module of scenarios tells them."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest

from engine.errors import StateError
from engine.resource import State, from_struct
from engine.snapshot import Snapshot, verify
from tests.engine.core.cloud import FOREVER
from tests.engine.core.dsl import Result, Stack, create, in_background, replace, update
from tests.engine.core.program import Do, bucket, exports, group, provider, read, ref, together

# ------------------------------------------------------------------ 1: generation


def test_1_registrations_are_decided_one_after_another(stack: Stack) -> None:
    """However many come at once, a Check or Diff begins only when the decision before it has been made."""
    names = [f"n{i}" for i in range(6)]
    stack.up(together(*(bucket(name, size=1) for name in names))).succeeds()
    result = stack.up(together(*(bucket(name, size=2) for name in names)), parallel=1).succeeds()
    asked = [call for call in result.all_calls if call.split()[0] in ("check", "diff")]
    assert asked == [f"{method} {call.split()[1]}" for call in asked[::2] for method in ("check", "diff")]


def test_1_a_registration_gives_one_chain_in_its_order(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a")))
    result = stack.up(bucket("a", zone="y"), bucket("b", region=ref("a"))).succeeds()
    steps = [e["resourcePreEvent"]["metadata"] for e in result.events if "resourcePreEvent" in e]
    of_a = [step["op"] for step in steps if step["urn"] == stack.urn("a")]
    assert of_a == ["delete-replaced", "replace", "create-replacement"]


@pytest.mark.parametrize("how", ["failed step", "cancel"])
def test_1_nothing_is_deleted_after(stack: Stack, how: str) -> None:
    stack.up(bucket("a", size=1), bucket("replaced", region="eu"), bucket("dropped"))
    if how == "failed step":
        stack.cloud.fail("update", "a")
    else:
        stack.on_save = lambda _: stack.cancel.signal() if stack.cloud.calls[-1:] == ["update a"] else None
    stack.up(bucket("replaced", region="us"), bucket("a", size=2), bucket("later")).fails().valid_after_every_step()
    assert not [call for call in stack.cloud.calls if call.startswith("delete")]
    assert {"dropped", "replaced", "-replaced", "a"} == set(stack.names)
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ 2: providers


def test_2_a_default_provider_is_an_ordinary_resource_with_a_uuid(stack: Stack) -> None:
    stack.config = {"fake:account": "1"}
    stack.up(bucket("a")).succeeds()
    first = stack.resource("default")
    assert str(uuid.UUID(first.id)) == first.id
    assert first.inputs == {"account": "1"}
    assert first.custom
    stack.config = {"fake:account": "1", "fake:retries": "3"}
    stack.up(bucket("a")).succeeds()
    assert stack.resource("default").id == first.id, "an update keeps the id"
    stack.config = {"fake:account": "2"}
    stack.up(bucket("a")).succeeds()
    assert stack.resource("default").id != first.id, "a replacement has another"


def test_2_a_provider_is_checked_compared_and_configured_in_this_order(stack: Stack) -> None:
    stack.up(provider("p", account="1")).succeeds()
    assert stack.cloud.configuring == ["CheckConfig", "Configure"]
    stack.cloud.configuring.clear()
    stack.up(provider("p", account="1", retries=2)).succeeds().expect(update("p"))
    assert stack.cloud.configuring == ["CheckConfig", "DiffConfig", "Configure"]
    assert stack.cloud.configured[-1] == {"account": "1", "retries": 2}


# ------------------------------------------------------------------ 3, 4: registration and diff


def test_3_a_recreated_resource_is_checked_without_its_old_inputs(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a"), auto=True))
    label = stack.resource("b").inputs["label"]
    stack.up(bucket("a", zone="y"), bucket("b", region=ref("a"), auto=True)).succeeds().expect(
        replace("a"), replace("b")
    )
    assert stack.resource("b").inputs["label"] != label


def test_4_what_is_replaced_anyway_is_not_compared(stack: Stack) -> None:
    stack.up(bucket("a", size=1))
    result = stack.up(bucket("a", size=1), replace=(stack.urn("a"),)).succeeds().expect(replace("a"))
    assert "diff a" not in result.all_calls


def test_4_another_provider_comes_before_the_providers_diff(stack: Stack) -> None:
    stack.up(provider("p", account="1"), bucket("a", {"provider": "p"}))
    result = stack.up(provider("p", account="2"), bucket("a", {"provider": "p"}))
    result.succeeds().expect(replace("p"), replace("a"))
    assert "diff a" not in result.all_calls
    told = [e["resourcePreEvent"]["metadata"] for e in result.events if "resourcePreEvent" in e]
    assert [step["keys"] for step in told if step["op"] == "replace" and step["urn"] == stack.urn("a")] == [
        ["provider"]
    ]


# ------------------------------------------------------------------ 5: same


def test_5_same_keeps_id_and_outputs_and_takes_the_new_inputs(stack: Stack) -> None:
    stack.cloud.blind_to = {"note"}
    stack.up(bucket("a", size=1, note="old"))
    before = stack.resource("a")
    stack.up(bucket("a", size=1, note="new")).succeeds().expect().calling()
    after = stack.resource("a")
    assert (after.id, after.outputs, after.created, after.modified) == (
        before.id,
        before.outputs,
        before.created,
        before.modified,
    )
    assert after.inputs == {"size": 1, "note": "new"}


# ------------------------------------------------------------------ 6: replacement


def test_6_the_old_one_is_marked_when_the_new_one_is_there_and_goes_after_the_program(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"))
    seen: list[list[str]] = []
    look = Do(lambda _: seen.append(stack.names))
    stack.up(bucket("a", region="us"), look, bucket("b")).succeeds().calling("create a", "create b", "delete a")
    assert [sorted(names) for names in seen] == [["-a", "a"]]


# ------------------------------------------------------------------ 8: deletes


def _pair(edge: str) -> tuple[Any, ...]:
    """A program in which `b` needs `a` in one way, or what is in `a`."""
    return {
        "provider": (provider("a"), bucket("b", {"provider": "a"})),
        "parent": (bucket("a"), bucket("b", {"parent": "a"})),
        "dependency": (bucket("a"), bucket("b", {"depends_on": ["a"]})),
        "property": (bucket("a"), bucket("b", source=ref("a"))),
        "deletedWith": (bucket("a", {"retainOnDelete": True}), bucket("b", {"deleted_with": "a"})),
        "component": (group("a"), bucket("in", {"parent": "a"}), bucket("b", {"depends_on": ["a"]})),
        "inner component": (
            group("a"),
            group("g", {"parent": "a"}),
            bucket("in", {"parent": "g"}),
            bucket("b", {"depends_on": ["a"]}),
        ),
    }[edge]


@pytest.mark.parametrize(
    "edge", ["provider", "parent", "dependency", "property", "deletedWith", "component", "inner component"]
)
def test_8_what_needs_something_goes_before_it(stack: Stack, edge: str) -> None:
    stack.up(*_pair(edge)).succeeds()
    result = stack.destroy().succeeds().valid_after_every_step()
    order = [name for op, name in result.ops if op == "delete"]
    assert order.index("b") < order.index("a")
    if "in" in order:
        assert order.index("b") < order.index("in") < order.index("a")
    assert not stack.snapshot.resources


def test_8_a_layer_is_finished_before_the_next_one_begins(stack: Stack) -> None:
    stack.up(bucket("base"), *(bucket(name, source=ref("base")) for name in ("x", "y", "z")))
    gates = {name: stack.cloud.hold("delete", name) for name in ("x", "y", "z")}
    early: list[str] = []

    def one_by_one() -> None:
        for gate in gates.values():
            assert gate.entered.wait(20), "members of a layer run side by side"
        for gate in gates.values():
            early.extend(call for call in stack.cloud.calls if call == "delete base")
            gate.open.set()

    thread = in_background(one_by_one)
    stack.destroy().succeeds()
    thread.join()
    assert not early
    assert stack.cloud.calls[-1] == "delete base"


def test_8_what_is_marked_goes_though_it_is_registered(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"))
    stack.cloud.fail("delete", "a", times=1)
    stack.up(bucket("a", region="us")).fails()
    stack.up(bucket("a", region="us"), bucket("b")).succeeds().calling("create b", "delete a")
    assert stack.names == ["a", "b"] or stack.names == ["b", "a"]


# ------------------------------------------------------------------ 9: protection


def test_9_a_replacement_may_protect(stack: Stack) -> None:
    """Only where old and new are both protected is it refused."""
    stack.up(bucket("a", region="eu"))
    stack.up(bucket("a", {"protect": True}, region="us")).succeeds().expect(replace("a"))
    assert stack.resource("a").protect
    stack.up(bucket("a", {"protect": True}, region="eu")).fails("marked for protection").calling()


def test_9_every_protected_one_is_told(stack: Stack) -> None:
    protected = {"protect": True}
    stack.up(*(bucket(name, protected) for name in "abc"), bucket("free"))
    result = stack.up().fails()
    assert all(stack.urn(name) in result.messages("error") for name in "abc")
    assert result.calls == ["delete free"]


# ------------------------------------------------------------------ 10: ignoreChanges


def test_10_ignored_paths_are_reset_before_check_and_passed_on(stack: Stack) -> None:
    opts = {"ignoreChanges": ["size", "tags.x"]}
    stack.up(bucket("a", size=1, tags={"x": 1, "y": 1}, color="red"))
    stack.up(bucket("a", opts, size=2, tags={"x": 2, "y": 1}, color="blue")).succeeds().expect(update("a"))
    checked = stack.cloud.requests["check a"]
    assert from_struct(checked.news) == {"size": 1, "tags": {"x": 1, "y": 1}, "color": "blue"}
    for call in ("diff a", "update a"):
        assert list(stack.cloud.requests[call].ignoreChanges) == ["size", "tags.x"]
    assert stack.resource("a").inputs == {"size": 1, "tags": {"x": 1, "y": 1}, "color": "blue"}


def test_10_a_replacement_keeps_what_is_ignored(stack: Stack) -> None:
    stack.up(bucket("a", size=1, region="eu"))
    stack.up(bucket("a", {"ignoreChanges": ["size"]}, size=2, region="us")).succeeds().expect(replace("a"))
    assert stack.cloud.of("a")["size"] == 1


# ------------------------------------------------------------------ 16: pending operations


def _interrupted(stack: Stack, method: str, action: Any) -> Result:
    """The operation, dead in its first call of `method`; what it began is in the state."""
    gate = stack.cloud.hold(method, "a")

    def die() -> None:
        assert gate.entered.wait(20)
        stack.cloud.dead = True
        gate.open.set()

    thread = in_background(die)
    result: Result = action()
    thread.join()
    stack.cloud.dead = False
    stack.cloud.gates.clear()
    return result


@pytest.mark.parametrize(
    ("kind", "method", "program"),
    [
        ("creating", "create", (bucket("a"),)),
        ("updating", "update", (bucket("a", size=2),)),
        ("deleting", "delete", ()),
        ("reading", "read", (read("a", "theirs"),)),
        ("importing", "read", (bucket("a", {"importId": "theirs"}, size=5),)),
    ],
)
def test_16_what_is_under_way_is_recorded_before_it_begins_and_warned_about_later(
    stack: Stack, kind: str, method: str, program: tuple[Any, ...]
) -> None:
    stack.cloud.objects["theirs"], stack.cloud.names["theirs"] = {"size": 5, "arn": "arn:theirs"}, "theirs"
    if kind in {"updating", "deleting"}:
        stack.up(bucket("a", size=1)).succeeds()
    _interrupted(stack, method, lambda: stack.up(*program))
    assert stack.pending == [f"{kind} a"]
    result = stack.up(*program).succeeds().warns("pending operations from previous deployment")
    assert f"interrupted while {kind}" in result.messages("warning")
    assert stack.pending == (["creating a"] if kind == "creating" else [])


# ------------------------------------------------------------------ 17: partial failure


def test_17_a_failed_replacement_leaves_the_old_one_in_use(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"), bucket("b", source=ref("a")))
    stack.cloud.fail("create", "a", times=1)
    stack.up(bucket("a", region="us"), bucket("b", source=ref("a"))).fails().valid_after_every_step()
    assert stack.names == ["a", "b"]
    assert stack.resource("a").id == "a-1"
    stack.agrees_with_cloud()


def test_17_a_replacement_that_is_not_ready_takes_the_place_of_the_old_one(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"))
    stack.cloud.fail("create", "a", kind="unready", times=1)
    stack.up(bucket("a", region="us")).fails("it did not become ready").valid_after_every_step()
    assert sorted(stack.names) == ["-a", "a"]
    assert stack.resource("a").init_errors == ["it did not become ready"]
    stack.up(bucket("a", region="us")).succeeds().expect(update("a")).calling("update a", "delete a")
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ 18, 19: values and outputs


def test_18_an_unknown_value_may_stand_anywhere_in_a_preview(stack: Stack) -> None:
    nested = {"list": [1, ref("a")], "inner": {"key": ref("a")}}
    stack.preview(bucket("a"), bucket("b", nested=nested)).succeeds().expect(create("a"), create("b"))
    stack.up(bucket("a"), bucket("b", nested=nested)).succeeds()
    assert stack.cloud.of("b")["nested"] == {"list": [1, "arn:a-1"], "inner": {"key": "arn:a-1"}}


def test_19_the_stacks_outputs_are_replaced_by_a_program_that_ends_well(stack: Stack) -> None:
    stack.up(bucket("a"), exports(old=1, kept=1))
    stack.up(bucket("a"), exports(kept=2)).succeeds()
    assert stack.outputs == {"kept": 2}


def test_19_after_a_failed_step_the_stacks_outputs_are_merged(stack: Stack) -> None:
    stack.up(bucket("a", size=1), exports(old=1, kept=1))
    stack.cloud.fail("update", "a", times=FOREVER)
    stack.up(exports(kept=2, new=3), bucket("a", size=2)).fails()
    assert stack.outputs == {"old": 1, "kept": 2, "new": 3}


# ------------------------------------------------------------------ 23: cancel


def test_23_a_cancel_tells_every_provider_and_starts_no_delete(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"), bucket("c", source=ref("b")))
    gate = stack.cloud.hold("delete", "c")

    def signal() -> None:
        assert gate.entered.wait(20)
        stack.cancel.signal()
        assert stack.cloud.cancelled.wait(20)
        gate.open.set()

    thread = in_background(signal)
    stack.up(bucket("a")).fails("update canceled").calling("delete c").valid_after_every_step()
    thread.join()
    assert stack.names == ["a", "b"]
    stack.agrees_with_cloud()


def test_23_a_cancelled_refresh_keeps_what_it_has_read(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", size=1))
    stack.cloud.change("a", size=7)
    stack.cloud.change("b", size=7)
    gate = stack.cloud.hold("read", "a")

    def signal() -> None:
        assert gate.entered.wait(20)
        stack.cancel.signal()
        gate.open.set()

    thread = in_background(signal)
    stack.refresh(parallel=1).fails("canceled").calling("read a").valid_after_every_step()
    thread.join()
    assert (stack.resource("a").inputs["size"], stack.resource("b").inputs["size"]) == (7, 1)


def test_23_an_operation_leaves_no_thread(stack: Stack) -> None:
    stack.up(bucket("a")).succeeds()
    before = {t.name for t in threading.enumerate()}
    stack.up(bucket("a"), bucket("b")).succeeds()
    stack.destroy().succeeds()
    left = {name for t in threading.enumerate() if (name := t.name) not in before}
    assert not [name for name in left if name.startswith(("step", "program"))]


# ------------------------------------------------------------------ 24: what a state may not hold


def test_24_a_child_before_its_parent_is_no_state() -> None:
    parent = State(urn="urn:pulumi:s::p::t:i:G::g", type="t:i:G", custom=False)
    child = State(urn="urn:pulumi:s::p::t:i:G$t:i:C::c", type="t:i:C", custom=False, parent=parent.urn)
    verify(Snapshot(resources=[parent, child]))
    with pytest.raises(StateError, match="parent"):
        verify(Snapshot(resources=[child, parent]))
    with pytest.raises(StateError, match="missing parent"):
        verify(Snapshot(resources=[child]))

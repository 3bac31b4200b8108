"""Semantics 12: an object that exists is taken into the state by its id, then treated as any other resource."""

from __future__ import annotations

import json

import pytest

from engine.operation import Kind
from engine.resource import Secret
from tests.engine.core.dsl import Stack, create, delete, replace, secret, update
from tests.engine.core.program import bucket, exports, group, provider, read, ref

IMPORT_A = ("import", "a")


def imported(id_: str, **more: object) -> dict[str, object]:
    return {"importId": id_, **more}


# ------------------------------------------------------------------ the object


def test_an_object_is_imported(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    result = stack.up(bucket("a", imported("x-1"), size=1), exports(arn=ref("a")))
    result.succeeds().expect(IMPORT_A).calling("read a").valid_after_every_step()
    assert result.outcome.changes["import"] == 1
    state = stack.resource("a")
    assert (state.id, state.inputs, state.import_id) == ("x-1", {"size": 1}, "x-1")
    assert state.created
    assert stack.outputs == {"arn": "arn:x-1"}
    stack.agrees_with_cloud()


def test_the_provider_is_asked_in_the_order_of_the_stock_engine(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    assert stack.up(bucket("a", imported("x-1"), size=1)).all_calls == ["read a", "check a", "diff a"]


def test_a_preview_reads_and_keeps_nothing(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    result = stack.preview(bucket("a", imported("x-1"), size=2), bucket("b", of=ref("a")))
    result.succeeds().expect(IMPORT_A, update("a"), create("b"))
    assert stack.names == []


def test_what_differs_is_updated_at_once(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    result = stack.up(bucket("a", imported("x-1"), size=2), bucket("b", of=ref("a")))
    result.succeeds().expect(IMPORT_A, update("a"), create("b")).calling("read a", "update a", "create b")
    assert stack.resource("a").inputs == {"size": 2}
    assert stack.names == ["a", "b"]
    stack.agrees_with_cloud()


def test_the_events_tell_what_was_read(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    result = stack.up(bucket("a", imported("x-1"), size=2))
    told = [e["resOutputsEvent"]["metadata"] for e in result.events if "resOutputsEvent" in e]
    step = next(m for m in told if m["op"] == "import")
    assert step["old"]["inputs"] == step["new"]["inputs"] == {"size": 1}
    assert (step["new"]["id"], step["logical"]) == ("x-1", True)


def test_the_option_says_nothing_new_afterwards(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.up(bucket("a", imported("x-1"), size=1)).succeeds()
    stack.up(bucket("a", imported("x-1"), size=1)).does_nothing()
    stack.up(bucket("a", imported("x-1"), size=2)).expect(update("a"))
    stack.up(bucket("a", size=2)).does_nothing()
    stack.up(bucket("a", imported("x-1"), size=2)).does_nothing()
    stack.destroy().calling("delete a")


def test_an_imported_object_is_secret_where_the_program_says_so(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size="hush")
    stack.up(bucket("a", imported("x-1", additionalSecretOutputs=["size"]), size=secret("hush"))).succeeds()
    assert stack.resource("a").outputs["size"] == Secret("hush")
    assert "hush" not in json.dumps(json.loads(stack.saved)["resources"][-1]["outputs"]["size"])


def test_an_object_can_be_imported_under_a_component(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    result = stack.up(provider("p"), group("g"), bucket("a", imported("x-1", parent="g", provider="p"), size=1))
    result.succeeds()
    assert stack.resource("a").parent == stack.resource("g").urn


def test_a_component_cannot_be_imported(stack: Stack) -> None:
    """There is nothing to read: the stock engine ignores the option there."""
    stack.up(group("g", {"importId": "x"})).expect(create("g"))


# ------------------------------------------------------------------ ids


def test_an_import_id_may_be_another_one_than_the_id(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.cloud.also_known_as["region/x"] = "x-1"
    stack.up(bucket("a", imported("region/x"), size=1)).expect(IMPORT_A)
    assert (stack.resource("a").id, stack.resource("a").import_id) == ("x-1", "region/x")
    stack.up(bucket("a", imported("region/x"), size=1)).does_nothing()


def test_an_import_id_that_is_not_the_id_is_kept_when_the_import_is_followed_by_an_update(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.cloud.also_known_as["region/x"] = "x-1"
    stack.up(bucket("a", imported("region/x"), size=2)).expect(IMPORT_A, update("a"))
    stack.up(bucket("a", imported("region/x"), size=2)).does_nothing()


def test_the_object_that_the_stack_has_already_is_never_deleted_by_its_import(stack: Stack) -> None:
    """A new name of the same object replaces the resource, but there is one object."""
    stack.up(bucket("a", size=1)).succeeds()
    stack.cloud.also_known_as["region/a"] = stack.cloud.id_of("a")
    result = stack.up(bucket("a", imported("region/a"), size=1))
    result.succeeds().calling("read a")
    assert stack.names == ["a"]
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ what can go wrong


def test_an_object_that_does_not_exist(stack: Stack) -> None:
    result = stack.up(bucket("a", imported("nope"), size=1)).fails("resource 'nope' does not exist", "update failed")
    assert [e for e in result.events if "resOpFailedEvent" in e]
    assert stack.names == []
    assert stack.pending == []


def test_a_preview_says_that_it_does_not_exist(stack: Stack) -> None:
    stack.preview(bucket("a", imported("nope"), size=1)).fails("Preview failed: resource 'nope' does not exist")


def test_a_provider_that_cannot_import(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.cloud.fail("read", "a", kind="no inputs")
    stack.up(bucket("a", imported("x-1"), size=1)).fails(
        "provider does not support importing resources; please try updating the 'fake' plugin"
    )


def test_a_read_that_fails(stack: Stack) -> None:
    stack.cloud.fail("read", "a")
    stack.up(bucket("a", imported("x-1"), size=1), bucket("b", size=1)).fails("the cloud refuses to read a")
    assert stack.names == []


def test_others_go_on_where_errors_are_survived(stack: Stack) -> None:
    result = stack.up(
        bucket("a", imported("nope"), size=1), bucket("b", size=1), bucket("c", of=ref("b")), continue_on_error=True
    )
    result.fails("resource 'nope' does not exist")
    assert stack.names == ["b", "c"]


def test_inputs_that_the_provider_refuses_leave_the_object_imported(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.up(bucket("a", imported("x-1"), size=-1)).fails("property size value {-1} has a problem")
    assert stack.resource("a").inputs == {"size": 1}
    stack.up(bucket("a", imported("x-1"), size=1)).does_nothing()


def test_an_update_after_the_import_that_fails_leaves_the_object_imported(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.cloud.fail("update", "a", times=1)
    stack.up(bucket("a", imported("x-1"), size=2)).fails("the cloud refuses to update a")
    assert stack.resource("a").inputs == {"size": 1}
    stack.up(bucket("a", imported("x-1"), size=2)).expect(update("a"))
    stack.agrees_with_cloud()


def test_an_object_that_is_not_ready_is_imported_and_updated(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.cloud.fail("read", "a", kind="unready", times=1)
    stack.up(bucket("a", imported("x-1"), size=1)).succeeds().expect(IMPORT_A, update("a"))
    assert stack.resource("a").init_errors == []


def test_an_import_under_way_is_a_pending_operation(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    seen: list[list[str]] = []
    stack.on_save = lambda _: seen.append(stack.pending)
    stack.up(bucket("a", imported("x-1"), size=1)).succeeds()
    assert ["importing a"] in seen
    assert stack.pending == []


def test_an_import_that_was_interrupted_is_warned_about_and_forgotten(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.on_save = lambda _: setattr(stack.cloud, "dead", stack.cloud.dead or stack.pending == ["importing a"])
    stack.up(bucket("a", imported("x-1"), size=1))
    assert stack.pending == ["importing a"]
    stack.cloud.dead, stack.on_save = False, lambda _: None
    result = stack.up(bucket("a", imported("x-1"), size=1))
    result.succeeds().expect(IMPORT_A).warns("interrupted while importing")
    assert stack.pending == []


def test_a_replacement_of_what_the_program_still_imports_is_refused(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", region="x")
    words = "previously-imported resources that still specify an ID may not be replaced"
    stack.up(bucket("a", imported("x-1"), region="y")).fails(words)
    assert stack.resource("a").inputs == {"region": "x"}
    stack.preview(bucket("a", imported("x-1"), region="y")).succeeds().warns(words).expect(replace("a"))
    stack.up(bucket("a", imported("x-1"), region="y"), replace=(stack.urn("a"),)).fails(words)
    stack.up(bucket("a", region="y")).expect(replace("a"))
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ what is there already


def test_another_object_takes_the_place_of_the_one_there_is(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", of=ref("a"))).succeeds()
    stack.cloud.put("a", "x-1", size=1)
    result = stack.up(bucket("a", imported("x-1"), size=1), bucket("b", of=ref("a")))
    result.succeeds().expect(("import-replacement", "a"), replace("a"), update("b"))
    result.calling("read a", "update b", "delete a")
    assert stack.resource("a").id == "x-1"
    stack.agrees_with_cloud()


def test_another_object_that_differs_is_updated_too(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    stack.cloud.put("a", "x-1", size=5)
    result = stack.up(bucket("a", imported("x-1"), size=1))
    result.succeeds().calling("read a", "update a", "delete a").valid_after_every_step()
    assert [s.id for s in stack.snapshot.resources][-1] == "x-1"
    stack.agrees_with_cloud()


def test_a_failed_replacing_import_leaves_what_there_is(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    before = stack.saved
    stack.up(bucket("a", imported("nope"), size=1)).fails("resource 'nope' does not exist")
    assert stack.names == ["a"]
    assert json.loads(before)["resources"] == json.loads(stack.saved)["resources"]


@pytest.mark.parametrize("protect", [True, False])
def test_a_protected_object_is_not_replaced_by_an_import(stack: Stack, protect: bool) -> None:
    stack.up(bucket("a", {"protect": True}, size=1)).succeeds()
    stack.cloud.put("a", "x-1", size=1)
    result = stack.up(bucket("a", imported("x-1", protect=protect), size=1))
    if protect:
        result.fails("as it is currently marked for protection").calling()
    else:
        result.succeeds().calling("read a", "delete a")


def test_an_imported_object_can_be_protected(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.up(bucket("a", imported("x-1", protect=True), size=1)).succeeds()
    assert stack.resource("a").protect
    stack.up().fails("cannot be deleted")


def test_an_object_that_was_only_read_is_taken_over_by_importing_it(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.up(read("a", "x-1")).succeeds()
    result = stack.up(bucket("a", imported("x-1"), size=1))
    result.succeeds().expect(("import-replacement", "a"), replace("a")).calling("read a")
    assert not stack.resource("a").external
    assert stack.names == ["a"]
    stack.up().expect(delete("a")).calling("delete a")


def test_an_aliased_resource_with_the_import_option_keeps_its_object(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.up(bucket("a", imported("x-1"), size=1)).succeeds()
    stack.up(bucket("b", imported("x-1", aliases=[{"name": "a"}]), size=1)).does_nothing()
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ ignoreChanges


def test_what_is_ignored_stays_as_it_was_read(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1, label="theirs")
    result = stack.up(bucket("a", imported("x-1", ignoreChanges=["label"]), size=1, label="ours"))
    result.succeeds().expect(IMPORT_A).calling("read a")
    assert stack.resource("a").inputs == {"size": 1, "label": "theirs"}
    stack.up(bucket("a", imported("x-1", ignoreChanges=["label"]), size=2, label="ours")).expect(update("a"))
    assert stack.cloud.of("a")["label"] == "theirs"


def test_defaults_that_the_provider_chose_are_taken_from_what_was_read(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", auto=True, label="auto-1")
    stack.up(bucket("a", imported("x-1"), auto=True)).succeeds().expect(IMPORT_A)
    assert stack.resource("a").inputs["label"] == "auto-1"


def test_an_import_keeps_to_its_plan(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    program = (bucket("a", imported("x-1"), size=2), bucket("b", of=ref("a")))
    plan = stack.plan(*program)
    stack.run(Kind.UPDATE, program, plan=plan).succeeds().expect(IMPORT_A, update("a"), create("b"))
    assert stack.resource("a").inputs == {"size": 2}


def test_an_import_that_was_not_planned_is_refused(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    plan = stack.plan(bucket("a", size=1))
    stack.run(Kind.UPDATE, (bucket("a", imported("x-1"), size=1),), plan=plan).fails("not allowed by the plan")
    assert stack.names == []

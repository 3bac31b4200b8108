"""Semantics 13: what the program only reads is kept as external, and never made, changed or deleted.

With it what the engine's own package gives: stack references, stashes, what resource references are filled from.
"""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from engine.resource import Secret, from_struct, to_struct
from engine.rpc import resource_pb2
from tests.engine.core.dsl import Stack, create, delete, replace, update
from tests.engine.core.program import (
    GROUP,
    Do,
    Resource,
    Run,
    bucket,
    exports,
    group,
    provider,
    read,
    ref,
    reference,
)


@pytest.fixture
def there(stack: Stack) -> Stack:
    """An object that nobody of ours has made."""
    stack.cloud.put("x", "x-1", size=1)
    return stack


# ------------------------------------------------------------------ reading


def test_an_object_is_read_and_kept_as_external(there: Stack) -> None:
    result = there.up(read("r", "x-1"), bucket("b", of=ref("r")))
    result.succeeds().expect(("read", "r"), create("b")).calling("read r", "create b")
    state = there.resource("r")
    assert (state.external, state.id, state.outputs["size"]) == (True, "x-1", 1)
    assert there.resource("b").inputs == {"of": "arn:x-1"}
    assert "read" not in result.outcome.changes


def test_it_is_read_at_every_update_and_counts_when_it_has_changed(there: Stack) -> None:
    there.up(read("r", "x-1"), bucket("b", of=ref("r", "size"))).succeeds()
    modified = there.resource("r").modified
    again = there.up(read("r", "x-1"), bucket("b", of=ref("r", "size"))).succeeds().calling("read r")
    assert "read" not in again.outcome.changes
    assert there.resource("r").modified == modified
    there.cloud.change("x", size=2)
    changed = there.up(read("r", "x-1"), bucket("b", of=ref("r", "size")))
    changed.succeeds().expect(("read", "r"), update("b"))
    assert changed.outcome.changes["read"] == 1
    assert there.resource("r").modified != modified


def test_a_preview_reads_too(there: Stack) -> None:
    result = there.preview(read("r", "x-1"), bucket("b", of=ref("r")))
    result.succeeds().calling("read r")
    assert result.detail("b")["new"]["inputs"] == {"of": "arn:x-1"}


def test_a_preview_does_not_read_what_has_no_id_yet(stack: Stack) -> None:
    program = (bucket("a", size=1), read("r", ref("a", "id")), bucket("b", of=ref("r")))
    stack.preview(*program).succeeds().expect(create("a"), ("read", "r"), create("b")).calling()
    stack.up(*program).succeeds().calling("create a", "read r", "create b")
    assert stack.resource("b").inputs == {"of": f"arn:{stack.resource('a').id}"}


def test_what_identifies_it_goes_to_the_provider_with_the_id(there: Stack) -> None:
    there.up(
        provider("p"), group("g"), read("r", "x-1", parent="g", provider="p", properties={"region": "y"})
    ).succeeds()
    state = there.resource("r")
    assert (state.parent, state.inputs) == (there.urn("g", GROUP), {"region": "y"})
    assert state.provider.startswith(there.urn("p", "pulumi:providers:fake"))


def test_outputs_can_be_secret(there: Stack) -> None:
    there.up(read("r", "x-1", additionalSecretOutputs=["size"]), exports(s=ref("r", "size"))).succeeds()
    assert there.resource("r").outputs["size"] == Secret(1)
    assert there.outputs == {"s": Secret(1)}


def test_it_is_forgotten_and_not_deleted(there: Stack) -> None:
    there.up(read("r", "x-1"), bucket("b", of=ref("r"))).succeeds()
    result = there.up()
    result.succeeds().expect(delete("b"), ("discard", "r")).calling("delete b")
    assert result.outcome.changes["discard"] == 1
    assert "x-1" in there.cloud.objects


def test_a_destroy_forgets_it(there: Stack) -> None:
    there.up(read("r", "x-1")).succeeds()
    there.destroy().succeeds().expect(("discard", "r")).calling()
    assert there.names == []


def test_another_id_is_another_object(there: Stack) -> None:
    there.cloud.put("y", "y-1", size=2)
    there.up(read("r", "x-1")).succeeds()
    there.up(read("r", "y-1")).succeeds().expect(("read", "r")).calling("read r")
    assert there.resource("r").id == "y-1"


# ------------------------------------------------------------------ what can go wrong


def test_an_object_that_does_not_exist(stack: Stack) -> None:
    result = stack.up(read("r", "nope"), bucket("b", of=ref("r"))).fails("resource 'nope' does not exist")
    assert [e for e in result.events if "resOpFailedEvent" in e]
    assert stack.names == []
    stack.preview(read("r", "nope")).fails("Preview failed: resource 'nope' does not exist")


def test_an_object_that_is_gone_fails_the_update_and_stays_in_the_state(there: Stack) -> None:
    there.up(read("r", "x-1")).succeeds()
    there.cloud.lose("x")
    there.up(read("r", "x-1")).fails("resource 'x-1' does not exist")
    assert there.names == ["r"]
    there.up().succeeds()


def test_a_read_that_fails(there: Stack) -> None:
    there.cloud.fail("read", "r", times=1)
    there.up(read("r", "x-1")).fails("the cloud refuses to read r")
    assert (there.names, there.pending) == ([], [])
    there.up(read("r", "x-1")).succeeds()


def test_an_object_that_is_not_ready_fails_the_update_and_is_kept(there: Stack) -> None:
    there.cloud.fail("read", "r", kind="unready", times=1)
    there.up(read("r", "x-1")).fails("it did not become ready")
    assert there.resource("r").init_errors
    there.up(read("r", "x-1")).succeeds()
    assert there.resource("r").init_errors == []


def test_a_read_without_an_id(stack: Stack) -> None:
    stack.up(read("r", "")).fails(f"Expected an ID for {stack.urn('r')}")


def test_a_read_under_way_is_a_pending_operation(there: Stack) -> None:
    seen: list[list[str]] = []
    there.on_save = lambda _: seen.append(there.pending)
    there.up(read("r", "x-1")).succeeds()
    assert ["reading r"] in seen
    assert there.pending == []


def test_one_name_for_a_read_and_a_resource(there: Stack) -> None:
    there.up(bucket("r", size=1), read("r", "x-1")).fails(f"Duplicate resource URN '{there.urn('r')}'")


# ------------------------------------------------------------------ whose it is


def test_taking_over_what_was_only_read_makes_an_object_of_our_own(there: Stack) -> None:
    there.up(read("r", "x-1")).succeeds()
    result = there.up(bucket("r", size=1))
    result.succeeds().expect(replace("r")).calling("create r").valid_after_every_step()
    ops = [e["resourcePreEvent"]["metadata"]["op"] for e in result.events if "resourcePreEvent" in e]
    assert ops[-3:] == ["create-replacement", "replace", "discard-replaced"]
    assert there.names == ["r"]
    assert set(there.cloud.objects) == {"x-1", there.resource("r").id}


def test_a_failed_take_over_leaves_the_read(there: Stack) -> None:
    there.up(read("r", "x-1")).succeeds()
    there.cloud.fail("create", "r")
    there.up(bucket("r", size=1)).fails("refuses to create r")
    assert there.resource("r").external


def test_letting_go_of_an_object_by_reading_it(stack: Stack) -> None:
    """From the same id on it is only read: it is not deleted, now or later."""
    stack.up(bucket("a", {"protect": True}, size=1)).succeeds()
    id_ = stack.cloud.id_of("a")
    stack.up(read("a", id_)).succeeds().expect(("read", "a")).calling("read a")
    assert stack.resource("a").external
    assert not stack.resource("a").protect
    stack.destroy().succeeds().calling()
    assert id_ in stack.cloud.objects


def test_reading_another_object_in_its_place_deletes_ours(there: Stack) -> None:
    there.up(bucket("r", size=9)).succeeds()
    result = there.up(read("r", "x-1"))
    result.succeeds().expect(replace("r")).calling("read r", "delete r").valid_after_every_step()
    assert there.names == ["r"]
    assert set(there.cloud.objects) == {"x-1"}


def test_a_failed_read_in_its_place_keeps_ours(stack: Stack) -> None:
    stack.up(bucket("r", size=9)).succeeds()
    stack.up(read("r", "nope")).fails("resource 'nope' does not exist").calling("read r")
    assert not stack.resource("r").external
    stack.agrees_with_cloud()


def test_a_protected_object_is_not_deleted_by_a_read_in_its_place(there: Stack) -> None:
    there.up(bucket("r", {"protect": True}, size=9)).succeeds()
    there.up(read("r", "x-1")).fails("as it is currently marked for protection", "pulumi state unprotect").calling()
    assert set(there.cloud.objects) == {"x-1", there.resource("r").id}


def test_a_preview_of_a_read_in_its_place_with_an_unknown_id(stack: Stack) -> None:
    stack.up(bucket("r", size=9)).succeeds()
    result = stack.preview(bucket("new", size=1), read("r", ref("new", "id")))
    result.succeeds().expect(create("new"), replace("r"))
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ stack references


NAME = "organization/project/other"


def stack_reference(name: str = NAME) -> Any:
    return read("other", name, "pulumi:pulumi:StackReference", properties={"name": name})


def test_another_stacks_outputs_are_read(stack: Stack) -> None:
    stack.other_stacks[NAME] = {"size": 3, "pw": Secret("hush"), "deep": {"k": [Secret("x")]}}
    program = (stack_reference(), exports(all=ref("other", "outputs"), secret=ref("other", "secretOutputNames")))
    result = stack.up(*program).succeeds()
    assert ("read", "other") in result.ops
    state = stack.resource("other")
    assert (state.external, state.id) == (True, NAME)
    assert state.outputs == {
        "name": NAME,
        "outputs": {"size": 3, "pw": Secret("hush"), "deep": {"k": [Secret("x")]}},
        "secretOutputNames": ["deep", "pw"],
    }
    assert stack.outputs["secret"] == ["deep", "pw"]
    assert "hush" not in str(result.events)
    stack.other_stacks[NAME] = {"size": 4}
    stack.up(*program).succeeds()
    assert stack.outputs["all"] == {"size": 4}


def test_a_preview_reads_another_stack(stack: Stack) -> None:
    stack.other_stacks[NAME] = {"size": 3}
    stack.preview(stack_reference(), bucket("a", size=ref("other", "outputs"))).succeeds()


def test_a_stack_that_is_not_there(stack: Stack) -> None:
    stack.up(stack_reference("organization/project/none")).fails('unknown stack "organization/project/none"')
    assert stack.names == []


def test_a_reference_to_a_stack_cannot_be_imported(stack: Stack) -> None:
    item = Resource(name="o", type="pulumi:pulumi:StackReference", inputs={"name": NAME}, opts={"importId": NAME})
    stack.up(item).fails("stack reference can not be imported")


# ------------------------------------------------------------------ stashes


def stash(value: Any) -> Resource:
    return Resource(name="s", type="pulumi:index:Stash", inputs={"input": value})


def test_a_stash_keeps_its_first_value(stack: Stack) -> None:
    stack.up(stash("one"), exports(o=ref("s", "output"))).succeeds().expect(create("s"))
    stack.up(stash("one"), exports(o=ref("s", "output"))).succeeds().expect()
    stack.up(stash("two"), exports(o=ref("s", "output"))).succeeds().expect(update("s"))
    assert stack.resource("s").outputs == {"input": "two", "output": "one"}
    assert stack.outputs == {"o": "one"}
    stack.refresh().succeeds()
    stack.destroy().succeeds()


# ------------------------------------------------------------------ functions of the engine


def ask(seen: list[Any], token: str, **args: Any) -> Do:
    def action(run: Run) -> None:
        values = {key: run.urns.get(value, value) for key, value in args.items()}
        request = resource_pb2.ResourceInvokeRequest(tok=token, args=to_struct(values), acceptResources=True)
        answer = run.monitor.Invoke(request)
        seen.append(from_struct(getattr(answer, "return")))

    return Do(action)


def test_what_a_resource_reference_stands_for(there: Stack) -> None:
    seen: list[Any] = []
    there.up(
        bucket("a", size=1),
        read("r", "x-1"),
        ask(seen, "pulumi:pulumi:getResource", urn="a"),
        ask(seen, "pulumi:pulumi:getResource", urn="r"),
    ).succeeds()
    id_ = there.cloud.id_of("a")
    assert seen[0] == {
        "urn": there.urn("a"),
        "id": id_,
        "provider": there.resource("a").provider,
        "state": {"size": 1, "arn": f"arn:{id_}"},
    }
    assert (seen[1]["id"], seen[1]["state"]["size"]) == ("x-1", 1)


def test_a_reference_to_a_resource_that_the_program_has_not_registered(stack: Stack) -> None:
    urn = stack.urn("never")
    with_reference = ask([], "pulumi:pulumi:getResource", urn=urn)
    stack.up(with_reference).fails(f"unknown resource {urn}")


def test_resource_references_pass_through_the_state(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    value = reference(stack.urn("a"), stack.resource("a").id)
    stack.up(bucket("a", size=1), bucket("b", of=value)).succeeds()
    assert stack.resource("b").inputs == {"of": value}


def test_outputs_of_another_stack_as_a_function(stack: Stack) -> None:
    stack.other_stacks[NAME] = {"size": 3, "pw": Secret("hush")}
    seen: list[Any] = []
    stack.up(ask(seen, "pulumi:pulumi:readStackOutputs", name=NAME)).succeeds()
    assert seen == [{"name": NAME, "outputs": {"size": 3, "pw": Secret("hush")}, "secretOutputNames": ["pw"]}]
    stack.up(ask(seen, "pulumi:pulumi:readStackOutputs", name="none")).fails('unknown stack "none"')


def test_a_function_that_there_is_not(stack: Stack) -> None:
    with_error: list[grpc.RpcError] = []

    def action(run: Run) -> None:
        try:
            run.monitor.Invoke(resource_pb2.ResourceInvokeRequest(tok="pulumi:pulumi:nothing"))
        except grpc.RpcError as error:
            with_error.append(error)

    stack.up(Do(action)).succeeds()
    assert "unrecognized function name: 'pulumi:pulumi:nothing'" in str(with_error[0].details())

"""--continue-on-error: what does not need what failed goes on, what does is skipped, and the program hears of both."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import resource_pb2

from tests.engine.core.dsl import Result, Stack, create, delete, replace, update
from tests.engine.core.program import (
    BUCKET,
    Do,
    Resource,
    Run,
    bucket,
    crash,
    exports,
    group,
    outputs,
    provider,
    read,
    ref,
    together,
)


def failed(stack: Stack) -> set[str]:
    """What the program was told has not been made."""
    assert stack.program is not None
    assert stack.program.last is not None
    return stack.program.last.failed


def deletes(result: Result) -> set[str]:
    return {call.removeprefix("delete ") for call in result.calls if call.startswith("delete ")}


@pytest.mark.parametrize(
    "second",
    [
        bucket("b", source=ref("a")),
        bucket("b", {"depends_on": ["a"]}),
        bucket("b", {"parent": "a"}),
        bucket("b", {"deleted_with": "a"}),
        bucket("b", {"replace_with": ["a"]}),
        group("b", {"parent": "a"}),
    ],
    ids=["value", "dependsOn", "parent", "deletedWith", "replaceWith", "component"],
)
def test_whatever_needs_the_failed_one_is_skipped(stack: Stack, second: Resource) -> None:
    stack.cloud.fail("create", "a")
    program = (bucket("a"), second, bucket("c", {"depends_on": ["b"]}), bucket("free"))
    result = stack.up(*program, continue_on_error=True).fails("the cloud refuses to create a", "update failed")
    result.expect(create("a"), create("free"))
    assert failed(stack) == {"a", "b", "c"}
    assert stack.names == ["free"]
    stack.cloud.heal()
    stack.up(*program).succeeds()
    stack.agrees_with_cloud()


def test_the_first_failure_ends_it_all_without_the_option(stack: Stack) -> None:
    stack.cloud.fail("create", "a")
    stack.up(bucket("a"), bucket("b")).fails("the cloud refuses to create a").expect(create("a"))


def test_every_failure_is_told(stack: Stack) -> None:
    for name in "ab":
        stack.cloud.fail("create", name)
    result = stack.up(together(bucket("a"), bucket("b"), bucket("c")), continue_on_error=True)
    result.fails("refuses to create a", "refuses to create b").expect(create("a"), create("b"), create("c"))
    assert result.messages("error").count("update failed") == 1


def test_an_object_that_is_not_ready_has_failed_too(stack: Stack) -> None:
    stack.cloud.fail("create", "a", kind="unready", times=1)
    program = (bucket("a"), bucket("b", source=ref("a")))
    stack.up(*program, continue_on_error=True).fails("it did not become ready")
    assert failed(stack) == {"a", "b"}
    assert stack.names == ["a"]
    stack.up(*program, continue_on_error=True).succeeds().expect(update("a"), create("b"))


def test_resources_of_a_provider_that_was_skipped(stack: Stack) -> None:
    stack.cloud.fail("create", "x")
    program = (
        bucket("x"),
        provider("p", endpoint=ref("x")),
        bucket("a", {"provider": "p"}),
        bucket("free"),
    )
    result = stack.up(*program, continue_on_error=True).fails("the cloud refuses to create x")
    assert failed(stack) == {"x", "p", "a"}
    result.expect(create("x"), create("free"))
    assert stack.names == ["free"]
    stack.cloud.heal()
    stack.up(*program).succeeds()
    stack.cloud.fail("update", "x")
    changed = (bucket("x", size=1), *program[1:])
    stack.up(*changed, continue_on_error=True).fails("the cloud refuses to update x").calling("update x")
    stack.agrees_with_cloud()


@pytest.mark.parametrize("method", ["check", "diff"])
def test_what_cannot_be_decided_ends_the_update(stack: Stack, method: str) -> None:
    """A failed Check or Diff leaves the program with nothing to go on with: so it is in the stock engine."""
    stack.up(bucket("a", size=1), bucket("dropped"))
    stack.cloud.fail(method, "a", times=1)
    result = stack.up(bucket("a", size=2), bucket("b"), continue_on_error=True)
    result.fails(f"the cloud refuses to {method} a").calling()
    assert "update failed" not in result.messages("error")
    assert stack.names == ["a", "dropped"]


def test_inputs_that_are_refused_end_the_update(stack: Stack) -> None:
    result = stack.up(bucket("a", size=-1), bucket("b"), continue_on_error=True)
    result.fails("property size value {-1} has a problem: must not be negative").calling()


def test_what_was_decided_before_is_finished(stack: Stack) -> None:
    gate = stack.cloud.hold("create", "slow")
    gate.open.set()
    stack.up(together(bucket("slow"), bucket("bad", size=-1)), continue_on_error=True).fails("must not be negative")
    stack.agrees_with_cloud()


def test_a_program_that_fails_deletes_nothing(stack: Stack) -> None:
    stack.up(bucket("dropped"))
    stack.up(bucket("a"), crash(), continue_on_error=True).fails("the program is broken").calling("create a")
    assert stack.names == ["a", "dropped"]


def test_a_program_that_does_not_know_of_results_gets_an_error(stack: Stack) -> None:
    """Older SDKs would take the answer for a success."""

    def register(run: Run) -> None:
        request = resource_pb2.RegisterResourceRequest(type=BUCKET, name="a", custom=True, parent=run.root)
        with pytest.raises(grpc.RpcError) as caught:
            run.monitor.RegisterResource(request)
        assert "resource registration failed" in str(caught.value.details())

    stack.cloud.fail("create", "a")
    stack.up(Do(register), bucket("b"), continue_on_error=True).fails("refuses to create a").expect(
        create("a"), create("b")
    )


def test_outputs_of_what_was_skipped_are_not_kept(stack: Stack) -> None:
    stack.up(bucket("a", size=1), group("g", {"depends_on": ["a"]}), outputs("g", x=1))
    stack.cloud.fail("update", "a")
    program = (bucket("a", size=2), group("g", {"depends_on": ["a"]}), outputs("g", x=2))
    result = stack.up(*program, continue_on_error=True).fails("refuses to update a")
    assert stack.resource("g").outputs == {"x": 1}
    told = [e["resOutputsEvent"]["metadata"]["urn"] for e in result.events if "resOutputsEvent" in e]
    assert not [urn for urn in told if urn.endswith("::g")]


def test_outputs_of_the_stack_keep_what_they_had(stack: Stack) -> None:
    stack.up(bucket("a", size=1), exports(x=1, y=1))
    stack.cloud.fail("update", "a")
    stack.up(bucket("a", size=2), exports(x=2), continue_on_error=True).fails()
    assert stack.outputs == {"x": 2, "y": 1}


# ------------------------------------------------------------------ deletes


def test_what_nothing_needs_is_deleted_after_failures(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("dropped"), bucket("base"), bucket("user", source=ref("base")))
    stack.cloud.fail("update", "a")
    result = stack.up(bucket("a", size=2), bucket("user"), continue_on_error=True).fails("refuses to update a")
    assert deletes(result) == {"dropped", "base"}


def test_what_the_failed_one_still_needs_is_not_deleted(stack: Stack) -> None:
    stack.up(bucket("deep"), bucket("base", source=ref("deep")), bucket("a", source=ref("base")), bucket("free"))
    stack.cloud.fail("update", "a")
    result = stack.up(bucket("a", source="own"), continue_on_error=True).fails("refuses to update a")
    assert deletes(result) == {"free"}
    assert sorted(stack.names) == ["a", "base", "deep"]
    stack.cloud.heal()
    stack.up(bucket("a", source="own")).succeeds().expect(update("a"), delete("base"), delete("deep"))


def test_what_the_skipped_one_still_needs_is_not_deleted(stack: Stack) -> None:
    stack.up(bucket("x"), bucket("base"), bucket("b", source=ref("base")))
    stack.cloud.fail("create", "new")
    program = (bucket("x"), bucket("new"), bucket("b", source=ref("new")))
    result = stack.up(*program, continue_on_error=True).fails("refuses to create new")
    assert deletes(result) == set()
    assert sorted(stack.names) == ["b", "base", "x"]


def test_what_a_failed_delete_needs_is_not_deleted(stack: Stack) -> None:
    stack.up(bucket("deep"), bucket("base", source=ref("deep")), bucket("a", source=ref("base")), bucket("free"))
    stack.cloud.fail("delete", "a")
    result = stack.destroy(continue_on_error=True).fails("refuses to delete a", "update failed")
    assert deletes(result) == {"a", "free"}
    assert stack.names == ["deep", "base", "a"]


def test_a_destroy_of_protected_and_failing_resources_tells_of_all(stack: Stack) -> None:
    stack.up(bucket("p", {"protect": True}), bucket("a"), bucket("b"))
    stack.cloud.fail("delete", "a")
    result = stack.destroy(continue_on_error=True).fails("because it is protected", "refuses to delete a")
    assert deletes(result) == {"a", "b"}
    assert stack.names == ["p", "a"]


# ------------------------------------------------------------------ replacements


def zoned(zone: str) -> tuple[Any, ...]:
    return bucket("a", zone=zone), bucket("b", region=ref("a")), bucket("free", size=1 if zone == "x" else 2)


@pytest.mark.parametrize(("method", "name"), [("delete", "b"), ("delete", "a"), ("create", "a")])
def test_a_replacement_that_fails_anywhere_does_not_keep_the_program_waiting(
    stack: Stack, method: str, name: str
) -> None:
    stack.up(*zoned("x"))
    stack.cloud.fail(method, name, times=1)
    stack.up(*zoned("y"), continue_on_error=True).fails(f"the cloud refuses to {method} {name}")
    assert failed(stack) == {"a", "b"}
    assert stack.cloud.of("free")["size"] == 2
    stack.agrees_with_cloud()
    stack.up(*zoned("y")).succeeds()
    stack.agrees_with_cloud()


def test_what_could_not_be_deleted_first_is_not_made_again(stack: Stack) -> None:
    """Though it does not need what was to be replaced any more."""
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a")))
    stack.cloud.fail("delete", "b", times=1)
    program = (bucket("a", zone="y"), bucket("b", region="own"))
    stack.up(*program, continue_on_error=True).fails("the cloud refuses to delete b")
    assert failed(stack) == {"a", "b"}
    assert stack.cloud.count("b") == 1
    stack.agrees_with_cloud()
    stack.up(*program).succeeds().expect(replace("a"), replace("b"))
    stack.agrees_with_cloud()


def test_nothing_is_deleted_first_for_a_replacement_that_is_skipped(stack: Stack) -> None:
    stack.up(bucket("x", size=1), bucket("a", {"depends_on": ["x"]}, zone="x"), bucket("b", region=ref("a")))
    stack.cloud.fail("update", "x")
    program = (bucket("x", size=2), bucket("a", {"depends_on": ["x"]}, zone="y"), bucket("b", region=ref("a")))
    stack.up(*program, continue_on_error=True).fails("refuses to update x").calling("update x")
    assert failed(stack) == {"x", "a", "b"}
    stack.agrees_with_cloud()


def test_the_old_one_stays_if_its_replacement_could_not_be_made(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"), bucket("dropped"))
    stack.cloud.fail("create", "a", times=1)
    result = stack.up(bucket("a", region="us"), continue_on_error=True).fails("refuses to create a")
    assert deletes(result) == {"dropped"}
    assert stack.names == ["a"]
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ the rest


def test_reads_that_fail_and_reads_that_are_skipped(stack: Stack) -> None:
    stack.cloud.fail("create", "a")
    program = (bucket("a"), read("r", "some-id", dependencies=[stack.urn("a")]), bucket("free"))
    stack.up(*program, continue_on_error=True).fails("refuses to create a")
    assert stack.names == ["free"]


def test_failures_with_targets(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", source=ref("a")), bucket("c", size=1))
    stack.cloud.fail("update", "a")
    program = (bucket("a", size=2), bucket("b", source=ref("a")), bucket("c", size=2))
    options: dict[str, Any] = {"targets": ("**::a", "**::c"), "continue_on_error": True}
    stack.up(*program, **options).fails("refuses to update a").expect(update("a"), update("c"))
    assert sorted(stack.names) == ["a", "b", "c"]


def test_a_failed_target_makes_what_is_none_wait_in_the_old_state(stack: Stack) -> None:
    stack.up(bucket("base"), bucket("user", source=ref("base")), bucket("a"))
    stack.cloud.fail("update", "base")
    stack.up(bucket("base", size=1), bucket("user"), targets=("**::base",), continue_on_error=True).fails()
    assert sorted(stack.names) == ["a", "base", "user"]
    stack.agrees_with_cloud()

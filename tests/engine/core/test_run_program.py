"""`refresh --run-program` and `destroy --run-program`: what the program registers counts, and nothing is made of it."""

from pathlib import Path

import pytest

from engine.resource import UNKNOWN
from tests.engine.core.dsl import Stack, create, delete
from tests.engine.core.program import Do, Run, bucket, crash, exports, group, outputs, provider, read, ref


def _ops(stack_result: object) -> list[tuple[str, str]]:
    return [op for op in stack_result.ops if op[0] != "refresh"]  # type: ignore[attr-defined]


# ------------------------------------------------------------------ refresh


def test_a_refresh_reads_what_the_program_registers_and_the_rest(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", size=1))
    stack.cloud.change("a", size=7)
    stack.cloud.change("b", size=8)
    result = stack.refresh(bucket("b", size=2), run_program=True).succeeds()
    result.calling("read b", "read a").valid_after_every_step()
    assert result.outcome.changes == {"update": 2, "same": 1}
    # The program's own values are not applied: a refresh only looks.
    assert (stack.resource("a").inputs, stack.resource("b").inputs) == ({"size": 7}, {"size": 8})
    assert stack.names == ["b", "a"]


def test_a_refresh_takes_over_what_the_program_says_of_a_resource(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b", size=1, opts={"depends_on": ["a"], "protect": True}))
    stack.refresh(bucket("b", size=1), run_program=True).succeeds()
    assert stack.resource("b").dependencies == []
    assert not stack.resource("b").protect


def test_a_refresh_makes_nothing(stack: Stack) -> None:
    stack.up(bucket("a", size=1))
    result = stack.refresh(
        bucket("a", size=1), bucket("new"), bucket("needs-new", source=ref("new")), run_program=True
    ).succeeds()
    result.calling("read a")
    assert stack.names == ["a"]
    stack.agrees_with_cloud()


def test_a_refresh_drops_what_is_gone_and_the_references_to_it(stack: Stack) -> None:
    program = (bucket("a"), bucket("b", opts={"depends_on": ["a"]}), group("g"), bucket("c", opts={"parent": "g"}))
    stack.up(*program)
    stack.cloud.lose("a")
    result = stack.refresh(*program, run_program=True).succeeds().valid_after_every_step()
    assert result.outcome.changes["delete"] == 1
    assert sorted(stack.names) == ["b", "c", "g"]
    assert stack.resource("b").dependencies == []
    stack.agrees_with_cloud()
    stack.up(*program).succeeds().expect(create("a"))


def test_a_resource_whose_new_provider_is_not_made_keeps_the_one_it_has(stack: Stack) -> None:
    # A provider that needs what a refresh does not make has no id: no state may name it.
    stack.up(bucket("c", size=1))
    stack.cloud.change("c", size=7)
    program = (bucket("new"), provider("p", endpoint=ref("new")), bucket("c", size=1, opts={"provider": "p"}))
    stack.refresh(*program, run_program=True).succeeds().valid_after_every_step()
    assert stack.names == ["c"]
    assert stack.resource("c").inputs == {"size": 7}
    stack.agrees_with_cloud()


def test_a_resource_that_is_not_made_is_no_longer_referred_to(stack: Stack) -> None:
    stack.up(bucket("b"))
    stack.refresh(bucket("a"), bucket("b", opts={"depends_on": ["a"]}), run_program=True).succeeds()
    assert stack.resource("b").dependencies == []


def test_a_refresh_reads_with_the_provider_that_the_program_configures(stack: Stack) -> None:
    stack.up(provider("p", token="old"), bucket("a", opts={"provider": "p"}))
    stack.cloud.configured.clear()
    stack.refresh(provider("p", token="new"), bucket("a", opts={"provider": "p"}), run_program=True).succeeds()
    assert [c["token"] for c in stack.cloud.configured] == ["new"]
    assert stack.resource("p").inputs == {"token": "new"}


def test_a_preview_of_a_refresh_changes_nothing(stack: Stack) -> None:
    stack.up(bucket("a", size=1))
    stack.cloud.change("a", size=7)
    before = stack.saved
    result = stack.refresh(bucket("a", size=1), bucket("n"), run_program=True, dry_run=True).succeeds()
    assert result.outcome.changes["update"] == 1
    assert stack.saved == before


def test_outputs_that_nobody_can_know_keep_their_last_value(stack: Stack) -> None:
    stack.up(bucket("a"), exports(arn=ref("a"), fixed=1))

    def export(run: Run) -> None:
        run.exported.update(arn=UNKNOWN, fixed=2, other=UNKNOWN)

    stack.refresh(bucket("a"), bucket("n"), Do(export), run_program=True).succeeds()
    assert stack.outputs == {"arn": "arn:a-1", "fixed": 2}


@pytest.mark.parametrize("failing", ["registered", "left"])
def test_a_failed_read_keeps_the_resource(stack: Stack, failing: str) -> None:
    stack.up(bucket("left"), bucket("registered"))
    stack.cloud.fail("read", failing)
    stack.refresh(bucket("registered"), run_program=True).fails(f"the cloud refuses to read {failing}")
    assert sorted(stack.names) == ["left", "registered"]
    stack.agrees_with_cloud()


def test_a_program_that_fails_ends_the_refresh(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    result = stack.refresh(bucket("a"), crash("no such luck"), run_program=True).fails("no such luck")
    assert "read b" not in result.calls
    assert stack.names == ["a", "b"]


# ------------------------------------------------------------------ destroy


def test_a_destroy_with_the_program_ends_with_nothing(stack: Stack) -> None:
    program = (
        provider("p", token="x"),
        bucket("a", opts={"provider": "p"}),
        group("g"),
        bucket("b", opts={"parent": "g"}, source=ref("a")),
        outputs("g", arn=ref("b")),
    )
    stack.up(*program)
    result = stack.destroy(*program, run_program=True).succeeds().valid_after_every_step()
    assert sorted(op for op in result.ops) == [delete("a"), delete("b"), delete("g"), delete("p")]
    result.calling("delete b", "delete a")
    assert not stack.snapshot.resources
    assert not stack.cloud.objects


def test_a_destroy_deletes_with_what_the_program_says_now(stack: Stack) -> None:
    stack.up(provider("p", token="old"), bucket("a", opts={"provider": "p", "protect": True}))
    stack.cloud.configured.clear()
    program = (provider("p", token="new"), bucket("a", opts={"provider": "p"}))
    stack.destroy(*program, run_program=True).succeeds()
    assert [c["token"] for c in stack.cloud.configured] == ["new"]
    assert not stack.cloud.objects


def test_a_destroy_makes_nothing_and_changes_nothing(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("dropped"))
    program = (bucket("a", size=2), bucket("new"), bucket("needs-new", opts={"depends_on": ["new"]}))
    result = stack.destroy(*program, run_program=True).succeeds()
    assert sorted(result.calls) == ["delete a", "delete dropped"]
    assert not stack.snapshot.resources


def test_what_needs_something_skipped_is_deleted_as_the_state_has_it(stack: Stack) -> None:
    stack.up(bucket("b", size=1))
    result = stack.destroy(bucket("new"), bucket("b", source=ref("new")), run_program=True).succeeds()
    result.calling("delete b")
    assert not stack.snapshot.resources


def test_objects_that_are_only_read_are_let_go(stack: Stack, tmp_path: Path) -> None:
    stack.up(bucket("mine"))
    id_ = stack.cloud.id_of("mine")
    stack.cloud.objects["other"] = {"size": 1, "arn": "arn:other"}
    stack.cloud.names["other"] = "other"
    stack.up(bucket("mine"), read("r", "other")).succeeds()
    stack.destroy(bucket("mine"), read("r", "other"), run_program=True).succeeds()
    assert not stack.snapshot.resources
    assert set(stack.cloud.objects) == {"other"}
    assert id_ not in stack.cloud.objects


def test_a_resource_of_others_is_not_deleted_by_a_program_that_claims_it(stack: Stack) -> None:
    stack.cloud.objects["other"] = {"size": 1, "arn": "arn:other"}
    stack.cloud.names["other"] = "r"
    stack.up(read("r", "other")).succeeds()
    stack.destroy(bucket("r"), run_program=True).succeeds().calling()
    assert "other" in stack.cloud.objects
    assert not stack.snapshot.resources


def test_a_failed_program_deletes_nothing(stack: Stack) -> None:
    stack.up(bucket("a"))
    stack.destroy(bucket("a"), crash("no such luck"), run_program=True).fails("no such luck").calling()
    assert stack.names == ["a"]
    stack.agrees_with_cloud()


def test_a_failed_delete_leaves_what_it_needs(stack: Stack) -> None:
    program = (bucket("a"), bucket("b", source=ref("a")))
    stack.up(*program)
    stack.cloud.fail("delete", "b", times=1)
    stack.destroy(*program, run_program=True).fails("the cloud refuses to delete b")
    assert stack.names == ["a", "b"]
    stack.agrees_with_cloud()
    stack.destroy(*program, run_program=True).succeeds()
    assert not stack.snapshot.resources


def test_a_second_destroy_leaves_nothing_either(stack: Stack) -> None:
    stack.up(bucket("a"))
    stack.destroy(bucket("a"), run_program=True).succeeds()
    stack.destroy(bucket("a"), run_program=True).succeeds()
    assert not stack.snapshot.resources


def test_a_preview_of_a_destroy_tells_what_would_go(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    before = stack.saved
    result = stack.destroy(bucket("a"), run_program=True, dry_run=True).succeeds().calling()
    assert sorted(result.ops) == [delete("a"), delete("b")]
    assert stack.saved == before


def test_what_failed_in_the_program_is_deleted_as_the_state_has_it(stack: Stack) -> None:
    stack.up(provider("p", token="x"), bucket("a", opts={"provider": "p"}))
    program = (provider("p", token="x"), bucket("a", opts={"provider": "p"}), read("r", "nobody"))
    stack.cloud.fail("read", "r")
    stack.destroy(*program, run_program=True, continue_on_error=True).fails("the cloud refuses to read r")
    assert not stack.cloud.objects
    assert not stack.snapshot.resources


def test_an_object_that_is_not_ready_is_let_go_all_the_same(stack: Stack) -> None:
    stack.cloud.objects["other"] = {"size": 1, "arn": "arn:other"}
    stack.cloud.names["other"] = "other"
    stack.up(read("r", "other"))
    stack.cloud.fail("read", "r", kind="unready")
    stack.destroy(read("r", "other"), run_program=True, continue_on_error=True).fails("it did not become ready")
    assert stack.names == []
    assert "other" in stack.cloud.objects
    stack.destroy().succeeds()
    assert not stack.snapshot.resources


def test_what_is_left_out_of_a_destroy_keeps_what_it_needs(stack: Stack) -> None:
    stack.cloud.objects["other"] = {"size": 1, "arn": "arn:other"}
    stack.cloud.names["other"] = "other"
    stack.up(bucket("a"))
    program = (bucket("a"), read("r", "other"))
    stack.destroy(*program, run_program=True, excludes=("**::r",)).succeeds()
    assert stack.names == ["r"]
    assert [s.urn for s in stack.snapshot.resources if s.urn.endswith("::default")]
    stack.destroy(*program, run_program=True).succeeds()
    assert not stack.snapshot.resources

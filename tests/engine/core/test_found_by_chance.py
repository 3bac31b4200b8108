"""What the property tests have found, each told as small as it can be."""

import threading
import time
from concurrent.futures import Future
from typing import Any

import grpc
import pytest

from engine.departures import Departures
from engine.resource import State
from engine.source import refuse, settle
from tests.engine.core.dsl import Stack, create, delete, replace, update
from tests.engine.core.inprocess import in_process
from tests.engine.core.program import Do, Run, bucket, provider, ref


def test_22_a_failed_first_delete_does_not_keep_a_program_waiting_that_goes_on(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("free", size=1))
    stack.cloud.fail("delete", "a", times=1)
    program = (bucket("a", zone="y"), bucket("free", size=2))
    stack.up(*program, continue_on_error=True).fails("the cloud refuses to delete a").expect(update("free"))
    assert stack.program is not None
    assert stack.program.last is not None
    assert stack.program.last.failed == {"a"}
    stack.agrees_with_cloud()
    stack.up(*program).succeeds().calling("delete a", "create a")


def test_22_what_could_not_be_changed_keeps_all_that_it_needs(stack: Stack) -> None:
    """The failed resource stays as it was, with a dependency and a provider that the program has dropped."""
    stack.up(provider("p"), bucket("base"), bucket("a", {"provider": "p"}, source=ref("base"), size=1))
    stack.cloud.fail("update", "a", times=1)
    moved = bucket("a", {"aliases": [stack.urn("a")]}, size=2)
    stack.up(moved, continue_on_error=True).fails("the cloud refuses to update a").valid_after_every_step()
    assert sorted(stack.names) == ["a", "base", "p"]
    stack.up(moved).succeeds().expect(update("a"), delete("base"), delete("p"))
    stack.agrees_with_cloud()


def test_7_what_was_registered_before_is_no_dependent_any_more(stack: Stack) -> None:
    """In the old state b needs a; the new program makes b first and lets a need it."""
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a")))
    stack.up(bucket("b", region="eu"), bucket("a", zone="y", source=ref("b"))).succeeds().expect(
        replace("b"), replace("a")
    ).valid_after_every_step()
    assert stack.cloud.count("a") == stack.cloud.count("b") == 1
    stack.agrees_with_cloud()


def test_7_a_provider_may_be_a_dependent_of_what_is_deleted_first(stack: Stack) -> None:
    def program(zone: str) -> tuple[object, ...]:
        return bucket("a", zone=zone), provider("p", endpoint=ref("a")), bucket("b", {"provider": "p"})

    stack.up(*program("x")).succeeds()
    stack.up(*program("y")).succeeds().expect(replace("a"), update("p")).calling("delete a", "create a")
    stack.agrees_with_cloud()


def test_7_a_provider_that_would_be_replaced_takes_its_resources_along(stack: Stack) -> None:
    def program(zone: str) -> tuple[object, ...]:
        return bucket("a", zone=zone), provider("p", account=ref("a")), bucket("b", {"provider": "p"})

    stack.up(*program("x")).succeeds()
    stack.up(*program("y")).succeeds().expect(replace("a"), replace("p"), replace("b")).valid_after_every_step()
    stack.agrees_with_cloud()
    stack.up(*program("y")).does_nothing()


def test_22_what_the_refresh_could_not_read_fails_the_update(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b"))
    stack.cloud.fail("read", "b", times=1)
    result = stack.up(bucket("a", size=2), bucket("b"), refresh=True, continue_on_error=True)
    result.fails("the cloud refuses to read b")
    # As in the stock engine, which starts nothing on a state that it knows to be wrong.
    assert ("update", "a") not in result.ops


def test_23_the_second_signal_waits_for_nothing(stack: Stack) -> None:
    """A signal handler runs in the thread that writes, in the middle of it."""

    def signal_twice(_: int) -> None:
        stack.cancel.signal()
        stack.cancel.signal()

    stack.on_save = signal_twice
    before = threading.active_count()
    stack.up(bucket("a"), bucket("b")).fails("update canceled")
    assert len([t for t in threading.enumerate() if "signal" in t.name]) == 0
    assert threading.active_count() <= before + 3


@pytest.mark.parametrize("op", ["create", "delete"])
def test_23_after_the_second_signal_nothing_is_begun_that_nobody_would_know_of(stack: Stack, op: str) -> None:
    """It comes after the look at whether to go on, and before the step is written down."""
    stack.up(bucket("a"))

    def signal_twice(event: dict[str, Any]) -> None:
        if event.get("resourcePreEvent", {}).get("metadata", {}).get("op") == op:
            stack.cancel.signal()
            stack.cancel.signal()

    stack.on_event = signal_twice
    with in_process():  # where no call is given up, however late it comes
        result = stack.up(bucket("a"), bucket("b")) if op == "create" else stack.destroy()
    assert result.calls == []
    assert "internal error" not in result.messages("error")
    assert stack.names == ["a"]
    stack.agrees_with_cloud()
    stack.on_event = lambda _: None
    stack.up(bucket("a"), bucket("b")).succeeds().expect(create("b"))


def test_2_nobody_waits_for_a_default_provider_that_is_asked_for_too_late(stack: Stack) -> None:
    stack.cloud.fail("create", "a")
    seen: list[str] = []

    def late(run: Run) -> None:
        with pytest.raises(grpc.RpcError):
            run.one(bucket("a"))
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as caught:
                run.one(bucket("b", {"version": "7.0.0"}))
            seen.append(caught.value.details())

    stack.up(Do(late)).fails("the cloud refuses to create a")
    assert len(seen) == 2
    assert all("shut down" in text for text in seen)


def test_22_a_defect_of_the_engine_is_told_and_keeps_nobody_waiting(stack: Stack) -> None:
    stack.up(bucket("a", size=1))

    def defect(saves: int) -> None:
        if saves == 1:
            raise ValueError("a defect")

    stack.on_save = defect
    program = (bucket("a", size=2), bucket("b"))
    stack.up(*program, continue_on_error=True).fails("internal error in a update", "a defect").expect(
        update("a"), create("b")
    )
    stack.on_save = lambda _: None
    stack.up(*program).succeeds()
    stack.agrees_with_cloud()


def test_23_an_answer_is_given_once() -> None:
    answered: Future[int] = Future()
    settle(answered, 1)
    refuse(answered, ValueError("too late"))
    settle(answered, 2)
    assert answered.result() == 1
    refused: Future[int] = Future()
    refuse(refused, ValueError("stopped"))
    settle(refused, 1)
    assert isinstance(refused.exception(), ValueError)


def test_9_what_goes_with_something_retained_that_it_needs_goes(stack: Stack) -> None:
    stack.up(
        bucket("a", {"retainOnDelete": True}),
        bucket("f", {"deleted_with": "a"}, source=ref("a")),
        bucket("g", {"deleted_with": "f"}, source=ref("a")),
    )
    stack.destroy().succeeds().expect(delete("a"), delete("f"), delete("g")).calling().valid_after_every_step()
    assert not stack.snapshot.resources


def test_9_what_goes_with_something_retained_that_is_replaced_goes(stack: Stack) -> None:
    kept = {"retainOnDelete": True}
    stack.up(bucket("a", kept, region="eu"), bucket("f", {"deleted_with": "a", "depends_on": ["a"]}))
    stack.up(bucket("a", kept, region="us")).succeeds().expect(replace("a"), delete("f")).valid_after_every_step()
    assert stack.names == ["a"]


def test_9_a_provider_does_not_leave_the_state_before_what_leaves_it_with_something_else(stack: Stack) -> None:
    """The provider and the holder are of one layer; what is held leaves with the holder and needs the provider."""
    stack.up(bucket("f"), provider("b"), bucket("a", {"provider": "b", "deleted_with": "f"}, source=ref("f")))
    leaving, going = threading.Event(), Departures.gone

    def slowly(self: Departures, state: State, **known: bool) -> list[tuple[State, bool]]:
        found = going(self, state, **known)
        if state.name == "f":
            leaving.set()
            time.sleep(0.3)  # the provider, which is deleted beside, would be quicker
        return found

    def look(event: dict[str, Any]) -> None:
        if event.get("resourcePreEvent", {}).get("metadata", {}).get("urn", "").endswith("::b"):
            leaving.wait(0.5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Departures, "gone", slowly)
        stack.on_event = look
        stack.destroy().succeeds().valid_after_every_step()
    assert not stack.snapshot.resources


def test_5_what_was_replaced_under_a_new_name_follows_the_new_names_of_what_it_needs(stack: Stack) -> None:
    stack.up(bucket("d", zone="x"), bucket("e", region="x", source=ref("d")))
    stack.up(
        bucket("f", {"aliases": [{"name": "e"}]}, region="y"), bucket("b", {"aliases": [{"name": "d"}]}, zone="y")
    ).succeeds().valid_after_every_step()
    assert sorted(stack.names) == ["b", "f"]
    stack.agrees_with_cloud()


def test_11_a_provider_may_be_renamed_and_replaced_at_once(stack: Stack) -> None:
    stack.up(provider("d", account="1"), bucket("dropped", {"provider": "d"}), bucket("x", {"provider": "d"}))
    renamed = (provider("b", {"aliases": [{"name": "d"}]}, account="2"), bucket("x", {"provider": "b"}))
    stack.up(*renamed).succeeds().expect(replace("b"), replace("x"), delete("dropped")).valid_after_every_step()
    stack.agrees_with_cloud()
    stack.up(*renamed).does_nothing()


def test_9_what_a_replacement_left_behind_keeps_what_it_needs_while_its_successor_has_to_stay(stack: Stack) -> None:
    """The excluded resource needs d; the old d, which could not be deleted, bears that URN too and needs a."""
    stack.up(bucket("a"), bucket("d", region="x", source=ref("a"))).succeeds()
    stack.cloud.fail("delete", "d", times=1)
    stack.up(bucket("d", region="y"), bucket("c", source=ref("d"))).fails("the cloud refuses to delete d")
    stack.up(excludes=("**::c",)).succeeds().expect().valid_after_every_step()
    assert (stack.cloud.count("a"), stack.cloud.count("d")) == (1, 2)
    stack.up(bucket("d", region="y"), bucket("c", source=ref("d"))).succeeds()
    assert (stack.cloud.count("a"), stack.cloud.count("d")) == (0, 1)
    stack.agrees_with_cloud()

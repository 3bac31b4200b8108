"""The step reducer: scenarios, and properties that hold for any order of events."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation.steps import (
    Done,
    Ended,
    Failed,
    Mode,
    ModeChanged,
    Retried,
    RunEvent,
    RunState,
    Said,
    Started,
    StepStatus,
    Waiting,
    complete,
    new_run,
    reducer,
)

KEYS = ("first", "second", "third")
START = datetime(2026, 1, 1, tzinfo=UTC)


def step_of(urn: str) -> str | None:
    key = urn.partition("/")[0]
    return key if key in KEYS else None


REDUCE: Callable[[RunState, RunEvent], RunState] = reducer(step_of)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def started(urn: str, seconds: float = 0, op: str = "create", *, custom: bool = True) -> Started:
    return Started(urn=urn, op=op, custom=custom, at=at(seconds))


def done(urn: str, seconds: float = 0, op: str = "create", *, custom: bool = True) -> Done:
    return Done(urn=urn, op=op, custom=custom, at=at(seconds))


def failed(urn: str, seconds: float = 0) -> Failed:
    return Failed(urn=urn, op="create", at=at(seconds))


def said(urn: str, message: str, severity: str = "error") -> Said:
    return Said(urn=urn, severity=severity, message=message, at=at(0))


def ended(ok: bool, seconds: float = 99, reason: str = "") -> Ended:
    return Ended(ok=ok, at=at(seconds), reason=reason)


def run(*events: RunEvent) -> RunState:
    state = new_run((key, key.title()) for key in KEYS)
    for event in events:
        state = REDUCE(state, event)
    return state


def statuses(state: RunState) -> tuple[str, ...]:
    return tuple(step.status.value for step in state.steps)


@pytest.mark.parametrize("more", [[], [started("second/a", 3), done("second/a", 4)]])
def test_a_step_whose_next_object_is_refused_before_it_begins_has_failed(more: list[RunEvent]) -> None:
    state = run(started("first/a"), done("first/a", 1), *more, said("first/b", "the server is away"), ended(ok=False))
    step = state.step("first")
    assert (step.status, step.error) == (StepStatus.FAILED, "the server is away")
    assert state.step("third").status is StepStatus.SKIPPED


def test_a_step_lasts_from_its_first_resource_to_its_last() -> None:
    state = run(
        started("first/a", 1),
        started("first/b", 2),
        done("first/a", 3),
        done("first/b", 4.5),
        done("first/component", 5, custom=False),
        started("second/a", 9),
    )
    step = state.step("first")
    assert step.status is StepStatus.COMPLETED
    assert step.duration_ms == 3500
    assert step.attempts == 1


def test_a_component_alone_starts_and_ends_nothing() -> None:
    state = run(started("first/component", 1, custom=False), done("first/component", 2, custom=False))
    assert statuses(state) == ("pending",) * 3


def test_a_later_step_ends_an_earlier_one_that_is_idle() -> None:
    assert statuses(run(started("first/a"), done("first/a"), started("second/b"))) == (
        "completed",
        "running",
        "pending",
    )
    assert statuses(run(started("first/a"), started("second/b"))) == ("running", "running", "pending")


def test_a_step_goes_on_beside_one_that_may_begin_meanwhile() -> None:
    state = new_run(((key, key) for key in KEYS), {"first": ["second"]})
    for event in (started("first/a"), done("first/a", 2), started("second/b", 3)):
        state = REDUCE(state, event)
    assert statuses(state) == ("running", "running", "pending")
    for event in (done("second/b", 4), started("first/c", 5), done("first/c", 6), started("third/d", 7)):
        state = REDUCE(state, event)
    assert statuses(state) == ("completed", "completed", "running")
    assert state.step("first").ended_at == at(6)


def test_a_good_end() -> None:
    state = run(
        started("first/a", op="same"), done("first/a", op="same"), started("second/b"), done("second/b"), ended(True)
    )
    assert statuses(state) == ("completed", "completed", "skipped")
    assert [step.message for step in state.steps] == ["unchanged", "", "not needed"]
    assert state.progress == 100


def test_what_a_step_waits_for_is_told_while_it_waits() -> None:
    def waiting(urn: str, message: str) -> Waiting:
        return Waiting(urn=urn, message=message, at=at(1))

    state = run(started("first/a"), waiting("first/a", "[1/2] waiting"), waiting("second/b", "too early"))
    assert [step.message for step in state.steps] == ["[1/2] waiting", "", ""]
    assert REDUCE(state, waiting("first/a", "[2/2] waiting")).step("first").message == "[2/2] waiting"
    assert REDUCE(state, done("first/a")).step("first").message == ""
    failed_now = REDUCE(REDUCE(state, failed("first/a")), waiting("first/a", "too late"))
    assert failed_now.step("first").message == ""
    assert (
        run(started("first/a", op="same"), done("first/a", op="same"), ended(True)).step("first").message == "unchanged"
    )


def test_a_failure_keeps_its_reason_and_what_was_not_reached() -> None:
    state = run(
        started("first/a"),
        done("first/a"),
        started("second/b"),
        said("second/b", "no room"),
        failed("second/b"),
        said("second/b", "no room"),
        said("", "the program ended"),
        ended(False),
    )
    assert statuses(state) == ("completed", "failed", "skipped")
    assert state.step("second").error == "no room"
    assert state.step("third").message == "not reached"
    assert state.errors == ("the program ended",)
    assert state.progress < 100
    assert state.failed_step == state.step("second")


def test_a_stopped_run_names_its_reason() -> None:
    state = run(started("first/a"), ended(False, reason="it took too long"))
    assert state.step("first").status is StepStatus.FAILED
    assert state.step("first").error == "it took too long"


def test_another_try_starts_the_failed_step_again() -> None:
    state = run(started("first/a"), said("first/a", "refused"), failed("first/a"), Retried(at=at(5)))
    assert statuses(state) == ("running", "pending", "pending")
    state = REDUCE(REDUCE(state, started("first/a", 6)), done("first/a", 7))
    state = REDUCE(state, ended(True))
    assert state.step("first").status is StepStatus.COMPLETED
    assert state.step("first").attempts == 2
    assert state.step("first").error is None


def test_a_removal_in_reverse() -> None:
    state = run(started("second/b", 1, "delete"), done("second/b", 2, "delete"), started("first/a", 3, "delete"))
    assert statuses(state) == ("running", "completed", "pending")
    state = REDUCE(REDUCE(state, done("first/a", 4, "delete")), ended(True))
    assert statuses(state) == ("completed", "completed", "skipped")
    assert state.changes == {"delete": 2}


def test_a_rollback_by_removal_marks_each_step_as_it_goes() -> None:
    state = run(
        started("first/a"),
        done("first/a"),
        started("second/b"),
        failed("second/b"),
        ended(False),
        ModeChanged(mode=Mode.ROLLBACK_DESTROY, at=at(10)),
        started("first/a", 11, "delete"),
        done("first/a", 12, "delete"),
    )
    assert state.step("second").rolled_back_at == at(10)
    state = REDUCE(state, ended(True, 13))
    assert statuses(state) == ("rolled_back", "rolled_back", "skipped")
    assert state.step("first").rolled_back_at == at(12)


def test_a_rollback_that_fails_leaves_the_steps_as_they_are() -> None:
    failed_run = (started("first/a"), done("first/a"), started("first/b"), failed("first/b"), ended(False))
    state = run(*failed_run, ModeChanged(mode=Mode.ROLLBACK_DESTROY, at=at(10)), ended(False))
    assert statuses(state) == ("failed", "skipped", "skipped")


def test_a_rollback_by_applying_leaves_what_had_not_changed() -> None:
    state = run(
        started("first/a", op="same"),
        done("first/a", op="same"),
        started("second/b", op="update"),
        failed("second/b"),
        ended(False),
        ModeChanged(mode=Mode.ROLLBACK_APPLY, at=at(10)),
        started("second/b", op="update"),
        done("second/b", op="update"),
        ended(True),
    )
    assert statuses(state) == ("completed", "rolled_back", "skipped")


def test_validation_has_no_resources_and_is_never_rolled_back() -> None:
    state = complete(new_run((key, key) for key in KEYS), "first", started=at(0), ended=at(0.25))
    assert state.step("first").duration_ms == 250
    for event in (ended(False), ModeChanged(mode=Mode.ROLLBACK_DESTROY, at=at(1)), ended(True)):
        state = REDUCE(state, event)
    assert state.step("first").status is StepStatus.COMPLETED


def test_an_unknown_step() -> None:
    with pytest.raises(KeyError):
        run().step("nonsense")


urns = st.sampled_from([f"{key}/{name}" for key in (*KEYS, "elsewhere") for name in "ab"])
ops = st.sampled_from(["create", "update", "same", "delete", "replace"])
moments = st.floats(min_value=0, max_value=1000).map(at)
events = st.one_of(
    st.builds(Started, urn=urns, op=ops, custom=st.booleans(), at=moments),
    st.builds(Done, urn=urns, op=ops, custom=st.booleans(), at=moments),
    st.builds(Failed, urn=urns, op=ops, at=moments),
    st.builds(Said, urn=urns, severity=st.sampled_from(["info", "error"]), message=st.text(max_size=5), at=moments),
    st.builds(Waiting, urn=urns, message=st.text(max_size=5), at=moments),
    st.builds(Retried, at=moments),
    st.builds(ModeChanged, mode=st.sampled_from(Mode), at=moments),
    st.builds(Ended, ok=st.booleans(), at=moments, reason=st.text(max_size=5)),
)


@given(st.lists(events, max_size=40))
def test_whatever_comes_progress_never_goes_back(sequence: list[RunEvent]) -> None:
    state = run()
    for event in sequence:
        after = REDUCE(state, event)
        assert 0 <= state.progress <= after.progress <= 100
        assert tuple(step.key for step in after.steps) == KEYS
        state = after
    for step in state.steps:
        assert step.duration_ms is None or step.duration_ms >= 0
        assert (step.rolled_back_at is not None) or step.status is not StepStatus.ROLLED_BACK
        assert step.to_dict()["status"] == step.status.value


@given(st.lists(events, max_size=40), st.booleans())
def test_nothing_runs_after_a_forward_run_has_ended(sequence: list[RunEvent], ok: bool) -> None:
    forward = [event for event in sequence if not isinstance(event, ModeChanged)]
    state = run(*forward, ended(ok))
    assert not {StepStatus.PENDING} & {step.status for step in state.steps}
    assert all(not (step.status is StepStatus.RUNNING and not step.open) for step in state.steps)
    assert (state.progress == 100) or not ok


def short_of(urn: str, why: str, seconds: float = 0) -> Done:
    """An optional object could not be made: its provider says so in its outputs, and succeeds."""
    return Done(urn=urn, op="create", custom=True, at=at(seconds), unready=why)


def test_a_step_that_lacks_an_optional_object_fails_and_the_run_goes_on() -> None:
    state = run(started("first/a"), short_of("first/a", "no such group"), started("second/b"), done("second/b"))
    state = REDUCE(state, ended(ok=True))
    assert [step.status.value for step in state.steps] == ["failed", "completed", "skipped"]
    assert state.step("first").error == "no such group"
    assert state.unready == (state.step("first"),)
    assert (state.failed_step, state.progress) == (None, 100)


def test_the_failure_of_a_run_is_not_that_of_an_optional_object() -> None:
    state = run(started("first/a"), short_of("first/a", "no such group"), started("second/b"), failed("second/b"))
    state = REDUCE(REDUCE(state, said("second/b", "it broke")), ended(ok=False))
    assert state.failed_step == state.step("second")
    assert state.step("first").error == "no such group"


def test_a_step_whose_other_object_fails_has_failed_in_earnest() -> None:
    state = run(started("first/a"), short_of("first/a", "no such group"), started("first/b"), failed("first/b"))
    state = REDUCE(REDUCE(state, said("first/b", "it broke")), ended(ok=False))
    assert state.failed_step == state.step("first")
    assert "it broke" in (state.step("first").error or "")


def test_what_an_optional_step_lacks_is_forgotten_when_it_is_tried_again() -> None:
    state = run(started("first/a"), short_of("first/a", "no such group"), started("second/b"), failed("second/b"))
    state = REDUCE(REDUCE(state, ended(ok=False)), Retried(at=at(2)))
    for event in (started("first/a", 3), done("first/a", 4), started("second/b", 5), done("second/b", 6)):
        state = REDUCE(state, event)
    state = REDUCE(state, ended(ok=True))
    assert [step.status.value for step in state.steps] == ["completed", "completed", "skipped"]
    assert state.step("first").error is None

"""DEP-1: a department's states out of its run's steps: none is left out, and they never go back."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.department.steps import STATES, STEPS, states_of

ASKED = "2026-11-21T10:00:00+00:00"
ENDED = "2026-11-21T10:01:00+00:00"
KEYS = [step.key for step in STEPS]


def at(second: int) -> str:
    return f"2026-11-21T10:00:{second:02d}+00:00"


def steps(*done: tuple[str, str, int | None], rolled_back: int | None = None) -> list[dict[str, Any]]:
    """Steps as a job shows them: (key, status, second of its start)."""
    given = {key: (status, second) for key, status, second in done}
    rows = []
    for key in KEYS:
        status, second = given.get(key, ("pending", None))
        undone = rolled_back is not None and status == "rolled_back"
        rows.append(
            {
                "key": key,
                "status": status,
                "started_at": at(second) if second is not None else None,
                "rolled_back_at": at(rolled_back) if undone and rolled_back is not None else None,
            }
        )
    return rows


def names(run: str, rows: list[dict[str, Any]], ended: str | None = None) -> list[str]:
    return [one.state for one in states_of(run, rows, asked_at=ASKED, ended_at=ended)]


def removed(run: str, rows: list[dict[str, Any]], ended: str | None = None) -> list[str]:
    return [one.state for one in states_of(run, rows, asked_at=ASKED, ended_at=ended, removal=True)]


def test_a_run_that_succeeds_goes_through_all_states() -> None:
    rows = steps(*((key, "completed", second) for second, key in enumerate(KEYS)))
    assert names("succeeded", rows, ENDED) == [*STATES[: STATES.index("COMPLETED")], "COMPLETED"]


def test_what_waits_is_pending() -> None:
    assert names("pending", []) == ["PENDING"]


def test_a_part_that_is_made_beside_a_later_one_is_not_left_out() -> None:
    # The container began before the credential's step was told of.
    rows = steps(("validation", "completed", 1), ("database", "running", 2), ("container", "running", 3))
    assert names("running", rows) == [
        *("PENDING", "VALIDATING", "CREATING_DATABASE", "CREATING_OAUTH", "DEPLOYING_CONTAINER")
    ]


def test_a_run_that_is_undone_ends_as_failed() -> None:
    rows = steps(("validation", "completed", 1), ("database", "rolled_back", 2), rolled_back=9)
    assert names("rolled_back", rows, ENDED)[-2:] == ["ROLLING_BACK", "FAILED"]
    assert names("running", rows)[-1] == "ROLLING_BACK"


def test_a_failure_that_is_left_as_it_is_is_not_rolled_back() -> None:
    rows = steps(("validation", "completed", 1), ("database", "failed", 2))
    assert names("failed", rows, ENDED) == ["PENDING", "VALIDATING", "CREATING_DATABASE", "FAILED"]


@pytest.mark.parametrize("run", ["pending", "running", "failed", "cancelled"])
def test_a_step_that_failed_is_no_rollback_before_that_begins(run: str) -> None:
    # It may be tried again, or be left as it is.
    rows = steps(("validation", "completed", 1), ("database", "failed", 2))
    assert "ROLLING_BACK" not in names(run, rows, ENDED)
    reached = states_of(run, rows, asked_at=ASKED, ended_at=ENDED, rolling_back=True)
    assert "ROLLING_BACK" in [one.state for one in reached]


def test_a_rollback_that_undid_nothing_is_told() -> None:
    rows = steps(("validation", "completed", 1), ("database", "failed", 2))
    reached = states_of("rollback_failed", rows, asked_at=ASKED, ended_at=ENDED, rolling_back=True)
    assert [one.state for one in reached][-2:] == ["ROLLING_BACK", "FAILED"]


def test_what_a_later_run_undid_is_no_state_of_this_one() -> None:
    rows = steps(*((key, "rolled_back", second) for second, key in enumerate(KEYS)), rolled_back=50)
    assert names("succeeded", rows, at(40))[-2:] == ["VALIDATING_DEPLOYMENT", "COMPLETED"]
    assert names("failed", rows, at(40))[-2:] == ["VALIDATING_DEPLOYMENT", "FAILED"]


def test_a_removal_makes_nothing() -> None:
    rows = steps(("validation", "completed", 1), ("gateway", "completed", 3), ("container", "running", 4))
    assert removed("running", rows) == ["PENDING", "VALIDATING", "ROLLING_BACK"]
    assert removed("succeeded", rows, ENDED) == ["PENDING", "VALIDATING", "ROLLING_BACK", "COMPLETED"]
    assert removed("failed", rows, ENDED)[-2:] == ["ROLLING_BACK", "FAILED"]


def test_a_removal_that_is_not_begun_is_pending() -> None:
    assert removed("pending", []) == ["PENDING"]
    assert removed("running", steps(("validation", "running", 1))) == ["PENDING", "VALIDATING"]


@given(
    statuses=st.lists(
        st.sampled_from(["pending", "running", "completed", "failed", "rolled_back", "skipped"]),
        min_size=len(KEYS),
        max_size=len(KEYS),
    ),
    seconds=st.lists(st.integers(0, 59), min_size=len(KEYS), max_size=len(KEYS)),
    run=st.sampled_from(["pending", "running", "succeeded", "failed", "rolled_back", "rollback_failed", "cancelled"]),
    removal=st.booleans(),
    rolling_back=st.booleans(),
)
def test_whatever_happens_states_are_in_order_none_is_left_out_and_time_never_goes_back(
    statuses: list[str], seconds: list[int], run: str, removal: bool, rolling_back: bool
) -> None:
    begun = {"running", "completed", "failed", "rolled_back"}
    triples = [
        (key, status, second if status in begun else None)
        for key, status, second in zip(KEYS, statuses, seconds, strict=True)
    ]
    rows = steps(*triples, rolled_back=59)
    reached = states_of(run, rows, asked_at=ASKED, ended_at=ENDED, removal=removal, rolling_back=rolling_back)
    forward = [one.state for one in reached if one.state not in {"COMPLETED", "FAILED", "ROLLING_BACK"}]
    assert forward == list(STATES[: len(forward)])
    assert all(first.at <= second.at for first, second in itertools.pairwise(reached))
    if run == "succeeded":
        assert reached[-1].state == "COMPLETED"


@pytest.mark.parametrize("step", STEPS, ids=KEYS)
def test_each_step_stands_for_a_state(step: Any) -> None:
    assert step.state in STATES

"""When a tenant had which size, from its history."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from automation.costs import Run, periods
from stacks.pricing import Sizing

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def run(hours: float, operation: str, cpu: int | None = None, status: str = "succeeded", **more: Any) -> Run:
    values = {"id": uuid.uuid4(), "error": None, "rollback_of": None, **more}
    manifest = {"cpu": cpu} if cpu is not None else None
    return Run(operation=operation, status=status, manifest=manifest, ended_at=at(hours), **values)


def spans(*runs: Run, now: float = 100) -> list[tuple[float, float, float]]:
    """(from, to, cpu) in hours."""
    found = periods(runs, lambda manifest: Sizing(cpu=manifest["cpu"]), at(now))
    hour = timedelta(hours=1)
    return [((one.start - START) / hour, (one.end - START) / hour, one.sizing.cpu) for one in found if one.sizing]


def test_from_creation_until_now() -> None:
    assert spans(run(10, "up", 1)) == [(10, 100, 1)]


def test_a_change_ends_one_size_and_begins_another() -> None:
    assert spans(run(10, "up", 1), run(30, "up", 2), run(40, "refresh")) == [(10, 30, 1), (30, 100, 2)]


def test_a_removed_tenant_costs_no_more_and_a_new_one_again() -> None:
    assert spans(run(10, "up", 1), run(30, "destroy"), run(50, "up", 2)) == [(10, 30, 1), (50, 100, 2)]


def test_what_failed_changes_nothing() -> None:
    history = (
        run(5, "up", 9, "rolled_back", error="no"),
        run(10, "up", 1),
        run(20, "up", 2, "rolled_back", error="no"),
        run(30, "up", 3, "failed", error="no"),
        run(40, "up", 4, "cancelled", error="no"),
        run(50, "destroy", None, "failed", error="no"),
    )
    assert spans(*history) == [(10, 100, 1)]


def test_what_was_undone_by_hand_was_in_force_until_then() -> None:
    change = run(20, "up", 2, "rolled_back")
    assert spans(run(10, "up", 1), change, run(60, "rollback", 1, rollback_of=change.id)) == [
        (10, 20, 1),
        (20, 60, 2),
        (60, 100, 1),
    ]


def test_undoing_the_first_run_removes_the_tenant() -> None:
    first = run(10, "up", 1, "rolled_back")
    assert spans(first, run(60, "rollback", None, rollback_of=first.id)) == [(10, 60, 1)]


def test_a_tenant_without_a_run_has_no_time() -> None:
    assert spans() == []

"""What a calibration measures, in which order. Decides which customer counts are fitted to and which are held out.

Pure, but for `measure_all`, which measures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from automation.calibration.measure import Sample
from automation.errors import InputError

FEWEST, MOST = 50, 30_000
"""An ISP has at least so many customers; of more than the last the sample's sessions would not fit its PostgreSQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Something to measure: so many customers, with these features. `held_out`: nothing is fitted to it."""

    features: tuple[str, ...]
    customers: int
    held_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A point and what was used at it."""

    point: Point
    sample: Sample


class Measures(Protocol):
    """Whatever can be measured: `subject.Subject`, or a test's."""

    def measured(self, customers: int, features: Sequence[str], seconds: float) -> Sample:
        """What is used while a load is sent."""


def points_of(counts: Sequence[int], features: Sequence[str], repeat: int) -> list[Point]:
    """All points in order. Every second count is held out, and neither the least nor the most.

    The core is measured alone, then with each feature; with all of them together at the held-out counts only: that adds
    up, or it does not. What is repeated is repeated after all others, so that a bad minute is not one point's alone.
    Raises InputError for counts that no line can be fitted to and tried at.
    """
    ordered = sorted(set(counts))
    if len(ordered) < 3:
        raise InputError(
            "a calibration needs at least three customer counts: two to fit to, and one to hold out",
            hint="such as --customers 1000,2000,3000",
        )
    outside = [count for count in ordered if not FEWEST <= count <= MOST]
    if outside:
        raise InputError(
            f"a customer count of {outside[0]} cannot be measured here; valid: {FEWEST} to {MOST}",
            hint="the line that is found holds beyond it too",
        )
    held_out = set(ordered[1:-1:2])
    named = tuple(features)
    arms: list[tuple[str, ...]] = [(), *((feature,) for feature in named), *([named] if len(named) > 1 else [])]
    once = [
        Point(features=arm, customers=count, held_out=count in held_out)
        for arm in arms
        for count in ordered
        if count in held_out or len(arm) < 2
    ]
    return once * repeat


def measure_all(
    points: Sequence[Point],
    subject: Measures,
    seconds: float,
    tell: Callable[[int, Measured], None] = lambda _index, _measured: None,
) -> list[Measured]:
    """What is used at each point; `tell` is called with each one's index and what was measured there."""
    found = []
    for index, point in enumerate(points):
        sample = subject.measured(point.customers, point.features, seconds)
        found.append(Measured(point=point, sample=sample))
        tell(index, found[-1])
    return found

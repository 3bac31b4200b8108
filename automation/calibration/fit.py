"""Fits a straight line to measurements, and says how far off it is elsewhere. Pure.

Decides what counts as an error: the part of what was measured by which the line is off. So the fit is by least squares
of that, each point weighted by 1/measured^2: a small ISP's error counts as a large one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`base + customers * each`. Neither is below 0: nothing is used by having customers, or having none."""

    base: float
    each: float

    def at(self, customers: int) -> float:
        return self.base + self.each * customers

    def minus(self, other: Line) -> Line:
        """What this one uses beyond another; 0 where it does not."""
        return Line(base=max(0.0, self.base - other.base), each=max(0.0, self.each - other.each))

    def plus(self, other: Line) -> Line:
        return Line(base=self.base + other.base, each=self.each + other.each)


def fitted(points: Sequence[tuple[int, float]]) -> Line:
    """The line through (customers, measured), by weighted least squares: the solution of its normal equations.

    Raises ValueError for fewer than two counts of customers, or a measurement that is not above 0.
    """
    if len({customers for customers, _ in points}) < 2:
        raise ValueError("a line needs measurements at two customer counts")
    if any(value <= 0 for _, value in points):
        raise ValueError("a measurement is not above 0")
    weighed = [(1 / value**2, customers, value) for customers, value in points]
    w = sum(weight for weight, _, _ in weighed)
    x = sum(weight * customers for weight, customers, _ in weighed)
    y = sum(weight * value for weight, _, value in weighed)
    xx = sum(weight * customers**2 for weight, customers, _ in weighed)
    xy = sum(weight * customers * value for weight, customers, value in weighed)
    each = (w * xy - x * y) / (w * xx - x * x)
    if each < 0:
        return Line(base=y / w, each=0.0)
    base = (y - each * x) / w
    if base < 0:
        return Line(base=0.0, each=xy / xx)
    return Line(base=base, each=each)


def error(predicted: float, measured: float) -> float:
    """By which part of what was measured the prediction is off; 0.05 is 5 % too much."""
    return (predicted - measured) / measured

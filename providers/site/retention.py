"""Which backups are to go. Pure: no clock, no store.

Decides by calendar: of each day, week, month and year the last one is kept, as far back as is asked for. The newest
whole backup always stays, and one without a manifest goes once it cannot be under way any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

CUT_OFF_AFTER = timedelta(days=1)
"""A backup without a manifest is under way, or was cut off; no backup takes that long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A backup in a store. `whole`: it has a manifest."""

    id: str
    made_at: datetime
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How many are kept: the `last` ones, and the last of each of so many days, weeks, months and years in `timezone`.

    Days (and so on) without a backup do not count.
    """

    last: int = 3
    daily: int = 7
    weekly: int = 4
    monthly: int = 12
    yearly: int = 0
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Raises ValueError saying what is valid."""
        for name in ("last", "daily", "weekly", "monthly", "yearly"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: give 0 or more")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{self.timezone!r} is no time zone: give one such as Africa/Nairobi") from None


def to_delete(there: Sequence[Kept], keep: Keep, now: datetime) -> list[str]:
    """The ids of the backups that are to go, oldest first."""
    newest_first = sorted((one for one in there if one.whole), key=lambda one: (one.made_at, one.id), reverse=True)
    staying = {one.id for one in newest_first[: max(1, keep.last)]}
    zone = ZoneInfo(keep.timezone)
    for count, period in _periods(keep):
        seen: list[object] = []
        for one in newest_first:
            when = period(one.made_at.astimezone(zone))
            if when not in seen and len(seen) < count:
                seen.append(when)
                staying.add(one.id)
    staying |= {one.id for one in there if not one.whole and now - one.made_at < CUT_OFF_AFTER}
    return [one.id for one in sorted(there, key=lambda one: (one.made_at, one.id)) if one.id not in staying]


def _periods(keep: Keep) -> tuple[tuple[int, Callable[[datetime], object]], ...]:
    return (
        (keep.daily, lambda when: when.date()),
        (keep.weekly, lambda when: when.isocalendar()[:2]),
        (keep.monthly, lambda when: (when.year, when.month)),
        (keep.yearly, lambda when: when.year),
    )

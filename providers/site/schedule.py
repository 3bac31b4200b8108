"""When backups are due. Pure: no clock; a schedule is cron's five fields, in a time zone.

Decides that of several moments that have passed since the last backup only one is made up for, and that a failed one is
tried again after a while, not at once and not only the next day, and each time later, until it is left for that day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

RETRY_AFTER = timedelta(minutes=15)
"""After the first try; twice as long after each further one."""
MOST_TRIES = 4
"""Of one planned moment. What fails so often is no passing trouble, and each try may dump a whole site."""
LEAST_APART = timedelta(hours=1)
"""Between two planned moments. Nearer ones would drive the backups of yesterday out of the store."""
VALID = "cron's five fields, such as '30 2 * * *' for each day at 2:30"
SELDOM = "a schedule whose moments are an hour apart or more, such as '30 2 * * *' for each day at 2:30"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`cron` in `timezone`. By Debian's rules, a moment that a change of the clock skips is made up for."""

    cron: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Raises ValueError saying what is valid."""
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{self.timezone!r} is no time zone: give one such as Africa/Nairobi") from None
        if len(self.cron.split()) != 5:
            raise ValueError(f"{self.cron!r} is no schedule: give {VALID}")
        try:
            next(CronSim(self.cron, datetime(2026, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration):
            raise ValueError(f"{self.cron!r} is no schedule: give {VALID}") from None

    @property
    def too_often(self) -> bool:
        """Whether two moments are less than an hour apart. An hour with two of them has both among its next three."""
        # In UTC, where no clock is ever changed.
        moments = list(islice(CronSim(self.cron, datetime(2026, 1, 1, tzinfo=UTC)), 3))
        return any(later - one < LEAST_APART for one, later in pairwise(moments))

    def last_before(self, now: datetime) -> datetime:
        """The last planned moment that is not after `now`, in UTC."""
        # The iterator begins after its start.
        start = now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        return next(CronSim(self.cron, start.astimezone(ZoneInfo(self.timezone)), reverse=True)).astimezone(UTC)

    def next_after(self, now: datetime) -> datetime:
        """The first planned moment after `now`, in UTC."""
        return next(CronSim(self.cron, now.astimezone(ZoneInfo(self.timezone)))).astimezone(UTC)


def is_due(
    schedule: Schedule,
    now: datetime,
    *,
    since: datetime,
    last: datetime | None,
    tried: datetime | None = None,
    tries: int = 1,
    again: bool = True,
) -> bool:
    """Whether a backup is due at `now`.

    `since` is when the schedule began to hold: moments before it are not made up for. `last` is when the last whole
    backup was begun, `tried` when any was asked for, `tries` how often since the planned moment. Without
    `again` one that has failed is left until the next planned moment.
    """
    planned = schedule.last_before(now)
    if planned < since or (last is not None and last >= planned):
        return False
    if tried is None or tried < planned:
        return True
    return again and tries < MOST_TRIES and now - tried >= RETRY_AFTER * 2 ** (max(tries, 1) - 1)

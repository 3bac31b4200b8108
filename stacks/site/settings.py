"""What a site can be set to: the typed model behind its templates and customSettings.

Decides which settings exist, and which values each may have.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from providers.site.names import ALWAYS, apps_problem, site_problem
from providers.site.retention import Keep
from providers.site.schedule import SELDOM, VALID, Schedule
from stacks.fields import listed
from stacks.settings import Section, Timezone


def _host(value: object) -> str:
    if not isinstance(value, str) or site_problem(value) is not None:
        raise ValueError("a host's name in small letters, such as shop.example")
    return value


def _apps(value: tuple[str, ...]) -> tuple[str, ...]:
    if apps_problem(value) is not None:
        raise ValueError(f"apps of the bench, each once and without {ALWAYS}, such as [erpnext]")
    return value


def _cron(value: object) -> str:
    try:
        schedule = Schedule(cron=value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(VALID) from None
    if schedule.too_often:
        raise ValueError(SELDOM)
    return schedule.cron


Host = Annotated[str, BeforeValidator(_host)]
Apps = Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(_apps), Field(max_length=50)]
Cron = Annotated[str, BeforeValidator(_cron)]
_Count = Annotated[int, Field(ge=0, le=1000)]


class Kept(Section):
    """Which backups are kept: the `last` ones, and the last of each of so many days, weeks, months and years.

    The newest one is kept whatever is said here.
    """

    last: _Count = 3
    daily: _Count = 7
    weekly: _Count = 4
    monthly: _Count = 12
    yearly: _Count = 0


class Backups(Section):
    """When a site is backed up, and for how long that is kept. Without a `schedule` it is when somebody asks for it.

    `onDelete`: it is backed up before it is dropped, and is not dropped where that fails.
    """

    on_delete: bool = True
    schedule: Cron | None = None
    timezone: Timezone = "UTC"
    keep: Kept = Kept()

    def planned(self) -> Schedule | None:
        """The schedule, if there is one."""
        return None if self.schedule is None else Schedule(cron=self.schedule, timezone=self.timezone)

    def kept(self) -> Keep:
        """What is kept, in the words of backups."""
        return Keep(**self.keep.model_dump(), timezone=self.timezone)


class SiteSettings(Section):
    """All settings of one site. `host` is its name; left out, its slug, under the region's domain if it has one."""

    host: Host | None = None
    apps: Apps = ("erpnext",)
    backups: Backups = Backups()

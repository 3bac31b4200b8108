"""When a tenant's site is backed up and which backups are kept, as its line says. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from providers.site.retention import Keep
from providers.site.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlan:
    """The site `site` of the tenant `mark` on the bench of `region`. Without a `schedule` somebody has to ask.

    `apps` are those that the tenant is to have.
    """

    region: str
    site: str
    mark: str
    apps: tuple[str, ...]
    schedule: Schedule | None
    keep: Keep

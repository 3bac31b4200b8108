"""What of a tenant is backed up, by its last good settings. Loads nothing of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automation import manifests
from automation.errors import InputError
from automation.settings import PROJECT_NAME

if TYPE_CHECKING:
    from providers.site.plan import BackupPlan


def plan_of(line: str, tenant: str, last_good: Mapping[str, Any] | None) -> BackupPlan:
    """What of a tenant is backed up, by its last good settings. Raises InputError where there is nothing."""
    if last_good is None:
        raise InputError(f"'{tenant}' has no site that works", hint="make it first, or see its last run")
    found = manifests.line_named(line).backed_up(manifests.restored(last_good), f"{PROJECT_NAME}/{tenant}")
    if found is None:
        raise InputError(f"'{tenant}' is of the line '{line}', whose tenants are not backed up", hint="name a site")
    return found

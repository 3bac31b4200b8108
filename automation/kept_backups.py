"""Which backups a region's store has of a tenant's site, and whose they are: the tenant's, or of one removed before.

Never writes. A tenant that has taken the name of a removed one has a past of its own: `reading_backups` decides since
when, here the store is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from automation import history, manifests
from automation.backup_plans import plan_of
from automation.database import engine_for, ensure_ready, transaction
from automation.errors import EngineError, InputError
from automation.jobs import reading_backups
from automation.settings import PROJECT_NAME, Settings

if TYPE_CHECKING:
    from providers.site.backups import Tenant
    from providers.site.manifest import Manifest
    from providers.site.plan import BackupPlan

_NOT_FOUND_OUT = "which backup is the last one could not be found out"


def listed_of(settings: Settings, tenant: str) -> list[dict[str, Any]]:
    """The backups in the region's store, oldest first: id, made_at (ISO 8601), whole, earlier_tenant.

    Also of a tenant that is removed. Raises TenantryError, among them EngineError for a store that cannot be read.
    """
    from providers.errors import ProviderError
    from providers.site.backups import backups_of
    from providers.site.region import store_of

    ensure_ready(settings)
    with transaction(engine_for(settings), settings) as connection:
        line, manifest = history.newest_settings(connection, tenant)
        removed = history.tenant_facts(connection, tenant).removed
        since = connection.execute(reading_backups.earlier_removal(tenant, removed=removed)).scalar_one()
    plan = plan_of(line, tenant, manifest)
    try:
        found = backups_of(store_of(plan.region), of_plan(plan))
    except ProviderError as error:
        raise EngineError(f"the backups of '{tenant}' cannot be listed: {error}") from None
    return [
        {
            "id": one.id,
            "made_at": one.made_at.isoformat(),
            "whole": one.whole,
            "earlier_tenant": since is not None and one.made_at <= since,
        }
        for one in found
    ]


def removed_at(database: Engine, settings: Settings, tenant: str) -> datetime | None:
    """When a tenant of that name was removed last; None where none was."""
    with transaction(database, settings) as connection:
        return connection.execute(reading_backups.earlier_removal(tenant, removed=False)).scalar_one()


def last_of(
    database: Engine, settings: Settings, line: str, tenant: str, last_good: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, str | None]:
    """The newest backup of a tenant that is being removed, as `told` has it, or why that cannot be found out."""
    if last_good is None:
        return None, None
    try:
        plan = manifests.line_named(line).backed_up(manifests.restored(last_good), f"{PROJECT_NAME}/{tenant}")
    except InputError as error:
        # What was kept by another version is no reason to keep a tenant that is gone.
        return None, f"{_NOT_FOUND_OUT}: {error.message}"
    if plan is None:
        return None, None
    from providers.backends import site_of
    from providers.errors import ProviderError
    from providers.site.backups import backups_of, manifest_of
    from providers.site.region import store_of

    since = removed_at(database, settings, tenant)
    try:
        if site_of(plan.region).backups is None:
            return None, None
        store, of = store_of(plan.region), of_plan(plan)
        own = [one for one in backups_of(store, of) if one.whole and (since is None or one.made_at > since)]
        return (told(manifest_of(store, of, own[-1].id), store.name) if own else None), None
    except ProviderError as error:
        return None, f"{_NOT_FOUND_OUT}: {error}"


def told(made: Manifest, store: str) -> dict[str, Any]:
    """A backup as results tell it: id, site, size in bytes, apps (versions by name), store."""
    return {"id": made.id, "site": made.site, "size": made.size, "apps": dict(made.apps), "store": store}


def of_plan(plan: BackupPlan) -> Tenant:
    """Whose backups a plan's are."""
    from providers.site.backups import Tenant

    return Tenant(site=plan.site, mark=plan.mark)

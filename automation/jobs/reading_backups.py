"""The backups of a tenant's site, as the jobs that made them tell. Never writes, and never asks a store.

What is in a region's store is told by `tenantry backups`, where the store can be reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from automation.jobs.rows import storable
from automation.models import DeploymentStatus, deployments
from automation.models_jobs import JobOperation, jobs
from providers.site.manifest import made_at

MOST = 1000
"""How many jobs are looked at, the newest first: more backups than that nobody keeps."""
_MAKERS = (JobOperation.BACKUP, JobOperation.RESTORE, JobOperation.DESTROY)


def earlier_removal(tenant: str, *, removed: bool) -> Select[datetime | None]:
    """When the tenant before the present one went; NULL where there was none. `removed`: the present one has gone, too.

    What was made until then is another tenant's of the same name. Of one that has gone it is the newest removal before
    such a tenant was last asked for: its own came after, and may be there twice, as removing what has gone succeeds.
    Where nothing came of what was asked for after a removal, it is somebody else who had the name last all the same.
    """
    operation = deployments.c.operation
    removal = or_(operation == "destroy", and_(operation == "rollback", deployments.c.manifest.is_(None)))
    newest = (
        select(func.max(deployments.c.ended_at))
        .where(deployments.c.tenant == storable(tenant), deployments.c.status == DeploymentStatus.SUCCEEDED)
        .where(removal)
    )
    return newest.where(deployments.c.ended_at < _newest_up(tenant)) if removed else newest


def _newest_up(tenant: str) -> ColumnElement[datetime]:
    """When somebody last asked for a tenant of that name, or began to make it."""
    asked = select(func.max(jobs.c.created_at)).where(
        jobs.c.tenant == storable(tenant), jobs.c.operation == JobOperation.UP
    )
    # Of its own, and not of the one around it, which reads the same table.
    runs = deployments.alias("ups")
    begun = select(func.max(runs.c.started_at)).where(runs.c.tenant == storable(tenant), runs.c.operation == "up")
    return func.greatest(asked.scalar_subquery(), begun.scalar_subquery())


async def earlier_until(connection: AsyncConnection, tenant: str, *, removed: bool) -> datetime | None:
    """`earlier_removal` of a tenant."""
    return (await connection.execute(earlier_removal(tenant, removed=removed))).scalar_one()


async def made_by_jobs(
    connection: AsyncConnection, tenant: str, *, since: datetime | None = None, earlier: bool = True
) -> list[dict[str, Any]]:
    """The backups that were made, before a restore and before a removal too, and that none has cleared away.

    The newest first. Each has id, site, size (bytes), apps (versions by name), made_at (ISO 8601: when it was begun),
    job (the id of the job) and earlier_tenant: whether it was made until `since`. Without `earlier` those are left out.
    """
    told = (jobs.c.result[name].label(name) for name in ("backup", "kept"))
    statement = (
        select(jobs.c.id, jobs.c.operation, *told)
        .where(jobs.c.tenant == storable(tenant), jobs.c.operation.in_(_MAKERS), jobs.c.result.is_not(None))
        .order_by(jobs.c.number.desc())
        .limit(MOST)
    )
    rows = list(await connection.execute(statement))
    cleared = {one for row in rows if isinstance(row.backup, dict) for one in row.backup.get("cleared", ())}
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        for backup in _made(row):
            moment = made_at(str(backup.get("id")))
            if moment is None or backup["id"] in cleared:
                continue
            before = since is not None and moment <= since
            if earlier or not before:
                # The last backup of a removed site may be one that a job of its own has made: that job's.
                found[backup["id"]] = {
                    **{name: backup.get(name) for name in ("id", "site", "size", "apps")},
                    "made_at": moment.isoformat(),
                    "job": str(row.id),
                    "earlier_tenant": before,
                }
    return sorted(found.values(), key=lambda one: str(one["id"]), reverse=True)


def _made(row: Row[Any]) -> Iterator[dict[str, Any]]:
    """What a job has put into the store."""
    if row.operation == JobOperation.BACKUP and isinstance(row.backup, dict):
        yield row.backup
    if isinstance(row.kept, list):
        yield from (one for one in row.kept if isinstance(one, dict))

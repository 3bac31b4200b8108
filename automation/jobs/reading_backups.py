"""The backups of a tenant's site, as the jobs that made them tell. Never writes, and never asks a store.

What is in a region's store is told by `tenantry backups`, where the store can be reached.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from automation.jobs.rows import storable
from automation.models import DeploymentStatus, deployments
from automation.models_jobs import JobOperation, JobStatus, jobs

MOST = 1000
"""How many jobs are looked at, the newest first: more backups than that nobody keeps."""


async def removed_at(connection: AsyncConnection, tenant: str) -> datetime | None:
    """When a tenant of that name was removed last; None where none was. What was made before is that tenant's."""
    operation = deployments.c.operation
    removed = or_(operation == "destroy", and_(operation == "rollback", deployments.c.manifest.is_(None)))
    statement = (
        select(func.max(deployments.c.ended_at))
        .where(deployments.c.tenant == storable(tenant), deployments.c.status == DeploymentStatus.SUCCEEDED)
        .where(removed)
    )
    found: datetime | None = (await connection.execute(statement)).scalar_one()
    return found


async def made_by_jobs(
    connection: AsyncConnection, tenant: str, *, since: datetime | None = None
) -> list[dict[str, Any]]:
    """The backups that were made and that no later one has cleared away, newest first; only those after `since`.

    Each has id, site, size (bytes), apps (versions by name), made_at (ISO 8601) and job (the id of the job).
    """
    statement = (
        select(jobs.c.id, jobs.c.started_at, jobs.c.result["backup"].label("backup"))
        .where(jobs.c.tenant == storable(tenant), jobs.c.operation == JobOperation.BACKUP)
        .where(jobs.c.status == JobStatus.SUCCEEDED)
        .where(jobs.c.created_at > since if since is not None else true())
        .order_by(jobs.c.number.desc())
        .limit(MOST)
    )
    rows = [row for row in await connection.execute(statement) if isinstance(row.backup, dict)]
    cleared = {one for row in rows for one in row.backup.get("cleared", ())}
    return [
        {
            **{name: row.backup.get(name) for name in ("id", "site", "size", "apps")},
            "made_at": row.started_at.isoformat(),
            "job": str(row.id),
        }
        for row in rows
        if row.backup.get("id") not in cleared
    ]

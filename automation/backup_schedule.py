"""The scheduled backups: whichever worker comes first asks for the one that is due, as a job like any other.

Decides whose turn it is, from the tenants' last good settings and the jobs that there are. When a moment is due is
`providers.site.schedule`'s. One moment makes one job, however many workers there are: the job's key names the moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import DateTime, Row, String, column, func, select, values
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from automation import manifests
from automation.errors import InputError, TenantryError
from automation.jobs.database import looking_up
from automation.jobs.model import BusyError, Caller, Job, NewJob
from automation.jobs.store import JobStore
from automation.models import TenantStatus, tenants
from automation.models_jobs import JobOperation, JobStatus, jobs
from automation.settings import PROJECT_NAME, Settings

if TYPE_CHECKING:
    from providers.site.plan import BackupPlan
    from providers.site.schedule import Schedule

POLL_SECONDS = 30.0
AT_ONCE = 4
"""How many scheduled backups wait or run at a time, of all tenants: whoever asks for a site waits for few."""
SCHEDULE = "tenantry schedule"
"""Who asks for a scheduled backup, as jobs and the audit trail have it."""
_LIVING = (TenantStatus.ACTIVE, TenantStatus.PARTIAL, TenantStatus.FAILED)
"""Whose site may be there. One whose change has failed goes on being used, and its data is to be kept all the same."""
_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A backup that is due. `key` is the same for everybody who finds it due, until it has been tried.

    `waits_since` is when one was last asked for, or since when there is a schedule.
    """

    tenant: str
    line: str
    key: str
    waits_since: datetime


async def run(engine: AsyncEngine, settings: Settings, stop: asyncio.Event, *, every: float = POLL_SECONDS) -> None:
    """Asks for what is due, until `stop` is set. Raises DatabaseError where the main database is away."""
    store = JobStore(engine, settings)
    while not stop.is_set():
        await ask_for_due(store, engine, settings, datetime.now(UTC))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every)


async def ask_for_due(store: JobStore, engine: AsyncEngine, settings: Settings, now: datetime) -> list[Job]:
    """The jobs that this call has made. They are published by the worker's sweep.

    A tenant that has a job already is passed over: its turn comes when that has ended. Of those that are due no more
    are asked for than `AT_ONCE`, less those that have not ended: the others wait for a later call.
    """
    made = []
    waiting = await due(engine, settings, now)
    free = AT_ONCE - await _under_way(engine, settings) if waiting else 0
    for one in waiting:
        if free <= 0:
            break
        caller = Caller(subject=SCHEDULE, address=None, correlation_id=uuid.uuid4().hex[:16])
        new = NewJob(
            tenant=one.tenant,
            line=one.line,
            operation=JobOperation.BACKUP,
            caller=caller,
            idempotency_key=one.key,
            request_hash=one.key,
        )
        try:
            job, created = await store.submit(new)
        except BusyError as busy:
            _log.info("backup waits", tenant=one.tenant, reason=busy.message)
            continue
        except TenantryError as error:
            # One tenant's trouble must not keep the others from theirs.
            _log.warning("backup not asked for", tenant=one.tenant, error=error.message)
            continue
        # Also where another worker was first: it asks for the same ones, in the same order.
        free -= 1
        if created:
            _log.info("backup due", tenant=one.tenant, job=str(job.id))
            made.append(job)
    return made


async def _under_way(engine: AsyncEngine, settings: Settings) -> int:
    """How many scheduled backups have not ended."""
    statement = (
        select(func.count())
        .select_from(jobs)
        .where(jobs.c.operation == JobOperation.BACKUP, jobs.c.actor == SCHEDULE)
        .where(jobs.c.status.in_((JobStatus.PENDING, JobStatus.RUNNING)))
    )
    async with looking_up(engine, settings) as connection:
        return int((await connection.execute(statement)).scalar_one())


async def due(engine: AsyncEngine, settings: Settings, now: datetime) -> list[Due]:
    """The tenants whose backup is due, those first that have waited longest. Raises DatabaseError."""
    async with looking_up(engine, settings) as connection:
        rows = await _sites(connection)
        plans = [(row, _plan(row)) for row in rows]
        found = [(row, plan.schedule) for row, plan in plans if plan is not None and plan.schedule is not None]
        moments = {row.slug: schedule.last_before(now) for row, schedule in found}
        pasts = await _pasts(connection, moments) if found else {}
    nothing = _Past()
    each = [_due(row, schedule, pasts.get(row.slug, nothing), now) for row, schedule in found]
    return sorted((one for one in each if one is not None), key=lambda one: (one.waits_since, one.tenant))


async def _sites(connection: AsyncConnection) -> list[Row[Any]]:
    statement = (
        select(tenants.c.slug, tenants.c.line, tenants.c.status, tenants.c.last_good_manifest, tenants.c.created_at)
        .where(tenants.c.last_good_manifest.is_not(None), tenants.c.status.in_(_LIVING))
        .where(tenants.c.line.in_(_lines()))
        .order_by(tenants.c.slug)
    )
    return list(await connection.execute(statement))


def _lines() -> list[str]:
    """Those whose tenants may be backed up."""
    from stacks.lines import LINES, not_backed_up

    return sorted(line.kind for line in LINES.values() if line.backed_up is not not_backed_up)


def _plan(row: Row[Any]) -> BackupPlan | None:
    try:
        restored = manifests.restored(row.last_good_manifest)
        return manifests.line_named(row.line).backed_up(restored, f"{PROJECT_NAME}/{row.slug}")
    except InputError as error:
        _log.warning("backup plan not known", tenant=row.slug, reason=error.message)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """Since when a tenant works, when its last good backup began, and when one was last asked for.

    `tries` is how many were since the planned moment.
    """

    since: datetime | None = None
    last: datetime | None = None
    tried: datetime | None = None
    tries: int = 0


async def _pasts(connection: AsyncConnection, moments: Mapping[str, datetime]) -> dict[str, _Past]:
    """By tenant, what its jobs tell; `moments` are those planned last. One that was removed has its own past."""
    done, mine = jobs.c.status == JobStatus.SUCCEEDED, jobs.c.tenant == func.any(list(moments))
    names = (column("tenant", String), column("moment", DateTime(timezone=True)))
    planned = values(*names, name="planned").data(list(moments.items()))
    up, backup = jobs.c.operation == JobOperation.UP, jobs.c.operation == JobOperation.BACKUP
    removed = (
        select(jobs.c.tenant, func.max(jobs.c.ended_at).label("at"))
        .where(mine, done, jobs.c.operation == JobOperation.DESTROY)
        .group_by(jobs.c.tenant)
        .subquery()
    )
    statement = (
        select(
            jobs.c.tenant,
            func.min(jobs.c.ended_at).filter(up & done).label("since"),
            func.max(jobs.c.started_at).filter(backup & done).label("last"),
            func.max(jobs.c.created_at).filter(backup).label("tried"),
            func.count().filter(backup, jobs.c.created_at >= planned.c.moment).label("tries"),
        )
        .join(planned, planned.c.tenant == jobs.c.tenant)
        .outerjoin(removed, removed.c.tenant == jobs.c.tenant)
        .where(mine, up | backup, removed.c.at.is_(None) | (jobs.c.created_at > removed.c.at))
        .group_by(jobs.c.tenant)
    )
    rows = await connection.execute(statement)
    return {row.tenant: _Past(since=row.since, last=row.last, tried=row.tried, tries=row.tries) for row in rows}


def _due(row: Row[Any], schedule: Schedule, past: _Past, now: datetime) -> Due | None:
    from providers.site.schedule import is_due

    # What was made from the command line has no job that made it.
    since = past.since or row.created_at
    # Of a site that is half restored or half removed none can be made: once each time is enough to say so.
    again = row.status != TenantStatus.FAILED
    if not is_due(schedule, now, since=since, last=past.last, tried=past.tried, tries=past.tries, again=again):
        return None
    moment = schedule.last_before(now)
    after = f" after {past.tried.isoformat()}" if past.tried is not None and past.tried >= moment else ""
    key = f"backup {row.slug} {moment.isoformat()}{after}"
    return Due(tenant=row.slug, line=row.line, key=key, waits_since=past.tried or since)

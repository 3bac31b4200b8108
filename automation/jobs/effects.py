"""What goes with every change of a job, in the same transaction: events, audit row, webhooks, totals, its tenant.

Decides what each change tells and to whom. It never changes a job's status: `store` does.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from automation import history
from automation.endings import StepReached
from automation.jobs import audit, totals
from automation.jobs.model import Caller, Job
from automation.jobs.rows import storable
from automation.jobs.submission import TENANT_WAS, Accepted
from automation.models import TenantStatus, deployment_steps, deployments, tenants
from automation.models_jobs import EventKind, JobOperation, JobStatus, jobs
from automation.redaction import redactor
from automation.webhooks import outbox
from automation.webhooks.outbox import WebhookEvent

CONTROL_CHANNEL = "tenantry_control"
EVENTS_CHANNEL = "tenantry_events"

TENANT_EVENTS = {
    TenantStatus.ACTIVE: WebhookEvent.TENANT_ACTIVE,
    TenantStatus.PARTIAL: WebhookEvent.TENANT_PARTIAL,
    TenantStatus.FAILED: WebhookEvent.TENANT_FAILED,
    TenantStatus.REMOVED: WebhookEvent.TENANT_REMOVED,
}

_EVENT = select(func.tenantry_event(bindparam("job"), bindparam("kind", type_=Text), bindparam("data", type_=JSONB)))


async def event(connection: AsyncConnection, job: uuid.UUID, kind: EventKind, data: Mapping[str, Any]) -> None:
    """Adds an event to the job and tells whoever follows it when the transaction commits."""
    await connection.execute(_EVENT, {"job": job, "kind": kind.value, "data": data})


async def accepted(connection: AsyncConnection, caller: Caller, one: Accepted) -> None:
    """A job was accepted."""
    job = one.job
    await event(connection, job.id, EventKind.JOB, job.to_dict())
    await audit.record(
        connection,
        caller=caller,
        action=f"tenant.{job.operation.value}",
        tenant=job.tenant,
        object=f"job {job.id}",
        job_id=job.id,
        before=one.before,
        after=one.after,
    )
    await outbox.enqueue(connection, WebhookEvent.JOB_CREATED, job.tenant, job.to_dict())


async def lock_tenant(connection: AsyncConnection, job: uuid.UUID) -> TenantStatus | None:
    """The status of the job's tenant, held until the transaction ends; None where there is no such tenant.

    Rows are locked in one order everywhere: tenant, job, deployment, steps. An acceptance holds the tenant while it
    waits for the job that is about to end, so an end must not hold the job while it waits for the tenant.
    """
    own = select(jobs.c.tenant).where(jobs.c.id == job).scalar_subquery()
    statement = select(tenants.c.status).where(tenants.c.slug == own).with_for_update(key_share=True)
    status = (await connection.execute(statement)).scalar_one_or_none()
    return TenantStatus(status) if status is not None else None


async def steps_of(connection: AsyncConnection, job: uuid.UUID) -> list[StepReached]:
    """The steps of all attempts at a job, oldest attempt first."""
    columns = (deployment_steps.c.key, deployment_steps.c.status, deployment_steps.c.message)
    statement = (
        select(*columns)
        .join(deployments, deployments.c.id == deployment_steps.c.deployment_id)
        .where(deployments.c.job_id == job)
        .order_by(deployments.c.number, deployment_steps.c.position)
    )
    return [(row.key, row.status, row.message) for row in await connection.execute(statement)]


async def ended(connection: AsyncConnection, job: Job, before: JobStatus, was: TenantStatus | None) -> None:
    """A job has ended: the last events it will have. `was` is what `lock_tenant` said."""
    now, dead = await _settle_tenant(connection, job, was)
    await event(connection, job.id, EventKind.JOB, job.to_dict())
    await event(connection, job.id, EventKind.END, job.to_dict())
    await audit.record(
        connection,
        caller=asked_by(job),
        action=f"tenant.{job.operation.value}.{job.status.value}",
        tenant=job.tenant,
        object=f"job {job.id}",
        job_id=job.id,
        before={"job": before.value, "tenant": was},
        after={"job": job.status.value, "tenant": now, "message": job.message},
    )
    await outbox.enqueue(connection, f"job.{job.status.value}", job.tenant, job.to_dict())
    if now in TENANT_EVENTS and now != job.options.get(TENANT_WAS):
        about = {"tenant": job.tenant, "line": job.line, "status": now, "job": str(job.id)}
        about["correlation_id"] = job.correlation_id
        await outbox.enqueue(connection, TENANT_EVENTS[now], job.tenant, about)
    # The last statement: the rows that it adds to are everybody's, and locked until the commit.
    await totals.add(connection, [*totals.of_job(job), *await connection.run_sync(totals.of_runs, dead)])


def asked_by(job: Job) -> Caller:
    """Who asked for the job, from where."""
    return Caller(subject=job.actor, address=job.address, correlation_id=job.correlation_id)


async def _settle_tenant(
    connection: AsyncConnection, job: Job, was: TenantStatus | None
) -> tuple[TenantStatus | None, list[uuid.UUID]]:
    """Puts right what no deployment of the job did: a run that died, a tenant whose first run never began.

    Returns what the tenant is now, and the runs that died.
    """
    if was is None or job.operation is JobOperation.PREVIEW:
        return None, []
    dead = await connection.run_sync(history.take_over, job.tenant, job.id)
    now = tenant_status_after(job, was, died=bool(dead))
    if now is not was:
        await connection.execute(
            update(tenants).where(tenants.c.slug == job.tenant).values(status=now, updated_at=func.now())
        )
    return now, [row["id"] for row in dead]


def tenant_status_after(job: Job, status: TenantStatus, *, died: bool) -> TenantStatus:
    """What the tenant is once `job` has ended. `died`: a run of it was cut off, and nobody wrote how it ended."""
    if died and job.operation not in {JobOperation.REFRESH, JobOperation.BACKUP}:
        # What was begun and not undone is neither the old tenant nor the new one.
        return TenantStatus.FAILED
    if status is TenantStatus.PENDING:
        return TenantStatus.REMOVED if job.status is JobStatus.CANCELLED else TenantStatus.FAILED
    return status


async def notify(connection: AsyncConnection, channel: str, payload: str) -> None:
    """Tells the listeners of `channel` when the transaction commits."""
    await connection.execute(select(func.pg_notify(channel, payload)))


def clean(value: Any, secrets: Iterable[str]) -> Any:
    """JSON as it may be stored: without secrets, and without what no text of PostgreSQL can hold."""
    redact = redactor(secrets)

    def walk(one: Any) -> Any:
        if isinstance(one, str):
            return redact(one)
        if isinstance(one, Mapping):
            return {key: walk(inner) for key, inner in one.items()}
        return [walk(inner) for inner in one] if isinstance(one, list | tuple) else one

    return walk(json.loads(json.dumps(storable(value), default=str)))

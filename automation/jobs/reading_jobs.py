"""What the API and the pages show of jobs, their steps and logs, and of the audit trail. Never writes.

Decides what is shown, in which order, and how much at once. Import these through `reading`.
"""

from __future__ import annotations

import uuid
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from automation.errors import NotFoundError
from automation.jobs.reading_pages import bounded, page_of
from automation.jobs.rows import JOB_COLUMNS, job_of, json_safe, storable
from automation.models import deployment_logs, deployment_steps, deployments
from automation.models_jobs import JobOperation, audit, jobs

LOG_LINES = 1000
"""How many lines of a log one answer holds; `after` gets the next ones."""

_LIST = tuple(
    jobs.c[name]
    for name in (
        *("id", "number", "tenant", "line", "operation", "status", "manifest_version", "actor", "attempts", "progress"),
        *("current_step", "message", "retry_of", "deployment_id", "correlation_id", "cancel_requested_at"),
        *("created_at", "started_at", "ended_at", "duration_ms"),
    )
)
_STEP = tuple(one for one in deployment_steps.c if one.name not in {"deployment_id", "position"})


async def jobs_page(
    connection: AsyncConnection,
    *,
    tenant: str | None = None,
    status: str | None = None,
    operation: str | None = None,
    line: str | None = None,
    actor: str | None = None,
    statuses: AbstractSet[str] | None = None,
    operations: AbstractSet[str] | None = None,
    visible: AbstractSet[str] | None = None,
    before: int | None = None,
    page: int = 1,
    size: int = 50,
) -> tuple[list[dict[str, Any]], int]:
    """Jobs, newest first, without error and result; and how many there are in all (see COUNT_LIMIT).

    `visible` None means those of all tenants. `before` is the `number` of the last row seen: however far, it costs the
    same, which `page` does not. Raises InputError for a page or size that is out of bounds.
    """
    statement = select(*_LIST).order_by(jobs.c.number.desc())
    for column, wanted in (
        (jobs.c.tenant, tenant),
        (jobs.c.status, status),
        (jobs.c.operation, operation),
        (jobs.c.line, line),
        (jobs.c.actor, actor),
    ):
        if wanted is not None:
            statement = statement.where(column == storable(wanted))
    for column, any_of in ((jobs.c.status, statuses), (jobs.c.operation, operations), (jobs.c.tenant, visible)):
        if any_of is not None:
            statement = statement.where(_among(column, any_of))
    if before is not None:
        bounded("before", before, 1, 2**63 - 1)
        statement = statement.where(jobs.c.number < before)
    return await page_of(connection, statement, page, size)


async def job_detail(connection: AsyncConnection, wanted: uuid.UUID) -> dict[str, Any]:
    """A job as `Job.to_dict` shows it, with the `steps` of its deployment ([] without). Raises NotFoundError."""
    row = (await connection.execute(select(*JOB_COLUMNS).where(jobs.c.id == wanted))).mappings().one_or_none()
    if row is None:
        raise no_job(wanted)
    job = job_of(row)
    return job.to_dict() | {"steps": await _steps(connection, job.deployment_id)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Which way a job goes. `removal`: it takes the tenant away, as the rollback of a first create does, too.

    `rolling_back`: its run failed and began to undo what it had done.
    """

    removal: bool
    rolling_back: bool


async def job_course(connection: AsyncConnection, wanted: uuid.UUID) -> Course:
    """The course of a job, whether it has begun or not. Raises NotFoundError."""
    statement = (
        select(jobs.c.operation, jobs.c.options["deployment"].astext.label("undoes"), deployments.c.phase)
        .outerjoin(deployments, deployments.c.id == jobs.c.deployment_id)
        .where(jobs.c.id == wanted)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise no_job(wanted)
    removal = row.operation == JobOperation.DESTROY
    if row.operation == JobOperation.ROLLBACK:
        removal = await _made_from_nothing(connection, row.undoes)
    return Course(removal=removal, rolling_back=row.phase == "rollback")


async def _made_from_nothing(connection: AsyncConnection, deployment: str | None) -> bool:
    """Whether there were no settings before that deployment: undoing it removes the tenant."""
    try:
        own = deployments.c.id == uuid.UUID(deployment or "")
    except ValueError:
        return False
    # SQL's NULL and JSON's are the same nothing.
    before = func.coalesce(func.jsonb_typeof(deployments.c.previous_manifest), "null")
    found: str | None = (await connection.execute(select(before).where(own))).scalar_one_or_none()
    return found == "null"


async def newest_change(connection: AsyncConnection, tenant: str) -> uuid.UUID | None:
    """The id of the tenant's newest job that changes it: no preview, refresh or backup. None where it has none."""
    only_looks = (JobOperation.PREVIEW, JobOperation.REFRESH, JobOperation.BACKUP)
    own = (jobs.c.tenant == storable(tenant)) & jobs.c.operation.not_in(only_looks)
    statement = select(jobs.c.id).where(own).order_by(jobs.c.number.desc()).limit(1)
    found: uuid.UUID | None = (await connection.execute(statement)).scalar_one_or_none()
    return found


async def job_steps(connection: AsyncConnection, wanted: uuid.UUID) -> list[dict[str, Any]]:
    """The steps of a job's deployment, in order. Raises NotFoundError for a job that is not there."""
    row = (await connection.execute(select(jobs.c.deployment_id).where(jobs.c.id == wanted))).one_or_none()
    if row is None:
        raise no_job(wanted)
    return await _steps(connection, row.deployment_id)


async def _steps(connection: AsyncConnection, deployment: uuid.UUID | None) -> list[dict[str, Any]]:
    if deployment is None:
        return []
    statement = (
        select(*_STEP).where(deployment_steps.c.deployment_id == deployment).order_by(deployment_steps.c.position)
    )
    return [json_safe(step) for step in (await connection.execute(statement)).mappings()]


async def job_logs(
    connection: AsyncConnection, wanted: uuid.UUID, *, after: int = 0, limit: int = LOG_LINES, newest: bool = False
) -> list[dict[str, Any]]:
    """The log lines of all attempts of a job whose `id` is above `after`, oldest first: id, at, level, step, message.

    Where there are more than `limit`, they are the first; with `newest` the last. Raises NotFoundError for a job that
    is not there.
    """
    bounded("after", after, 0, 2**63 - 1)
    bounded("limit", limit, 1, LOG_LINES)
    own = select(deployments.c.id).where(deployments.c.job_id == wanted)
    statement = (
        select(*(one for one in deployment_logs.c if one.name != "deployment_id"))
        .where(deployment_logs.c.deployment_id.in_(own), deployment_logs.c.id > after)
        .order_by(deployment_logs.c.id.desc() if newest else deployment_logs.c.id)
        .limit(limit)
    )
    lines = [json_safe(line) for line in (await connection.execute(statement)).mappings()]
    if newest:
        lines.reverse()
    if not lines and (await connection.execute(select(jobs.c.id).where(jobs.c.id == wanted))).one_or_none() is None:
        raise no_job(wanted)
    return lines


async def audit_page(
    connection: AsyncConnection,
    *,
    tenant: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    visible: AbstractSet[str] | None = None,
    before: int | None = None,
    page: int = 1,
    size: int = 50,
) -> tuple[list[dict[str, Any]], int]:
    """The audit trail, newest first. `before` is the `id` of the last row seen; `visible` None means all rows."""
    statement = select(audit).order_by(audit.c.id.desc())
    for column, wanted in ((audit.c.tenant, tenant), (audit.c.actor, actor), (audit.c.action, action)):
        if wanted is not None:
            statement = statement.where(column == storable(wanted))
    if visible is not None:
        statement = statement.where(_among(audit.c.tenant, visible))
    if before is not None:
        bounded("before", before, 1, 2**63 - 1)
        statement = statement.where(audit.c.id < before)
    return await page_of(connection, statement, page, size)


def _among(column: ColumnElement[Any], names: AbstractSet[str]) -> ColumnElement[bool]:
    # One array and not a list of values: the statement stays the same whatever their number.
    return column == func.any(sorted(names))


def no_job(job: uuid.UUID) -> NotFoundError:
    """The error for a job that is not there."""
    return NotFoundError(f"there is no job {job}", hint="the list of jobs shows those there are")

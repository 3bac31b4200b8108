"""Jobs in the main database: accepting, claiming, ending, cancelling, and what is due. Each method is a transaction.

Decides who may do what to a job's row, by conditions in the statement itself, so that two processes at once get two
answers. It never runs a job (`worker` does) and never publishes one (`queues` do).
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from automation.jobs import audit, cancelling, effects, submission, waiting
from automation.jobs.database import looking_up, transaction
from automation.jobs.model import BusyError, Caller, ConflictError, Ending, Job, JobEvent, Lease, NewJob
from automation.jobs.reading_jobs import no_job
from automation.jobs.rows import JOB_COLUMNS, event_of, job_of, storable
from automation.models import TenantStatus
from automation.models_jobs import EventKind, JobStatus, job_events, jobs, workers
from automation.settings import Settings

REPUBLISH_SECONDS = (120.0, 900.0)
"""After how long a job that was published and not claimed is published again: at the soonest, and at the latest.

In between it is as long again as the job has waited: in a queue that is long, messages do not pile up.
"""

_TRIES = 5
_NOW = func.clock_timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker process as it reports itself. Times are set by the database."""

    id: str
    host: str
    pid: int
    concurrency: int
    queue: str
    draining: bool = False
    started_at: datetime | None = None
    seen_at: datetime | None = None


class JobStore:
    """The jobs of one main database. Any number of these may work on it at once."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    # Accepting

    async def submit(self, new: NewJob) -> tuple[Job, bool]:
        """Accepts a job: (job, True). (job, False): the idempotency key came again with the same request.

        With a manifest, makes the tenant where it is missing (its creator becomes its owner), and the next version
        where the manifest is not the newest one already. Raises BusyError naming the tenant's active job,
        ConflictError, and NotFoundError for a tenant that is not there.
        """
        for _ in range(_TRIES):
            # Whoever was quicker by a moment is found by looking again.
            with contextlib.suppress(submission.TakenError):
                return await self._accept(new)
        raise BusyError(f"jobs of '{new.tenant}' follow each other too fast to get between them", hint="retry")

    async def _accept(self, new: NewJob) -> tuple[Job, bool]:
        async with transaction(self._engine, self._settings) as connection:
            if (before := await submission.already_there(connection, new)) is not None:
                return before, False
            accepted = await submission.accept(connection, new)
            await effects.accepted(connection, new.caller, accepted)
            return accepted.job, True

    async def mark_published(self, job: uuid.UUID) -> None:
        """The queue has the job's message."""
        # A worker may have been quicker, and may have put it back for later: that wants a message of its own.
        statement = update(jobs).where(jobs.c.id == job, _due()).values(published_at=_NOW)
        async with transaction(self._engine, self._settings) as connection:
            await connection.execute(statement)

    async def due(self, limit: int) -> list[uuid.UUID]:
        """Jobs to be published, oldest first: due and unpublished, or published long ago, or whose worker is gone."""
        soonest, latest = map(_seconds, REPUBLISH_SECONDS)
        waited = jobs.c.published_at - jobs.c.not_before
        long_ago = func.now() - func.least(func.greatest(waited, soonest), latest)
        waiting = (
            select(jobs.c.id, jobs.c.number)
            .where(text("status = 'pending'"), jobs.c.not_before <= func.now())
            .where(or_(jobs.c.published_at.is_(None), jobs.c.published_at < long_ago))
            .order_by(jobs.c.not_before, jobs.c.number)
            .limit(limit)
        )
        lost = (
            select(jobs.c.id, jobs.c.number)
            .where(text("status = 'running'"), jobs.c.lease_until < func.now())
            .where(
                or_(
                    jobs.c.published_at.is_(None),
                    jobs.c.published_at < jobs.c.lease_until,
                    jobs.c.published_at < func.now() - soonest,
                )
            )
            .order_by(jobs.c.lease_until)
            .limit(limit)
        )
        async with looking_up(self._engine, self._settings) as connection:
            # What was begun comes first: its tenant is half made.
            found = [*await connection.execute(lost), *await connection.execute(waiting)]
        return [row.id for row in found[:limit]]

    # Running

    async def claim(self, job: uuid.UUID, *, worker: str, lease_seconds: float) -> tuple[Job, Lease] | None:
        """Gives the job to `worker` for `lease_seconds`. None: it has ended, is not due yet, or is another worker's.

        A running job whose lease has run out is taken over; that is an attempt more.
        """
        statement = (
            update(jobs)
            .where(jobs.c.id == job, _due())
            .values(
                status=JobStatus.RUNNING,
                worker=worker,
                lease_until=_after(lease_seconds),
                attempts=jobs.c.attempts + 1,
                started_at=func.coalesce(jobs.c.started_at, _NOW),
            )
            .returning(*JOB_COLUMNS)
        )
        async with transaction(self._engine, self._settings) as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
            if row is None:
                return None
            claimed = job_of(row)
            await effects.event(connection, job, EventKind.JOB, claimed.to_dict())
        return claimed, Lease(job=job, worker=worker, attempt=claimed.attempts)

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Holds the job for `seconds` from now. False: it is no longer this worker's attempt."""
        statement = update(jobs).where(_held(lease)).values(lease_until=_after(seconds)).returning(jobs.c.id)
        async with transaction(self._engine, self._settings) as connection:
            return (await connection.execute(statement)).one_or_none() is not None

    async def finish(self, lease: Lease, ending: Ending) -> Job | None:
        """Ends the attempt. None: the lease was lost, and nothing was written.

        An ending that says `again` gives the job back to the queue, unless it was to be cancelled: then it is.
        """
        async with transaction(self._engine, self._settings) as connection:
            tenant = await effects.lock_tenant(connection, lease.job)
            found = select(*JOB_COLUMNS).where(_held(lease)).with_for_update()
            row = (await connection.execute(found)).mappings().one_or_none()
            if row is None:
                return None
            before = job_of(row)
            if ending.again and before.cancel_requested_at is not None:
                ending = cancelling.cancelled(before, cancelling.BETWEEN)
            return await self._ended(connection, before, ending, tenant)

    async def _ended(
        self, connection: AsyncConnection, before: Job, ending: Ending, tenant: TenantStatus | None
    ) -> Job:
        """Writes the end of an attempt, and of the job unless it is tried again."""
        if not cancelling.says_state(before, ending):
            ending = cancelling.with_state(before, ending, await effects.steps_of(connection, before.id))
        job = await self._write(connection, before, self._values(before, ending))
        if job.ended:
            await effects.ended(connection, job, before.status, tenant)
        else:
            await effects.event(connection, job.id, EventKind.JOB, job.to_dict())
        return job

    def _values(self, job: Job, ending: Ending) -> dict[str, Any]:
        """The columns that an ending changes."""
        said: dict[str, Any] = effects.clean(
            {
                "message": ending.message,
                "error": dict(ending.error) if ending.error else None,
                "result": dict(ending.result) if ending.result else None,
            },
            self._settings.secrets(),
        )
        free: dict[str, Any] = {
            "worker": None,
            "lease_until": None,
            "deployment_id": ending.deployment_id or job.deployment_id,
        }
        if ending.again:
            later = {"status": JobStatus.PENDING, "published_at": None, "not_before": _after(ending.delay)}
            if ending.waited:
                later["options"] = {**job.options, waiting.TURNS: waiting.turns(job) + 1}
            return said | free | later
        ended = {"status": ending.status, "ended_at": _NOW, "duration_ms": _milliseconds(jobs.c.started_at)}
        values = said | free | ended
        if ending.status is JobStatus.SUCCEEDED:
            values |= {"progress": 100, "current_step": None}
        return values

    async def _write(self, connection: AsyncConnection, job: Job, values: Mapping[str, Any]) -> Job:
        statement = update(jobs).where(jobs.c.id == job.id).values(values).returning(*JOB_COLUMNS)
        return job_of((await connection.execute(statement)).mappings().one())

    async def request_cancel(self, job: uuid.UUID, caller: Caller) -> Job:
        """Cancels a job that waits at once; asks the worker of one that runs to stop it.

        Asking again is no error. Raises NotFoundError, and ConflictError when the job has ended.
        """
        async with transaction(self._engine, self._settings) as connection:
            tenant = await effects.lock_tenant(connection, job)
            found = select(*JOB_COLUMNS).where(jobs.c.id == job).with_for_update()
            row = (await connection.execute(found)).mappings().one_or_none()
            if row is None:
                raise no_job(job)
            before = job_of(row)
            if before.ended:
                raise ConflictError(
                    f"job {job} has ended already: {before.status.value}",
                    hint="there is nothing to cancel",
                    details={"job": str(job), "status": before.status.value},
                )
            if before.cancel_requested_at is None:
                await audit.record(
                    connection,
                    caller=caller,
                    action="job.cancel",
                    tenant=before.tenant,
                    object=f"job {job}",
                    job_id=job,
                    before={"status": before.status.value},
                    after={"cancel_requested_by": caller.subject},
                )
            asked = await self._write(connection, before, _asked_to_stop(caller))
            if asked.status is JobStatus.PENDING:
                how = cancelling.BETWEEN if asked.attempts else cancelling.BEFORE
                return await self._ended(connection, asked, cancelling.cancelled(asked, how), tenant)
            await effects.event(connection, job, EventKind.JOB, asked.to_dict())
            await effects.notify(connection, effects.CONTROL_CHANNEL, f"cancel {job}")
            return asked

    # Reading

    async def get(self, job: uuid.UUID) -> Job:
        """The job. Raises NotFoundError."""
        async with looking_up(self._engine, self._settings) as connection:
            row = (await connection.execute(select(*JOB_COLUMNS).where(jobs.c.id == job))).mappings().one_or_none()
        if row is None:
            raise no_job(job)
        return job_of(row)

    async def events(self, job: uuid.UUID, after: int = 0, limit: int = 500) -> list[JobEvent]:
        """The job's events whose number is above `after`, in order, at most `limit`."""
        statement = (
            select(job_events)
            .where(job_events.c.job_id == job, job_events.c.seq > after)
            .order_by(job_events.c.seq)
            .limit(limit)
        )
        async with looking_up(self._engine, self._settings) as connection:
            return [event_of(row) for row in (await connection.execute(statement)).mappings()]

    # Workers

    async def heartbeat(self, worker: Worker) -> None:
        """The worker is there."""
        changing = {
            "host": worker.host,
            "pid": worker.pid,
            "concurrency": worker.concurrency,
            "queue": worker.queue,
            "draining": worker.draining,
        }
        statement = (
            upsert(workers)
            .values(id=worker.id, **changing)
            .on_conflict_do_update(index_elements=["id"], set_=changing | {"seen_at": _NOW})
        )
        async with transaction(self._engine, self._settings) as connection:
            await connection.execute(statement)

    async def workers(self) -> list[Worker]:
        """All workers that have not said goodbye, with when they were last seen."""
        async with looking_up(self._engine, self._settings) as connection:
            rows = (await connection.execute(select(workers).order_by(workers.c.id))).mappings()
            return [Worker(**{str(key): value for key, value in row.items()}) for row in rows]

    async def forget_worker(self, worker: str) -> None:
        """The worker is gone, or is given up."""
        async with transaction(self._engine, self._settings) as connection:
            await connection.execute(delete(workers).where(workers.c.id == worker))


def _due() -> ColumnElement[bool]:
    """The job may be claimed now: it waits and is due, or its worker's lease has run out."""
    return or_(
        and_(jobs.c.status == JobStatus.PENDING, jobs.c.not_before <= _NOW),
        and_(jobs.c.status == JobStatus.RUNNING, jobs.c.lease_until < _NOW),
    )


def _held(lease: Lease) -> ColumnElement[bool]:
    """The job runs, and in this very attempt. A lease that has run out holds until somebody else has taken it."""
    return and_(
        jobs.c.id == lease.job,
        jobs.c.status == JobStatus.RUNNING,
        jobs.c.worker == lease.worker,
        jobs.c.attempts == lease.attempt,
    )


def _after(seconds: float) -> Any:
    return _NOW + _seconds(seconds)


def _seconds(seconds: float) -> Any:
    return func.make_interval(0, 0, 0, 0, 0, 0, literal(float(seconds)))


def _milliseconds(started: Any) -> Any:
    return func.round(func.extract("epoch", _NOW - started) * 1000)


def _asked_to_stop(caller: Caller) -> dict[str, Any]:
    """The columns that a request to cancel changes: who asked first counts."""
    return {
        "cancel_requested_at": func.coalesce(jobs.c.cancel_requested_at, _NOW),
        "cancel_requested_by": func.coalesce(jobs.c.cancel_requested_by, storable(caller.subject)),
    }

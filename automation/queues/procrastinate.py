"""The queue in the main database, in Procrastinate's tables: what is put there, and what waits.

`procrastinate_consumer` takes messages out. What a job is, neither knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import psycopg
import psycopg_pool
from procrastinate import PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from automation.database import explain, parameters
from automation.errors import DatabaseError
from automation.queues.procrastinate_consumer import TASK, Consumer
from automation.queues.procrastinate_schema import SCHEMA, ensure
from automation.queues.seam import Depth, Handler, Parked, QueueError
from automation.queues.slots import shown
from automation.settings import Settings

_CALL_SECONDS = 5.0
_LOST = (ConnectorException, psycopg.Error, DatabaseError, TimeoutError, OSError)

_PARKED = """
    SELECT args FROM procrastinate_jobs WHERE queue_name = %(queue)s AND status = 'failed'
    ORDER BY id DESC LIMIT %(limit)s
"""
_DEPTH = """
    SELECT count(*) FILTER (WHERE status = 'todo') AS waiting, count(*) FILTER (WHERE status = 'failed') AS parked,
        (SELECT extract(epoch FROM now() - event.at)::float FROM procrastinate_jobs AS job
            JOIN procrastinate_events AS event ON event.job_id = job.id AND event.type = 'deferred'
            WHERE job.queue_name = %(queue)s AND job.status = 'todo' ORDER BY job.id LIMIT 1) AS oldest
    FROM procrastinate_jobs WHERE queue_name = %(queue)s AND status IN ('todo', 'failed')
"""


class ProcrastinateQueue:
    """See `seam.Queue`. Needs only the main database."""

    def __init__(self, settings: Settings, queue: str) -> None:
        self.name = f"procrastinate on {settings.database.main_database}/{queue}"
        self._settings = settings
        self._queue = queue
        self._pool: psycopg_pool.AsyncConnectionPool[Any] | None = None
        self._connector: PsycopgConnector | None = None
        self._opening = asyncio.Lock()
        self._ready = False
        self._stop = asyncio.Event()
        self._consumers: set[asyncio.Event] = set()

    async def open(self) -> None:
        """Makes the main database and its tables where they are missing, too. Raises QueueError, DatabaseError."""
        self._stop.clear()
        try:
            await self._manager()
        except DatabaseError as error:
            raise self._explained(error) from None

    async def _manager(self) -> JobManager:
        async with self._opening:
            if not self._ready:
                await asyncio.to_thread(ensure, self._settings)
                self._ready = True
            if self._connector is None:
                self._pool = psycopg_pool.AsyncConnectionPool(
                    kwargs=parameters(self._settings, "tenantry queue", None) | {"options": f"-c search_path={SCHEMA}"},
                    min_size=1,
                    max_size=4,
                    timeout=_CALL_SECONDS,
                    # A pool that waits longer and longer would still wait when the server is long back.
                    reconnect_timeout=2.0,
                    check=psycopg_pool.AsyncConnectionPool.check_connection,
                    open=False,
                    name="tenantry queue",
                )
                await self._pool.open()
                self._connector = PsycopgConnector()
                await self._connector.open_async(self._pool)
            return JobManager(self._connector)

    @contextlib.asynccontextmanager
    async def call(self) -> AsyncIterator[JobManager]:
        """A call to the database within its time limit; what goes wrong is a QueueError."""
        try:
            async with asyncio.timeout(2 * _CALL_SECONDS):
                yield await self._manager()
        except _LOST as error:
            raise self._explained(error) from None

    def _explained(self, error: BaseException) -> QueueError:
        if isinstance(error, QueueError):
            return error
        cause = error.__cause__ if isinstance(error, ConnectorException) and error.__cause__ else error
        if isinstance(cause, TimeoutError):
            cause = psycopg.OperationalError(f"no answer within {2 * _CALL_SECONDS:.0f} seconds")
        told = cause if isinstance(cause, DatabaseError) else explain(self._settings, cause)
        return QueueError(f"the queue '{self._queue}': {told.message}", hint=told.hint)

    async def publish(self, job: uuid.UUID) -> None:
        """See `seam.Queue`. A job that waits in the queue already is not put there twice."""
        message = Job(
            queue=self._queue,
            lock=None,
            queueing_lock=f"{self._queue}/{job}",
            task_name=TASK,
            task_kwargs={"job_id": str(job)},
        )
        async with self.call() as manager:
            with contextlib.suppress(AlreadyEnqueued):
                await manager.defer_job_async(message)

    async def consume(self, handler: Handler, *, concurrency: int) -> None:
        """See `seam.Queue`."""
        ended = asyncio.Event()
        self._consumers.add(ended)
        try:
            await Consumer(
                queue=self._queue, call=self.call, handler=handler, concurrency=concurrency, stop=self._stop
            ).run()
        finally:
            self._consumers.discard(ended)
            ended.set()

    async def stop(self) -> None:
        """See `seam.Queue`."""
        self._stop.set()
        for ended in list(self._consumers):
            await ended.wait()

    async def depth(self) -> Depth:
        """See `seam.Queue`."""
        async with self.call() as manager:
            row = await manager.connector.execute_query_one_async(_DEPTH, queue=self._queue)
        return Depth(waiting=row["waiting"], parked=row["parked"], oldest_seconds=row["oldest"])

    async def parked(self, limit: int = 100) -> list[Parked]:
        """See `seam.Queue`."""
        async with self.call() as manager:
            rows = await manager.connector.execute_query_all_async(_PARKED, queue=self._queue, limit=limit)
        return [_parked(row["args"]) for row in rows]

    async def close(self) -> None:
        """See `seam.Queue`."""
        async with self._opening:
            pool, self._pool, self._connector = self._pool, None, None
            if pool is not None:
                await pool.close(timeout=_CALL_SECONDS)


def _parked(args: Any) -> Parked:
    about = args["parked"]
    body = json.dumps(args["message"], ensure_ascii=False).encode()
    return Parked(at=datetime.fromisoformat(about["at"]), reason=about["reason"], body=shown(body))

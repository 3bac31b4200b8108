"""The queue in the main database: Procrastinate's tables and functions, with a consuming loop of our own.

Procrastinate's own worker ends when the database goes, and waits for what runs before it takes anything new; here a
handler that takes minutes must not keep the others waiting, so the loop is over its `JobManager`: fetch, heartbeat,
notifications, finish. Decides when to fetch, and when to deliver again or to park. What a job is, it does not know.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import psycopg_pool
import structlog
from procrastinate import PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from automation.database import explain, parameters
from automation.errors import DatabaseError
from automation.queues.procrastinate_schema import SCHEMA, ensure
from automation.queues.seam import Depth, Handler, Parked, QueueError
from automation.queues.slots import Slots, again_after, job_of, reconnect_after, shown, sleep_unless, why
from automation.settings import Settings

_log = structlog.stdlib.get_logger(__name__)
_TASK = "tenantry.job"
_CALL_SECONDS = 5.0
_POLL_SECONDS = 2.0
_HEARTBEAT_SECONDS = 5.0
_STALLED_SECONDS = 30.0
_SETTLE_SECONDS = 60.0
_LOST = (ConnectorException, psycopg.Error, DatabaseError, TimeoutError, OSError)

_PARK = """
    UPDATE procrastinate_jobs SET args = jsonb_build_object(
        'message', args, 'parked', jsonb_build_object('at', now(), 'reason', %(reason)s::text))
    WHERE id = %(message)s AND NOT (jsonb_typeof(args) = 'object' AND args ? 'parked')
"""
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
        self._new = asyncio.Event()
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
    async def _call(self) -> AsyncIterator[JobManager]:
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
            task_name=_TASK,
            task_kwargs={"job_id": str(job)},
        )
        async with self._call() as manager:
            with contextlib.suppress(AlreadyEnqueued):
                await manager.defer_job_async(message)

    async def consume(self, handler: Handler, *, concurrency: int) -> None:
        """See `seam.Queue`."""
        ended = asyncio.Event()
        self._consumers.add(ended)
        slots = Slots(concurrency)
        failures = 0
        worker: int | None = None
        try:
            while not self._stop.is_set():
                try:
                    worker = await self._register()
                    failures = 0
                    await self._session(worker, handler, slots)
                except (*_LOST, QueueError) as error:
                    failures += 1
                    delay = reconnect_after(failures)
                    _log.warning("queue lost", queue=self.name, again_in=delay, error=self._explained(error).message)
                    await sleep_unless(self._stop, delay)
            await slots.drained()
        except asyncio.CancelledError:
            await slots.cancel()
            raise
        finally:
            if worker is not None:
                await self._unregister(worker)
            self._consumers.discard(ended)
            ended.set()

    async def _register(self) -> int:
        async with self._call() as manager:
            return await manager.register_worker()

    async def _unregister(self, worker: int) -> None:
        # Whoever does not say that it is gone is found to be by the others, half a minute later.
        with contextlib.suppress(QueueError):
            async with self._call() as manager:
                await manager.unregister_worker(worker)

    async def _session(self, worker: int, handler: Handler, slots: Slots) -> None:
        """Consumes as the registered `worker` until stopped; raises what ended it."""
        side = [
            asyncio.create_task(self._beat(worker)),
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._fetch(worker, handler, slots)),
        ]
        try:
            done, _ = await asyncio.wait(side, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            for task in side:
                task.cancel()
            await asyncio.gather(*side, return_exceptions=True)

    async def _beat(self, worker: int) -> None:
        """Says that this worker lives, and gives back what those held who have not said so for long."""
        while True:
            async with self._call() as manager:
                await manager.update_heartbeat(worker)
                await manager.prune_stalled_workers(_STALLED_SECONDS)
                for job in await manager.get_stalled_jobs(queue=self._queue, seconds_since_heartbeat=_STALLED_SECONDS):
                    _log.warning("message of a lost worker is delivered again", queue=self.name, message=job.id)
                    await self._deliver_again(manager, job, 0)
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    async def _listen(self) -> None:
        async def told(*, channel: str, notification: object) -> None:  # noqa: ARG001 - procrastinate's signature
            self._new.set()

        manager = await self._manager()
        await manager.listen_for_jobs(on_notification=told, queues=[self._queue])

    async def _fetch(self, worker: int, handler: Handler, slots: Slots) -> None:
        while await slots.reserve(self._stop):
            job = None
            try:
                self._new.clear()
                async with self._call() as manager:
                    job = await manager.fetch_job(queues=[self._queue], worker_id=worker)
            finally:
                if job is None:
                    slots.give_back()
            if job is not None:
                slots.run(self._handle(job, handler))
                continue
            await self._wait()
        await slots.drained()

    async def _wait(self) -> None:
        told = asyncio.create_task(self._new.wait())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({told, stopping}, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            stopping.cancel()

    async def _handle(self, message: Job, handler: Handler) -> None:
        found: uuid.UUID | str = f"not of {_TASK}" if message.task_name != _TASK else job_of(message.task_kwargs)
        if isinstance(found, str):
            await self._settle(message, lambda manager: self._park(manager, message, found))
            return
        try:
            await handler(found)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its message is delivered again or parked
            await self._failed(message, error)
        else:
            await self._settle(message, lambda manager: self._finish(manager, message, Status.SUCCEEDED))

    async def _failed(self, message: Job, error: Exception) -> None:
        delay = again_after(message.attempts + 1)
        _log.warning("handler failed", queue=self.name, message=message.id, again_in=delay, error=str(error))
        if delay is None:
            await self._settle(message, lambda manager: self._park(manager, message, why(error)))
        else:
            await self._settle(message, lambda manager: self._deliver_again(manager, message, delay))
            asyncio.get_running_loop().call_later(delay, self._new.set)

    async def _settle(self, message: Job, act: Callable[[JobManager], Awaitable[None]]) -> None:
        """Tells the database what became of a message, for a minute if need be; then it is delivered again."""
        failures = 0
        giving_up = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        while True:
            try:
                async with self._call() as manager:
                    await act(manager)
                return
            except QueueError as error:
                failures += 1
                delay = reconnect_after(failures)
                if asyncio.get_running_loop().time() + delay > giving_up:
                    _log.error("message not settled", queue=self.name, message=message.id, error=error.message)
                    return
                await asyncio.sleep(delay)

    async def _finish(self, manager: JobManager, message: Job, status: Status) -> None:
        try:
            # One that was handled goes: its job's row has the history.
            await manager.finish_job(job=message, status=status, delete_job=status is Status.SUCCEEDED)
        except ConnectorException as error:
            # Another worker has had it in the meantime, and is done with it.
            if not isinstance(error.__cause__, psycopg.errors.RaiseException):
                raise

    async def _deliver_again(self, manager: JobManager, message: Job, delay: float) -> None:
        try:
            await manager.retry_job(job=message, retry_at=datetime.now(UTC) + timedelta(seconds=delay))
        except UniqueViolation:
            # The same job has been published again and waits: that message will do.
            await self._finish(manager, message, Status.SUCCEEDED)
        except ConnectorException as error:
            if not isinstance(error.__cause__, psycopg.errors.RaiseException):
                raise

    async def _park(self, manager: JobManager, message: Job, reason: str) -> None:
        _log.error("message parked", queue=self.name, message=message.id, reason=reason)
        await manager.connector.execute_query_async(_PARK, message=message.id, reason=reason)
        await self._finish(manager, message, Status.FAILED)

    async def stop(self) -> None:
        """See `seam.Queue`."""
        self._stop.set()
        for ended in list(self._consumers):
            await ended.wait()

    async def depth(self) -> Depth:
        """See `seam.Queue`."""
        async with self._call() as manager:
            row = await manager.connector.execute_query_one_async(_DEPTH, queue=self._queue)
        return Depth(waiting=row["waiting"], parked=row["parked"], oldest_seconds=row["oldest"])

    async def parked(self, limit: int = 100) -> list[Parked]:
        """See `seam.Queue`."""
        async with self._call() as manager:
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

"""Takes messages out of Procrastinate's tables, and puts back, deletes or parks them.

Procrastinate's own worker ends when the database goes, and waits for what runs before it takes anything new. Here a
handler that takes minutes must not keep others waiting, nor lose its place for a database that was away for seconds;
so the loop is over the library's `JobManager`: register, heartbeat, listen, fetch, finish, retry.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import psycopg
import structlog
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from automation.queues.seam import Handler, QueueError
from automation.queues.slots import Slots, again_after, end_all, job_of, reconnect_after, sleep_unless, why

TASK = "tenantry.job"

_log = structlog.stdlib.get_logger(__name__)
_POLL_SECONDS = 2.0
_HEARTBEAT_SECONDS = 5.0
_STALLED_SECONDS = 30.0
_SETTLE_SECONDS = 60.0

_STILL_KNOWN = "UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %(worker)s RETURNING id"
# Fetched, but the answer never came here: nobody works on them.
_UNSEEN = """
    SELECT id FROM procrastinate_jobs
    WHERE worker_id = %(worker)s AND status = 'doing' AND id <> ALL(%(held)s::bigint[])
"""
_PARK = """
    UPDATE procrastinate_jobs SET args = jsonb_build_object(
        'message', args, 'parked', jsonb_build_object('at', now(), 'reason', %(reason)s::text))
    WHERE id = %(message)s AND NOT (jsonb_typeof(args) = 'object' AND args ? 'parked')
"""

Call = Callable[[], AbstractAsyncContextManager[JobManager]]


class Consumer:
    """One `consume`: `call` gives calls to the database that raise QueueError when it is away."""

    def __init__(self, *, queue: str, call: Call, handler: Handler, concurrency: int, stop: asyncio.Event) -> None:
        self._queue = queue
        self._call = call
        self._handler = handler
        self._slots = Slots(concurrency)
        self._stop = stop
        self._new = asyncio.Event()
        self._held: set[int] = set()
        # While a fetch is under way, what this worker holds is not known.
        self._fetching = asyncio.Lock()
        self._worker: int | None = None

    async def run(self) -> None:
        """Until `stop`; what runs then is waited for. Cancelled, it interrupts what runs."""
        failures = 0
        try:
            while not self._stop.is_set():
                try:
                    worker = await self._register()
                    failures = 0
                    await self._session(worker)
                except QueueError as error:
                    failures += 1
                    delay = reconnect_after(failures)
                    _log.warning("queue lost", queue=self._queue, again_in=delay, error=error.message)
                    await sleep_unless(self._stop, delay)
            await self._slots.drained()
        except asyncio.CancelledError:
            await self._slots.cancel()
            raise
        finally:
            await self._unregister()

    async def _register(self) -> int:
        """The number under which this consumer is known: the one that it had, where the others have not given it up."""
        async with self._call() as manager:
            known = self._worker is not None and await manager.connector.execute_query_all_async(
                _STILL_KNOWN, worker=self._worker
            )
            if self._worker is None or not known:
                self._worker = await manager.register_worker()
            return self._worker

    async def _unregister(self) -> None:
        # Whoever does not say that it is gone is found to be by the others, half a minute later.
        if self._worker is not None:
            with contextlib.suppress(QueueError):
                async with self._call() as manager:
                    await manager.unregister_worker(self._worker)

    async def _session(self, worker: int) -> None:
        """Takes messages as `worker` until stopped and drained; raises QueueError when the database goes."""
        tasks = [asyncio.create_task(each) for each in (self._beat(worker), self._listen(), self._fetch(worker))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            await end_all(tasks)

    async def _beat(self, worker: int) -> None:
        """Says that this worker lives, and gives back what those held who have not said so for long."""
        while True:
            async with self._call() as manager:
                await manager.update_heartbeat(worker)
                await manager.prune_stalled_workers(_STALLED_SECONDS)
                for job in await manager.get_stalled_jobs(queue=self._queue, seconds_since_heartbeat=_STALLED_SECONDS):
                    _log.warning("message of a lost worker is delivered again", queue=self._queue, message=job.id)
                    await _deliver_again(manager, _id(job), 0)
                    self._new.set()
                await self._give_back_unseen(manager, worker)
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    async def _give_back_unseen(self, manager: JobManager, worker: int) -> None:
        async with self._fetching:
            held = sorted(self._held)
            for row in await manager.connector.execute_query_all_async(_UNSEEN, worker=worker, held=held):
                _log.warning("message whose fetching was cut is delivered again", queue=self._queue, message=row["id"])
                await _deliver_again(manager, row["id"], 0)
                self._new.set()

    async def _listen(self) -> None:
        """Hears of new messages at once; one connection more. Without it they are found when the tables are polled."""

        async def told(*, channel: str, notification: object) -> None:  # noqa: ARG001 - the library's signature
            self._new.set()

        async with self._call() as manager:
            pass
        try:
            await manager.listen_for_jobs(on_notification=told, queues=[self._queue])
        except (ConnectorException, psycopg.Error, OSError) as error:
            reason = error.__cause__ or error
            raise QueueError(f"the queue '{self._queue}' cannot be listened to: {type(reason).__name__}") from None

    async def _fetch(self, worker: int) -> None:
        while await self._slots.reserve(self._stop):
            async with self._fetching:
                job = None
                try:
                    self._new.clear()
                    async with self._call() as manager:
                        job = await manager.fetch_job(queues=[self._queue], worker_id=worker)
                finally:
                    if job is None:
                        self._slots.give_back()
                if job is not None:
                    self._held.add(_id(job))
                    self._slots.run(self._handle(job))
                    continue
            await self._wait()
        await self._slots.drained()

    async def _wait(self) -> None:
        told, stopping = asyncio.create_task(self._new.wait()), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({told, stopping}, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            stopping.cancel()

    async def _handle(self, message: Job) -> None:
        try:
            found = f"not of {TASK}" if message.task_name != TASK else job_of(message.task_kwargs)
            if isinstance(found, uuid.UUID):
                await self._deliver(message, found)
            else:
                await self._settle(message, lambda manager: self._park(manager, message, found))
        finally:
            self._held.discard(_id(message))

    async def _deliver(self, message: Job, job: uuid.UUID) -> None:
        try:
            await self._handler(job)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its message is delivered again or parked
            reason, delay = why(error), again_after(message.attempts + 1)
            _log.warning("handler failed", queue=self._queue, message=message.id, again_in=delay, error=str(error))
            if delay is None:
                await self._settle(message, lambda manager: self._park(manager, message, reason))
                return
            await self._settle(message, lambda manager: _deliver_again(manager, _id(message), delay))
            # The database tells of new messages, not of those that come again.
            asyncio.get_running_loop().call_later(delay, self._new.set)
        else:
            # One that was handled goes: its job's row has the history.
            await self._settle(message, lambda manager: _finish(manager, _id(message), Status.SUCCEEDED))

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
                    _log.error("message not settled", queue=self._queue, message=message.id, error=error.message)
                    return
                await asyncio.sleep(delay)

    async def _park(self, manager: JobManager, message: Job, reason: str) -> None:
        _log.error("message parked", queue=self._queue, message=message.id, reason=reason)
        await manager.connector.execute_query_async(_PARK, message=_id(message), reason=reason)
        await _finish(manager, _id(message), Status.FAILED)


def _id(message: Job) -> int:
    if message.id is None:
        raise QueueError("procrastinate fetched a message without a number", hint="report it")
    return message.id


async def _finish(manager: JobManager, message: int, status: Status) -> None:
    with _already_gone():
        await manager.finish_job_by_id_async(job_id=message, status=status, delete_job=status is Status.SUCCEEDED)


async def _deliver_again(manager: JobManager, message: int, delay: float) -> None:
    try:
        with _already_gone():
            await manager.retry_job_by_id_async(job_id=message, retry_at=datetime.now(UTC) + timedelta(seconds=delay))
    except UniqueViolation:
        # The same job has been published again and waits: that message will do.
        await _finish(manager, message, Status.SUCCEEDED)


@contextlib.contextmanager
def _already_gone() -> Iterator[None]:
    """Another worker has had the message in the meantime and is done with it: procrastinate's functions raise then."""
    try:
        yield
    except ConnectorException as error:
        if not isinstance(error.__cause__, psycopg.errors.RaiseException):
            raise

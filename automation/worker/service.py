"""The worker's process: consumes the queue, keeps its attempts, publishes what is due, and drains when told to stop.

Decides when it takes jobs and in which order it goes down. What cannot be reached (database, broker) is tried again for
as long as the worker runs; a loop of its that fails is begun again, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from automation.errors import DatabaseError, TenantryError
from automation.jobs.model import Job, Lease
from automation.jobs.store import JobStore
from automation.jobs.store import Worker as WorkerRow
from automation.queues.seam import Queue
from automation.settings import Settings
from automation.worker import control
from automation.worker.attempt import Attempt
from automation.worker.outcome import Why
from automation.worker.settings import WorkerSettings

_log = structlog.stdlib.get_logger(__name__)
_DUE_AT_ONCE = 100
_CLAIM_SECONDS = 60.0
_FORGET_AFTER = timedelta(hours=1)
_LAST_SECONDS = 5.0
_AGAIN_SECONDS = (0.5, 1.0, 2.0, 5.0)
_MISSED_BEATS = 3
_SHORTEST_SILENCE = 15.0


class Worker:
    """A worker. `run` ends after `stop`, when what runs has ended or has been given back."""

    def __init__(
        self,
        store: JobStore,
        queue: Queue,
        settings: Settings,
        own: WorkerSettings,
        *,
        beside: Mapping[str, Callable[[asyncio.Event], Awaitable[None]]] | None = None,
    ) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._store = store
        self._queue = queue
        self._settings = settings
        self._own = own
        self._beside = dict(beside or {})
        self._attempts: dict[uuid.UUID, Attempt] = {}
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._heard_at: float | None = None
        self._consuming = False

    def stop(self) -> None:
        """Drains: takes no more jobs, and lets those that run end. A second time: interrupts and gives them back."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def why_not_ready(self) -> str | None:
        """Why it takes no jobs; None where it does. It does while its heartbeat is written and its queue is open."""
        if self.stopping:
            return "it drains"
        silence = max(_SHORTEST_SILENCE, _MISSED_BEATS * self._own.heartbeat)
        if self._heard_at is None or time.monotonic() - self._heard_at > silence:
            return "the main database cannot be reached"
        return None if self._consuming else "the queue cannot be reached"

    async def run(self) -> None:
        """Works until `stop`."""
        _log.info("worker started", worker=self.id, concurrency=self._own.concurrency, queue=self._queue.name)
        loops: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("heartbeat", self._heartbeat),
            ("sweep", self._sweep),
            ("control", lambda: control.listen(self._settings, self._cancel)),
        ]
        loops += [(name, functools.partial(beside, self._stopping)) for name, beside in self._beside.items()]
        tasks = [asyncio.create_task(self._kept_up(name, loop)) for name, loop in loops]
        consuming = asyncio.create_task(self._kept_up("consume", self._consume))
        try:
            await self._stopping.wait()
            await self._drain(consuming)
        finally:
            for task in (*tasks, consuming):
                task.cancel()
            await asyncio.gather(*tasks, consuming, return_exceptions=True)
            await self._say_goodbye()
            _log.info("worker ended", worker=self.id)

    # Loops

    async def _kept_up(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Runs `loop`, and again after it failed, until the worker stops."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await loop()
            except Exception as error:  # noqa: BLE001 - one loop's trouble must not end the others; it is told
                if time.monotonic() - began > 60:
                    failures = 0
                failures += 1
                known = isinstance(error, TenantryError)
                _log.warning("loop failed", loop=name, error=str(error), failures=failures, exc_info=not known)
            await self._pause(_AGAIN_SECONDS[min(max(failures, 1), len(_AGAIN_SECONDS)) - 1])

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _consume(self) -> None:
        await self._queue.open()
        if not self._stopping.is_set():
            self._consuming = True
            try:
                await self._queue.consume(self._handle, concurrency=self._own.concurrency)
            finally:
                self._consuming = False

    async def _heartbeat(self) -> None:
        while True:
            await self._store.heartbeat(self._row())
            self._heard_at = time.monotonic()
            for other in await self._store.workers():
                if other.seen_at is not None and datetime.now(UTC) - other.seen_at > _FORGET_AFTER:
                    await self._store.forget_worker(other.id)
            await asyncio.sleep(self._own.heartbeat)

    def _row(self) -> WorkerRow:
        return WorkerRow(
            id=self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            concurrency=self._own.concurrency,
            queue=self._queue.name,
            draining=self._stopping.is_set(),
        )

    async def _sweep(self) -> None:
        """Publishes what is due: jobs whose publishing failed, that wait for another attempt, or that lost a worker."""
        while not self._stopping.is_set():
            for job in await self._store.due(_DUE_AT_ONCE):
                await self._queue.publish(job)
                await self._store.mark_published(job)
            await self._pause(self._own.sweep)

    # Jobs

    def _cancel(self, job: uuid.UUID) -> None:
        if (attempt := self._attempts.get(job)) is not None:
            attempt.stop(Why.CANCEL)

    async def _handle(self, job: uuid.UUID) -> None:
        """What becomes of a message. A second one for the same job finds it claimed, or ended."""
        claimed = await self._claim(job)
        if claimed is None:
            return
        found, lease, since = claimed
        attempt = Attempt(self._store, self._settings, self._own, found, lease, since=since)
        with self._kept(found, attempt):
            await attempt.run()

    @contextlib.contextmanager
    def _kept(self, job: Job, attempt: Attempt) -> Iterator[None]:
        about = {"job": str(job.id), "tenant": job.tenant, "correlation_id": job.correlation_id}
        with structlog.contextvars.bound_contextvars(**about):
            self._attempts[job.id] = attempt
            try:
                yield
            finally:
                del self._attempts[job.id]

    async def _claim(self, job: uuid.UUID) -> tuple[Job, Lease, float] | None:
        """Claims the job, at a moment of the monotonic clock from which the lease counts at the latest.

        A database that is away is waited for: that is no fault of the message's.
        """
        until = time.monotonic() + _CLAIM_SECONDS
        while True:
            since = time.monotonic()
            try:
                claimed = await self._store.claim(job, worker=self.id, lease_seconds=self._own.lease)
                return None if claimed is None else (*claimed, since)
            except DatabaseError as error:
                if self._stopping.is_set() or time.monotonic() > until:
                    raise
                _log.warning("job not claimed yet", job=str(job), error=error.message)
                await self._pause(1.0)

    # The end

    async def _drain(self, consuming: asyncio.Task[None]) -> None:
        _log.info("draining", worker=self.id, running=len(self._attempts), seconds=self._own.drain)
        with contextlib.suppress(TenantryError, TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self._store.heartbeat(self._row())
        stopped = asyncio.create_task(self._stopped(consuming))
        hurried = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({stopped, hurried}, timeout=self._own.drain, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not stopped.done():
            for attempt in list(self._attempts.values()):
                attempt.stop(Why.DRAIN)
            await asyncio.wait({stopped}, timeout=5 * self._settings.cancel_grace)
        if not stopped.done():
            for attempt in list(self._attempts.values()):
                attempt.kill()
            await asyncio.wait({stopped}, timeout=2 * _LAST_SECONDS)
        stopped.cancel()

    async def _stopped(self, consuming: asyncio.Task[None]) -> None:
        try:
            await self._queue.stop()
        except TenantryError as error:
            _log.warning("queue not stopped in order", error=error.message)
        await asyncio.wait({consuming})

    async def _say_goodbye(self) -> None:
        with contextlib.suppress(TenantryError, TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self._store.forget_worker(self.id)

"""One attempt at a job, from its claim to its end: renews the lease while the process runs, stops what must stop.

Decides when to interrupt and when to kill. How the attempt ends its job is decided in `outcome`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from automation.errors import TenantryError
from automation.jobs.model import Ending, Job, Lease
from automation.jobs.store import JobStore
from automation.settings import Settings
from automation.worker.outcome import Why, before_beginning, ending
from automation.worker.process import Child
from automation.worker.settings import WorkerSettings

_log = structlog.stdlib.get_logger(__name__)
_TICK = 0.5
_POLL_SECONDS = 2.0
_ROOM_SECONDS = 60.0
_FINISH_SECONDS = 300.0
_HURRIED_SECONDS = 5.0


class Attempt:
    """An attempt whose lease we hold, `since` when on the monotonic clock."""

    def __init__(
        self, store: JobStore, settings: Settings, own: WorkerSettings, job: Job, lease: Lease, *, since: float
    ) -> None:
        self._store = store
        self._settings = settings
        self._own = own
        self._job = job
        self._lease = lease
        self._since = since
        self._why = Why.NONE
        self._stopped_at = 0.0
        self._child: Child | None = None
        self._hurry = asyncio.Event()

    def stop(self, why: Why) -> None:
        """Interrupts the attempt; asking again changes nothing, but that a cancel counts more than a drain."""
        if self._why is Why.NONE:
            self._stopped_at = time.monotonic()
            if self._child is not None:
                self._child.interrupt()
        if self._why is Why.NONE or why is Why.CANCEL:
            self._why = why
            _log.info("stopping", why=why.value)

    def kill(self) -> None:
        """Ends the attempt by force, and does not wait for the database either."""
        self._hurry.set()
        if self._child is not None:
            self._child.kill()

    async def run(self) -> None:
        """Runs the attempt to its end, and writes it. Never raises for what is the job's own trouble."""
        early = before_beginning(self._job, most=self._own.attempts)
        if early is not None:
            await self._finish(early)
            return
        child = Child(self._settings, self._job.id, self._lease.attempt, correlation=self._job.correlation_id)
        _log.info("attempt began", operation=self._job.operation.value, attempt=self._job.attempts, child=child.pid)
        self._child = child
        if self._why is not Why.NONE:
            child.interrupt()
        keeping = asyncio.create_task(self._keep(child))
        try:
            ended = await child.ended()
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
        if ended.said and (ended.document is None or ended.code == 1):
            _log.error("attempt's last words", code=ended.code, said=ended.said)
        how = ending(self._job, ended, why=self._why, most=self._own.attempts)
        if how is None:
            _log.warning("attempt was another worker's by now")
            return
        await self._finish(how)

    async def _keep(self, child: Child) -> None:
        """Holds the lease, looks for a cancel whose notice got lost, and ends by force what does not stop."""
        held_until = self._since + self._own.lease
        renew_at = self._since + self._own.lease / 3
        poll_at = time.monotonic() + _POLL_SECONDS
        deadline = time.monotonic() + _limit(self._settings, self._job.line)
        while True:
            await asyncio.sleep(min(_TICK, self._own.lease / 6))
            moment = time.monotonic()
            if moment >= renew_at:
                renew_at = moment + self._own.lease / 3
                if await self._renewed():
                    held_until = moment + self._own.lease
            if moment >= held_until and self._why is not Why.LEASE:
                self.stop(Why.LEASE)
            if moment >= poll_at:
                poll_at = moment + _POLL_SECONDS
                await self._look()
            if moment >= deadline:
                self.stop(Why.LIMIT)
            if self._why is not Why.NONE and time.monotonic() - self._stopped_at > self._patience():
                child.kill()

    async def _renewed(self) -> bool:
        try:
            async with asyncio.timeout(self._own.lease / 3):
                if await self._store.renew(self._lease, self._own.lease):
                    return True
        except (TenantryError, TimeoutError) as error:
            # It may come back: until the lease has run out, nobody else can have the job.
            _log.warning("lease not renewed", error=str(error))
            return False
        _log.warning("lease lost")
        self.stop(Why.LEASE)
        return False

    async def _look(self) -> None:
        with contextlib.suppress(TenantryError, TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                if (await self._store.get(self._job.id)).cancel_requested_at is not None:
                    self.stop(Why.CANCEL)

    def _patience(self) -> float:
        """Seconds from the interruption to the kill. The process itself interrupts its engine twice, then kills it."""
        return self._settings.cancel_grace * (1 if self._why is Why.LEASE else 4)

    async def _finish(self, how: Ending) -> None:
        """Writes the end. A database that is away is waited for; should it stay away, the lease's end is the remedy."""
        until = time.monotonic() + _FINISH_SECONDS
        delay = 0.2
        while True:
            try:
                job = await self._store.finish(self._lease, how)
            except TenantryError as error:
                if self._hurry.is_set():
                    until = min(until, time.monotonic() + _HURRIED_SECONDS)
                if time.monotonic() + delay > until:
                    _log.error("end not written: another worker will find the job", error=error.message)
                    return
                _log.warning("end not written yet", error=error.message, next_try_seconds=delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
                continue
            if job is None:
                _log.warning("end not written: the lease was lost")
            else:
                _log.info("attempt ended", status=job.status.value, message=job.message)
            return


def _limit(settings: Settings, line: str) -> float:
    """How long an attempt may take at the most: what its own limits add up to, and room for what has none."""
    graces = 8 * settings.cancel_grace
    return 2 * settings.run_limit(line).seconds + settings.rollback_limit(line).seconds + graces + _ROOM_SECONDS

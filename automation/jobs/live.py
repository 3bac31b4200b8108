"""Following jobs while they run: one listening connection a process wakes everybody who waits for an event.

Decides when to look. What is seen is read from the rows, in order: a notification only says that there is something,
so one that is lost costs a second, and one that comes twice costs a query. It never writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.database import parameters
from automation.errors import DatabaseError
from automation.jobs.database import looking_up
from automation.jobs.effects import EVENTS_CHANNEL
from automation.jobs.model import JobEvent
from automation.jobs.store import JobStore
from automation.models_jobs import EventKind, jobs
from automation.settings import Settings

POLL_SECONDS = 1.0
"""How often rows are looked at without having been told: what a lost notification costs."""

OUTAGE_SECONDS = 90.0
"""How long a follower lives through a database that cannot be reached."""

BATCH = 500
_LISTEN_SECONDS = 15.0
T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Follower:
    """Somebody who waits. `known` is what was handed over already; what is new is read from the rows, not kept here."""

    job: uuid.UUID
    known: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, job: uuid.UUID, seq: int) -> None:
        if job == self.job and seq > self.known:
            self.wake.set()


class EventHub:
    """The events of all jobs, for everybody in this process. `start` before, `stop` after."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._store = JobStore(engine, settings)
        self._followers: set[_Follower] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = asyncio.Event()
        self.listening = asyncio.Event()
        """Set while notifications arrive; without it rows are looked at every POLL_SECONDS."""

    async def start(self) -> None:
        """Begins to listen, in the background: a database that is not there yet is waited for."""
        self._stopped.clear()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._poll())]
        for task in self._tasks:
            task.add_done_callback(_say_why)

    async def stop(self) -> None:
        """Ends every `follow` and lets go of the connection. May be called twice."""
        self._stopped.set()
        for follower in self._followers:
            follower.wake.set()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def follow(self, job: uuid.UUID, after: int = 0) -> AsyncIterator[JobEvent]:
        """The job's events numbered above `after`, in order and without gaps, as they come; ends after `end`.

        Ends early when the hub is stopped. Raises NotFoundError, and DatabaseError when the database has been away for
        OUTAGE_SECONDS.
        """
        await self._store.get(job)
        with self._joined(_Follower(job=job, known=after)) as follower:
            while not self._stopped.is_set():
                follower.wake.clear()
                events = await self._patiently(lambda: self._store.events(job, follower.known, BATCH))
                for event in events:
                    follower.known = event.seq
                    yield event
                    if event.kind == EventKind.END:
                        return
                # Nothing may ever come: `after` may have been the end's own number, or beyond it.
                if not events and await self._patiently(lambda: self._is_over(job, follower.known)):
                    return
                if len(events) < BATCH:
                    await follower.wake.wait()

    @contextlib.contextmanager
    def _joined(self, follower: _Follower) -> Iterator[_Follower]:
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    async def _is_over(self, job: uuid.UUID, known: int) -> bool:
        return (await self._store.get(job)).ended and not await self._store.events(job, known, 1)

    async def _patiently(self, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` answers, in spite of an outage of the database."""
        clock = asyncio.get_running_loop().time
        until = clock() + OUTAGE_SECONDS
        while True:
            try:
                return await read()
            except DatabaseError:
                if self._stopped.is_set() or clock() > until:
                    raise
                await asyncio.sleep(POLL_SECONDS)

    def _tell(self, found: Iterable[tuple[uuid.UUID, int]]) -> None:
        for job, seq in found:
            for follower in list(self._followers):
                follower.tell(job, seq)

    # Being told

    async def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                async with await self._connect() as connection:
                    await connection.execute(f"LISTEN {EVENTS_CHANNEL}")
                    self.listening.set()
                    # What happened while nobody listened.
                    self._tell(await self._followed())
                    await self._receive(connection)
            except (psycopg.Error, DatabaseError, OSError) as error:
                _log.warning("events_not_heard", reason=str(error).strip(), retry_seconds=POLL_SECONDS)
            finally:
                self.listening.clear()
            await asyncio.sleep(POLL_SECONDS)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            **parameters(self._settings, "tenantry events", None), autocommit=True
        )

    async def _receive(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            async for notify in connection.notifies(timeout=_LISTEN_SECONDS):
                job, _, seq = notify.payload.partition(" ")
                with contextlib.suppress(ValueError):
                    self._tell([(uuid.UUID(job), int(seq))])
            # Silence may be a connection that is dead without having said so.
            async with asyncio.timeout(_LISTEN_SECONDS):
                await connection.execute("SELECT 1")

    # Looking without having been told

    async def _poll(self) -> None:
        while not self._stopped.is_set():
            await asyncio.sleep(POLL_SECONDS)
            try:
                self._tell(await self._followed())
            except DatabaseError as error:
                _log.warning("events_not_polled", reason=error.message, retry_seconds=POLL_SECONDS)

    async def _followed(self) -> list[tuple[uuid.UUID, int]]:
        """The jobs that are followed, with their newest event."""
        wanted = {follower.job for follower in self._followers}
        if not wanted:
            return []
        # One array and not a list of values: the statement stays the same whatever their number.
        statement = select(jobs.c.id, jobs.c.event_seq).where(jobs.c.id == func.any(list(wanted)))
        async with looking_up(self._engine, self._settings) as connection:
            return [(row.id, row.event_seq) for row in await connection.execute(statement)]


def _say_why(task: asyncio.Task[None]) -> None:
    """Neither task ends by itself: that one did is a fault of ours, which the log must show."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("events_task_died", exc_info=error)

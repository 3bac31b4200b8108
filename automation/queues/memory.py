"""A queue within one process: for tests, and wherever the asking and the running happen in the same program.

It keeps the contract of `seam`, and forgets everything with its process. It never stands in for a broker.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from automation.queues.seam import Depth, Handler, Parked, QueueError
from automation.queues.slots import Slots, again_after, parse, shown, why

_log = structlog.stdlib.get_logger(__name__)
_PARKED = 10_000


@dataclass(slots=True)
class _Message:
    body: bytes
    failures: int = 0
    since: float = field(default_factory=time.monotonic)


class MemoryQueue:
    """See `seam.Queue`."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self._waiting: deque[_Message] = deque()
        self._parked: deque[Parked] = deque(maxlen=_PARKED)
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._consumers: set[asyncio.Event] = set()
        self._later: set[asyncio.TimerHandle] = set()
        self._closed = False

    async def open(self) -> None:
        """Nothing is to be made. After `stop` it may consume again."""
        self._closed = False
        self._stop.clear()

    async def publish(self, job: uuid.UUID) -> None:
        """Raises QueueError after `close`."""
        if self._closed:
            raise QueueError(f"the queue '{self.name}' is closed", hint="open it first")
        await self.publish_raw(json.dumps({"job_id": str(job)}).encode())

    async def publish_raw(self, body: bytes) -> None:
        """Any bytes, as a stranger could send them."""
        self._put(_Message(body))

    def _put(self, message: _Message) -> None:
        self._waiting.append(message)
        self._changed.set()

    async def consume(self, handler: Handler, *, concurrency: int) -> None:
        """See `seam.Queue`."""
        ended = asyncio.Event()
        self._consumers.add(ended)
        slots = Slots(concurrency)
        try:
            while await slots.reserve(self._stop):
                message = await self._next()
                if message is None:
                    slots.give_back()
                    break
                slots.run(self._handle(message, handler))
            await slots.drained()
        except asyncio.CancelledError:
            await slots.cancel()
            raise
        finally:
            self._consumers.discard(ended)
            ended.set()

    async def _next(self) -> _Message | None:
        stopping = asyncio.create_task(self._stop.wait())
        try:
            while not self._stop.is_set():
                if self._waiting:
                    return self._waiting.popleft()
                self._changed.clear()
                changed = asyncio.create_task(self._changed.wait())
                await asyncio.wait({changed, stopping}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            stopping.cancel()
        return None

    async def _handle(self, message: _Message, handler: Handler) -> None:
        job = parse(message.body)
        if isinstance(job, str):
            self._park(message, job)
            return
        try:
            await handler(job)
        except asyncio.CancelledError:
            self._waiting.appendleft(message)
            raise
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its message is delivered again or parked
            self._failed(message, error)

    def _failed(self, message: _Message, error: Exception) -> None:
        message.failures += 1
        delay = again_after(message.failures)
        _log.warning("handler failed", queue=self.name, failures=message.failures, again_in=delay, error=str(error))
        if delay is None:
            self._park(message, why(error))
            return

        def again() -> None:
            self._later.discard(timer)
            self._put(message)

        timer = asyncio.get_running_loop().call_later(delay, again)
        self._later.add(timer)

    def _park(self, message: _Message, reason: str) -> None:
        self._parked.appendleft(Parked(at=datetime.now(UTC), reason=reason, body=shown(message.body)))

    async def stop(self) -> None:
        """See `seam.Queue`."""
        self._stop.set()
        for ended in list(self._consumers):
            await ended.wait()

    async def depth(self) -> Depth:
        """A message that waits to be delivered again counts too."""
        oldest = time.monotonic() - min(item.since for item in self._waiting) if self._waiting else None
        waiting = len(self._waiting) + len(self._later)
        return Depth(waiting=waiting, parked=len(self._parked), oldest_seconds=oldest)

    async def parked(self, limit: int = 100) -> list[Parked]:
        """See `seam.Queue`."""
        return list(self._parked)[:limit]

    async def close(self) -> None:
        """Drops what waits to be delivered again."""
        self._closed = True
        for timer in self._later:
            timer.cancel()
        self._later.clear()

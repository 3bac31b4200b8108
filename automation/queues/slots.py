"""What every kind of queue shares: when to deliver again and when to park, what a message says, and who runs now.

The decisions are pure; `Slots` keeps the handlers that run. It knows of no broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import Collection, Coroutine
from typing import Any

MOST_DELIVERIES = 5
"""A message whose handler has raised so often is parked."""

_AGAIN_SECONDS = (1.0, 2.0, 4.0, 8.0)
_RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_BODY_CHARACTERS = 500
_CANCELLATIONS = 30
_REASON_CHARACTERS = 300


def again_after(failures: int) -> float | None:
    """Seconds until a message is delivered again after `failures` failures; None: park it."""
    return None if failures >= MOST_DELIVERIES else _AGAIN_SECONDS[min(failures, len(_AGAIN_SECONDS)) - 1]


def reconnect_after(failures: int) -> float:
    """Seconds to wait before the broker is tried again, after `failures` failures in a row (1 and more)."""
    return _RECONNECT_SECONDS[min(failures, len(_RECONNECT_SECONDS)) - 1]


def job_of(message: object) -> uuid.UUID | str:
    """The job that `{"job_id": "<uuid>"}` names, or the reason why a message is none of ours."""
    if not isinstance(message, dict):
        return "not a JSON object"
    given = message.get("job_id")
    if not isinstance(given, str):
        return "job_id is missing" if given is None else "job_id is not text"
    try:
        job = uuid.UUID(given)
    except ValueError:
        return "job_id is not a UUID"
    # uuid.UUID also takes braces, URNs and digits without hyphens; the contract has one form.
    return job if str(job) == given.lower() else "job_id is not a UUID"


def parse(body: bytes) -> uuid.UUID | str:
    """The job that a message's bytes name, or the reason why it is none of ours."""
    if len(body) > 4096:
        return f"too large: {len(body)} bytes"
    try:
        return job_of(json.loads(body.decode("utf-8")))
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, RecursionError):
        return "not JSON"


def shown(body: bytes) -> str:
    """A message's body for people, cut short."""
    text = body[: _BODY_CHARACTERS * 4].decode("utf-8", "replace")
    return text if len(text) <= _BODY_CHARACTERS else f"{text[:_BODY_CHARACTERS]}..."


def why(error: BaseException) -> str:
    """The reason for parking after `error`, cut short."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"its handler failed {MOST_DELIVERIES} times: {text}"[:_REASON_CHARACTERS]


async def sleep_unless(stop: asyncio.Event, seconds: float) -> None:
    """Sleeps, but not longer than until `stop`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def end_all(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels `tasks` until they have ended; what they raise is nobody's concern any more.

    Once is not enough: a driver that is cancelled while its connection breaks may raise its own error instead, and a
    library's loop around it then goes on.
    """
    pending = {task for task in tasks if not task.done()}
    for _ in range(_CANCELLATIONS):
        if not pending:
            break
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)
    await asyncio.gather(*(task for task in tasks if task.done()), return_exceptions=True)


class Slots:
    """At most `limit` handlers at once."""

    def __init__(self, limit: int) -> None:
        self._free = asyncio.Semaphore(limit)
        self._running: set[asyncio.Task[None]] = set()

    async def reserve(self, stop: asyncio.Event) -> bool:
        """Waits for a free slot; False, with none reserved, when `stop` came first."""
        taking = asyncio.create_task(self._free.acquire())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if stop.is_set() or not taking.done():
                if taking.done() and not taking.cancelled():
                    self._free.release()
                taking.cancel()
        return not stop.is_set()

    def give_back(self) -> None:
        """Frees a slot that was reserved and not used."""
        self._free.release()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` in a slot that was reserved. `work` must not raise: what it cannot handle, it parks."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._free.release()

    async def drained(self) -> None:
        """Returns when no handler runs any more; raises what one of them raised, which none should."""
        while self._running:
            await asyncio.gather(*self._running)

    async def cancel(self) -> None:
        """Interrupts the handlers that run, and waits until they are gone."""
        await end_all(list(self._running))

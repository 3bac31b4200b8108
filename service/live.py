"""Following a job live: who may hold a connection open, how many may, and for how long.

Decides when a live connection ends: with the job, with the caller's token, or after TENANTRY_LIVE_SECONDS. Whoever is
cut off takes up where it was, by the number of the last event it has seen. The events are read by `jobs.live`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import anyio

from automation.jobs.model import JobEvent
from service.auth.principal import Principal
from service.state import State


async def events(
    state: State, who: Principal, job: uuid.UUID, after: int, *, ending: anyio.Event | None = None
) -> AsyncGenerator[JobEvent]:
    """The job's events above `after`, as they come, until the job, the token, the time allowed or the service ends.

    `ending` is set where the service is told to stop.
    """
    seconds = state.service.live_seconds
    if who.expires_at:
        seconds = min(seconds, who.expires_at - time.time())
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    following = state.hub.follow(job, after)
    told = asyncio.ensure_future(ending.wait()) if ending is not None else None
    try:
        while (left := until - loop.time()) > 0:
            event = asyncio.ensure_future(anext(following, None))
            try:
                watched = {event} if told is None else {event, told}
                await asyncio.wait(watched, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not event.done():
                    await _cancelled(event)
            if event.cancelled() or (found := event.result()) is None:
                return
            yield found
    finally:
        if told is not None:
            await _cancelled(told)
        await following.aclose()  # type: ignore[attr-defined] # an async generator behind its protocol


async def _cancelled(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})

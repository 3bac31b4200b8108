"""Following a job live: who may hold a connection open, how many may, and for how long.

Decides when a live connection ends: with the job, with the caller's token, or after TENANTRY_LIVE_SECONDS. Whoever is
cut off takes up where it was, by the number of the last event it has seen. The events are read by `jobs.live`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator

from automation.jobs.model import JobEvent
from service.auth.principal import Principal
from service.state import State


async def events(state: State, who: Principal, job: uuid.UUID, after: int) -> AsyncGenerator[JobEvent]:
    """The job's events above `after`, as they come, until the job, the token or the time allowed ends."""
    seconds = state.service.live_seconds
    if who.expires_at:
        seconds = min(seconds, who.expires_at - time.time())
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    following = state.hub.follow(job, after)
    try:
        while (left := until - loop.time()) > 0:
            try:
                yield await asyncio.wait_for(anext(following), left)
            except (StopAsyncIteration, TimeoutError):
                return
    finally:
        await following.aclose()  # type: ignore[attr-defined] # an async generator behind its protocol

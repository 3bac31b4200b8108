"""What runs the jobs: workers and queue, for the API and for the web page alike. Reads only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog

from automation.queues.seam import QueueError
from service.auth.permissions import Permission
from service.auth.principal import Principal
from service.state import State

ALIVE_SECONDS = 60.0
"""A worker that has not been heard of for this long is taken for dead."""

QUEUE_SECONDS = 5.0

log = structlog.get_logger("tenantry.service")


async def system(state: State, who: Principal) -> dict[str, Any]:
    """Workers, and the queue; None for a queue that cannot be asked now."""
    who.demand(Permission.PLATFORM_READ)
    now = datetime.now(UTC)
    workers = [
        {
            "id": one.id,
            "host": one.host,
            "pid": one.pid,
            "concurrency": one.concurrency,
            "queue": one.queue,
            "draining": one.draining,
            "alive": one.seen_at is not None and (now - one.seen_at).total_seconds() < ALIVE_SECONDS,
            "started_at": one.started_at.isoformat() if one.started_at else None,
            "seen_at": one.seen_at.isoformat() if one.seen_at else None,
        }
        for one in await state.store.workers()
    ]
    return {"workers": workers, "queue": await _queue(state)}


async def _queue(state: State) -> dict[str, Any] | None:
    try:
        async with asyncio.timeout(QUEUE_SECONDS):
            depth = await state.queue.depth()
    except (QueueError, TimeoutError) as error:
        log.warning("the queue cannot be asked how much waits", reason=str(error))
        return None
    return {
        "name": state.queue.name,
        "waiting": depth.waiting,
        "parked": depth.parked,
        "oldest_seconds": depth.oldest_seconds,
    }

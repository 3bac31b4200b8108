"""Puts accepted jobs into the queue. The row is committed before: a message that is lost is sent again by a sweeper.

Decides that a caller never waits for the broker. It never decides whether a job runs: whoever claims its row does.
"""

from __future__ import annotations

import asyncio
import uuid

import structlog

from automation.errors import TenantryError
from automation.jobs.store import JobStore
from automation.queues.seam import Queue

PUBLISH_SECONDS = 10.0
"""After this long the job is left to the sweeper, which publishes it as soon as the queue is there again."""

log = structlog.get_logger("tenantry.service")


class Publisher:
    """Publishes in the background, and notes in the job's row that it was done."""

    def __init__(self, store: JobStore, queue: Queue) -> None:
        self._store = store
        self._queue = queue
        self._running: set[asyncio.Task[None]] = set()

    def soon(self, job: uuid.UUID) -> None:
        """Publishes `job` without making the caller wait."""
        task = asyncio.create_task(self._publish(job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _publish(self, job: uuid.UUID) -> None:
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._queue.publish(job)
                await self._store.mark_published(job)
        except (TenantryError, TimeoutError) as error:
            log.warning("a job was accepted but could not be queued yet", job=str(job), reason=str(error))

    async def close(self) -> None:
        """Waits for what is under way; it ends by itself within PUBLISH_SECONDS."""
        while self._running:
            await asyncio.wait(set(self._running), timeout=PUBLISH_SECONDS)

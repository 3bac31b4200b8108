"""Consuming in a block, and waiting for what a handler has seen."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from automation.queues.seam import Handler, Queue

LIMIT = 30.0


@contextlib.asynccontextmanager
async def consuming(queue: Queue, handler: Handler, *, concurrency: int = 1) -> AsyncIterator[None]:
    """Consumes while in the block; a fault of the consumer is the test's."""
    task = asyncio.create_task(queue.consume(handler, concurrency=concurrency))
    try:
        yield
    finally:
        await asyncio.wait_for(queue.stop(), LIMIT)
        await asyncio.wait_for(task, LIMIT)


async def until(found: Callable[[], bool | Awaitable[object]], limit: float = LIMIT) -> None:
    """Returns when `found()`, which may be awaitable, is true; TimeoutError after `limit` seconds."""
    async with asyncio.timeout(limit):
        while not (  # noqa: ASYNC110 - what is waited for happens elsewhere
            await answer if isinstance(answer := found(), Awaitable) else answer
        ):
            await asyncio.sleep(0.02)

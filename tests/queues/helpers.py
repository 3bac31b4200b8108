"""Consuming in a block, and waiting for what a handler has seen."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import aio_pika
import pytest

from automation.queues import rabbitmq_broker as broker
from automation.queues.rabbitmq import RabbitQueue
from automation.queues.seam import Handler, Queue

LIMIT = 30.0

# Read at once: other fixtures clear the environment of what the caller's shell says.
_URL = os.environ.get("TENANTRY_TEST_RABBITMQ_URL", "")
_HOME = os.environ.get("TENANTRY_TEST_RABBITMQ_HOME", "")
_REQUIRED = bool(os.environ.get("TENANTRY_REQUIRE_SERVERS"))


def rabbitmq_url() -> str:
    """The broker that `.ci/run` has started; a test that needs it is skipped without, and fails where it must run."""
    if not _URL:
        reason = "TENANTRY_TEST_RABBITMQ_URL names no RabbitMQ; `.ci/rabbitmq start FOLDER` starts one"
        if _REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    return _URL


def rabbitmq_home() -> str:
    """The folder of a broker that a test may kill and start again with `.ci/rabbitmq`; skips or fails likewise."""
    rabbitmq_url()
    if not _HOME:
        reason = "TENANTRY_TEST_RABBITMQ_HOME names no broker that may be killed"
        if _REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    return _HOME


async def delete_queues(queue: RabbitQueue) -> None:
    """Leaves nothing of a test in the broker."""
    connection = await aio_pika.connect(rabbitmq_url(), timeout=10)
    async with connection, connection.channel() as channel:
        for name in broker.arguments(queue.name.rpartition("/")[2]):
            await channel.queue_delete(name)


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

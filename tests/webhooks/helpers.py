"""Webhooks, events and a delivering process, as the tests make them."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from automation.jobs.database import transaction
from automation.jobs.model import Caller
from automation.settings import Settings
from automation.webhooks import deliver
from automation.webhooks.manage import Webhooks
from automation.webhooks.outbox import enqueue
from tests.webhooks.receiver import Receiver

ANNA = Caller(subject="anna", address="192.0.2.1", correlation_id="c-1")


@contextlib.asynccontextmanager
async def running(engine: AsyncEngine, settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(deliver.run(engine, settings, stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(90):
            await task


async def tell(engine: AsyncEngine, settings: Settings, event: str = "job.succeeded", tenant: str = "acme") -> int:
    async with transaction(engine, settings) as connection:
        return await enqueue(connection, event, tenant, {"job": {"id": "7", "message": "grün"}})


async def hook(hooks: Webhooks, receiver: Receiver, **values: Any) -> tuple[uuid.UUID, str]:
    made, secret = await hooks.create(ANNA, **{"tenant": "acme", "url": receiver.url, "events": ["*"]} | values)
    return uuid.UUID(made["id"]), secret


async def ended(hooks: Webhooks, webhook: uuid.UUID, number: int = 1, seconds: float = 90) -> list[dict[str, Any]]:
    """The deliveries of a webhook, oldest first, once `number` of them have ended."""
    rows: list[dict[str, Any]] = []

    async def enough() -> bool:
        rows[:] = (await hooks.deliveries(webhook, size=200))[0]
        return sum(row["status"] != "pending" for row in rows) >= number

    assert await until(enough, seconds), rows
    return rows[::-1]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 90) -> bool:
    """Whether `condition` came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if await condition():
            return True
        await asyncio.sleep(0.05)
    return False

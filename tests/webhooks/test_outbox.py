"""The outbox: who is told of an event, and that nobody is told of what was not committed."""

import uuid
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from automation.jobs.database import transaction
from automation.models_jobs import webhook_deliveries, webhooks
from automation.settings import Settings
from automation.webhooks.outbox import enqueue


async def add(connection: AsyncConnection, url: str, tenant: str | None, events: list[str], **values: Any) -> None:
    row = {"id": uuid.uuid4(), "tenant": tenant, "url": url, "events": events, "secret": b"x", "created_by": "a"}
    await connection.execute(insert(webhooks).values(row | values))


async def told(connection: AsyncConnection) -> list[tuple[str, str, Any]]:
    rows = await connection.execute(
        select(webhooks.c.url, webhook_deliveries.c.event, webhook_deliveries.c.payload)
        .join(webhooks)
        .order_by(webhooks.c.url)
    )
    return [(row.url, row.event, row.payload) for row in rows]


@pytest.fixture
async def hooks(engine: AsyncEngine, settings: Settings, acme: str) -> None:
    async with transaction(engine, settings) as connection:
        await add(connection, "acme-failures", "acme", ["job.failed"])
        await add(connection, "acme-off", "acme", ["*"], active=False)
        await add(connection, "acme-all", "acme", ["*"])
        await add(connection, "other-all", "other", ["*"])
        await add(connection, "platform", None, ["job.created", "job.failed"])


async def test_each_webhook_that_wants_it_is_told_once(engine: AsyncEngine, settings: Settings, hooks: None) -> None:
    async with transaction(engine, settings) as connection:
        assert await enqueue(connection, "job.failed", "acme", {"job": {"id": "7"}}) == 3
        assert [url for url, _, _ in await told(connection)] == ["acme-all", "acme-failures", "platform"]
        bodies = [body for _, _, body in await told(connection)]
        assert bodies[0] == bodies[1] == bodies[2], "one event has one id, whoever is told"
        assert bodies[0].keys() == {"id", "type", "created_at", "tenant", "data"}
        assert (bodies[0]["type"], bodies[0]["tenant"], bodies[0]["data"]) == (
            "job.failed",
            "acme",
            {"job": {"id": "7"}},
        )
        assert await enqueue(connection, "tenant.active", "other", {}) == 1
        assert await enqueue(connection, "job.failed", None, {}) == 1


async def test_nobody_is_told_of_what_was_undone(engine: AsyncEngine, settings: Settings, hooks: None) -> None:
    async with engine.connect() as connection:
        assert await enqueue(connection, "job.failed", "acme", {}) == 3
        await connection.rollback()
    async with transaction(engine, settings) as connection:
        assert await told(connection) == []


async def test_an_event_that_does_not_exist_is_a_mistake(engine: AsyncEngine, settings: Settings) -> None:
    async with transaction(engine, settings) as connection:
        with pytest.raises(ValueError, match=r"job\.exploded"):
            await enqueue(connection, "job.exploded", "acme", {})

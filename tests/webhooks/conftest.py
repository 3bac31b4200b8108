"""The main database with its tables, for what is async; and webhooks that may reach receivers on loopback."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.database import ensure_ready
from automation.jobs.database import async_engine_for, transaction
from automation.models import tenants
from automation.settings import Settings, load_settings
from automation.webhooks.manage import Webhooks


@pytest.fixture
def settings(main_db: Any, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse battery staple")
    monkeypatch.setenv("TENANTRY_WEBHOOK_ALLOW", "127.0.0.0/8 localhost")
    monkeypatch.setenv("TENANTRY_WEBHOOK_TIMEOUT", "20")
    monkeypatch.setenv("TENANTRY_WEBHOOK_RETRY_DELAYS", "[0.05, 0.05]")
    found = load_settings()
    ensure_ready(found)
    return found


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    made = async_engine_for(settings, application="test", pool_size=20)
    yield made
    await made.dispose()


@pytest.fixture
async def acme(engine: AsyncEngine, settings: Settings) -> str:
    """A tenant that works."""
    async with transaction(engine, settings) as connection:
        for slug in ("acme", "other"):
            await connection.execute(insert(tenants).values(slug=slug, name=slug, status="active"))
    return "acme"


@pytest.fixture
def hooks(engine: AsyncEngine, settings: Settings) -> Webhooks:
    return Webhooks(engine, settings)

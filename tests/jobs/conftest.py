"""A store of jobs on a real, fresh main database."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.database import ensure_ready
from automation.jobs.database import async_engine_for
from automation.jobs.store import JobStore
from automation.settings import Settings, load_settings


@pytest.fixture
def settings(main_db: object) -> Settings:
    loaded = load_settings()
    ensure_ready(loaded)
    return loaded


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = async_engine_for(settings, application="test")
    yield engine
    await engine.dispose()


@pytest.fixture
def store(engine: AsyncEngine, settings: Settings) -> JobStore:
    return JobStore(engine, settings)

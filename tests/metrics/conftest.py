"""The main database with its tables, for what is async."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.database import ensure_ready
from automation.jobs.database import async_engine_for
from automation.settings import Settings, load_settings

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def settings(main_db: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    found = load_settings()
    ensure_ready(found)
    return found


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    made = async_engine_for(settings, application="test")
    yield made
    await made.dispose()

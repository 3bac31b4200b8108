"""A yard on the session's server, and one on a server of its own, which a test may stop."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from automation.database import ensure_ready
from automation.settings import load_settings
from sandbox.postgres import EmbeddedPostgres
from tests.automation.conftest import project
from tests.conftest import MainDatabase
from tests.servers import named_postgres
from tests.worker.yard import Yard

__all__ = ["project"]


@pytest.fixture
async def yard(project: Path, main_db: MainDatabase) -> AsyncIterator[Yard]:
    ensure_ready(load_settings())
    made = Yard(project, main_db.server, main_db.name)
    yield made
    await made.close()
    made.clean()


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that a test may stop, named by the environment."""
    with named_postgres(monkeypatch, f"tenantry_{uuid.uuid4().hex[:12]}") as (_, server):
        yield server


@pytest.fixture
async def own_yard(project: Path, own_server: EmbeddedPostgres) -> AsyncIterator[Yard]:
    """A yard whose PostgreSQL is its own."""
    settings = load_settings()
    ensure_ready(settings)
    made = Yard(project, own_server, settings.database.main_database)
    yield made
    await made.close()

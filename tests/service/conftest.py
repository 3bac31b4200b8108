"""The service's app on a real main database, with callers of every role."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from psycopg import sql

from automation.database import ensure_ready
from automation.settings import load_settings
from sandbox.postgres import EmbeddedPostgres
from service.app import create_app
from service.settings import ServiceSettings
from service.state import State
from tests.automation.helpers import PASSPHRASE, ROOT
from tests.service.helpers import SECRET
from tests.service.server import served


@pytest.fixture
def service_env(tmp_path: Path, main_db: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the service is configured by: a project, a secret for tokens, and limits that tests do not reach."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path / "Pulumi.yaml")
    (tmp_path / "stacks").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("TENANTRY_", "RABBITMQ_")) and not name.startswith("TENANTRY_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("TENANTRY_JWT_SECRET", SECRET)
    monkeypatch.setenv("TENANTRY_PROVISIONINGS_PER_HOUR", "0")
    monkeypatch.setenv("TENANTRY_REQUESTS_PER_MINUTE", "0")


@pytest.fixture
async def app(service_env: None) -> AsyncIterator[FastAPI]:
    """The app, started, on a database that is ready."""
    settings = load_settings()
    await asyncio.to_thread(ensure_ready, settings)
    made = create_app(ServiceSettings(live_seconds=20), settings)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
def state(app: FastAPI) -> State:
    found: State = app.state.tenantry
    return found


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Nobody: each request says who it is with `headers=as_(...)`."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test", timeout=30) as made:
        yield made


@pytest.fixture(scope="session")
def served_database(postgres: EmbeddedPostgres) -> Iterator[tuple[str, dict[str, str]]]:
    """A main database for all tests with `server`: its URL, and the environment that names it."""
    name = f"tenantry_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield postgres.url(name), postgres.env() | {"DB_NAME": name}
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def server(served_database: tuple[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one service for all tests that ask for it, with limits that they do not reach."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copy(ROOT / "Pulumi.yaml", folder / "Pulumi.yaml")
    environment = {
        **served_database[1],
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "TENANTRY_JWT_SECRET": SECRET,
        "TENANTRY_PROVISIONINGS_PER_HOUR": "0",
        "TENANTRY_REQUESTS_PER_MINUTE": "0",
        "TENANTRY_LIVE_SECONDS": "0.2",
        "TENANTRY_TEMPLATES": str(folder / "templates"),
    }
    with served(environment, folder) as url:
        yield url


@pytest.fixture
def http(server: str) -> Iterator[httpx.Client]:
    """A client of `server`."""
    with httpx.Client(base_url=server, timeout=30) as made:
        yield made

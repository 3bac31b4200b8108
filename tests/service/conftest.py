"""The service's app on a real main database, with callers of every role."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from automation.settings import load_settings
from service.app import create_app
from service.settings import ServiceSettings
from service.state import State
from tests.automation.helpers import PASSPHRASE, ROOT
from tests.service.helpers import SECRET


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
    """The app, started."""
    made = create_app(ServiceSettings(live_seconds=20), load_settings())
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

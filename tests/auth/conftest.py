"""An app with `Auth` on a fresh main database, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from automation.database import ensure_ready
from automation.jobs.database import async_engine_for
from automation.settings import load_settings
from service.auth.deps import Auth
from service.auth.settings import load_auth_settings
from tests.auth.helpers import KEY, small_app


@pytest.fixture
async def auth(main_db: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Auth]:
    monkeypatch.setenv("TENANTRY_JWT_SECRET", KEY)
    settings = load_settings()
    ensure_ready(settings)
    engine = async_engine_for(settings, application="tenantry test")
    made = Auth(engine, settings, *load_auth_settings())
    yield made
    await made.close()
    await engine.dispose()


@pytest.fixture
def app(auth: Auth) -> FastAPI:
    made = small_app()
    made.state.auth = auth
    return made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as made:
        yield made

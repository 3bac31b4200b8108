"""/healthz and /readyz: alive is not ready, and what is missing is named."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from automation.jobs.database import transaction
from automation.models import HEAD
from automation.queues.seam import Depth, QueueError
from service import fresh, health
from service.fresh import Fresh
from service.health import Ready
from service.state import State


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(health, "CHECK_SECONDS", 1.0)


async def test_both_are_ok_when_all_is_there(state: State, client: httpx.AsyncClient) -> None:
    await state.queue.open()
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "database": "ok", "queue": "ok"})
    assert ready.headers["cache-control"] == "no-store"


async def test_a_lost_database_is_named_and_the_process_lives(
    state: State, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await state.queue.open()
    async with transaction(state.engine, state.settings) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    older = await client.get("/readyz")
    assert (older.status_code, older.json()["database"]) == (503, f"has tables of revision 0001, not {HEAD}")
    monkeypatch.setattr(health, "transaction", _refused)
    lost = await client.get("/readyz")
    assert (lost.status_code, lost.json()["database"], lost.json()["queue"]) == (503, "cannot be reached", "ok")
    assert (await client.get("/healthz")).status_code == 200


def _refused(*given: object) -> None:
    from automation.errors import DatabaseError

    raise DatabaseError("the main database at 10.0.0.1:5432 cannot be reached")


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_lost_queue_is_named(
    state: State, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    async def depth(self: object) -> Depth:
        await asyncio.sleep(60 if hangs else 0)
        raise QueueError("rabbitmq at 10.0.0.2 cannot be reached")

    monkeypatch.setattr(type(state.queue), "depth", depth)
    got = await client.get("/readyz")
    assert got.status_code == 503
    assert got.json() == {"status": "unavailable", "database": "ok", "queue": "cannot be reached"}


async def test_many_who_ask_at_once_are_one_check(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = 0

    async def check(source: object) -> health.Ready:
        nonlocal checks
        checks += 1
        await asyncio.sleep(0.1)
        return health.Ready(status="ok", database="ok", queue="ok")

    monkeypatch.setattr(fresh, "FRESH_SECONDS", 60.0)
    monkeypatch.setattr(health, "check", check)
    app.state.readiness = Fresh[Ready]()
    answers = await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
    assert {one.status_code for one in answers} == {200}
    assert checks == 1

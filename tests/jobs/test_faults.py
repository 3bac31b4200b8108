"""The database goes away and comes back, kills connections, has none left: nothing is lost, nothing is half done."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.database import ensure_ready
from automation.errors import DatabaseError
from automation.jobs import reading
from automation.jobs.database import async_engine_for, transaction
from automation.jobs.database import looking_up as autocommitting
from automation.jobs.live import EventHub
from automation.jobs.model import Ending
from automation.jobs.store import JobStore
from automation.models_jobs import JobStatus
from automation.settings import Settings, load_settings
from sandbox import postgres as sandbox_postgres
from tests.jobs.helpers import ALICE, new_job
from tests.servers import named_postgres


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server that a test may stop."""
    with named_postgres(monkeypatch) as (home, _):
        yield home


@pytest.fixture
async def own(home: Path) -> AsyncIterator[tuple[JobStore, AsyncEngine, Settings]]:
    settings = load_settings()
    await asyncio.to_thread(ensure_ready, settings)
    engine = async_engine_for(settings, application="test")
    yield JobStore(engine, settings), engine, settings
    await engine.dispose()


async def test_a_restart_of_the_database_loses_no_job_no_lease_and_no_follower(
    home: Path, own: tuple[JobStore, AsyncEngine, Settings]
) -> None:
    store, engine, settings = own
    waiting, _ = await store.submit(new_job("waiting", idempotency_key="k", request_hash="h"))
    running, _ = await store.submit(new_job("running"))
    found = await store.claim(running.id, worker="w1", lease_seconds=600)
    assert found is not None
    hub = EventHub(engine, settings)
    await hub.start()
    seen: list[int] = []

    async def follow() -> None:
        seen.extend([event.seq async for event in hub.follow(running.id)])

    follower = asyncio.create_task(follow())
    await asyncio.wait_for(hub.listening.wait(), 20)
    await asyncio.to_thread(sandbox_postgres.stop, home)
    for call in (store.get(running.id), store.due(1), store.renew(found[1], 60), store.submit(new_job("third"))):
        with pytest.raises(DatabaseError) as away:
            await call
        assert settings.database.password not in away.value.message + away.value.hint or not settings.database.password
    assert not follower.done()
    await asyncio.to_thread(sandbox_postgres.start, home)

    assert await store.due(10) == [waiting.id]
    assert await store.submit(new_job("waiting", idempotency_key="k", request_hash="h")) == (waiting, False)
    assert await store.claim(running.id, worker="w2", lease_seconds=60) is None
    assert await store.renew(found[1], 60)
    ended = await store.finish(found[1], Ending(status=JobStatus.SUCCEEDED))
    assert ended is not None
    await asyncio.wait_for(follower, 30)
    assert seen == [1, 2, 3, 4]
    await asyncio.wait_for(hub.listening.wait(), 20)
    await hub.stop()


async def test_an_acceptance_whose_connection_dies_leaves_nothing_and_can_be_repeated(
    store: JobStore, engine: AsyncEngine, settings: Settings
) -> None:
    blocker = async_engine_for(settings, application="blocker")
    async with blocker.begin() as other:
        # The acceptance gets as far as its audit row, and waits.
        await other.execute(text("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE"))
        accepting = asyncio.create_task(store.submit(new_job()))
        stuck = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'test' AND wait_event_type = 'Lock'"
        )
        # Each look in a transaction of its own: within one, PostgreSQL goes on showing what it showed first.
        for _ in range(400):
            async with autocommitting(engine, settings) as killer:
                if (await killer.execute(stuck)).all():
                    break
            await asyncio.sleep(0.05)
        with pytest.raises(DatabaseError):
            await accepting
    async with engine.connect() as connection:
        assert (await reading.jobs_page(connection)) == ([], 0)
        assert (await reading.tenants_page(connection, status="all")) == ([], 0)
    _, created = await store.submit(new_job())
    assert created
    await blocker.dispose()


async def test_without_a_free_connection_a_caller_is_told_in_time(settings: Settings) -> None:
    engine = async_engine_for(settings, application="test", pool_size=1, pool_seconds=0.3)
    async with transaction(engine, settings):
        with pytest.raises(DatabaseError):
            await JobStore(engine, settings).due(1)
    assert await JobStore(engine, settings).due(1) == []
    await engine.dispose()


async def test_a_worker_that_vanished_is_replaced_within_its_lease(store: JobStore) -> None:
    """Many jobs of a dead worker: each is found due once its lease has run out, and ends once."""
    jobs = [(await store.submit(new_job(f"t{number}")))[0] for number in range(6)]
    for job in jobs:
        assert await store.claim(job.id, worker="dead", lease_seconds=0.5) is not None
        await store.mark_published(job.id)
    await asyncio.sleep(0.6)
    due = await store.due(10)
    assert sorted(map(str, due)) == sorted(str(job.id) for job in jobs)
    await store.request_cancel(jobs[0].id, ALICE)
    for job in jobs:
        found = await store.claim(job.id, worker="alive", lease_seconds=60)
        assert found is not None
        assert (found[0].attempts, found[0].cancel_requested_at is not None) == (2, job is jobs[0])
        assert await store.finish(found[1], Ending(status=JobStatus.SUCCEEDED)) is not None
    assert await store.due(10) == []

"""Whoever follows a job sees all its events, in order, once, whatever happens to the connections."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.errors import NotFoundError
from automation.jobs import effects
from automation.jobs.live import EventHub
from automation.jobs.model import Ending
from automation.jobs.store import JobStore
from automation.models_jobs import EventKind, JobStatus
from automation.settings import Settings
from tests.jobs.helpers import ALICE, new_job


@pytest.fixture
async def hub(engine: AsyncEngine, settings: Settings) -> AsyncIterator[EventHub]:
    hub = EventHub(engine, settings)
    await hub.start()
    await asyncio.wait_for(hub.listening.wait(), 10)
    yield hub
    await hub.stop()


async def log(engine: AsyncEngine, job: uuid.UUID, message: str) -> None:
    async with engine.begin() as connection:
        await effects.event(connection, job, EventKind.LOG, {"message": message})


async def collect(hub: EventHub, job: uuid.UUID, after: int = 0) -> list[int]:
    return [event.seq async for event in hub.follow(job, after)]


async def test_followers_see_every_event_up_to_the_end(hub: EventHub, store: JobStore, engine: AsyncEngine) -> None:
    job, _ = await store.submit(new_job())
    followers = [asyncio.create_task(collect(hub, job.id, after)) for after in (0, 0, 1)]
    found = await store.claim(job.id, worker="w1", lease_seconds=60)
    assert found is not None
    # Many writers at once: numbers are given in the order of commits, so that nobody skips one.
    await asyncio.gather(*(log(engine, job.id, str(number)) for number in range(40)))
    await store.finish(found[1], Ending(status=JobStatus.SUCCEEDED))
    seen = await asyncio.wait_for(asyncio.gather(*followers), 20)
    assert seen == [list(range(1, 45)), list(range(1, 45)), list(range(2, 45))]
    assert await asyncio.wait_for(collect(hub, job.id, 40), 10) == [41, 42, 43, 44]
    assert await asyncio.wait_for(collect(hub, job.id, 44), 10) == []
    assert await asyncio.wait_for(collect(hub, job.id, 1000), 10) == []
    with pytest.raises(NotFoundError):
        await collect(hub, uuid.uuid4())


async def test_an_event_is_told_at_once(hub: EventHub, store: JobStore, engine: AsyncEngine) -> None:
    job, _ = await store.submit(new_job())
    events = hub.follow(job.id, 1)
    hub._tasks[1].cancel()  # without the poll, only a notification can wake the follower
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.2)
    await log(engine, job.id, "here")
    event = await asyncio.wait_for(waiting, 5)
    assert (event.seq, event.kind, event.data) == (2, "log", {"message": "here"})
    await events.aclose()


async def test_a_connection_that_is_cut_loses_no_event(hub: EventHub, store: JobStore, engine: AsyncEngine) -> None:
    job, _ = await store.submit(new_job())
    follower = asyncio.create_task(collect(hub, job.id))
    async with engine.begin() as connection:
        killed = await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tenantry events'")
        )
        # Beside the hub's, that of the test before may still be on its way out.
        assert set(killed.all()) == {(True,)}
    await store.request_cancel(job.id, ALICE)
    assert await asyncio.wait_for(follower, 20) == [1, 2, 3]
    await asyncio.wait_for(hub.listening.wait(), 10)


async def test_without_notifications_the_poll_finds_the_events(
    hub: EventHub, store: JobStore, engine: AsyncEngine
) -> None:
    hub._tasks[0].cancel()
    job, _ = await store.submit(new_job())
    follower = asyncio.create_task(collect(hub, job.id))
    await asyncio.sleep(0.3)
    await store.request_cancel(job.id, ALICE)
    assert await asyncio.wait_for(follower, 10) == [1, 2, 3]


async def test_stopping_ends_every_follower(hub: EventHub, store: JobStore) -> None:
    job, _ = await store.submit(new_job())
    follower = asyncio.create_task(collect(hub, job.id))
    await asyncio.sleep(0.2)
    await hub.stop()
    assert await asyncio.wait_for(follower, 5) == [1]

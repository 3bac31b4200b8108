"""Jobs that wait for what their tenant is made on: whether an attempt begins, and what its row keeps of its waiting."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.errors import NotYetError
from automation.jobs import waiting
from automation.jobs.model import Ending, Job, Lease
from automation.jobs.store import JobStore
from automation.models_jobs import JobStatus, tenant_members
from automation.settings import Settings
from stacks.lines import CABINET
from tests.automation.helpers import MANIFEST
from tests.jobs.helpers import ALICE, new_job

AWAY = replace(CABINET, hold=lambda _manifest: "its engine is offline.")
THERE = replace(CABINET, hold=lambda _manifest: None)
WAITED = Ending(status=None, message="waiting: its engine is offline", waited=True)


async def running(store: JobStore, seconds: float = 60, **options: object) -> Job:
    job, _ = await store.submit(new_job(options={**waiting.until(seconds), **options}))
    found = await store.claim(job.id, worker="w1", lease_seconds=60)
    assert found is not None
    return found[0]


async def again(store: JobStore, engine: AsyncEngine, job: uuid.UUID, ending: Ending) -> Job:
    """The attempt ends so, and the next one begins."""
    async with engine.begin() as connection:
        attempts = (await connection.execute(text("SELECT attempts FROM jobs"))).scalar_one()
    assert await store.finish(Lease(job=job, worker="w1", attempt=attempts), ending) is not None
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE jobs SET not_before = now()"))
    found = await store.claim(job, worker="w1", lease_seconds=60)
    assert found is not None
    return found[0]


async def test_an_attempt_begins_as_soon_as_its_engine_answers(store: JobStore, engine: AsyncEngine) -> None:
    job = await running(store)
    parsed = CABINET.parse(MANIFEST)
    for turn in range(1, 4):
        with pytest.raises(NotYetError, match="its engine is offline"):
            waiting.demand_begin(job, AWAY, parsed)
        job = await again(store, engine, job.id, WAITED)
        assert (waiting.turns(job), job.attempts) == (turn, turn + 1)
    waiting.demand_begin(job, THERE, parsed)


async def test_it_waits_no_longer_than_it_may(store: JobStore) -> None:
    job = await running(store, seconds=-1)
    waiting.demand_begin(job, AWAY, CABINET.parse(MANIFEST))


async def test_what_has_begun_is_continued_and_not_held_up(store: JobStore, engine: AsyncEngine) -> None:
    """Its run says what is wrong: it has begun to make something, which is not to be left half made for a day."""
    job = await running(store)
    job = await again(store, engine, job.id, WAITED)
    died = Ending(status=None, message="its worker died", deployment_id=uuid.uuid4())
    job = await again(store, engine, job.id, died)
    assert (waiting.turns(job), waiting.begun(job)) == (1, 2)
    waiting.demand_begin(job, AWAY, CABINET.parse(MANIFEST))


async def test_a_worker_that_dies_while_it_looks_costs_no_waiting(store: JobStore, engine: AsyncEngine) -> None:
    """A deploy of the workers must not make every workspace fail that waits for its engine."""
    job = await running(store)
    job = await again(store, engine, job.id, Ending(status=None, message="its worker died"))
    with pytest.raises(NotYetError, match="its engine is offline"):
        waiting.demand_begin(job, AWAY, CABINET.parse(MANIFEST))


async def test_a_job_that_may_not_wait_never_asks(store: JobStore) -> None:
    job, _ = await store.submit(new_job())
    waiting.demand_begin(job, AWAY, CABINET.parse(MANIFEST))


async def test_it_is_looked_for_less_often_as_time_goes_on(store: JobStore, settings: Settings) -> None:
    job = await running(store)
    delays = [waiting.delay(replace(job, options={waiting.TURNS: turns})) for turns in range(40)]
    assert delays == sorted(delays)
    assert 0 < delays[0] < delays[-1] <= 60
    assert waiting.may_wait(job, datetime.now(UTC))
    assert not waiting.may_wait(job, datetime.now(UTC) + timedelta(seconds=61))


async def test_cancelled_while_it_waits(store: JobStore) -> None:
    job, _ = await store.submit(new_job(options=waiting.until(60)))
    ended = await store.request_cancel(job.id, ALICE)
    assert ended.status is JobStatus.CANCELLED


async def test_a_tenant_has_the_owners_that_its_creator_names(store: JobStore, engine: AsyncEngine) -> None:
    await store.submit(new_job(owners=("boss@acme.example", "alice")))
    await store.submit(new_job("other"))
    known = tenant_members.c
    async with engine.connect() as connection:
        rows = await connection.execute(select(known.tenant, known.subject, known.role, known.added_by))
        found = sorted(map(tuple, rows))
    assert found == [
        ("acme", "alice", "owner", "alice"),
        ("acme", "boss@acme.example", "owner", "alice"),
        ("other", "alice", "owner", "alice"),
    ]

"""Many at once: what two processes ask for at the same moment gets two answers, and never half of each."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.jobs import reading
from automation.jobs.database import async_engine_for
from automation.jobs.model import BusyError, ConflictError, Ending, Job
from automation.jobs.store import JobStore
from automation.models_jobs import JobStatus, job_events, jobs, manifests
from automation.settings import Settings
from tests.automation.helpers import MANIFEST
from tests.jobs.helpers import ALICE, new_job


@pytest.fixture
async def stores(settings: Settings) -> AsyncIterator[list[JobStore]]:
    """As several processes have them: a pool each."""
    # However slow the machine is: a caller who waits too long for a connection is another matter, tested apart.
    several = {"pool_size": 5, "pool_seconds": 120}
    engines = [async_engine_for(settings, application=f"test {number}", **several) for number in range(4)]
    yield [JobStore(engine, settings) for engine in engines]
    for engine in engines:
        await engine.dispose()


async def all_of(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 150)


async def count(engine: AsyncEngine, table: Any) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def test_a_hundred_callers_for_one_tenant_make_one_job(stores: list[JobStore], engine: AsyncEngine) -> None:
    answers = await all_of(
        stores[number % 4].submit(new_job(manifest=MANIFEST | {"name": f"Number {number}"})) for number in range(100)
    )
    accepted = [one for one in answers if not isinstance(one, BaseException)]
    assert len(accepted) == 1
    job, created = accepted[0]
    assert created
    refused = [one for one in answers if isinstance(one, BaseException)]
    assert {type(one) for one in refused} == {BusyError}
    assert {one.details["job"] for one in refused} == {str(job.id)}
    # What was refused left nothing behind: no version, no event.
    assert (await count(engine, jobs), await count(engine, manifests), await count(engine, job_events)) == (1, 1, 1)
    async with engine.connect() as connection:
        version = await reading.manifest(connection, "acme", 1)
        _, audited = await reading.audit_page(connection)
    assert version["manifest"]["name"] == (await _named(engine, job))
    assert audited == 1


async def _named(engine: AsyncEngine, job: Job) -> str:
    async with engine.connect() as connection:
        rows, _ = await reading.audit_page(connection, tenant=job.tenant)
    return str(rows[0]["after"]["manifest"]["name"])


async def test_a_hundred_tenants_at_once_are_a_hundred_jobs(stores: list[JobStore], engine: AsyncEngine) -> None:
    answers = await all_of(stores[number % 4].submit(new_job(f"t{number}")) for number in range(100))
    assert all(created for _, created in answers)
    assert await count(engine, jobs) == 100
    async with engine.connect() as connection:
        rows, total = await reading.tenants_page(connection, size=200)
    assert total == 100
    assert all(row["job"]["status"] == "pending" for row in rows)


async def test_one_key_sent_many_times_at_once_is_one_job(stores: list[JobStore], engine: AsyncEngine) -> None:
    answers = await all_of(
        stores[number % 4].submit(new_job(idempotency_key="k", request_hash="same")) for number in range(40)
    )
    assert Counter(created for _, created in answers) == {True: 1, False: 39}
    assert len({job.id for job, _ in answers}) == 1
    others = await all_of(
        stores[number % 4].submit(new_job(f"t{number}", idempotency_key="k", request_hash=str(number)))
        for number in range(8)
    )
    assert {type(one) for one in others} == {ConflictError}
    assert await count(engine, jobs) == 1


async def test_previews_run_beside_each_other_and_beside_a_run(stores: list[JobStore], engine: AsyncEngine) -> None:
    await stores[0].submit(new_job())
    answers = await all_of(stores[number % 4].submit(new_job(operation="preview")) for number in range(20))
    assert all(created for _, created in answers)


async def test_of_many_workers_one_gets_the_job(stores: list[JobStore]) -> None:
    submitted = [(await stores[0].submit(new_job(f"t{number}")))[0].id for number in range(5)]

    async def worker(number: int) -> list[uuid.UUID]:
        order = random.Random(number).sample(submitted, len(submitted))  # noqa: S311
        store = stores[number % 4]
        return [job for job in order if await store.claim(job, worker=f"w{number}", lease_seconds=60) is not None]

    got = await all_of(worker(number) for number in range(20))
    assert sorted(str(job) for one in got for job in one) == sorted(map(str, submitted))


async def test_of_many_that_take_over_one_gets_the_job_and_the_late_one_ends_nothing(stores: list[JobStore]) -> None:
    job, _ = await stores[0].submit(new_job())
    first = await stores[0].claim(job.id, worker="first", lease_seconds=0.05)
    assert first is not None
    await asyncio.sleep(0.1)
    takers = await all_of(
        stores[number % 4].claim(job.id, worker=f"w{number}", lease_seconds=60) for number in range(20)
    )
    taken = [one for one in takers if one is not None]
    assert len(taken) == 1
    done = Ending(status=JobStatus.SUCCEEDED)
    endings = await all_of(
        store.finish(lease, done) for store in stores for lease in (first[1], taken[0][1], first[1], taken[0][1])
    )
    assert [one.status for one in endings if one is not None] == [JobStatus.SUCCEEDED]
    events = await stores[0].events(job.id)
    assert [event.kind for event in events].count("end") == 1


async def test_cancel_and_claim_and_finish_at_the_same_moment_end_the_job_once(
    stores: list[JobStore], engine: AsyncEngine
) -> None:
    for turn in range(12):
        job, _ = await stores[0].submit(new_job())

        async def run(store: JobStore, job: Job = job) -> str:
            found = await store.claim(job.id, worker="w", lease_seconds=60)
            if found is None:
                return "not claimed"
            ended = await store.finish(found[1], Ending(status=None if turn % 2 else JobStatus.FAILED))  # noqa: B023
            return ended.status.value if ended is not None else "lost"

        outcome, _, _ = await all_of(
            [run(stores[1]), stores[2].request_cancel(job.id, ALICE), stores[3].request_cancel(job.id, ALICE)]
        )
        left = await stores[0].get(job.id)
        if not left.ended:
            assert outcome == "pending"
            left = await stores[0].request_cancel(job.id, ALICE)
        assert left.status in {JobStatus.CANCELLED, JobStatus.FAILED}
        events = await stores[0].events(job.id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.kind for event in events].count("end") == 1
        assert events[-1].kind == "end"
        assert events[-1].data["status"] == left.status.value


async def test_the_end_of_one_job_lets_exactly_one_waiting_caller_in(stores: list[JobStore]) -> None:
    async def insist(store: JobStore) -> Job:
        while True:
            try:
                return (await store.submit(new_job()))[0]
            except BusyError:
                await asyncio.sleep(0.01)

    waiting = [asyncio.create_task(insist(stores[number % 4])) for number in range(8)]
    ended: list[uuid.UUID] = []
    async with asyncio.timeout(60):
        while waiting:
            done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert len(done) == 1
            waiting = list(pending)
            job = done.pop().result()
            ended.append((await stores[0].request_cancel(job.id, ALICE)).id)
    assert len(set(ended)) == 8

"""What the API and the pages are shown: filters, pages, what a reader may see, and what is out of bounds."""

import json
import uuid
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from automation.errors import InputError, NotFoundError
from automation.jobs import reading
from automation.jobs.model import Ending
from automation.jobs.store import JobStore
from automation.models import deployment_logs, deployment_steps, deployments, tenants
from automation.models_jobs import JobStatus
from tests.jobs.helpers import ALICE, BOB, new_job

RUN = {"operation": "up", "correlation_id": "c", "actor": "a", "host": "h", "pid": 1, "engine": "fake"}


@pytest.fixture
async def connection(engine: AsyncEngine, store: JobStore) -> Any:
    async with engine.connect() as connection:
        yield connection


def slugs(page: tuple[list[dict[str, Any]], int]) -> list[str]:
    json.dumps(page)
    return [row["slug"] for row in page[0]]


async def test_tenants_are_searched_filtered_and_paged(
    store: JobStore, engine: AsyncEngine, connection: AsyncConnection
) -> None:
    for slug, name in (("alpha", "Zahn 100%"), ("beta", "Alpine"), ("gamma", "Über_Zahn"), ("gone", "Gone")):
        await store.submit(new_job(slug, name=name))
    async with engine.begin() as change:
        await change.execute(text("UPDATE tenants SET status = 'active' WHERE slug = 'beta'"))
        await change.execute(text("UPDATE tenants SET status = 'removed' WHERE slug = 'gone'"))
        for status in ("failed", "succeeded"):
            await change.execute(insert(deployments).values(id=uuid.uuid4(), tenant="beta", status=status, **RUN))
    assert slugs(await reading.tenants_page(connection)) == ["alpha", "beta", "gamma"]
    assert slugs(await reading.tenants_page(connection, status="all")) == ["alpha", "beta", "gamma", "gone"]
    assert slugs(await reading.tenants_page(connection, status="removed")) == ["gone"]
    assert slugs(await reading.tenants_page(connection, search="ALP")) == ["alpha", "beta"]
    assert slugs(await reading.tenants_page(connection, search="%")) == ["alpha"]
    assert slugs(await reading.tenants_page(connection, search="_zahn")) == ["gamma"]
    assert slugs(await reading.tenants_page(connection, search="\x00")) == []
    assert slugs(await reading.tenants_page(connection, line="site")) == []
    assert slugs(await reading.tenants_page(connection, visible={"beta", "gone", "else"})) == ["beta"]
    assert await reading.tenants_page(connection, visible=set()) == ([], 0)
    rows, total = await reading.tenants_page(connection, page=2, size=2)
    assert (slugs((rows, total)), total) == (["gamma"], 3)
    rows, total = await reading.tenants_page(connection, page=1, size=2)
    assert (slugs((rows, total)), total) == (["alpha", "beta"], 3)
    assert rows[1]["last"]["status"] == "succeeded"
    assert rows[0]["last"] is None
    assert rows[0]["job"]["operation"] == "up"
    assert await reading.tenants_page(connection, page=9, size=2) == ([], 3)


@pytest.mark.parametrize("bounds", [{"page": 0}, {"size": 0}, {"size": 201}, {"page": 10**9}])
async def test_a_page_out_of_bounds_is_refused(connection: AsyncConnection, bounds: dict[str, int]) -> None:
    for read in (reading.tenants_page, reading.jobs_page, reading.audit_page):
        with pytest.raises(InputError) as refused:
            await read(connection, **bounds)
        assert refused.value.problems[0][0] == next(iter(bounds))


async def test_jobs_are_filtered_and_paged(store: JobStore, connection: AsyncConnection) -> None:
    ids = []
    for number in range(5):
        job, _ = await store.submit(new_job(f"t{number % 2}", caller=ALICE if number else BOB))
        ids.append(str(job.id))
        await store.request_cancel(job.id, ALICE)
    newest = ids[::-1]

    async def shown(**filters: Any) -> list[str]:
        rows, total = await reading.jobs_page(connection, **filters)
        json.dumps(rows)
        assert total >= len(rows)
        return [row["id"] for row in rows]

    assert await shown() == newest
    assert await shown(tenant="t1") == [ids[3], ids[1]]
    assert await shown(visible={"t0"}) == [ids[4], ids[2], ids[0]]
    assert await shown(visible={"t0"}, tenant="t1") == []
    assert await shown(status="cancelled", actor="bob") == [ids[0]]
    assert await shown(status="running") == []
    assert await shown(operation="destroy") == []
    assert await shown(page=2, size=2) == newest[2:4]
    rows, _ = await reading.jobs_page(connection, size=2)
    assert await shown(before=rows[-1]["number"], size=2) == newest[2:4]
    rows, total = await reading.audit_page(connection, tenant="t0", size=2)
    assert (len(rows), total) == (2, 9)
    assert (await reading.audit_page(connection, visible=set())) == ([], 0)
    assert (await reading.audit_page(connection, actor="bob"))[1] == 2


async def test_a_total_stops_counting(store: JobStore, connection: AsyncConnection) -> None:
    await connection.execute(
        insert(tenants), [{"slug": f"t{number:05}", "name": "T", "status": "active"} for number in range(10_050)]
    )
    rows, total = await reading.tenants_page(connection, size=1)
    assert (len(rows), total) == (1, reading.COUNT_LIMIT)
    # Beyond it, the total says whether there is a next page.
    rows, total = await reading.tenants_page(connection, page=10_040, size=1)
    assert (len(rows), total) == (1, 10_041)
    rows, total = await reading.tenants_page(connection, page=10_050, size=1)
    assert (len(rows), total) == (1, 10_050)
    rows, total = await reading.tenants_page(connection, page=10_060, size=1)
    assert (len(rows), total) == (0, reading.COUNT_LIMIT)


async def test_a_job_shows_the_steps_and_log_of_all_its_attempts(
    store: JobStore, engine: AsyncEngine, connection: AsyncConnection
) -> None:
    job, _ = await store.submit(new_job())
    assert (await reading.job_detail(connection, job.id))["steps"] == []
    found = await store.claim(job.id, worker="w1", lease_seconds=60)
    assert found is not None
    first, second = uuid.uuid4(), uuid.uuid4()
    async with engine.begin() as change:
        for number, deployment in enumerate((first, second)):
            await change.execute(
                insert(deployments).values(id=deployment, tenant="acme", status="failed", job_id=job.id, **RUN)
            )
            await change.execute(
                insert(deployment_logs),
                [{"deployment_id": deployment, "level": "info", "message": f"try {number}"}] * 2,
            )
            await change.execute(
                insert(deployment_steps).values(
                    deployment_id=deployment, key=f"k{number}", position=0, title="K", status="failed"
                )
            )
    await store.finish(found[1], Ending(status=JobStatus.FAILED, deployment_id=second, error={"message": "no"}))
    detail = await reading.job_detail(connection, job.id)
    json.dumps(detail)
    assert (detail["status"], detail["error"], detail["deployment_id"]) == ("failed", {"message": "no"}, str(second))
    assert [step["key"] for step in detail["steps"]] == ["k1"]
    assert await reading.job_steps(connection, job.id) == detail["steps"]
    lines = await reading.job_logs(connection, job.id)
    assert [line["message"] for line in lines] == ["try 0", "try 0", "try 1", "try 1"]
    assert [line["message"] for line in await reading.job_logs(connection, job.id, after=lines[2]["id"])] == ["try 1"]
    assert len(await reading.job_logs(connection, job.id, limit=1)) == 1
    rows, total = await reading.deployments_page(connection, "acme")
    assert ([row["id"] for row in rows], total) == ([str(second), str(first)], 2)


async def test_what_is_not_there_is_said_by_name(connection: AsyncConnection) -> None:
    nobody = uuid.uuid4()
    for call in (
        reading.job_detail(connection, nobody),
        reading.job_steps(connection, nobody),
        reading.job_logs(connection, nobody),
        reading.deployment(connection, nobody),
    ):
        with pytest.raises(NotFoundError, match=str(nobody)):
            await call
    for call in (
        reading.tenant(connection, "ghost"),
        reading.tenant(connection, "a\x00"),
        reading.deployments_page(connection, "ghost"),
        reading.manifests(connection, "ghost"),
        reading.manifest(connection, "ghost", 1),
    ):
        with pytest.raises(NotFoundError, match="no tenant"):
            await call

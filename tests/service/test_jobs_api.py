"""Jobs over HTTP: listed, shown, cancelled, repeated; and who may."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from automation.jobs.model import Ending
from automation.models_jobs import JobStatus
from service.state import State
from tests.conftest import MainDatabase
from tests.service.helpers import as_, manifest
from tests.service.seed import seed


async def _claimed(state: State, job: str) -> Any:
    found = await state.store.claim(uuid.UUID(job), worker="test", lease_seconds=60)
    assert found is not None
    return found[1]


async def test_a_job_is_shown_with_its_steps_and_log(client: httpx.AsyncClient, main_db: MainDatabase) -> None:
    with main_db.connect() as connection:
        seeded = seed(connection)
    job = (await client.get(f"/api/v1/jobs/{seeded.job}", headers=as_("ann"))).json()
    assert (job["status"], job["progress"]) == ("succeeded", 100)
    assert [step["key"] for step in job["steps"]] == ["record"]
    steps = (await client.get(f"/api/v1/jobs/{seeded.job}/steps", headers=as_("ann"))).json()
    assert steps["items"] == job["steps"]
    lines = (await client.get(f"/api/v1/jobs/{seeded.job}/logs", headers=as_("ann"))).json()["items"]
    assert [line["message"] for line in lines] == ["made"]
    after = {"after": lines[-1]["id"]}
    later = (await client.get(f"/api/v1/jobs/{seeded.job}/logs", params=after, headers=as_("ann"))).json()
    assert later["items"] == []
    assert (await client.get(f"/api/v1/jobs/{seeded.job}", headers=as_("bob", "creator"))).status_code == 404


async def test_jobs_are_filtered_and_limited_to_what_the_caller_may_see(
    client: httpx.AsyncClient, main_db: MainDatabase
) -> None:
    with main_db.connect() as connection:
        seed(connection)
        seed(connection, "other", owner="bob")

    async def listed(who: dict[str, str], **params: Any) -> list[dict[str, Any]]:
        answer = await client.get("/api/v1/jobs", params=params, headers=who)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    assert {one["tenant"] for one in await listed(as_())} == {"acme", "other"}
    assert {one["tenant"] for one in await listed(as_("ann"))} == {"acme"}
    assert await listed(as_("ann"), tenant="other") == []
    assert len(await listed(as_(), status="succeeded", operation="up")) == 4
    newest = await listed(as_(), size=1)
    before = await listed(as_(), before=newest[0]["number"])
    assert [one["number"] for one in before] == sorted((one["number"] for one in before), reverse=True)
    assert newest[0]["id"] not in {one["id"] for one in before}


async def test_a_waiting_job_is_cancelled_at_once_and_an_ended_one_not_at_all(client: httpx.AsyncClient) -> None:
    job = (await client.post("/api/v1/tenants", json=manifest(), headers=as_("ann", "creator"))).json()["id"]
    refused = await client.post(f"/api/v1/jobs/{job}/cancel", headers=as_("mia", acme="member"))
    assert refused.status_code == 403
    cancelled = await client.post(f"/api/v1/jobs/{job}/cancel", headers=as_("ann"))
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    again = await client.post(f"/api/v1/jobs/{job}/cancel", headers=as_("ann"))
    assert again.status_code == 409
    tenant = (await client.get("/api/v1/tenants/acme", headers=as_("ann"))).json()
    assert tenant["status"] == "removed"


async def test_a_running_job_is_asked_to_stop(client: httpx.AsyncClient, state: State) -> None:
    job = (await client.post("/api/v1/tenants", json=manifest(), headers=as_("ann", "creator"))).json()["id"]
    await _claimed(state, job)
    answer = await client.post(f"/api/v1/jobs/{job}/cancel", headers=as_("ann"))
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert answer.json()["cancel_requested_at"]


async def test_only_a_job_that_has_ended_is_repeated_with_its_own_options(
    client: httpx.AsyncClient, main_db: MainDatabase, state: State
) -> None:
    with main_db.connect() as connection:
        seed(connection)
    body = {"enable_rollback": False}
    first = (await client.post("/api/v1/tenants/acme/up", json=body, headers=as_("ann"))).json()
    early = await client.post(f"/api/v1/jobs/{first['id']}/retry", headers=as_("ann"))
    assert early.status_code == 409
    assert early.json()["job"] == first["id"]
    await state.store.finish(await _claimed(state, first["id"]), Ending(status=JobStatus.FAILED, message="no"))
    key = as_("ann") | {"Idempotency-Key": "again"}
    second = await client.post(f"/api/v1/jobs/{first['id']}/retry", headers=key)
    assert second.status_code == 202, second.text
    assert second.json()["retry_of"] == first["id"]
    twice = await client.post(f"/api/v1/jobs/{first['id']}/retry", headers=key)
    assert twice.json()["id"] == second.json()["id"]
    repeated = await state.store.get(uuid.UUID(second.json()["id"]))
    assert repeated.options["enable_rollback"] is False


async def test_a_job_is_not_repeated_over_a_newer_manifest(
    client: httpx.AsyncClient, main_db: MainDatabase, state: State
) -> None:
    with main_db.connect() as connection:
        seed(connection)
    old = (await client.post("/api/v1/tenants/acme/up", headers=as_("ann"))).json()["id"]
    await state.store.finish(await _claimed(state, old), Ending(status=JobStatus.FAILED))
    new = await client.put("/api/v1/tenants/acme", json=manifest(name="Newer"), headers=as_("ann"))
    await state.store.finish(await _claimed(state, new.json()["id"]), Ending(status=JobStatus.SUCCEEDED))
    answer = await client.post(f"/api/v1/jobs/{old}/retry", headers=as_("ann"))
    assert answer.status_code == 409
    assert "version 3" in answer.json()["detail"]


async def test_an_accepted_job_is_published_and_marked_so(client: httpx.AsyncClient, state: State) -> None:
    await client.post("/api/v1/tenants", json=manifest(), headers=as_())
    await state.publisher.close()
    assert (await state.queue.depth()).waiting == 1
    assert await state.store.due(10) == []

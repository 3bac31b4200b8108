"""Tenants over HTTP: created, read, changed, previewed, removed, and what is refused. No worker runs: jobs wait."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from automation.errors import InputError, NotFoundError
from automation.jobs import work
from automation.jobs.model import Ending
from automation.models_jobs import JobStatus
from service import actions
from service.auth.principal import Principal
from service.state import State
from tests.conftest import MainDatabase
from tests.service.helpers import as_, manifest
from tests.service.seed import seed


async def end(state: State, job: str, status: JobStatus = JobStatus.CANCELLED) -> None:
    """Ends a job as a worker would."""
    claimed = await state.store.claim(uuid.UUID(job), worker="test", lease_seconds=60)
    assert claimed is not None
    assert await state.store.finish(claimed[1], Ending(status=status)) is not None


async def test_a_tenant_is_accepted_listed_and_shown(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/tenants", json=manifest(), headers=as_("ann", "creator"))
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["tenant"], job["operation"], job["status"], job["actor"]) == ("acme", "up", "pending", "ann")

    listed = (await client.get("/api/v1/tenants", headers=as_("ann"))).json()
    assert [one["slug"] for one in listed["items"]] == ["acme"]
    assert listed["items"][0]["job"]["id"] == job["id"]
    shown = await client.get("/api/v1/tenants/acme", headers=as_("ann"))
    assert shown.json()["manifest"]["slug"] == "acme"
    again = await client.get("/api/v1/tenants/acme", headers=as_("ann") | {"If-None-Match": shown.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    weak = await client.get(
        "/api/v1/tenants/acme", headers=as_("ann") | {"If-None-Match": f"W/{shown.headers['etag']}"}
    )
    assert weak.status_code == 304


async def test_of_many_callers_at_once_one_gets_the_job_and_the_others_its_id(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(client.post("/api/v1/tenants", json=manifest(name=f"Cabinet {n}"), headers=as_()) for n in range(8))
    )
    accepted = [one.json()["id"] for one in answers if one.status_code == 202]
    assert len(accepted) == 1
    refused = [one.json() for one in answers if one.status_code == 409]
    assert len(refused) == 7
    assert {one["job"] for one in refused} == set(accepted)
    assert {one["type"] for one in refused} == {"urn:tenantry:problem:busy"}


async def test_an_idempotency_key_makes_one_job_and_refuses_another_request(client: httpx.AsyncClient) -> None:
    headers = as_("ann", "creator") | {"Idempotency-Key": "key-1"}
    first = await client.post("/api/v1/tenants", json=manifest(), headers=headers)
    again = await client.post("/api/v1/tenants", json=manifest(), headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = await client.post("/api/v1/tenants", json=manifest("other"), headers=headers)
    assert other.status_code == 409
    assert other.json()["job"] == first.json()["id"]
    # A key is its caller's own.
    elses = await client.post("/api/v1/tenants", json=manifest("elses"), headers=as_() | {"Idempotency-Key": "key-1"})
    assert elses.status_code == 202


async def test_a_slug_in_use_is_refused_and_its_owner_is_not_told(
    client: httpx.AsyncClient, main_db: MainDatabase
) -> None:
    with main_db.connect() as connection:
        seed(connection)
    for who in (as_("ann", "creator"), as_("bob", "creator")):
        answer = await client.post("/api/v1/tenants", json=manifest(), headers=who)
        assert answer.status_code == 409
        assert "taken" in answer.json()["detail"]
        assert "ann" not in answer.text
    assert (await client.get("/api/v1/tenants/acme", headers=as_("bob", "creator"))).status_code == 404


async def test_a_change_is_refused_where_the_tenant_has_changed_since_it_was_read(
    client: httpx.AsyncClient, main_db: MainDatabase, state: State
) -> None:
    with main_db.connect() as connection:
        seed(connection)
    read = await client.get("/api/v1/tenants/acme", headers=as_("ann"))
    match = {"If-Match": read.headers["etag"]}
    changed = await client.put("/api/v1/tenants/acme", json=manifest(name="A"), headers=as_("ann") | match)
    assert changed.status_code == 202, changed.text
    assert changed.json()["manifest_version"] == 3
    late = await client.put("/api/v1/tenants/acme", json=manifest(name="B"), headers=as_("ann") | match)
    assert late.status_code == 412
    busy = await client.put("/api/v1/tenants/acme", json=manifest(name="B"), headers=as_("ann"))
    assert busy.status_code == 409
    versions = (await client.get("/api/v1/tenants/acme/manifests", headers=as_("ann"))).json()
    assert [one["version"] for one in versions["items"]] == [3, 2, 1]
    third = (await client.get("/api/v1/tenants/acme/manifests/3", headers=as_("ann"))).json()
    assert third["manifest"]["name"] == "A"


async def test_a_manifest_of_another_tenant_is_refused(client: httpx.AsyncClient, main_db: MainDatabase) -> None:
    with main_db.connect() as connection:
        seed(connection)
    answer = await client.put("/api/v1/tenants/acme", json=manifest("other"), headers=as_("ann"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "slug"
    assert (await client.put("/api/v1/tenants/nobody", json=manifest("nobody"), headers=as_())).status_code == 404


async def test_previews_change_nothing_and_may_be_of_a_tenant_that_is_not_there(
    client: httpx.AsyncClient, main_db: MainDatabase
) -> None:
    with main_db.connect() as connection:
        seed(connection)
    new = await client.post("/api/v1/tenants/new-one/preview", json=manifest("new-one"), headers=as_("bob", "creator"))
    assert new.status_code == 202, new.text
    assert new.json()["operation"] == "preview"
    own = await client.get(new.headers["location"], headers=as_("bob", "creator"))
    assert own.status_code == 200
    assert (await client.get(new.headers["location"], headers=as_("eve", "creator"))).status_code == 404
    assert (await client.get("/api/v1/tenants/new-one", headers=as_())).status_code == 404
    for body in ({}, {"json": manifest(name="Other")}):
        known = await client.post("/api/v1/tenants/acme/preview", **body, headers=as_("ann"))
        assert known.status_code == 202, known.text
    nothing = await client.post("/api/v1/tenants/new-two/preview", headers=as_())
    assert nothing.status_code == 404
    taken = await client.post("/api/v1/tenants/acme/preview", json=manifest(), headers=as_("bob", "creator"))
    assert taken.status_code in {404, 409}


@pytest.mark.parametrize(
    ("path", "operation"),
    [("up", "up"), ("refresh", "refresh"), ("rollback", "rollback"), ("steps/database/retry", "up")],
)
async def test_operations_are_accepted_as_jobs(
    client: httpx.AsyncClient, main_db: MainDatabase, path: str, operation: str
) -> None:
    with main_db.connect() as connection:
        seeded = seed(connection)
    answer = await client.post(f"/api/v1/tenants/acme/{path}", headers=as_("ann"))
    assert answer.status_code == 202, answer.text
    assert answer.json()["operation"] == operation
    with main_db.connect() as connection:
        options: Any = connection.execute("SELECT options FROM jobs WHERE id = %s", (answer.json()["id"],)).fetchone()
    if operation == "rollback":
        assert options[0]["deployment"] == str(seeded.deployment)
    if "retry" in path:
        assert options[0]["steps"] == ["database"]


async def test_a_removal_is_a_job_and_its_row_in_the_audit_trail(
    client: httpx.AsyncClient, main_db: MainDatabase
) -> None:
    with main_db.connect() as connection:
        seed(connection)
    answer = await client.delete("/api/v1/tenants/acme", headers=as_("ann"))
    assert answer.status_code == 202
    assert answer.json()["operation"] == "destroy"
    rows = (await client.get("/api/v1/audit", params={"action": "tenant.destroy"}, headers=as_("ann"))).json()["items"]
    assert [(row["actor"], row["tenant"], row["job_id"]) for row in rows] == [("ann", "acme", answer.json()["id"])]
    assert (await client.get("/api/v1/audit", headers=as_("mia", acme="member"))).json()["total"] == 0


async def test_only_optional_steps_are_skipped_and_only_before_they_were_done(
    client: httpx.AsyncClient, main_db: MainDatabase, state: State
) -> None:
    with main_db.connect() as connection:
        seed(connection)
    done = await client.post("/api/v1/tenants/acme/steps/database/skip", headers=as_("ann"))
    assert done.status_code == 409
    assert "done before" in done.json()["detail"]
    needed = await client.post("/api/v1/tenants/acme/steps/schema/skip", headers=as_("ann"))
    assert needed.status_code == 409
    assert "database" in needed.json()["hint"]
    unknown = await client.post("/api/v1/tenants/acme/steps/nothing/skip", headers=as_("ann"))
    assert unknown.status_code == 404
    made = await client.post("/api/v1/tenants", json=manifest("fresh"), headers=as_("ann", "creator"))
    await end(state, made.json()["id"], JobStatus.FAILED)
    skipped = await client.post("/api/v1/tenants/fresh/steps/database/skip", headers=as_("ann"))
    assert skipped.status_code == 202, skipped.text
    newest = (await client.get("/api/v1/tenants/fresh", headers=as_("ann"))).json()["manifest"]
    assert newest["skipDatabaseCreation"] is True


async def test_rollback_of_another_tenants_deployment_is_not_found(
    client: httpx.AsyncClient, main_db: MainDatabase
) -> None:
    with main_db.connect() as connection:
        seed(connection)
        other = seed(connection, "other", owner="bob")
    body = {"deployment": str(other.deployment)}
    answer = await client.post("/api/v1/tenants/acme/rollback", json=body, headers=as_("ann"))
    assert answer.status_code == 404
    assert (await client.get(f"/api/v1/deployments/{other.deployment}", headers=as_("ann"))).status_code == 404
    own = await client.get(f"/api/v1/deployments/{other.deployment}", headers=as_("bob"))
    assert own.json()["steps"][0]["key"] == "record"


async def test_pages_say_where_their_neighbours_are(client: httpx.AsyncClient, main_db: MainDatabase) -> None:
    with main_db.connect() as connection:
        for n in range(5):
            seed(connection, f"tenant-{n}")
    answer = await client.get("/api/v1/tenants", params={"page": 2, "size": 2, "search": "tenant"}, headers=as_())
    page = answer.json()
    assert [one["slug"] for one in page["items"]] == ["tenant-2", "tenant-3"]
    assert (page["page"], page["size"], page["total"]) == (2, 2, 5)
    links = {rel: link["url"] for rel, link in answer.links.items()}
    assert set(links) == {"first", "prev", "next", "last"}
    last = (await client.get(links["last"], headers=as_())).json()
    assert [one["slug"] for one in last["items"]] == ["tenant-4"]
    beyond = await client.get("/api/v1/tenants", params={"page": 9, "size": 2}, headers=as_())
    assert (beyond.status_code, beyond.json()["items"]) == (200, [])


async def test_a_failed_creation_may_be_repeated_by_its_owner_only(client: httpx.AsyncClient, state: State) -> None:
    made = await client.post("/api/v1/tenants", json=manifest(), headers=as_("ann", "creator"))
    await end(state, made.json()["id"], JobStatus.FAILED)
    other = await client.post("/api/v1/tenants", json=manifest(), headers=as_("bob", "creator"))
    assert other.status_code == 409
    again = await client.post("/api/v1/tenants", json=manifest(), headers=as_("ann", "creator"))
    assert again.status_code == 202, again.text


async def test_a_preview_of_a_tenant_to_come_tells_nothing_of_the_one_that_came(
    client: httpx.AsyncClient, main_db: MainDatabase, state: State
) -> None:
    bob = as_("bob", "creator")
    asked = await client.post("/api/v1/tenants/acme/preview", json=manifest(), headers=bob)
    assert asked.status_code == 202
    with main_db.connect() as connection:
        seed(connection)
    job = uuid.UUID(asked.json()["id"])
    claimed = await state.store.claim(job, worker="test", lease_seconds=60)
    assert claimed is not None
    with pytest.raises(InputError, match="taken after this preview was asked for"):
        await asyncio.to_thread(work.read, state.settings, job, 1)
    await state.store.finish(claimed[1], Ending(status=JobStatus.FAILED))
    assert (await client.get(f"/api/v1/jobs/{job}", headers=bob)).status_code == 200
    assert (await client.post(f"/api/v1/jobs/{job}/retry", headers=bob)).status_code == 404
    who = Principal(subject="bob", creator=True)
    with pytest.raises(NotFoundError):
        await actions.retry_job(state, who, job)

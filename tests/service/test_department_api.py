"""The routes of departments (DEP-4), as their requirements write them: provisioned, watched, deprovisioned."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
import pytest
import yaml

from automation.jobs.model import Ending
from automation.models_jobs import JobStatus
from service.state import State
from tests.conftest import MainDatabase
from tests.service.helpers import as_
from tests.service.test_tenant_parts_pages import REGION

T = TypeVar("T")
PROVISION = "/api/provision-department"
REQUEST: dict[str, Any] = {
    "departmentId": "finance",
    "departmentName": "Finance",
    "workflows": ["database"],
    "dataRetention": "90d",
    "region": "here",
    "adminEmail": "head@finance.example",
}
KEYS = [
    *("departmentId", "departmentName", "adminEmail", "region", "workflows", "dataRetention", "templateId"),
    *("templateVersion", "customSettings", "enableRollback"),
]
STEPS = ("validation", "record", "database", "credential", "container", "workflows", "gateway", "health")
FORWARD = [
    *("PENDING", "VALIDATING", "CREATING_DATABASE", "CREATING_OAUTH", "DEPLOYING_CONTAINER"),
    *("DEPLOYING_WORKFLOWS", "CONFIGURING_GATEWAY", "VALIDATING_DEPLOYMENT"),
]


@pytest.fixture(autouse=True)
def _region(tmp_path: Path, service_env: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One region; after `service_env`, which takes all variables of ours away."""
    file = tmp_path / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {"here": REGION}}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))


async def provision(client: httpx.AsyncClient, **headers: str) -> uuid.UUID:
    answer = await client.post(PROVISION, json=REQUEST, headers=as_("ann", "creator") | headers)
    assert answer.status_code == 202, answer.text
    return uuid.UUID(answer.json()["id"])


async def status(client: httpx.AsyncClient, wanted: object) -> dict[str, Any]:
    answer = await client.get(f"/api/provision-status/{wanted}", headers=as_("ann", finance="owner"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def history(client: httpx.AsyncClient, wanted: object = "finance") -> list[str]:
    found = await status(client, wanted)
    assert found["state"] == found["history"][-1]["state"]
    return [one["state"] for one in found["history"]]


async def end(state: State, job: uuid.UUID, how: JobStatus = JobStatus.SUCCEEDED) -> None:
    claimed = await state.store.claim(job, worker="test", lease_seconds=60)
    assert claimed is not None
    await state.store.finish(claimed[1], Ending(status=how))


async def run(main_db: MainDatabase, job: uuid.UUID, **about: Any) -> uuid.UUID:
    """A deployment of the job, as its worker writes it, with steps in these statuses. Gives its id."""
    return await write(main_db, lambda connection: _run(connection, job, **about))


async def write(main_db: MainDatabase, work: Callable[[psycopg.Connection[Any]], T]) -> T:
    """In a thread: the service, which still notes that a job was queued, may hold the row that is waited for."""

    def written() -> T:
        with main_db.connect() as connection:
            return work(connection)

    return await asyncio.to_thread(written)


async def activate(main_db: MainDatabase) -> None:
    await write(main_db, lambda connection: connection.execute("UPDATE tenants SET status = 'active'"))


def _run(
    connection: psycopg.Connection[Any],
    job: uuid.UUID,
    *,
    operation: str = "up",
    phase: str = "run",
    previous: Any = None,
    steps: dict[str, str],
) -> uuid.UUID:
    made = uuid.uuid4()
    connection.execute(
        "INSERT INTO deployments (id, tenant, operation, status, phase, correlation_id, actor, host, pid, engine,"
        " job_id, previous_manifest, ended_at)"
        " VALUES (%s, 'finance', %s, 'succeeded', %s, 'c', 'ann', 'h', 1, 'e', %s, %s, now())",
        (made, operation, phase, job, None if previous is None else json.dumps(previous)),
    )
    for position, (key, how) in enumerate(steps.items()):
        connection.execute(
            "INSERT INTO deployment_steps (deployment_id, key, position, title, status, started_at, rolled_back_at)"
            " VALUES (%s, %s, %s, %s, %s, clock_timestamp(), CASE WHEN %s = 'rolled_back' THEN clock_timestamp() END)",
            (made, key, position, key.title(), how, how),
        )
    connection.execute("UPDATE jobs SET deployment_id = %s WHERE id = %s", (made, job))
    return made


async def test_a_department_is_provisioned_followed_and_deprovisioned(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    asked = await client.post(PROVISION, json=REQUEST, headers=as_("ann", "creator"))
    assert asked.status_code == 202, asked.text
    made = asked.json()
    assert (made["departmentId"], made["operation"], made["state"]) == ("finance", "up", "PENDING")
    assert asked.headers["location"] == made["statusUrl"] == f"/api/provision-status/{made['id']}"
    job = uuid.UUID(made["id"])
    await run(main_db, job, steps=dict.fromkeys(STEPS[:4], "completed") | {"container": "running"})
    assert await history(client) == FORWARD[:5]
    await run(main_db, job, steps=dict.fromkeys(STEPS, "completed"))
    await activate(main_db)
    await end(state, job)
    assert await history(client, job) == [*FORWARD, "COMPLETED"]
    assert [one["key"] for one in (await status(client, job))["steps"]] == list(STEPS)
    again = await client.post(PROVISION, json=REQUEST, headers=as_("ann", "creator", finance="owner"))
    assert again.status_code == 409

    gone = await client.delete("/api/deprovision/finance", headers=as_("ann", finance="owner"))
    assert (gone.status_code, gone.json()["operation"], gone.json()["state"]) == (202, "destroy", "PENDING")
    removal = uuid.UUID(gone.json()["id"])
    await run(main_db, removal, operation="destroy", steps={"validation": "completed", "gateway": "running"})
    assert await history(client) == ["PENDING", "VALIDATING", "ROLLING_BACK"]
    await end(state, removal)
    assert await history(client) == ["PENDING", "VALIDATING", "ROLLING_BACK", "COMPLETED"]
    # Its provisioning is what it was.
    assert await history(client, job) == [*FORWARD, "COMPLETED"]


async def test_the_same_key_again_is_answered_with_what_has_become_of_it(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    key = {"Idempotency-Key": "one"}
    job = await provision(client, **key)
    await run(main_db, job, steps=dict.fromkeys(STEPS, "completed"))
    await end(state, job)
    again = await client.post(PROVISION, json=REQUEST, headers=as_("ann", "creator") | key)
    assert (again.status_code, again.headers["idempotency-replayed"], again.json()["id"]) == (202, "true", str(job))
    assert [one["state"] for one in again.json()["history"]] == [*FORWARD, "COMPLETED"]


async def test_a_rollback_of_the_creation_is_a_removal_and_one_of_a_change_is_not(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    first = await provision(client)
    created = await run(main_db, first, steps=dict.fromkeys(STEPS, "completed"))
    # As SQLAlchemy writes None.
    await write(main_db, lambda one: one.execute("UPDATE deployments SET previous_manifest = 'null'"))
    await activate(main_db)
    await end(state, first)
    changed = await run(main_db, first, previous={"manifest": {}}, steps=dict.fromkeys(STEPS, "completed"))

    back = await rolled_back(client, changed)
    assert await history(client, back) == ["PENDING"]
    await run(main_db, back, operation="rollback", steps={"validation": "completed", "record": "running"})
    assert await history(client) == ["PENDING", "VALIDATING", "CREATING_DATABASE"]
    await end(state, back)

    away = await rolled_back(client, created)
    await run(main_db, away, operation="rollback", steps={"validation": "completed", "gateway": "running"})
    assert await history(client) == ["PENDING", "VALIDATING", "ROLLING_BACK"]
    await end(state, away)
    assert await history(client) == ["PENDING", "VALIDATING", "ROLLING_BACK", "COMPLETED"]


async def rolled_back(client: httpx.AsyncClient, deployment: uuid.UUID) -> uuid.UUID:
    body = {"deployment": str(deployment), "force": True}
    answer = await client.post("/api/v1/tenants/finance/rollback", json=body, headers=as_())
    assert answer.status_code == 202, answer.text
    return uuid.UUID(answer.json()["id"])


async def test_a_step_that_fails_is_rolled_back_when_that_begins(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    job = await provision(client)
    failed = {"validation": "completed", "record": "completed", "database": "failed"}
    claimed = await state.store.claim(job, worker="test", lease_seconds=60)
    assert claimed is not None
    await run(main_db, job, steps=failed)
    assert await history(client) == FORWARD[:3]
    await run(main_db, job, steps=failed, phase="rollback")
    assert await history(client) == [*FORWARD[:3], "ROLLING_BACK"]
    await run(main_db, job, steps=failed | {"database": "rolled_back"}, phase="rollback")
    await state.store.finish(claimed[1], Ending(status=JobStatus.ROLLED_BACK))
    assert await history(client) == [*FORWARD[:3], "ROLLING_BACK", "FAILED"]


@pytest.mark.parametrize("what", ["refresh", "preview"])
async def test_what_only_looks_is_not_its_newest_change(client: httpx.AsyncClient, state: State, what: str) -> None:
    job = await provision(client)
    await end(state, job)
    looked = await client.post(f"/api/v1/tenants/finance/{what}", headers=as_())
    assert looked.status_code == 202, looked.text
    assert (await status(client, "finance"))["id"] == str(job)


async def test_what_is_missing_and_what_is_unknown_is_told_in_this_apis_words(client: httpx.AsyncClient) -> None:
    wrong = {key: value for key, value in REQUEST.items() if key != "departmentId"}
    wrong |= {"slug": "finance", "name": "F", "departmentname": "F", "kind": "cabinet", "a.b": 1, "name.x": 2}
    answer = await client.post(PROVISION, json=wrong, headers=as_())
    assert answer.status_code == 422
    assert answer.json()["detail"] == "The request has 7 problems; nothing was touched."
    found = {one["field"]: one for one in answer.json()["errors"]}
    assert set(found) == {"departmentId", "slug", "name", "departmentname", "kind", "a.b", "name.x"}
    missing = found.pop("departmentId")
    assert (missing["given"], missing["valid"].split(":")[0]) == ("nothing", "this is required")
    assert {one["valid"] for one in found.values()} == {f"one of the keys {', '.join(KEYS)}"}
    assert {field: one["suggestion"] for field, one in found.items()} == {
        "slug": "departmentId",
        "name": "departmentName",
        "departmentname": "departmentName",
        "kind": None,
        "a.b": None,
        "name.x": None,
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"departmentId": "A B"}, "departmentId"),
        ({"departmentName": ""}, "departmentName"),
        ({"adminEmail": "nobody"}, "adminEmail"),
        ({"region": "elsewhere"}, "region"),
        ({"workflows": ["database", "nothing"]}, "workflows[1]"),
        ({"workflows": [3]}, "workflows[0]"),
        ({"templateId": "nothing"}, "templateId"),
        ({"customSettings": {"slug": 1}}, "customSettings.slug"),
    ],
)
async def test_a_wrong_value_is_told_by_its_own_name(
    client: httpx.AsyncClient, changes: dict[str, Any], field: str
) -> None:
    answer = await client.post(PROVISION, json=REQUEST | changes, headers=as_())
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("body", [[], "finance", 3, None])
async def test_what_is_no_mapping_is_refused(client: httpx.AsyncClient, body: object) -> None:
    content = json.dumps(body)
    answer = await client.post(PROVISION, content=content, headers=as_() | {"content-type": "application/json"})
    assert answer.status_code == 422
    (row,) = answer.json()["errors"]
    assert (row["field"], row["given"], row["valid"]) == ("request", content, "a mapping of keys to values")


async def test_who_may_not_and_what_is_not_there(client: httpx.AsyncClient, state: State) -> None:
    assert (await client.post(PROVISION, json=REQUEST, headers=as_("bob"))).status_code == 403
    assert (await client.post(PROVISION, json=REQUEST)).status_code == 401
    await provision(client)
    stranger = as_("bob", other="owner")
    assert (await client.get("/api/provision-status/finance", headers=stranger)).status_code == 404
    assert (await client.get(f"/api/provision-status/{uuid.uuid4()}", headers=as_())).status_code == 404
    assert (await client.get("/api/provision-status/UPPER", headers=as_())).status_code == 422
    member = as_("mia", finance="member")
    assert (await client.delete("/api/deprovision/finance", headers=member)).status_code == 403
    assert (await client.delete("/api/deprovision/nothing", headers=as_())).status_code == 404
    # Its provisioning waits: one job at a time.
    busy = await client.delete("/api/deprovision/finance", headers=as_())
    assert (busy.status_code, busy.json()["operation"]) == (409, "up")

"""The routes of dental cabinets (CAB-6), as their requirements write them."""

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


def request(**changes: Any) -> dict[str, Any]:
    """A cabinet as that API takes it: without a kind."""
    return {name: value for name, value in manifest(**changes).items() if name != "kind"}


async def test_a_cabinet_is_provisioned_and_followed(client: httpx.AsyncClient, state: State) -> None:
    answer = await client.post("/api/cabinets/provision", json=request(), headers=as_("ann", "creator"))
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert (made["cabinet"], made["status"], made["runId"]) == ("acme", "pending", None)
    shown = await client.get(answer.headers["location"], headers=as_("ann"))
    assert shown.json()["deploymentId"] == made["deploymentId"]
    early = await client.delete(f"/api/deployments/{made['deploymentId']}", headers=as_("ann"))
    assert early.status_code == 409
    assert (await client.get(answer.headers["location"], headers=as_("bob", "creator"))).status_code == 404
    claimed = await state.store.claim(uuid.UUID(made["deploymentId"]), worker="test", lease_seconds=60)
    assert claimed is not None
    await state.store.finish(claimed[1], Ending(status=JobStatus.FAILED, error={"message": "no disk"}))
    ended = (await client.get(answer.headers["location"], headers=as_("ann"))).json()
    assert (ended["status"], ended["error"]) == ("failed", "no disk")
    nothing = await client.delete(f"/api/deployments/{made['deploymentId']}", headers=as_("ann"))
    assert nothing.status_code == 409


async def test_a_deployment_is_rolled_back_by_the_id_of_its_job_or_of_its_run(
    client: httpx.AsyncClient, main_db: MainDatabase
) -> None:
    with main_db.connect() as connection:
        seeded = seed(connection)
        other = seed(connection, "other")
    by_job = await client.get(f"/api/deployments/{seeded.job}", headers=as_("ann"))
    by_run = await client.get(f"/api/deployments/{seeded.deployment}", headers=as_("ann"))
    for answer, wanted in ((by_job, seeded.job), (by_run, seeded.deployment)):
        shown = answer.json()
        assert (shown["deploymentId"], shown["runId"]) == (str(wanted), str(seeded.deployment))
        assert [step["durationMs"] for step in shown["steps"]] == [12]
    refused = await client.delete(f"/api/deployments/{seeded.job}", headers=as_("mia", acme="member"))
    assert refused.status_code == 403
    undone = await client.delete(f"/api/deployments/{seeded.job}", headers=as_("ann"))
    assert (undone.status_code, undone.json()["operation"]) == (202, "rollback")
    assert (await client.delete(f"/api/deployments/{other.deployment}", headers=as_("ann"))).status_code == 202
    assert (await client.delete(f"/api/deployments/{uuid.uuid4()}", headers=as_())).status_code == 404


async def test_a_taken_slug_and_a_wrong_cabinet_are_refused(client: httpx.AsyncClient, main_db: MainDatabase) -> None:
    with main_db.connect() as connection:
        seed(connection)
    taken = await client.post("/api/cabinets/provision", json=request(), headers=as_("ann", "creator"))
    assert taken.status_code == 409
    wrong = await client.post("/api/cabinets/provision", json=request(slug="new", phone="1"), headers=as_())
    assert [one["field"] for one in wrong.json()["errors"]] == ["phone"]
    assert (await client.post("/api/cabinets/provision", json=request(), headers=as_("ann"))).status_code == 403


async def test_templates_are_listed_and_shown(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/api/templates", headers=as_())).json()["templates"]
    assert [one["id"] for one in listed] == ["default-dental", "orthodontics", "pediatric"]
    one = (await client.get("/api/templates/orthodontics", headers=as_())).json()
    assert one["settings"]["appointments"]["slotMinutes"] == 45
    assert (await client.get("/api/templates/nothing", headers=as_())).status_code == 404

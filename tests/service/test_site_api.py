"""The routes of sites (SITE-2): who may, what is answered, and that a job is told in SITE-1's words."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from automation.jobs.model import Ending
from automation.models_jobs import JobStatus
from service.state import State
from stacks.lines import SITE
from tests.conftest import MainDatabase
from tests.service.helpers import as_, manifest

JOBS = "/api/v1/provisioning/jobs"
BACKUPS = "/api/v1/provisioning/tenants/acme-shop/backups"
BACKUP = "20260105T023000Z-1f3a"
KEPT = {"id": BACKUP, "site": "acme-shop.eu.example", "size": 10, "apps": {"frappe": "15"}}
ASKED: dict[str, Any] = {"tenant_id": "acme-shop", "job_type": "create_site", "manifest": {"region": "here"}}
OWNER, ADMIN = as_("olga", **{"acme-shop": "owner"}), as_("adam", **{"acme-shop": "admin"})
MEMBER, STRANGER = as_("mia", **{"acme-shop": "member"}), as_("otto", other="owner")


@pytest.fixture(autouse=True)
def _regions(tmp_path: Path, service_env: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `service_env`, which takes all variables of ours away."""
    place = {"target": "file", "folder": str(tmp_path / "backups")}
    bench = {"driver": "simulated", "folder": str(tmp_path / "bench"), "domain": "eu.example"}
    regions = {"here": {"site": {**bench, "backups": place}}, "bare": {"site": bench}, "empty": {}}
    file = tmp_path / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": regions}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))


async def asked(client: httpx.AsyncClient, body: dict[str, Any], who: dict[str, str] = OWNER) -> dict[str, Any]:
    answer = await client.post(JOBS, json=body, headers=who)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ends(state: State, job: str, status: JobStatus, **more: Any) -> None:
    """The job is claimed, and ends so."""
    claimed = await state.store.claim(uuid.UUID(job), worker="test", lease_seconds=60)
    assert claimed is not None
    await state.store.finish(claimed[1], Ending(status=status, **more))


async def working(client: httpx.AsyncClient, state: State, main_db: MainDatabase) -> dict[str, Any]:
    """A tenant whose site was made, and the job that made it."""
    job = await asked(client, ASKED)
    await ends(state, job["id"], JobStatus.SUCCEEDED)
    sent = {"kind": "site", "slug": "acme-shop", "name": "acme-shop", "region": "here"}
    good = SITE.resolve(SITE.parse(sent), SITE.templates()).to_dict()

    def written() -> None:
        with main_db.connect() as connection:
            connection.execute(
                "UPDATE tenants SET status = 'active', last_good_manifest = %s WHERE slug = 'acme-shop'",
                (json.dumps(good),),
            )

    await asyncio.to_thread(written)
    return job


async def removed(main_db: MainDatabase, *, again: bool = False) -> None:
    """The tenant was removed; and `again`, there is one of that name that works."""

    def written() -> None:
        with main_db.connect() as connection:
            connection.execute(
                "INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine,"
                " ended_at) VALUES (gen_random_uuid(), 'acme-shop', 'destroy', 'succeeded', 'c', 'olga', 'h', 1, 'e',"
                " now())"
            )
            if not again:
                gone = "UPDATE tenants SET status = 'removed', last_good_manifest = NULL WHERE slug = 'acme-shop'"
                connection.execute(gone)

    await asyncio.to_thread(written)


async def test_a_job_is_told_in_the_words_of_its_requirements(client: httpx.AsyncClient, state: State) -> None:
    answer = await client.post(JOBS, json=ASKED, headers=OWNER | {"Idempotency-Key": "once"})
    job = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"{JOBS}/{job['id']}")
    told = {"tenant_id": "acme-shop", "job_type": "create_site", "status": "pending", "progress": 0, "error": None}
    assert told.items() <= job.items()
    assert job["created_at"]
    assert (job["started_at"], job["completed_at"], job["ended_as"]) == (None, None, None)
    again = await client.post(JOBS, json=ASKED, headers=OWNER | {"Idempotency-Key": "once"})
    assert (again.json()["id"], again.headers["Idempotency-Replayed"]) == (job["id"], "true")

    await ends(state, job["id"], JobStatus.ROLLED_BACK, message="up failed", error={"message": "bench is full"})
    ended = (await client.get(f"{JOBS}/{job['id']}", headers=MEMBER)).json()
    assert (ended["status"], ended["ended_as"], ended["error"]) == ("failed", "rolled_back", "bench is full")
    assert ended["completed_at"] >= ended["started_at"] >= ended["created_at"]


async def test_owner_and_admin_act_a_member_reads_and_a_stranger_sees_nothing(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    made = await working(client, state, main_db)
    backup = {"tenant_id": "acme-shop", "job_type": "backup_site"}
    for who, status in ((MEMBER, 403), (STRANGER, 404), ({}, 401)):
        assert (await client.post(JOBS, json=backup, headers=who)).status_code == status
        for act in ("retry", "cancel"):
            assert (await client.post(f"{JOBS}/{made['id']}/{act}", headers=who)).status_code == status
    for path in (f"{JOBS}/{made['id']}", BACKUPS):
        assert (await client.get(path, headers=MEMBER)).status_code == 200
        assert (await client.get(path, headers=STRANGER)).status_code == 404
    for who, seen in ((MEMBER, 1), (STRANGER, 0), (as_(), 1)):
        assert (await client.get(JOBS, headers=who)).json()["total"] == seen
    assert (await asked(client, backup, ADMIN))["job_type"] == "backup_site"
    # Who may create tenants makes a new site, and sees no other one.
    creator = as_("cleo", "creator")
    assert (await asked(client, ASKED | {"tenant_id": "other-shop"}, creator))["tenant_id"] == "other-shop"
    assert (await client.post(JOBS, json=backup, headers=creator)).status_code == 404


async def test_jobs_are_listed_by_page_type_and_status(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    await working(client, state, main_db)
    backup = await asked(client, {"tenant_id": "acme-shop", "job_type": "backup_site"})
    other = await client.post("/api/v1/tenants", json=manifest("cabinet-one"), headers=as_())
    assert other.status_code == 202

    async def listed(**wanted: Any) -> list[tuple[str, str]]:
        answer = await client.get(JOBS, params=wanted, headers=as_())
        assert answer.status_code == 200, answer.text
        return [(one["job_type"], one["status"]) for one in answer.json()["items"]]

    both = [("backup_site", "pending"), ("create_site", "completed")]
    assert await listed() == both
    assert await listed(page=2, size=1) == both[1:]
    assert await listed(job_type="create_site") == await listed(status="completed") == both[1:]
    assert await listed(status="failed") == await listed(tenant_id="nobody") == []
    assert (await client.get(JOBS, params={"status": "done"}, headers=OWNER)).status_code == 422
    # A cancelled one has failed, in SITE-1's words.
    stopped = await client.post(f"{JOBS}/{backup['id']}/cancel", headers=OWNER)
    assert (stopped.status_code, stopped.json()["status"], stopped.json()["ended_as"]) == (202, "failed", "cancelled")
    assert await listed(status="failed") == [("backup_site", "failed")]
    # A job of another line is none of this API's.
    assert (await client.get(f"{JOBS}/{other.json()['id']}", headers=as_())).status_code == 404


async def test_only_what_has_ended_is_retried(client: httpx.AsyncClient, state: State, main_db: MainDatabase) -> None:
    made = await working(client, state, main_db)
    over = (await client.post(f"{JOBS}/{made['id']}/retry", headers=ADMIN)).json()
    assert (over["job_type"], over["status"], over["retry_of"]) == ("create_site", "pending", made["id"])
    await ends(state, over["id"], JobStatus.SUCCEEDED)
    restore = {"tenant_id": "acme-shop", "job_type": "restore_site", "backup": BACKUP, "backup_first": False}
    first = await asked(client, restore)
    refused = await client.post(f"{JOBS}/{first['id']}/retry", headers=OWNER)
    assert (refused.status_code, refused.json()["job"]) == (409, first["id"])
    await ends(state, first["id"], JobStatus.FAILED, message="no such backup")
    again = (await client.post(f"{JOBS}/{first['id']}/retry", headers=OWNER)).json()
    assert (again["job_type"], again["retry_of"]) == ("restore_site", first["id"])
    kept = await state.store.get(uuid.UUID(again["id"]))
    assert (kept.options["backup"], kept.options["first"]) == (BACKUP, False)


async def test_backups_are_those_that_no_later_one_has_cleared_away(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    await working(client, state, main_db)
    made: list[dict[str, Any]] = [
        {"id": BACKUP, "site": "acme-shop.eu.example", "size": 10, "apps": {"frappe": "15"}, "cleared": []},
        {"id": "20260106T023000Z-2f3a", "site": "acme-shop.eu.example", "size": 20, "apps": {}, "cleared": [BACKUP]},
    ]
    jobs = []
    for backup in made:
        job = await asked(client, {"tenant_id": "acme-shop", "job_type": "backup_site"})
        await ends(state, job["id"], JobStatus.SUCCEEDED, result={"backup": backup})
        jobs.append(job["id"])
    assert (await client.get(f"{JOBS}/{jobs[0]}", headers=MEMBER)).json()["backup"]["id"] == BACKUP
    listed = (await client.get(BACKUPS, headers=MEMBER)).json()["items"]
    assert [(one["id"], one["size"], one["job"]) for one in listed] == [("20260106T023000Z-2f3a", 20, jobs[1])]


async def test_backups_of_before_a_restore_and_of_before_the_removal_are_listed_too(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    await working(client, state, main_db)
    made = [{"id": f"2026010{day}T023000Z-1f3a", "site": "s", "size": day, "apps": {}} for day in (4, 5, 6)]
    asking: list[tuple[dict[str, Any], JobStatus, dict[str, Any]]] = [
        ({"job_type": "backup_site"}, JobStatus.SUCCEEDED, {"backup": made[0]}),
        # A restore that has failed has kept what was there before, and one whose backup is told by two jobs has one.
        ({"job_type": "restore_site", "backup": made[0]["id"]}, JobStatus.FAILED, {"kept": [made[1]]}),
        ({"job_type": "delete_site"}, JobStatus.FAILED, {"kept": [made[1]]}),
        ({"job_type": "delete_site"}, JobStatus.SUCCEEDED, {"kept": [made[2]]}),
    ]
    jobs = []
    for body, status, result in asking:
        job = await asked(client, {"tenant_id": "acme-shop", **body})
        await ends(state, job["id"], status, result=result)
        jobs.append(job["id"])
    assert (await client.get(f"{JOBS}/{jobs[3]}", headers=MEMBER)).json()["backup"]["id"] == made[2]["id"]
    await removed(main_db)

    listed = (await client.get(BACKUPS, headers=MEMBER)).json()["items"]
    assert [(one["id"], one["job"], one["size"]) for one in listed] == [
        (made[2]["id"], jobs[3], 6),
        (made[1]["id"], jobs[1], 5),
        (made[0]["id"], jobs[0], 4),
    ]
    assert {one["earlier_tenant"] for one in listed} == {False}
    # Removing what is gone succeeds, and changes nothing of whose they are.
    for _ in range(2):
        await removed(main_db)
        assert (await client.get(BACKUPS, headers=MEMBER)).json()["items"] == listed

    # Somebody has taken the name since, and nothing came of it: it is theirs all the same.
    job = await asked(client, ASKED)
    assert (await client.post(f"{JOBS}/{job['id']}/cancel", headers=OWNER)).json()["ended_as"] == "cancelled"
    assert (await client.get("/api/v1/tenants/acme-shop", headers=as_())).json()["status"] == "removed"
    assert (await client.get(BACKUPS, headers=OWNER)).json()["items"] == []
    listed = (await client.get(BACKUPS, headers=as_())).json()["items"]
    assert [one["earlier_tenant"] for one in listed] == [True, True, True]


async def test_the_backups_of_a_removed_tenant_are_not_those_of_who_takes_its_name(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    await working(client, state, main_db)
    before = await asked(client, {"tenant_id": "acme-shop", "job_type": "backup_site"})
    await ends(state, before["id"], JobStatus.SUCCEEDED, result={"backup": {**KEPT, "cleared": []}})
    restore = {"tenant_id": "acme-shop", "job_type": "restore_site", "backup": BACKUP}

    await removed(main_db, again=True)
    assert (await client.get(BACKUPS, headers=OWNER)).json()["items"] == []
    [told] = (await client.get(BACKUPS, headers=as_())).json()["items"]
    assert (told["id"], told["earlier_tenant"]) == (BACKUP, True)
    refused = await client.post(JOBS, json=restore, headers=OWNER)
    assert (refused.status_code, "was removed" in refused.json()["detail"]) == (409, True)
    job = await asked(client, restore, as_())
    await ends(state, job["id"], JobStatus.FAILED, message="bench is full")
    for path in (JOBS, "/api/v1/jobs"):
        assert (await client.post(f"{path}/{job['id']}/retry", headers=OWNER)).status_code == 409
    assert (await client.post(f"{JOBS}/{job['id']}/retry", headers=as_())).status_code == 202


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"manifest": {"region": "nowhere"}}, "region"),
        ({"manifest": {"region": "empty"}}, "region"),
        ({"manifest": {"region": "bare"}}, "customSettings.backups.onDelete"),
        ({"manifest": {"region": "here", "customSettings": {"host": "Not A Host"}}}, "customSettings.host"),
        ({"manifest": {"region": "here", "customSettings": {"apps": ["frappe"]}}}, "customSettings.apps"),
        ({"job_type": "drop_site"}, "job_type"),
        ({"job_type": "restore_site", "manifest": {}}, "backup"),
        ({"job_type": "restore_site", "manifest": {}, "backup": "last"}, "backup"),
        ({"job_type": "backup_site"}, "manifest"),
        ({"job_type": "delete_site", "manifest": {}, "backup": BACKUP}, "backup"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field(
    client: httpx.AsyncClient, changes: dict[str, Any], field: str
) -> None:
    answer = await client.post(JOBS, json=ASKED | changes, headers=OWNER)
    assert answer.status_code == 422, answer.text
    assert field in [one["field"] for one in answer.json()["errors"]]
    assert (await client.get(JOBS, headers=as_())).json()["total"] == 0


async def test_what_has_no_site_is_not_backed_up(client: httpx.AsyncClient, state: State) -> None:
    job = await asked(client, ASKED)
    backup = {"tenant_id": "acme-shop", "job_type": "backup_site"}
    waiting = await client.post(JOBS, json=backup, headers=OWNER)
    assert (waiting.status_code, "no site that works" in waiting.json()["detail"]) == (409, True)
    # One that could not be made is asked for again without saying anew what it is to be.
    await ends(state, job["id"], JobStatus.FAILED, message="bench is full")
    again = await asked(client, {"tenant_id": "acme-shop", "job_type": "create_site"})
    assert (await state.store.get(uuid.UUID(again["id"]))).manifest_version == 1
    await client.post("/api/v1/tenants", json=manifest("cabinet-one"), headers=as_())
    other = await client.post(JOBS, json={"tenant_id": "cabinet-one", "job_type": "delete_site"}, headers=as_())
    assert (other.status_code, "has no site" in other.json()["detail"]) == (404, True)

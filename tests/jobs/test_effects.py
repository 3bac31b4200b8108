"""What goes with a job's end: its tenant and its dead runs put right, webhooks, totals, the audit row."""

import json
import uuid

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.jobs import audit, reading, totals
from automation.jobs.effects import tenant_status_after
from automation.jobs.model import Ending, Job
from automation.jobs.store import JobStore
from automation.models import TenantStatus, deployment_steps, deployments, tenants
from automation.models_jobs import JobOperation, JobStatus, webhook_deliveries, webhooks
from tests.automation.helpers import MANIFEST
from tests.jobs.helpers import ALICE, BOB, new_job


async def run(store: JobStore, ending: Ending, **values: object) -> Job:
    job, _ = await store.submit(new_job(**values))
    found = await store.claim(job.id, worker="w1", lease_seconds=60)
    assert found is not None
    ended = await store.finish(found[1], ending)
    assert ended is not None
    return ended


async def test_a_run_that_died_is_marked_and_its_tenant_with_it(store: JobStore, engine: AsyncEngine) -> None:
    job, _ = await store.submit(new_job())
    found = await store.claim(job.id, worker="w1", lease_seconds=60)
    assert found is not None
    deployment, by_hand = uuid.uuid4(), uuid.uuid4()
    row = {"operation": "up", "correlation_id": "c", "actor": "a", "host": "h", "pid": 1, "engine": "fake"}
    async with engine.begin() as connection:
        await connection.execute(insert(tenants).values(slug="other", name="Other", status="active"))
        await connection.execute(
            insert(deployments).values(id=deployment, tenant="acme", status="running", job_id=job.id, **row)
        )
        await connection.execute(insert(deployments).values(id=by_hand, tenant="other", status="running", **row))
        for place, (key, status) in enumerate(
            (("validation", "completed"), ("record", "running"), ("schema", "pending"))
        ):
            await connection.execute(
                insert(deployment_steps).values(
                    deployment_id=deployment, key=key, position=place, title=key, status=status
                )
            )
    ended = await store.finish(
        found[1], Ending(status=JobStatus.FAILED, message="its process was killed", deployment_id=deployment)
    )
    assert ended is not None
    async with engine.connect() as connection:
        dead = await reading.deployment(connection, deployment)
        other = await reading.deployment(connection, by_hand)
        tenant = await reading.tenant(connection, "acme")
    assert (dead["status"], dead["job_id"]) == ("interrupted", str(job.id))
    assert [step["status"] for step in dead["steps"]] == ["completed", "failed", "skipped"]
    assert other["status"] == "running"
    assert tenant["status"] == "failed"


@pytest.mark.parametrize(
    ("operation", "ended", "status", "died", "after"),
    [
        ("up", "cancelled", "pending", False, "removed"),
        ("up", "failed", "pending", False, "failed"),
        ("up", "failed", "provisioning", True, "failed"),
        ("up", "cancelled", "active", True, "failed"),
        ("up", "succeeded", "active", False, "active"),
        ("refresh", "failed", "active", True, "active"),
        ("destroy", "failed", "active", True, "failed"),
        ("destroy", "succeeded", "removed", False, "removed"),
        ("up", "rolled_back", "removed", False, "removed"),
    ],
)
async def test_what_a_tenant_is_after_a_job(
    store: JobStore, operation: str, ended: str, status: str, died: bool, after: str
) -> None:
    await store.submit(new_job())
    job = await run(store, Ending(status=JobStatus(ended)), operation="preview")
    object.__setattr__(job, "operation", JobOperation(operation))
    assert tenant_status_after(job, TenantStatus(status), died=died) == after


async def test_webhooks_are_told_once_of_each_thing_that_happened(store: JobStore, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            insert(webhooks).values(
                id=uuid.uuid4(), url="https://x.example", events=["*"], secret=b"x", created_by="root"
            )
        )

    async def told() -> list[str]:
        async with engine.begin() as connection:
            found = await connection.execute(select(webhook_deliveries.c.event).order_by(webhook_deliveries.c.number))
            events = list(found.scalars())
            await connection.execute(webhook_deliveries.delete())
            return events

    job, _ = await store.submit(new_job())
    assert await told() == ["job.created"]
    await store.request_cancel(job.id, ALICE)
    assert await told() == ["job.cancelled", "tenant.removed"]
    job, _ = await store.submit(new_job())
    found = await store.claim(job.id, worker="w1", lease_seconds=60)
    assert found is not None
    async with engine.begin() as connection:
        await connection.execute(update(tenants).values(status="active"))
    await store.finish(found[1], Ending(status=JobStatus.SUCCEEDED))
    assert await told() == ["job.created", "job.succeeded", "tenant.active"]
    # It was active before: that it still is, is no news.
    await run(store, Ending(status=JobStatus.SUCCEEDED), manifest=None)
    assert await told() == ["job.created", "job.succeeded"]
    await run(store, Ending(status=JobStatus.FAILED), operation="preview")
    assert await told() == ["job.created", "job.failed"]


async def test_totals_count_an_end_once(store: JobStore, engine: AsyncEngine) -> None:
    await run(store, Ending(status=JobStatus.FAILED))
    await run(store, Ending(status=JobStatus.FAILED))
    await run(store, Ending(status=None, delay=60))
    async with engine.connect() as connection:
        read = await totals.read(connection)
    counted = {
        (one.definition.name, one.labels.get("status")): one.value for one in read if one.definition.name == totals.JOBS
    }
    assert counted == {(totals.JOBS, "failed"): 2}


async def test_a_failure_undoes_what_went_with_it(
    store: JobStore, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object) -> None:
        raise RuntimeError("no totals today")

    job, _ = await store.submit(new_job())
    found = await store.claim(job.id, worker="w1", lease_seconds=60)
    assert found is not None
    before = await store.events(job.id)
    with monkeypatch.context() as patch:
        patch.setattr(totals, "add", broken)
        with pytest.raises(RuntimeError):
            await store.finish(found[1], Ending(status=JobStatus.SUCCEEDED))
    assert (await store.get(job.id)).status is JobStatus.RUNNING
    assert await store.events(job.id) == before
    assert await store.finish(found[1], Ending(status=JobStatus.SUCCEEDED)) is not None


async def test_the_audit_trail_holds_no_secret(store: JobStore, engine: AsyncEngine) -> None:
    secret = "correct-horse-battery"
    manifest = MANIFEST | {
        "adminPassword": secret,
        "customSettings": {
            "smtp": {"api_key": secret, "apiKey": "", "url": f"smtp://u:{secret}@h"},
            "keyboard": "azerty",
        },
        "tokens": [secret],
    }
    await store.submit(new_job(manifest=manifest, caller=BOB))
    async with engine.connect() as connection:
        rows, _ = await reading.audit_page(connection)
        stored = (await connection.execute(text("SELECT before::text || after::text FROM audit"))).scalar_one_or_none()
        shown = await reading.manifest(connection, "acme", 1)
        tenant = await reading.tenant(connection, "acme")
    assert secret not in json.dumps([rows, shown, tenant])
    assert secret not in str(stored)
    after = rows[0]["after"]["manifest"]
    assert after["adminPassword"] == "[secret]"
    assert after["customSettings"] == {
        "smtp": {"api_key": "[secret]", "apiKey": "", "url": "smtp://u:[secret]@h"},
        "keyboard": "azerty",
    }


def test_which_keys_name_a_secret() -> None:
    secret = [
        "password",
        "adminPassword",
        "ADMIN_PASSWORD",
        "client_secret",
        "apiKey",
        "API-Key",
        "private_key",
        "token",
    ]
    plain = ["keyboard", "apiVersion", "key", "monkey", "tokenise", "passage", "secretary", "name"]
    assert [key for key in secret if not audit.is_secret(key)] == []
    assert [key for key in plain if audit.is_secret(key)] == []

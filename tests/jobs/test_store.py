"""What may be done to a job's row, one at a time: accepting, claiming, ending, cancelling, what is due."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.errors import NotFoundError
from automation.jobs import reading
from automation.jobs.model import BusyError, ConflictError, Ending
from automation.jobs.store import JobStore, Worker
from automation.models import tenants
from automation.models_jobs import JobStatus, jobs, tenant_members
from tests.automation.helpers import MANIFEST
from tests.jobs.helpers import ALICE, BOB, new_job

DONE = Ending(status=JobStatus.SUCCEEDED, message="done", result={"changed": True})


async def claimed(store: JobStore, job: uuid.UUID, worker: str = "w1", seconds: float = 60):
    found = await store.claim(job, worker=worker, lease_seconds=seconds)
    assert found is not None
    return found


async def tenant_status(engine: AsyncEngine, slug: str = "acme") -> str:
    async with engine.connect() as connection:
        return (await connection.execute(select(tenants.c.status).where(tenants.c.slug == slug))).scalar_one()


async def kinds(store: JobStore, job: uuid.UUID) -> list[tuple[int, str, str | None]]:
    return [(one.seq, one.kind, one.data.get("status")) for one in await store.events(job)]


async def test_a_job_from_its_acceptance_to_its_end(store: JobStore, engine: AsyncEngine) -> None:
    job, created = await store.submit(new_job())
    assert created
    assert (job.status, job.attempts, job.manifest_version, job.progress) == (JobStatus.PENDING, 0, 1, 0)
    assert await tenant_status(engine) == "pending"
    assert await store.due(10) == [job.id]
    await store.mark_published(job.id)
    assert await store.due(10) == []
    running, lease = await claimed(store, job.id)
    assert (running.status, running.attempts, lease.attempt, running.worker) == (JobStatus.RUNNING, 1, 1, "w1")
    assert await store.renew(lease, 60)
    ended = await store.finish(lease, DONE)
    assert ended is not None
    assert (ended.status, ended.progress, ended.message, ended.worker) == (JobStatus.SUCCEEDED, 100, "done", None)
    assert ended.duration_ms is not None
    assert ended.result == {"changed": True}
    assert await store.get(job.id) == ended
    assert await kinds(store, job.id) == [
        (1, "job", "pending"),
        (2, "job", "running"),
        (3, "job", "succeeded"),
        (4, "end", "succeeded"),
    ]
    async with engine.connect() as connection:
        rows, total = await reading.audit_page(connection)
    assert total == 2
    assert [(row["action"], row["actor"], row["address"], row["correlation_id"]) for row in rows] == [
        ("tenant.up.succeeded", "alice", "192.0.2.7", "c0ffee"),
        ("tenant.up", "alice", "192.0.2.7", "c0ffee"),
    ]
    assert rows[1]["before"] is None
    assert rows[1]["after"]["manifest"]["slug"] == "acme"


async def test_a_busy_tenant_refuses_and_says_who_has_it(store: JobStore) -> None:
    job, _ = await store.submit(new_job())
    with pytest.raises(BusyError) as refused:
        await store.submit(new_job(operation="destroy", caller=BOB))
    assert refused.value.details["job"] == str(job.id)
    assert refused.value.details["operation"] == "up"
    assert refused.value.details["actor"] == "alice"
    assert refused.value.details["since"] == job.created_at.isoformat()
    preview, _ = await store.submit(new_job(operation="preview", caller=BOB))
    assert preview.manifest_version == 1


async def test_what_needs_a_tenant_refuses_one_that_is_not_there(store: JobStore) -> None:
    for operation in ("refresh", "destroy", "rollback", "preview"):
        with pytest.raises(NotFoundError, match="no tenant 'ghost'"):
            await store.submit(new_job("ghost", operation))
    with pytest.raises(NotFoundError):
        await store.submit(new_job("ghost", manifest=None))
    job, _ = await store.submit(new_job("ghost", "preview", manifest=MANIFEST | {"slug": "ghost"}))
    assert job.options["manifest"]["slug"] == "ghost"
    with pytest.raises(NotFoundError):
        await store.get(uuid.uuid4())


async def test_versions_of_a_manifest(store: JobStore, engine: AsyncEngine) -> None:
    async def up(**changes: str) -> int | None:
        job, _ = await store.submit(new_job(manifest=MANIFEST | changes) if changes else new_job(manifest=None))
        _, lease = await claimed(store, job.id)
        await store.finish(lease, DONE)
        return job.manifest_version

    assert await up(name="One") == 1
    assert await up(name="Two") == 2
    assert await up(name="Two") == 2
    assert await up() == 2
    async with engine.connect() as connection:
        rows, total = await reading.manifests(connection, "acme")
        assert ([row["version"] for row in rows], total) == ([2, 1], 2)
        assert (await reading.manifest(connection, "acme", 1))["manifest"]["name"] == "One"
        with pytest.raises(NotFoundError, match="no version 3"):
            await reading.manifest(connection, "acme", 3)
        with pytest.raises(NotFoundError, match="no tenant"):
            await reading.manifest(connection, "ghost", 1)


async def test_an_idempotency_key_repeats_the_same_request_only(store: JobStore) -> None:
    one, created = await store.submit(new_job(idempotency_key="k1", request_hash="h1"))
    again, repeated = await store.submit(new_job(idempotency_key="k1", request_hash="h1"))
    assert (created, repeated, again.id) == (True, False, one.id)
    with pytest.raises(ConflictError, match="another request") as refused:
        await store.submit(new_job("other", idempotency_key="k1", request_hash="h2"))
    assert refused.value.details == {"job": str(one.id)}
    # Keys are each caller's own.
    _, created = await store.submit(new_job("other", caller=BOB, idempotency_key="k1", request_hash="h2"))
    assert created


async def test_a_slug_in_use_is_refused_to_who_wants_a_new_one(store: JobStore, engine: AsyncEngine) -> None:
    job, _ = await store.submit(new_job(options={"new": True}))
    _, lease = await claimed(store, job.id)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tenants SET status = 'active'"))
    await store.finish(lease, DONE)
    with pytest.raises(ConflictError, match="slug 'acme' is taken"):
        await store.submit(new_job(caller=BOB, options={"new": True}))
    with pytest.raises(ConflictError, match="of the line 'cabinet'"):
        await store.submit(new_job(line="site"))


async def test_the_creator_owns_the_tenant_and_a_name_taken_anew_changes_hands(
    store: JobStore, engine: AsyncEngine
) -> None:
    async def members() -> list[tuple[str, str]]:
        async with engine.connect() as connection:
            rows = await connection.execute(select(tenant_members.c.subject, tenant_members.c.role))
            return [(row.subject, row.role) for row in rows]

    job, _ = await store.submit(new_job())
    assert await members() == [("alice", "owner")]
    await store.request_cancel(job.id, ALICE)
    assert await tenant_status(engine) == "removed"
    job, _ = await store.submit(new_job(caller=BOB, manifest=None))
    assert await members() == [("alice", "owner")]
    await store.request_cancel(job.id, BOB)
    job, _ = await store.submit(new_job(caller=BOB, options={"new": True}))
    assert await members() == [("bob", "owner")]
    await store.request_cancel(job.id, BOB)
    # Nor is a plain member of then left without a say in what is their own now.
    async with engine.begin() as connection:
        row = {"tenant": "acme", "subject": "alice", "role": "member", "added_by": "bob"}
        await connection.execute(insert(tenant_members).values(row))
    job, _ = await store.submit(new_job(options={"new": True}))
    assert await members() == [("alice", "owner")]
    # Who managed it of old goes on with all that did.
    async with engine.begin() as connection:
        row = {"tenant": "acme", "subject": "bob", "role": "admin", "added_by": "alice"}
        await connection.execute(insert(tenant_members).values(row))
    await store.request_cancel(job.id, ALICE)
    await store.submit(new_job(caller=BOB, options={"new": True}))
    assert sorted(await members()) == [("alice", "owner"), ("bob", "admin")]


async def test_a_lease_that_runs_out_is_taken_over_and_the_late_worker_is_refused(store: JobStore) -> None:
    job, _ = await store.submit(new_job())
    _, first = await claimed(store, job.id, "w1", 0.05)
    await asyncio.sleep(0.1)
    assert await store.due(10) == [job.id]
    await store.mark_published(job.id)
    assert await store.due(10) == []
    taken, second = await claimed(store, job.id, "w2")
    assert (taken.attempts, taken.worker) == (2, "w2")
    assert not await store.renew(first, 60)
    assert await store.finish(first, DONE) is None
    assert (await store.get(job.id)).status is JobStatus.RUNNING
    assert await store.finish(second, DONE) is not None
    assert await store.claim(job.id, worker="w3", lease_seconds=60) is None


@pytest.mark.parametrize(
    ("waits", "published", "due"),
    [
        (125, 125, True),
        (125, 60, False),
        # A queue that is long: it takes as long again as the job has waited, but not for ever.
        (1000, 200, False),
        (1000, 850, True),
        (10_000, 800, False),
        (10_000, 910, True),
    ],
)
async def test_a_message_that_was_lost_is_published_again(
    store: JobStore, engine: AsyncEngine, waits: int, published: int, due: bool
) -> None:
    """`waits` and `published`: for how many seconds."""
    job, _ = await store.submit(new_job())
    async with engine.begin() as connection:
        ago = {name: func.now() - timedelta(seconds=age) for name, age in {"w": waits, "p": published}.items()}
        await connection.execute(update(jobs).values(not_before=ago["w"], published_at=ago["p"]))
    assert await store.due(10) == ([job.id] if due else [])


async def test_a_lease_holds_until_somebody_else_has_taken_it(store: JobStore) -> None:
    job, _ = await store.submit(new_job())
    _, lease = await claimed(store, job.id, "w1", 0.01)
    await asyncio.sleep(0.05)
    assert await store.renew(lease, 60)
    assert await store.claim(job.id, worker="w2", lease_seconds=60) is None


async def test_an_attempt_that_is_to_be_repeated_waits_its_time(store: JobStore, engine: AsyncEngine) -> None:
    job, _ = await store.submit(new_job())
    await store.mark_published(job.id)
    _, lease = await claimed(store, job.id)
    back = await store.finish(lease, Ending(status=None, message="the engine broke", delay=300))
    assert back is not None
    assert (back.status, back.message, back.worker) == (JobStatus.PENDING, "the engine broke", None)
    assert await store.due(10) == []
    assert await store.claim(job.id, worker="w1", lease_seconds=60) is None
    async with engine.begin() as connection:
        await connection.execute(update(jobs).values(not_before=jobs.c.not_before - timedelta(seconds=300)))
    assert await store.due(10) == [job.id]
    again, _ = await claimed(store, job.id)
    assert (again.attempts, again.started_at) == (2, back.started_at)


async def test_cancelling_what_waits_runs_and_has_ended(store: JobStore, engine: AsyncEngine) -> None:
    waiting, _ = await store.submit(new_job())
    ended = await store.request_cancel(waiting.id, BOB)
    assert (ended.status, ended.duration_ms) == (JobStatus.CANCELLED, None)
    assert "nothing was touched" in ended.message
    assert await tenant_status(engine) == "removed"
    assert (await kinds(store, waiting.id))[-1] == (3, "end", "cancelled")
    with pytest.raises(ConflictError, match="ended already: cancelled"):
        await store.request_cancel(waiting.id, BOB)

    running, _ = await store.submit(new_job())
    _, lease = await claimed(store, running.id)
    asked = await store.request_cancel(running.id, BOB)
    assert asked.status is JobStatus.RUNNING
    assert asked.cancel_requested_at is not None
    assert (await store.request_cancel(running.id, ALICE)).cancel_requested_at == asked.cancel_requested_at
    stopped = await store.finish(lease, Ending(status=JobStatus.CANCELLED, message="stopped before it began"))
    assert stopped is not None
    assert stopped.status is JobStatus.CANCELLED
    with pytest.raises(NotFoundError):
        await store.request_cancel(uuid.uuid4(), BOB)
    async with engine.connect() as connection:
        rows, _ = await reading.audit_page(connection, action="job.cancel")
    assert [(row["actor"], row["before"]) for row in rows] == [
        ("bob", {"status": "running"}),
        ("bob", {"status": "pending"}),
    ]


async def test_what_is_to_be_cancelled_does_not_go_back_to_the_queue(store: JobStore) -> None:
    job, _ = await store.submit(new_job())
    _, lease = await claimed(store, job.id)
    await store.request_cancel(job.id, BOB)
    ended = await store.finish(lease, Ending(status=None, message="the worker was drained"))
    assert ended is not None
    assert ended.status is JobStatus.CANCELLED


async def test_no_secret_and_no_impossible_text_is_stored(store: JobStore, settings: object) -> None:
    password = store._settings.database.password or "no-password-here"
    job, _ = await store.submit(new_job(options={"note": "a\x00b\ud800"}))
    assert job.options["note"] == "a\ufffdb?"
    _, lease = await claimed(store, job.id)
    error = {"message": f"could not log in with {password}", "url": "postgres://u:hunter22@h/d"}
    ended = await store.finish(lease, Ending(status=JobStatus.FAILED, message="NUL \x00", error=error))
    assert ended is not None
    assert ended.message == "NUL \ufffd"
    assert ended.error is not None
    assert password not in str(ended.error)
    assert "hunter22" not in str(ended.error)


async def test_workers_come_and_go(store: JobStore) -> None:
    one = Worker(id="w1", host="h", pid=1, concurrency=4, queue="memory")
    await store.heartbeat(one)
    first = (await store.workers())[0]
    await store.heartbeat(Worker(id="w1", host="h", pid=1, concurrency=4, queue="memory", draining=True))
    (seen,) = await store.workers()
    assert (seen.draining, seen.started_at) == (True, first.started_at)
    assert seen.seen_at is not None
    assert first.seen_at is not None
    assert seen.seen_at > first.seen_at
    await store.forget_worker("w1")
    assert await store.workers() == []

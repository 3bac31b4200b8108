"""A cancelled job says in what state it left the tenant, also when its run could not say so itself."""

import uuid
from collections.abc import Sequence

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.jobs.cancelling import BETWEEN, cancelled
from automation.jobs.model import Ending, Job, Lease
from automation.jobs.store import JobStore
from automation.models import deployment_steps, deployments
from automation.models_jobs import JobStatus
from tests.automation.helpers import MANIFEST
from tests.jobs.helpers import ALICE, BOB, new_job

Steps = Sequence[tuple[str, str]]
AGAIN = Ending(status=None, message="interrupted: its worker was stopped; another continues")


async def begun(store: JobStore, operation: str = "up") -> tuple[Job, Lease]:
    job, _ = await store.submit(new_job(operation=operation, manifest=MANIFEST))
    claimed = await store.claim(job.id, worker="w1", lease_seconds=60)
    assert claimed is not None
    return claimed


async def run_of(engine: AsyncEngine, job: uuid.UUID, status: str, steps: Steps) -> None:
    """A run of the job as its process left it."""
    deployment = uuid.uuid4()
    row = {"operation": "up", "correlation_id": "c", "actor": "a", "host": "h", "pid": 1, "engine": "fake"}
    rows = [
        {"deployment_id": deployment, "key": key, "position": place, "title": key, "status": state, "message": said}
        for place, (key, told) in enumerate(steps)
        for state, _, said in [told.partition(": ")]
    ]
    async with engine.begin() as connection:
        await connection.execute(
            insert(deployments).values(id=deployment, tenant="acme", status=status, job_id=job, **row)
        )
        await connection.execute(insert(deployment_steps), rows)


FORCE = "cancelled, and ended by force (signal 9), so that what it worked on may be half done"


async def test_a_process_that_was_killed(store: JobStore, engine: AsyncEngine) -> None:
    job, lease = await begun(store)
    await run_of(engine, job.id, "running", [("validation", "completed"), ("record", "running"), ("schema", "pending")])
    await store.request_cancel(job.id, BOB)
    ended = await store.finish(lease, cancelled(job, FORCE))
    assert ended is not None
    assert ended.message == f"up of 'acme' was {FORCE}: finished: validation; interrupted: record; not begun: schema"
    assert ended.error is not None
    assert ended.error["details"]["steps"] == {
        "finished": ["validation"],
        "interrupted": ["record"],
        "not begun": ["schema"],
    }
    assert ended.error["hint"] == "`up` of 'acme' continues, `destroy` removes what there is"
    assert ended.error["exit_code"] == 130


async def test_an_attempt_that_was_to_be_followed_by_another(store: JobStore, engine: AsyncEngine) -> None:
    """The cancel came while the worker gave the job back: it must not say that another continues."""
    job, lease = await begun(store)
    await run_of(engine, job.id, "cancelled", [("record", "completed"), ("schema", "skipped: not reached")])
    await store.request_cancel(job.id, BOB)
    ended = await store.finish(lease, AGAIN)
    assert ended is not None
    assert (ended.status, ended.message) == (
        JobStatus.CANCELLED,
        "up of 'acme' was cancelled between two attempts: finished: record; not begun: schema",
    )
    assert ended.error is not None
    assert ended.error["kind"] == "cancelled"


async def test_a_job_that_waits_for_another_attempt(store: JobStore, engine: AsyncEngine) -> None:
    job, lease = await begun(store)
    await run_of(engine, job.id, "cancelled", [("record", "completed"), ("schema", "failed")])
    await store.finish(lease, AGAIN)
    again = await store.claim(job.id, worker="w2", lease_seconds=60)
    assert again is not None
    # What the second attempt did not get to is as the first one left it.
    await run_of(engine, job.id, "cancelled", [("record", "pending"), ("schema", "pending")])
    await store.finish(again[1], AGAIN)
    ended = await store.request_cancel(job.id, ALICE)
    assert ended.status is JobStatus.CANCELLED
    assert ended.message.endswith("between two attempts: finished: record; interrupted: schema")
    assert ended.duration_ms is not None
    assert [event.kind for event in await store.events(job.id)][-1] == "end"


@pytest.mark.parametrize("operation", ["up", "preview"])
async def test_what_never_began_touched_nothing(store: JobStore, operation: str) -> None:
    job, lease = await begun(store, operation)
    await store.request_cancel(job.id, BOB)
    ended = await store.finish(lease, cancelled(job, BETWEEN))
    assert ended is not None
    assert ended.error is not None
    assert ("nothing was touched" in ended.message) == (operation == "up")
    assert "destroy" not in ended.error["hint"]


async def test_what_the_run_said_itself_stays(store: JobStore, engine: AsyncEngine) -> None:
    job, lease = await begun(store)
    await run_of(engine, job.id, "cancelled", [("record", "completed")])
    error = {"kind": "cancelled", "message": "as it was", "details": {"steps": {"finished": ["record"]}}}
    ended = await store.finish(lease, Ending(status=JobStatus.CANCELLED, message="as it was", error=error))
    assert ended is not None
    assert (ended.message, ended.error) == ("as it was", error)

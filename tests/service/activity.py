"""Some of everything that is measured: jobs of several results, a queue, workers, webhooks and requests."""

from __future__ import annotations

import asyncio
import uuid

import httpx
from sqlalchemy import insert, text

from automation.jobs import totals
from automation.jobs.database import transaction
from automation.jobs.model import Caller, Ending, NewJob
from automation.jobs.store import Worker
from automation.models import deployment_steps, deployments
from automation.models_jobs import JobOperation, JobStatus
from automation.secretbox import secret_box
from automation.settings import Settings
from automation.webhooks.deliver import Deliverer
from automation.webhooks.manage import Webhooks
from automation.webhooks.sending import new_client
from service.state import State
from tests.service.helpers import as_, manifest
from tests.webhooks.receiver import answer, one_after_another, receiving

ANNA = Caller(subject="anna", address=None, correlation_id="c-1")


async def make_some(state: State, client: httpx.AsyncClient) -> None:
    """One tenant's jobs end in every way that there is, one runs, one waits; a worker is ready, another is lost."""
    await state.queue.open()
    async with receiving(one_after_another(answer(200), answer(410))) as receiver:
        settings = state.settings.model_copy(update={"webhook_allow": ("127.0.0.0/8",)})
        hooks = Webhooks(state.engine, settings)
        endings = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.ROLLED_BACK, JobStatus.ROLLBACK_FAILED)
        for status in endings:
            await one_job(state, status, settings)
            if status is JobStatus.SUCCEEDED:
                await hooks.create(ANNA, tenant="acme", url=receiver.url, events=["*"])
        await deliver_all(state, settings)
    for worker in ("alive", "lost"):
        await state.store.heartbeat(Worker(id=worker, host="h", pid=1, concurrency=4, queue="q"))
    async with transaction(state.engine, state.settings) as connection:
        lost = "UPDATE workers SET seen_at = now() - interval '1 hour' WHERE id = 'lost'"
        await connection.execute(text(lost))
    running, _ = await state.store.submit(new_job())
    assert await state.store.claim(running.id, worker="alive", lease_seconds=60)
    waiting, _ = await state.store.submit(new_job("other"))
    await state.queue.publish(waiting.id)
    assert (await client.get("/api/v1/tenants/acme", headers=as_())).status_code == 200
    assert (await client.get("/api/v1/tenants/nobody", headers=as_())).status_code == 404


def new_job(tenant: str = "acme") -> NewJob:
    """An `up` of the standard manifest."""
    values = {"manifest": manifest(tenant), "name": tenant}
    return NewJob(tenant=tenant, line="cabinet", operation=JobOperation.UP, caller=ANNA, **values)


async def one_job(state: State, status: JobStatus, settings: Settings) -> None:
    """A job with a deployment of two steps, ended as `status`. What its acceptance tells webhooks is delivered."""
    job, _ = await state.store.submit(new_job())
    # Now, while there is nothing else: of several, which one the receiver hears first is chance.
    await deliver_all(state, settings)
    claimed = await state.store.claim(job.id, worker="alive", lease_seconds=60)
    assert claimed is not None
    run = uuid.uuid4()
    async with transaction(state.engine, state.settings) as connection:
        await connection.execute(
            insert(deployments).values(
                id=run,
                tenant="acme",
                operation="up",
                status=status.value,
                correlation_id="c-1",
                actor="anna",
                host="h",
                pid=1,
                engine="embedded",
                duration_ms=3000,
                job_id=job.id,
            )
        )
        for position, key in enumerate(("record", "database")):
            await connection.execute(
                insert(deployment_steps).values(
                    deployment_id=run,
                    key=key,
                    position=position,
                    title=key,
                    status="completed" if status is JobStatus.SUCCEEDED or key == "record" else "failed",
                    duration_ms=400,
                )
            )
        runs = await connection.run_sync(totals.of_runs, [run])
        await totals.add(connection, [*runs, *totals.of_engine("embedded", [("up", 2.5)])])
    assert await state.store.finish(claimed[1], Ending(status=status, message="", deployment_id=run))


async def deliver_all(state: State, settings: Settings) -> None:
    """Everything in the outbox, each once."""
    async with new_client() as client, asyncio.timeout(30):
        deliverer = Deliverer(state.engine, settings, client, secret_box())
        while await deliverer.start_due():
            await deliverer.finish()

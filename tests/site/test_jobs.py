"""Jobs of sites by a worker: with the driver that runs bench's commands, through a real RabbitMQ where there is one."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from automation.database import ensure_ready
from automation.jobs.model import Job
from automation.models_jobs import JobOperation, JobStatus
from automation.queues.rabbitmq import RabbitQueue
from automation.queues.settings import QueueKind, QueueSettings
from automation.settings import load_settings
from tests.conftest import MainDatabase
from tests.queues.helpers import delete_queues, rabbitmq_url
from tests.site.conftest import ADMIN_PASSWORD, ROOT_PASSWORD, TestBench, alive, bench_at
from tests.site.sites import SLUG, manifest
from tests.worker.yard import Yard

SECONDS = 180.0
"""A run has several processes to start, each of which loads half of all there is."""
pytestmark = pytest.mark.timeout(400)


class SiteYard(Yard):
    """A yard whose jobs are of the one site."""

    async def job(self, operation: JobOperation, **options: Any) -> uuid.UUID:
        given = manifest() if operation is JobOperation.UP else None
        return await self.submit(operation, given, SLUG, line="site", **options)

    async def done(self, job: uuid.UUID) -> Job:
        """Ended, and well."""
        found = await self.ended(job, SECONDS)
        assert found.status is JobStatus.SUCCEEDED, (found, self.said())
        return found


@pytest.fixture
def bench(project: Path, monkeypatch: pytest.MonkeyPatch) -> TestBench:
    return bench_at(project / "there", monkeypatch, "bench")


@pytest.fixture
async def yard(project: Path, main_db: MainDatabase, bench: TestBench) -> AsyncIterator[SiteYard]:
    ensure_ready(load_settings())
    made = SiteYard(project, main_db.server, main_db.name)
    yield made
    said = made.said()
    await made.close()
    assert ROOT_PASSWORD not in said
    assert ADMIN_PASSWORD not in said


def commands(bench: TestBench) -> list[str]:
    return [words[0] for words in bench.calls()]


async def test_jobs_of_a_site_through_a_real_broker(yard: SiteYard, bench: TestBench) -> None:
    url, name = rabbitmq_url(), f"erpmax.test.{uuid.uuid4().hex[:12]}"
    queue = RabbitQueue(QueueSettings(kind=QueueKind.RABBITMQ, name=name, url=url))
    await queue.open()
    # The sweep would publish what nobody has: here the messages are a stranger's alone.
    worker = yard.worker(1, RABBITMQ_URL=url, PROVISIONING_QUEUE_NAME=name, TENANTRY_SWEEP_SECONDS="3600")
    connection = await aio_pika.connect(url, timeout=10)
    async with connection, connection.channel() as channel:

        async def sent(body: bytes) -> None:
            await channel.default_exchange.publish(aio_pika.Message(body), routing_key=name)

        await sent(b"make me a site")
        await sent(json.dumps({"job_id": str(uuid.uuid4())}).encode())
        for operation in (JobOperation.UP, JobOperation.BACKUP, JobOperation.DESTROY):
            job = await yard.job(operation)
            await sent(json.dumps({"job_id": str(job)}).encode())
            assert (await yard.done(job)).progress == 100
            if operation is JobOperation.UP:
                assert yard.tenant(SLUG) == "active"
                assert commands(bench) == ["new-site", "list-apps", "install-app", "list-apps"]
    assert yard.tenant(SLUG) == "removed"
    assert not bench.folder.exists()
    assert len(list(bench.backups.glob("*/*/manifest.json"))) == 2
    [parked] = await queue.parked()
    assert (parked.reason, parked.body) == ("not JSON", "make me a site")
    totals = yard.query("SELECT labels, value FROM metric_totals WHERE metric = 'tenantry_jobs_total'")
    assert {(json.loads(row["labels"])["operation"], row["value"]) for row in totals} == {
        ("up", 1.0),
        ("backup", 1.0),
        ("destroy", 1.0),
    }
    worker.terminate()
    assert await yard.gone(worker) == 0
    await queue.close()
    await delete_queues(queue)


async def test_a_cancel_ends_bench_and_what_it_has_begun(yard: SiteYard, bench: TestBench) -> None:
    yard.worker(1)
    bench.fails("new-site", after="database", sleep=600)
    ended = await cancelled(yard, bench, JobOperation.UP, during="provisioning")
    assert "interrupted: site" in ended.message
    assert bench.left() == []

    await yard.done(await yard.job(JobOperation.UP))
    assert yard.tenant(SLUG) == "active"
    bench.fails("backup", after="start", sleep=600)
    ended = await cancelled(yard, bench, JobOperation.BACKUP, during="active")
    assert "interrupted: backup" in ended.message
    assert yard.tenant(SLUG) == "active"
    assert list(bench.backups.glob("*/*/*")) == []


async def cancelled(yard: SiteYard, bench: TestBench, operation: JobOperation, *, during: str) -> Job:
    """A job that is cancelled while its command hangs; the tenant is `during` meanwhile."""
    hanging = bench.home / "hanging"
    job = await yard.job(operation)
    await yard.until(lambda: hanging.exists() and len(hanging.read_text().split()) == 2, SECONDS)
    assert yard.tenant(SLUG) == during
    await yard.cancel(job)
    ended = await yard.ended(job, SECONDS)
    assert ended.status is JobStatus.CANCELLED, (ended, yard.said())
    assert [pid for pid in map(int, hanging.read_text().split()) if alive(pid)] == []
    hanging.unlink()
    bench.works()
    return ended

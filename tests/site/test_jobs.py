"""Jobs of sites by a worker: with the driver that runs bench's commands, through a real RabbitMQ where there is one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from automation.backup_schedule import SCHEDULE
from automation.database import ensure_ready
from automation.jobs.model import Job
from automation.models_jobs import JobOperation, JobStatus
from automation.queues.rabbitmq import RabbitQueue
from automation.queues.settings import QueueKind, QueueSettings
from automation.settings import load_settings
from tests.conftest import MainDatabase
from tests.queues.helpers import delete_queues, rabbitmq_url
from tests.site.conftest import ADMIN_PASSWORD, ROOT_PASSWORD, TestBench, alive, bench_at
from tests.site.sites import SLUG, manifest, sites_on, worked
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
        made = {}
        for operation in (JobOperation.UP, JobOperation.BACKUP, JobOperation.DESTROY):
            job = made[operation] = await yard.job(operation)
            # A message that comes twice does nothing more.
            for _ in range(2):
                await sent(json.dumps({"job_id": str(job)}).encode())
            assert (await yard.done(job)).progress == 100
            if operation is JobOperation.UP:
                assert yard.tenant(SLUG) == "active"
                assert commands(bench) == ["new-site", "list-apps", "install-app", "list-apps"]
    assert yard.tenant(SLUG) == "removed"
    assert not bench.folder.exists()
    assert len(list(bench.backups.glob("*/*/manifest.json"))) == 2
    for job in made.values():
        assert (yard.deployments(job), yard.ends(job)) == (["succeeded"], 1)
        percents = [row["data"]["progress"] for row in told(yard, job, "progress")]
        assert percents == sorted(percents)
    # How far bench is, in its own words.
    words = [row["data"].get("message") for row in told(yard, made[JobOperation.UP], "step")]
    assert any("install-app erpnext: Updating" in (word or "") for word in words), words
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


async def test_a_message_whose_worker_dies_goes_to_another_which_makes_one_site(
    yard: SiteYard, bench: TestBench
) -> None:
    """Killed while bench is at work, as for want of memory: bench has ended, and what it had made goes first."""
    url, name = rabbitmq_url(), f"erpmax.test.{uuid.uuid4().hex[:12]}"
    queue = RabbitQueue(QueueSettings(kind=QueueKind.RABBITMQ, name=name, url=url))
    await queue.open()
    variables = {"RABBITMQ_URL": url, "PROVISIONING_QUEUE_NAME": name}
    first = yard.worker(1, **variables)
    bench.fails("new-site", after="database", sleep=600)
    hanging = bench.home / "hanging"
    job = await yard.job(JobOperation.UP)
    await queue.publish(job)
    await yard.until(lambda: hanging.exists() and len(hanging.read_text().split()) == 2, SECONDS)
    first.kill()
    os.killpg(await yard.child(job), signal.SIGKILL)
    pids = [int(pid) for pid in hanging.read_text().split()]
    await yard.until(lambda: not any(alive(pid) for pid in pids))
    bench.works()
    yard.worker(1, **variables)
    assert (await yard.done(job)).attempts == 2
    assert (yard.deployments(job), yard.ends(job)) == (["interrupted", "succeeded"], 1)
    changes = [command for command in commands(bench) if command != "list-apps"]
    assert changes == ["new-site", "drop-site", "new-site", "install-app"]
    assert len(list((bench.home / "databases").glob("_*"))) == 1
    assert await queue.parked() == []
    await queue.close()
    await delete_queues(queue)


def told(yard: SiteYard, job: uuid.UUID, kind: str) -> list[dict[str, Any]]:
    """What a job's followers were told, in order."""
    return yard.query("SELECT data FROM job_events WHERE job_id = %s AND kind = %s ORDER BY seq", job, kind)


async def test_a_worker_backs_up_by_schedule_and_a_failed_tenant_stays_failed(
    yard: SiteYard, bench: TestBench, main_db: MainDatabase
) -> None:
    sites = sites_on(bench, main_db)
    planned = datetime.now(UTC) - timedelta(minutes=1)
    await asyncio.to_thread(worked, sites, backups={"schedule": f"{planned.minute} * * * *"})
    yard.query("UPDATE tenants SET status = 'failed', created_at = now() - interval '1 day'")
    yard.worker(1)
    await yard.until(lambda: yard.query("SELECT 1 FROM jobs WHERE status = 'succeeded'"), SECONDS)
    [job] = yard.query("SELECT tenant, operation, actor FROM jobs")
    assert (job["tenant"], job["operation"], job["actor"]) == (SLUG, "backup", SCHEDULE)
    assert (len(sites.kept), sites.tenant) == (1, "failed")


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

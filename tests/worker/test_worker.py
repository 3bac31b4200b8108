"""A worker on a real main database with the embedded engine: jobs end, once, as what happened."""

import asyncio
import json
import subprocess
import sys
import uuid

import pytest

from automation.jobs.run import ATTEMPT_LOST
from automation.locks import tenant_lock
from automation.models_jobs import JobOperation, JobStatus
from tests.automation.helpers import write_manifest
from tests.worker.yard import NONE, ONE, Yard

pytestmark = pytest.mark.timeout(180)


async def test_the_life_of_a_tenant(yard: Yard) -> None:
    yard.worker()
    preview = await yard.ended(await yard.submit(JobOperation.PREVIEW, yard.manifest()))
    assert preview.status is JobStatus.SUCCEEDED
    assert preview.result is not None
    assert preview.result["counts"]["create"] > 5
    assert yard.objects() == NONE

    created = await yard.submit(manifest=yard.manifest())
    job = await yard.ended(created)
    assert job.status is JobStatus.SUCCEEDED, job
    assert job.progress == 100
    assert job.attempts == 1
    assert yard.objects() == ONE
    assert yard.tenant() == "active"
    row = yard.query("SELECT * FROM deployments WHERE job_id = %s", created)[0]
    assert row["id"] == job.deployment_id
    assert row["actor"] == "zoe@example.org"
    assert row["correlation_id"] == "c0ffee00c0ffee00"

    changed = await yard.ended(await yard.submit(manifest=yard.manifest(name="Another name")))
    assert changed.status is JobStatus.SUCCEEDED
    refreshed = await yard.ended(await yard.submit(JobOperation.REFRESH))
    assert "nothing to change" in refreshed.message
    back = await yard.ended(await yard.submit(JobOperation.ROLLBACK))
    assert back.status is JobStatus.SUCCEEDED, back
    assert yard.query("SELECT name FROM cabinets")[0]["name"] == yard.manifest()["name"]
    removed = await yard.ended(await yard.submit(JobOperation.DESTROY))
    assert removed.status is JobStatus.SUCCEEDED
    assert yard.objects() == NONE
    assert yard.tenant() == "removed"
    assert not yard.locks()


async def test_a_manifest_that_does_not_resolve_fails_with_its_problems(yard: Yard) -> None:
    yard.worker()
    job = await yard.ended(await yard.submit(manifest=yard.manifest(templateId="no-such-template")))
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error["kind"] == "invalid_input"
    assert job.error["details"]["problems"][0]["field"] == "templateId"
    assert yard.objects() == NONE
    assert yard.deployments(job.id) == []


async def test_one_step_is_retried_and_one_is_skipped(yard: Yard) -> None:
    yard.worker()
    name, other = yard.database(), f"{yard.slug}-b"
    yard.query(f'CREATE DATABASE "{name}"', database="postgres")
    failed = await yard.ended(await yard.submit(manifest=yard.manifest(), enable_rollback=False))
    assert failed.status is JobStatus.FAILED
    assert yard.tenant() == "failed"
    yard.query(f'DROP DATABASE "{name}"', database="postgres")
    retried = await yard.ended(await yard.submit(steps=["database"]))
    assert retried.status is JobStatus.SUCCEEDED, retried
    assert yard.objects() == ONE
    assert yard.tenant() == "active"
    skip = yard.manifest(skipDatabaseCreation=True)
    refused = await yard.ended(await yard.submit(manifest=skip, skip=["database"]))
    assert refused.status is JobStatus.FAILED
    assert "has worked with the step 'database'" in refused.message
    assert yard.objects() == ONE
    without = await yard.submit(
        manifest=yard.manifest(other, skipDatabaseCreation=True), slug=other, skip=["database"], new=True
    )
    assert (await yard.ended(without)).status is JobStatus.SUCCEEDED
    assert yard.objects(other) == ONE | {"databases": 0, "roles": 0}


async def test_a_tenant_that_was_made_from_the_command_line(yard: Yard) -> None:
    write_manifest(yard.project, yard.slug)
    words = [sys.executable, "-m", "automation", "up", yard.slug, "--json"]
    done = await asyncio.to_thread(
        subprocess.run, words, cwd=yard.project, env=yard.environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    yard.worker()
    again = await yard.ended(await yard.submit())
    assert again.status is JobStatus.SUCCEEDED, again
    assert "nothing to change" in again.message


async def test_a_tenant_that_somebody_works_on_by_hand_is_waited_for(yard: Yard) -> None:
    yard.worker()
    with tenant_lock(yard.settings, yard.slug, "up"):
        job = await yard.submit(manifest=yard.manifest())
        await yard.until(
            lambda: yard.query("SELECT 1 FROM jobs WHERE id = %s AND status = 'pending' AND attempts > 0", job)
        )
        assert "is locked by another run" in (await yard.store.get(job)).message
    assert (await yard.ended(job)).status is JobStatus.SUCCEEDED
    assert yard.deployments(job) == ["succeeded"]


def attempt(yard: Yard, *words: str) -> subprocess.CompletedProcess[str]:
    """The process of an attempt, started as a worker does."""
    return subprocess.run(
        [sys.executable, "-m", "automation.jobs.run", *words],
        cwd=yard.project,
        env=yard.environment,
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_an_attempt_that_is_not_this_processs_any_more_does_nothing(yard: Yard) -> None:
    job = await yard.submit(manifest=yard.manifest())
    claimed = await yard.store.claim(job, worker="w", lease_seconds=60)
    assert claimed is not None
    for words in ((str(job), "2"), (str(uuid.uuid4()), "1")):
        done = await asyncio.to_thread(attempt, yard, *words)
        assert (done.returncode, json.loads(done.stdout)) == (ATTEMPT_LOST, {"type": "lost"})
    assert (await asyncio.to_thread(attempt, yard)).returncode == 64
    assert yard.deployments(job) == []

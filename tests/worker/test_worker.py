"""A worker on a real main database with the embedded engine: jobs end, once, as what happened."""

import pytest

from automation.models_jobs import JobOperation, JobStatus
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

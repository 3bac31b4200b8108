"""Everything that can break under a worker, broken: each job ends, once, and leaves one of each object, or none."""

import asyncio
import contextlib
import os
import signal
import time

import pytest

from automation.jobs.model import ConflictError
from automation.models_jobs import JobOperation, JobStatus
from automation.queues.choose import choose
from sandbox import postgres as sandbox_postgres
from tests.worker.yard import LEASE, NONE, ONE, Yard

pytestmark = pytest.mark.timeout(240)

REFUSE = (
    """
    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.status = 'active' THEN RAISE 'no activation today'; END IF; RETURN NEW; END $$
    """,
    "CREATE TRIGGER refuses BEFORE UPDATE ON cabinets FOR EACH ROW EXECUTE FUNCTION public.refuse()",
)


def kill_session(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


# Processes that die


@pytest.mark.parametrize("step", ["database", "activation"])
async def test_the_attempts_process_dies(yard: Yard, step: str) -> None:
    yard.worker()
    job = await yard.submit(manifest=yard.manifest())
    await yard.reaches(job, step)
    os.kill(await yard.child(job), signal.SIGKILL)
    ended = await yard.ended(job)
    assert ended.status is JobStatus.SUCCEEDED, (ended, yard.said())
    assert ended.attempts == 2
    assert yard.deployments(job) == ["interrupted", "succeeded"]
    assert yard.ends(job) == 1
    assert yard.objects() == ONE
    assert not yard.locks()


async def test_a_process_that_always_dies_fails_its_job(yard: Yard) -> None:
    yard.worker(TENANTRY_JOB_ATTEMPTS="2")
    job = await yard.submit(manifest=yard.manifest())
    for deployments in (1, 2):
        await yard.until(lambda n=deployments: len(yard.deployments(job)) == n)
        os.kill(await yard.child(job), signal.SIGKILL)
    ended = await yard.ended(job)
    assert ended.status is JobStatus.FAILED
    assert "died 2 times, the last time by signal 9" in ended.message
    assert yard.deployments(job) == ["interrupted", "interrupted"]
    assert yard.tenant() == "failed"
    assert yard.ends(job) == 1
    again = await yard.ended(await yard.submit())
    assert again.status is JobStatus.SUCCEEDED
    assert yard.objects() == ONE


@pytest.mark.parametrize("whole_machine", [False, True])
async def test_the_worker_dies_and_another_continues(yard: Yard, whole_machine: bool) -> None:
    # Both are there before the job: a worker takes longer to start than a job to end, on a machine that is busy.
    workers = {process.pid: process for process in (yard.worker(), yard.worker())}
    await yard.until(lambda: len(yard.query("SELECT 1 FROM workers")) == 2)
    job = await yard.submit(manifest=yard.manifest())
    child = await yard.child(job)
    [row] = yard.query("SELECT pid FROM workers JOIN jobs ON jobs.worker = workers.id WHERE jobs.id = %s", job)
    first = workers.pop(row["pid"])
    [second] = workers.values()
    first.kill()
    died = time.monotonic()
    if whole_machine:
        kill_session(child)
    await yard.until(lambda: yard.query("SELECT 1 FROM jobs WHERE id = %s AND attempts > 1", job), seconds=30)
    # Within the lease; what is above is a look every 0.3 s, and a machine that is busy with other things.
    assert time.monotonic() - died < LEASE + 8
    ended = await yard.ended(job)
    assert ended.status is JobStatus.SUCCEEDED, (ended, yard.said())
    assert yard.ends(job) == 1
    assert yard.objects() == ONE
    assert not yard.locks()
    assert second.poll() is None


async def test_a_worker_that_hangs_and_comes_back(yard: Yard) -> None:
    first = yard.worker()
    job = await yard.submit(manifest=yard.manifest())
    await yard.reaches(job, "record")
    first.send_signal(signal.SIGSTOP)
    try:
        yard.worker()
        await yard.until(lambda: yard.query("SELECT 1 FROM jobs WHERE id = %s AND attempts > 1", job))
    finally:
        first.send_signal(signal.SIGCONT)
    ended = await yard.ended(job)
    assert ended.status is JobStatus.SUCCEEDED, (ended, yard.said())
    assert yard.ends(job) == 1
    assert yard.objects() == ONE


async def test_a_lease_that_is_lost_stops_the_process(yard: Yard) -> None:
    yard.worker()
    job = await yard.submit(manifest=yard.manifest())
    await yard.reaches(job, "database")
    child = await yard.child(job)
    yard.query(
        "UPDATE jobs SET worker = 'another', attempts = attempts + 1, lease_until = now() + interval '15 s'"
        " WHERE id = %s",
        job,
    )
    await yard.until(lambda: not alive(child))
    assert yard.query("SELECT worker FROM jobs WHERE id = %s", job)[0]["worker"] == "another"
    ended = await yard.ended(job)
    assert ended.status is JobStatus.SUCCEEDED, (ended, yard.said())
    assert ended.attempts == 3
    assert yard.ends(job) == 1
    assert yard.objects() == ONE


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# The database goes away


async def test_the_database_restarts_during_a_run(own_yard: Yard) -> None:
    own_yard.worker()
    job = await own_yard.submit(manifest=own_yard.manifest())
    await own_yard.reaches(job, "database")
    sandbox_postgres.stop(own_yard.server.directory)
    await asyncio.sleep(2)
    sandbox_postgres.start(own_yard.server.directory)
    ended = await own_yard.ended(job)
    assert ended.status is JobStatus.SUCCEEDED, (ended, own_yard.said())
    assert own_yard.ends(job) == 1
    assert own_yard.objects() == ONE
    assert not own_yard.locks()


async def test_the_database_is_away_for_thirty_seconds(own_yard: Yard) -> None:
    yard = own_yard
    slugs = [f"{yard.slug}-{letter}" for letter in "abc"]
    yard.worker(concurrency=2)
    removed = await yard.submit(manifest=yard.manifest())
    assert (await yard.ended(removed)).status is JobStatus.SUCCEEDED
    # Two run, a create and a removal; two wait.
    jobs = [await yard.submit(manifest=yard.manifest(slug), slug=slug) for slug in slugs]
    jobs.append(await yard.submit(JobOperation.DESTROY))
    await yard.reaches(jobs[0], "schema")
    sandbox_postgres.stop(yard.server.directory)
    await asyncio.sleep(30)
    sandbox_postgres.start(yard.server.directory)
    for job in jobs:
        ended = await yard.ended(job)
        assert ended.status is JobStatus.SUCCEEDED, (ended, yard.said())
        assert yard.ends(job) == 1
    assert [yard.objects(slug) for slug in slugs] == [ONE] * 3
    assert yard.objects() == NONE
    # And an idle worker has lived through it too: it hears of a cancel, and of new jobs.
    assert yard.query("SELECT 1 FROM workers WHERE seen_at > now() - interval '10 s'")
    assert (await yard.ended(await yard.submit(JobOperation.REFRESH, slug=slugs[0]))).status is JobStatus.SUCCEEDED


# Cancelling


async def test_cancelled_while_it_waits(yard: Yard) -> None:
    job = await yard.submit(manifest=yard.manifest())
    await yard.cancel(job)
    queue = choose(yard.settings)
    await queue.open()
    await queue.publish(job)
    await queue.close()
    yard.worker()
    other = await yard.ended(await yard.submit(JobOperation.PREVIEW, yard.manifest()))
    assert other.status is JobStatus.SUCCEEDED
    assert (await yard.store.get(job)).status is JobStatus.CANCELLED
    assert yard.ends(job) == 1
    assert yard.deployments(job) == []
    assert yard.objects() == NONE
    assert yard.tenant() == "removed"


async def test_cancelled_during_a_create_and_continued(yard: Yard) -> None:
    yard.worker()
    job = await yard.submit(manifest=yard.manifest())
    await yard.reaches(job, "database")
    await yard.cancel(job)
    await yard.cancel(job)  # twice is once
    ended = await yard.ended(job)
    assert ended.status is JobStatus.CANCELLED, (ended, yard.said())
    assert "finished: validation, record" in ended.message
    assert "not begun: " in ended.message
    assert ended.error is not None
    assert "destroy" in ended.error["hint"]
    assert yard.deployments(job) == ["cancelled"]
    assert yard.tenant() == "failed"
    assert yard.ends(job) == 1
    assert not yard.locks()
    with pytest.raises(ConflictError, match="has ended already"):
        await yard.cancel(job)
    again = await yard.ended(await yard.submit())
    assert again.status is JobStatus.SUCCEEDED
    assert yard.objects() == ONE


async def test_cancelled_as_soon_as_it_runs(yard: Yard) -> None:
    yard.worker()
    job = await yard.submit(manifest=yard.manifest())
    await yard.until(lambda: yard.query("SELECT 1 FROM jobs WHERE id = %s AND status = 'running'", job))
    await yard.cancel(job)
    ended = await yard.ended(job)
    assert ended.status is JobStatus.CANCELLED, (ended, yard.said())
    assert yard.ends(job) == 1
    if yard.deployments(job):  # on a machine that is busy, it may have begun
        assert "What was finished is saved" in ended.message
    else:
        assert "nothing was touched" in ended.message
        assert yard.tenant() == "removed"
        assert yard.objects() == NONE


async def test_cancelled_during_the_rollback(yard: Yard) -> None:
    for statement in REFUSE:
        yard.query(statement)
    yard.worker()
    job = await yard.submit(manifest=yard.manifest())
    await yard.until(lambda: yard.query("SELECT 1 FROM deployments WHERE job_id = %s AND phase = 'rollback'", job))
    await yard.cancel(job)
    ended = await yard.ended(job)
    assert yard.ends(job) == 1
    assert not yard.locks()
    if ended.status is JobStatus.ROLLED_BACK:  # the rollback was quicker than the cancel
        assert yard.objects() == NONE
        return
    assert ended.status is JobStatus.ROLLBACK_FAILED, (ended, yard.said())
    assert "rollback was cancelled" in ended.message
    assert ended.result is not None
    assert ended.result["leftovers"]
    assert yard.tenant() == "failed"
    assert (await yard.ended(await yard.submit(JobOperation.DESTROY))).status is JobStatus.SUCCEEDED
    assert yard.objects() == NONE


async def test_cancelled_while_its_worker_is_dead(yard: Yard) -> None:
    first = yard.worker()
    job = await yard.submit(manifest=yard.manifest())
    await yard.reaches(job, "database")
    child = await yard.child(job)
    first.kill()
    kill_session(child)
    await yard.cancel(job)
    yard.worker()
    ended = await yard.ended(job)
    assert ended.status is JobStatus.CANCELLED
    assert "between two attempts" in ended.message
    assert yard.deployments(job) == ["interrupted"]
    assert yard.tenant() == "failed"
    assert (await yard.ended(await yard.submit(JobOperation.DESTROY))).status is JobStatus.SUCCEEDED
    assert yard.objects() == NONE


async def test_a_failed_create_is_rolled_back(yard: Yard) -> None:
    for statement in REFUSE:
        yard.query(statement)
    yard.worker()
    ended = await yard.ended(await yard.submit(manifest=yard.manifest()))
    assert ended.status is JobStatus.ROLLED_BACK
    assert "no activation today" in ended.message
    assert yard.objects() == NONE
    assert yard.tenant() == "removed"


# Deploys


async def test_a_worker_that_is_stopped_ends_what_it_runs(yard: Yard) -> None:
    first = yard.worker(concurrency=1)
    job = await yard.submit(manifest=yard.manifest())
    other = f"{yard.slug}-b"
    waiting = await yard.submit(manifest=yard.manifest(other), slug=other)
    await yard.reaches(job, "record")
    first.send_signal(signal.SIGTERM)
    assert await yard.gone(first) == 0
    assert (await yard.store.get(job)).status is JobStatus.SUCCEEDED
    assert (await yard.store.get(waiting)).status is JobStatus.PENDING
    assert yard.query("SELECT 1 FROM workers") == []
    yard.worker(concurrency=1)
    assert (await yard.ended(waiting)).status is JobStatus.SUCCEEDED
    assert [yard.objects(), yard.objects(other)] == [ONE, ONE]


@pytest.mark.parametrize("signals", [1, 2])
async def test_a_worker_that_may_not_wait_gives_its_job_back(yard: Yard, signals: int) -> None:
    first = yard.worker(TENANTRY_DRAIN_SECONDS="0.1" if signals == 1 else "60")
    job = await yard.submit(manifest=yard.manifest())
    await yard.reaches(job, "database")
    first.send_signal(signal.SIGTERM)
    if signals == 2:
        await asyncio.sleep(0.2)
        first.send_signal(signal.SIGTERM)
    assert await yard.gone(first) == 0
    given_back = await yard.store.get(job)
    assert given_back.status is JobStatus.PENDING, (given_back, yard.said())
    assert "another continues" in given_back.message
    yard.worker()
    ended = await yard.ended(job)
    assert ended.status is JobStatus.SUCCEEDED
    assert yard.deployments(job) == ["cancelled", "succeeded"]
    assert yard.ends(job) == 1
    assert yard.objects() == ONE


# Messages


async def test_messages_that_come_again_and_for_jobs_that_are_not(yard: Yard) -> None:
    import uuid

    yard.worker()
    yard.worker()
    job = await yard.submit(manifest=yard.manifest())
    queue = choose(yard.settings)
    await queue.open()
    for _ in range(10):
        await queue.publish(job)
    await queue.publish(uuid.uuid4())
    ended = await yard.ended(job)
    for _ in range(5):
        await queue.publish(job)
    await yard.ended(await yard.submit(JobOperation.REFRESH))
    await queue.close()
    assert ended.status is JobStatus.SUCCEEDED
    assert (await yard.store.get(job)).attempts == 1
    assert yard.deployments(job) == ["succeeded"]
    assert yard.ends(job) == 1
    assert yard.objects() == ONE


async def test_an_attempt_that_ended_and_could_not_say_so_is_not_done_again(yard: Yard) -> None:
    """The process has recorded its run, and its worker died before it ended the job."""
    first = yard.worker()
    job = await yard.submit(manifest=yard.manifest())
    await yard.reaches(job, "record")
    first.send_signal(signal.SIGSTOP)  # its process goes on without it
    await yard.until(lambda: yard.deployments(job) == ["succeeded"])
    first.kill()
    yard.worker()
    ended = await yard.ended(job)
    assert ended.status is JobStatus.SUCCEEDED, (ended, yard.said())
    assert yard.deployments(job) == ["succeeded"]
    assert ended.attempts > 1
    assert ended.deployment_id is not None
    assert yard.ends(job) == 1

"""What an operation's own process tells about its job, and when it is no longer heard."""

import asyncio
import shutil
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from automation import operations
from automation.database import engine_for
from automation.engines import EngineChoice
from automation.errors import InputError
from automation.fake_stack import FakeBackend
from automation.jobs import reading
from automation.jobs.child_events import JobEvents, Progress
from automation.jobs.model import Ending, Lease
from automation.jobs.store import JobStore
from automation.models_jobs import JobStatus
from automation.results import RunResult
from automation.run import Context
from automation.settings import Settings
from stacks.manifest import parse_manifest
from tests.automation.helpers import MANIFEST, PASSPHRASE, ROOT
from tests.jobs.helpers import new_job


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def context(tmp_path: Path, settings: Settings, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> Context:
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    choice = EngineChoice(name="fake", reason="a test")
    return Context(settings=settings, choice=choice, stacks=backend.open)


async def begun(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> Lease:
    job, _ = await store.submit(new_job())
    found = await store.claim(job.id, worker="w1", lease_seconds=60)
    assert found is not None
    monkeypatch.setenv("TENANTRY_JOB", str(job.id))
    monkeypatch.setenv("TENANTRY_JOB_ATTEMPT", "1")
    return found[1]


async def up(context: Context) -> RunResult:
    return await asyncio.to_thread(operations.up, context, parse_manifest(MANIFEST))


async def test_a_run_for_a_job_tells_its_steps_progress_and_log(
    context: Context, store: JobStore, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await begun(store, monkeypatch)
    result = await up(context)
    job = await store.get(lease.job)
    assert str(job.deployment_id) == result.deployment
    assert (job.progress, job.current_step) == (100, None)
    events = await store.events(lease.job)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    steps = [event.data for event in events if event.kind == "step"]
    keys = [step.key for step in result.state.steps]
    assert [step["key"] for step in steps[: len(keys)]] == keys
    newest = {step["key"]: step["status"] for step in steps}
    assert newest == {step.key: step.status.value for step in result.state.steps}
    progress = [event.data["progress"] for event in events if event.kind == "progress"]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    said = [event.data["message"] for event in events if event.kind == "log"]
    async with engine.connect() as connection:
        detail = await reading.job_detail(connection, lease.job)
        deployment = await reading.deployment(connection, uuid.UUID(result.deployment))
    assert [step["key"] for step in detail["steps"]] == keys
    assert detail["steps"] == deployment["steps"]
    assert said


async def test_an_attempt_that_begins_anew_does_not_fall_behind(
    context: Context, store: JobStore, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await begun(store, monkeypatch)
    with engine_for(context.settings).begin() as connection:
        JobEvents(lease.job).write(
            connection, [("progress", Progress(progress=70, phase="run", current_step="schema"))]
        )
    await up(context)
    told = [event.data["progress"] for event in await store.events(lease.job) if event.kind == "progress"]
    assert told[0] == 70
    assert told == sorted(told)


async def test_a_process_that_outlived_its_lease_is_not_heard(
    context: Context, store: JobStore, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await begun(store, monkeypatch)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE jobs SET lease_until = now() - interval '1 second'"))
    taken = await store.claim(lease.job, worker="w2", lease_seconds=60)
    assert taken is not None
    before = await store.events(lease.job)
    result = await up(context)
    assert await store.events(lease.job) == before
    assert (await store.get(lease.job)).deployment_id is None
    # Its history is its own, and is kept.
    assert result.error is None
    await store.finish(taken[1], Ending(status=JobStatus.SUCCEEDED))
    monkeypatch.setenv("TENANTRY_JOB_ATTEMPT", "2")
    await up(context)
    assert [event.kind for event in await store.events(lease.job)][-1] == "end"


def test_a_job_that_is_none_is_refused_and_none_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert JobEvents.from_environment() is None
    monkeypatch.setenv("TENANTRY_JOB", "acme")
    with pytest.raises(InputError, match="TENANTRY_JOB"):
        JobEvents.from_environment()

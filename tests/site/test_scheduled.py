"""Scheduled backups: one job for each moment that is due, whoever asks, and none for who has no use of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.backup_schedule import AT_ONCE, SCHEDULE, ask_for_due
from automation.database import ensure_ready
from automation.jobs.database import async_engine_for
from automation.jobs.model import Caller, Ending, Job, NewJob
from automation.jobs.store import JobStore
from automation.models_jobs import JobOperation, JobStatus
from automation.settings import Settings, load_settings
from stacks.lines import SITE
from stacks.problems import ManifestError
from tests.conftest import MainDatabase
from tests.site.conftest import bench_at
from tests.site.sites import SLUG, manifest

ONE_DAY = timedelta(days=1)
DUE = "due"
"""In place of a schedule: the one whose moment was ten minutes ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clockwork:
    store: JobStore
    engine: AsyncEngine
    settings: Settings
    main: MainDatabase
    now: datetime
    """The test's, and not a day of its own: when a job was made is the database's to say."""

    async def asked(self, later: timedelta = timedelta()) -> list[Job]:
        return await ask_for_due(self.store, self.engine, self.settings, self.now + later)

    async def tenant(
        self,
        *,
        slug: str = SLUG,
        made_ago: timedelta = 2 * ONE_DAY,
        status: str = "active",
        worked: bool = True,
        **backups: Any,
    ) -> None:
        moment = self.now - timedelta(minutes=10)
        if backups["schedule"] is not None:
            backups = {**backups, "schedule": f"{moment.minute} {moment.hour} * * *"}
        resolved = SITE.resolve(SITE.parse(manifest(slug, backups=backups)), SITE.templates())

        def written() -> None:
            with self.main.connect() as connection:
                connection.execute(
                    "INSERT INTO tenants (slug, line, name, status, last_good_manifest, manifest_version, created_at)"
                    " VALUES (%s, 'site', 'Acme', %s, %s, 1, %s)",
                    (slug, status, json.dumps(resolved.to_dict()) if worked else None, self.now - made_ago),
                )

        await asyncio.to_thread(written)

    async def ends(self, job: Job, status: JobStatus) -> None:
        claimed = await self.store.claim(job.id, worker="test", lease_seconds=60)
        assert claimed is not None
        await self.store.finish(claimed[1], Ending(status=status))


@pytest.fixture
async def clockwork(project: Path, main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clockwork]:
    bench_at(project / "there", monkeypatch, "simulated")
    settings = load_settings()
    await asyncio.to_thread(ensure_ready, settings)
    engine = async_engine_for(settings, application="test")
    store, now = JobStore(engine, settings), datetime.now(UTC).replace(microsecond=0)
    yield Clockwork(store=store, engine=engine, settings=settings, main=main_db, now=now)
    await engine.dispose()


async def test_what_is_due_is_asked_for_once_and_again_the_next_day(clockwork: Clockwork) -> None:
    await clockwork.tenant(schedule=DUE)
    # Two workers at the same moment.
    both = await asyncio.gather(clockwork.asked(), clockwork.asked())
    [job] = [one for made in both for one in made]
    assert (job.operation, job.actor, job.line) == (JobOperation.BACKUP, SCHEDULE, "site")
    assert await clockwork.asked() == []
    await clockwork.ends(job, JobStatus.SUCCEEDED)
    assert await clockwork.asked(timedelta(hours=1)) == []
    assert len(await clockwork.asked(ONE_DAY)) == 1


async def test_one_that_failed_is_tried_again_after_a_while(clockwork: Clockwork) -> None:
    await clockwork.tenant(schedule=DUE)
    [job] = await clockwork.asked()
    await clockwork.ends(job, JobStatus.FAILED)
    assert await clockwork.asked(timedelta(minutes=5)) == []
    [again] = await clockwork.asked(timedelta(minutes=20))
    assert again.id != job.id
    await clockwork.ends(again, JobStatus.FAILED)
    # The second of this moment: it waits for twice as long.
    assert await clockwork.asked(timedelta(minutes=25)) == []
    [third] = await clockwork.asked(timedelta(minutes=31))
    await clockwork.ends(third, JobStatus.FAILED)
    [fourth] = await clockwork.asked(timedelta(minutes=61))
    await clockwork.ends(fourth, JobStatus.FAILED)
    assert await clockwork.asked(timedelta(hours=23)) == []
    assert len(await clockwork.asked(ONE_DAY)) == 1


async def test_of_many_that_are_due_a_few_are_asked_for_at_a_time(clockwork: Clockwork) -> None:
    """Whoever asks for a site meanwhile is not behind all of them."""
    for number in range(AT_ONCE + 2):
        # The later their names the longer they have waited.
        await clockwork.tenant(slug=f"shop-{number}", schedule=DUE, made_ago=timedelta(days=2, hours=number))
    # Two workers at the same moment ask for the same ones.
    both = await asyncio.gather(clockwork.asked(), clockwork.asked())
    first = [one for made in both for one in made]
    assert sorted(one.tenant for one in first) == [f"shop-{number}" for number in range(2, AT_ONCE + 2)]
    assert await clockwork.asked() == []
    await clockwork.ends(first[0], JobStatus.SUCCEEDED)
    assert [one.tenant for one in await clockwork.asked()] == ["shop-1"]


def test_a_schedule_that_leaves_no_time_for_anything_else_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench_at(project / "there", monkeypatch, "simulated")
    with pytest.raises(ManifestError) as caught:
        SITE.resolve(SITE.parse(manifest(backups={"schedule": "*/15 * * * *"})), SITE.templates())
    [problem] = caught.value.problems
    assert (problem.field, problem.given) == ("customSettings.backups.schedule", '"*/15 * * * *"')
    assert problem.valid.startswith("a schedule whose moments are an hour apart or more, such as '30 2 * * *'")


async def test_who_has_a_job_waits_for_its_end(clockwork: Clockwork) -> None:
    await clockwork.tenant(schedule=DUE)
    caller = Caller(subject="olga", address=None, correlation_id="c")
    new = NewJob(tenant=SLUG, line="site", operation=JobOperation.REFRESH, caller=caller)
    refresh, _ = await clockwork.store.submit(new)
    assert await clockwork.asked() == []
    await clockwork.ends(refresh, JobStatus.SUCCEEDED)
    assert len(await clockwork.asked()) == 1


@pytest.mark.parametrize("status", ["partial", "failed"])
async def test_whose_site_lives_is_backed_up_whatever_became_of_its_last_change(
    clockwork: Clockwork, status: str
) -> None:
    await clockwork.tenant(schedule=DUE, status=status)
    [job] = await clockwork.asked()
    await clockwork.ends(job, JobStatus.FAILED)
    # A failed one may be half restored, and cannot be backed up: once each time is enough to say so.
    assert len(await clockwork.asked(timedelta(minutes=20))) == (0 if status == "failed" else 1)


async def test_a_failed_tenant_is_asked_for_again_at_the_next_moment(clockwork: Clockwork) -> None:
    await clockwork.tenant(schedule=DUE, status="failed")
    [job] = await clockwork.asked()
    await clockwork.ends(job, JobStatus.FAILED)
    assert len(await clockwork.asked(ONE_DAY)) == 1


@pytest.mark.parametrize(
    "tenant",
    [
        {"schedule": None},
        {"schedule": DUE, "status": "removed"},
        {"schedule": DUE, "status": "failed", "worked": False},
        {"schedule": DUE, "status": "provisioning", "worked": False},
        {"schedule": DUE, "made_ago": timedelta(minutes=5)},
    ],
    ids=["without a schedule", "removed", "never made", "being made", "newer than the moment"],
)
async def test_nobody_asks_for(clockwork: Clockwork, tenant: dict[str, Any]) -> None:
    await clockwork.tenant(**tenant)
    assert await clockwork.asked() == []

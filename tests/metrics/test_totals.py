"""Totals of all processes together: nothing is lost, nothing counted twice, nothing waits for itself."""

import asyncio
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.jobs import totals
from automation.jobs.database import transaction
from automation.jobs.model import Job
from automation.jobs.totals import Addition
from automation.models import deployment_steps, deployments, tenants
from automation.models_jobs import JobOperation, JobStatus
from automation.settings import Settings

LABELS = {"line": "cabinet", "operation": "up", "status": "succeeded"}


async def read(engine: AsyncEngine, settings: Settings) -> dict[tuple[str, tuple[str, ...]], totals.Total]:
    async with transaction(engine, settings) as connection:
        return {(t.definition.name, tuple(t.labels.values())): t for t in await totals.read(connection)}


async def test_counters_and_histograms_add_up(engine: AsyncEngine, settings: Settings) -> None:
    async with transaction(engine, settings) as connection:
        assert await totals.read(connection) == []
        await totals.count(connection, totals.JOBS, LABELS)
        await totals.count(connection, totals.JOBS, LABELS, 2)
        for seconds in (0.05, 0.06, 59.9, 60, 121):
            await totals.observe(connection, totals.WEBHOOK_SECONDS, {"event": "ping"}, seconds)
    found = await read(engine, settings)
    assert found[totals.JOBS, ("cabinet", "up", "succeeded")].value == 3
    histogram = found[totals.WEBHOOK_SECONDS, ("ping",)]
    assert histogram.value == pytest.approx(241.01)
    assert dict(histogram.buckets) == {
        "0.05": 1,
        **dict.fromkeys(("0.1", "0.25", "0.5", "1", "2.5", "5", "10", "20", "30"), 2),
        **dict.fromkeys(("60", "120"), 4),
        "+Inf": 5,
    }


async def test_what_is_not_committed_is_not_counted(engine: AsyncEngine, settings: Settings) -> None:
    async with engine.connect() as connection:
        await totals.count(connection, totals.JOBS, LABELS)
        await connection.rollback()
    assert await read(engine, settings) == {}


@pytest.mark.parametrize(
    ("metric", "labels", "value", "said"),
    [
        ("tenantry_nothing", {}, 1, "no total called tenantry_nothing"),
        (totals.JOBS, {"line": "cabinet"}, 1, "labels line, operation, status; given: line"),
        (totals.JOBS, LABELS, -1, "only grows"),
    ],
)
async def test_unknown_totals_are_refused(
    engine: AsyncEngine, settings: Settings, metric: str, labels: dict[str, str], value: float, said: str
) -> None:
    async with transaction(engine, settings) as connection:
        with pytest.raises(ValueError, match=said):
            await totals.count(connection, metric, labels, value)


async def test_many_transactions_at_once_lose_nothing_and_never_wait_for_each_other(
    engine: AsyncEngine, settings: Settings
) -> None:
    chance = random.Random(5)  # noqa: S311 - an order, no secret
    some = [{**LABELS, "status": status} for status in ("succeeded", "failed", "cancelled")]

    async def one() -> None:
        additions = [Addition(metric=totals.JOBS, labels=labels) for labels in some]
        additions += [Addition(metric=totals.JOB_SECONDS, labels=labels, value=1) for labels in some]
        chance.shuffle(additions)
        async with transaction(engine, settings) as connection:
            await totals.add(connection, additions)

    async with asyncio.timeout(60):
        await asyncio.gather(*(one() for _ in range(60)))
    found = await read(engine, settings)
    assert {key[1][2]: total.value for key, total in found.items() if key[0] == totals.JOBS} == {
        "succeeded": 60,
        "failed": 60,
        "cancelled": 60,
    }
    assert found[totals.JOB_SECONDS, tuple(some[0].values())].buckets[-1] == ("+Inf", 60)


async def test_buckets_and_metrics_of_another_version_do_not_break_reading(
    engine: AsyncEngine, settings: Settings
) -> None:
    async with transaction(engine, settings) as connection:
        await totals.observe(connection, totals.WEBHOOK_SECONDS, {"event": "ping"}, 0.07)
        await connection.execute(
            text(
                "INSERT INTO metric_totals (metric, labels, part, value) VALUES "
                "('tenantry_gone_total', '{}', 'value', 1), (:seconds, '{\"event\": \"ping\"}', '0.06', 4), "
                "(:seconds, '{\"hook\": \"x\"}', 'sum', 4)"
            ),
            {"seconds": totals.WEBHOOK_SECONDS},
        )
    found = await read(engine, settings)
    assert list(found) == [(totals.WEBHOOK_SECONDS, ("ping",))]
    assert found[totals.WEBHOOK_SECONDS, ("ping",)].buckets[:3] == (("0.05", 0), ("0.1", 5), ("0.25", 5))


def a_job(**values: Any) -> Job:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    plain: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    return Job(
        **plain
        | {
            "id": uuid.uuid4(),
            "tenant": "acme",
            "line": "cabinet",
            "operation": JobOperation.UP,
            "status": JobStatus.SUCCEEDED,
            "attempts": 1,
            "created_at": start,
            "started_at": start + timedelta(seconds=2),
            "ended_at": start + timedelta(seconds=12),
        }
        | values
    )


@pytest.mark.parametrize("by", ["job", "hand"])
async def test_a_job_a_run_and_its_steps_are_counted(engine: AsyncEngine, settings: Settings, by: str) -> None:
    job = a_job(status=JobStatus.ROLLED_BACK, attempts=2)
    run = uuid.uuid4()
    async with transaction(engine, settings) as connection:
        await connection.execute(insert(tenants).values(slug="acme", name="Acme", status="active"))
        await connection.execute(
            insert(deployments).values(
                id=run,
                tenant="acme",
                operation="up",
                status="rolled_back",
                correlation_id="c",
                actor="a",
                host="h",
                pid=1,
                engine="embedded",
                duration_ms=9000,
                job_id=job.id if by == "job" else None,
            )
        )
        for position, (key, status, took) in enumerate(
            [("record", "rolled_back", 400), ("database", "failed", 70_000), ("schema", "pending", None)]
        ):
            await connection.execute(
                insert(deployment_steps).values(
                    deployment_id=run, key=key, position=position, title=key, status=status, duration_ms=took
                )
            )
        runs = await connection.run_sync(totals.of_runs, [run])
        engines = totals.of_engine("embedded", [("up", 6.5), ("destroy", 1.5), ("up", 0.25)])
        await totals.add(connection, [*totals.of_job(job), *runs, *engines])
        assert await connection.run_sync(totals.of_runs, []) == []
    found = await read(engine, settings)
    assert {key: total.value for key, total in found.items()} == {
        (totals.JOBS, ("cabinet", "up", "rolled_back")): 1,
        (totals.JOB_ATTEMPTS, ("cabinet", "up")): 2,
        (totals.JOB_WAIT_SECONDS, ("cabinet", "up")): 2,
        (totals.JOB_SECONDS, ("cabinet", "up", "rolled_back")): 10,
        (totals.ENGINE_SECONDS, ("embedded", "up")): 6.75,
        (totals.ENGINE_SECONDS, ("embedded", "destroy")): 1.5,
        (totals.RUN_SECONDS, ("cabinet", "up", "rolled_back", by)): 9,
        (totals.STEP_SECONDS, ("cabinet", "database", "failed")): 70,
        (totals.STEP_SECONDS, ("cabinet", "record", "rolled_back")): 0.4,
    }


def test_a_job_that_never_started_has_no_times() -> None:
    cancelled = a_job(status=JobStatus.CANCELLED, attempts=0, started_at=None)
    assert [addition.metric for addition in totals.of_job(cancelled)] == [totals.JOBS]

"""Counters and histograms of all processes together, in the main database, added to where what they count is committed.

Decides which totals there are, their labels and buckets: one that is not in TOTALS is refused. What is measured at the
moment of asking (queue depth, workers) is not kept here: `service.metrics` asks for it.

A run is counted by whoever ends it, for a job or by hand: its own process, or who takes it over from a dead one. A job
is counted by whoever ends the job.

Rows are hot: every job that ends adds to the same ones, and they stay locked until the transaction commits. So count
**last** in a transaction, and everything in one call: one statement takes the rows in one order, and no two
transactions can wait for each other.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import Insert, insert

from automation.models import deployment_steps, deployments, tenants
from automation.models_jobs import metric_totals

if TYPE_CHECKING:
    # Operations count too, and have no use for what takes long to load.
    from sqlalchemy.ext.asyncio import AsyncConnection

    from automation.jobs.model import Job

LONG = (0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 240, 300, 600, 1800)
"""Buckets for runs, whose limit is 300 s by default. Seconds."""
SHORT = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
"""Buckets for steps and requests, whose limit is 60 s by default. Seconds."""
INFINITY = "+Inf"


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalDefinition:
    """What a total is. One with buckets is a histogram of seconds; one without is a counter."""

    name: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


JOBS = "tenantry_jobs_total"
JOB_SECONDS = "tenantry_job_duration_seconds"
JOB_WAIT_SECONDS = "tenantry_job_wait_seconds"
JOB_ATTEMPTS = "tenantry_job_attempts_total"
RUN_SECONDS = "tenantry_run_duration_seconds"
STEP_SECONDS = "tenantry_step_duration_seconds"
ENGINE_SECONDS = "tenantry_engine_duration_seconds"
WEBHOOK_ATTEMPTS = "tenantry_webhook_attempts_total"
WEBHOOK_DELIVERIES = "tenantry_webhook_deliveries_total"
WEBHOOK_SECONDS = "tenantry_webhook_attempt_duration_seconds"
WEBHOOKS_DISABLED = "tenantry_webhooks_disabled_total"

TOTALS: Mapping[str, TotalDefinition] = {
    total.name: total
    for total in (
        TotalDefinition(
            name=JOBS,
            help="Jobs that have ended, by product line, operation and result.",
            labels=("line", "operation", "status"),
        ),
        TotalDefinition(
            name=JOB_ATTEMPTS,
            help="Attempts that jobs took until they ended; more than one where a worker was lost.",
            labels=("line", "operation"),
        ),
        TotalDefinition(
            name=JOB_SECONDS,
            help="Seconds from a job's start to its end.",
            labels=("line", "operation", "status"),
            buckets=LONG,
        ),
        TotalDefinition(
            name=JOB_WAIT_SECONDS,
            help="Seconds from a job's acceptance to its first start.",
            labels=("line", "operation"),
            buckets=LONG,
        ),
        TotalDefinition(
            name=RUN_SECONDS,
            help="Seconds from a run's start to its end; by is job, or hand for the command line and tenantry ci.",
            labels=("line", "operation", "status", "by"),
            buckets=LONG,
        ),
        TotalDefinition(
            name=STEP_SECONDS,
            help="Seconds that a step of a run took, by how it ended.",
            labels=("line", "step", "status"),
            buckets=SHORT,
        ),
        TotalDefinition(
            name=ENGINE_SECONDS,
            help="Seconds that the Pulumi engine took for a command (preview, up, refresh, destroy); each try counts.",
            labels=("engine", "command"),
            buckets=LONG,
        ),
        TotalDefinition(
            name=WEBHOOK_ATTEMPTS,
            help="Requests sent to webhooks, by what came of them: a class of status codes such as 2xx, or error.",
            labels=("event", "result"),
        ),
        TotalDefinition(
            name=WEBHOOK_DELIVERIES,
            help="Webhook deliveries that have ended: delivered, failed after the last try, or dropped.",
            labels=("event", "status"),
        ),
        TotalDefinition(
            name=WEBHOOK_SECONDS, help="Seconds that a webhook took to answer.", labels=("event",), buckets=SHORT
        ),
        TotalDefinition(
            name=WEBHOOKS_DISABLED, help="Webhooks that were switched off after failing repeatedly.", labels=()
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """Something to add: `value` to a counter, or an observation of `value` seconds to a histogram."""

    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A total as it stands. `buckets` are (upper bound, observations up to it), growing, the last bound being +Inf;
    empty for a counter. `value` is a counter's value, or the sum of a histogram's seconds."""

    definition: TotalDefinition
    labels: Mapping[str, str]
    value: float
    buckets: tuple[tuple[str, float], ...] = ()


async def count(connection: AsyncConnection, metric: str, labels: Mapping[str, str], value: float = 1) -> None:
    """Adds `value` to the counter `metric`. Raises ValueError for a metric or labels that TOTALS does not have."""
    await add(connection, [Addition(metric=metric, labels=labels, value=value)])


async def observe(connection: AsyncConnection, metric: str, labels: Mapping[str, str], seconds: float) -> None:
    """Adds an observation to the histogram `metric`. Raises ValueError as `count` does."""
    await add(connection, [Addition(metric=metric, labels=labels, value=seconds)])


async def add(connection: AsyncConnection, additions: Iterable[Addition]) -> None:
    """Adds all of them in one statement, in one order."""
    if (statement := _adding(additions)) is not None:
        await connection.execute(statement)


def add_now(connection: Connection, additions: Iterable[Addition]) -> None:
    """The same, for what is not async."""
    if (statement := _adding(additions)) is not None:
        connection.execute(statement)


def _adding(additions: Iterable[Addition]) -> Insert | None:
    sums: Counter[tuple[str, str, str]] = Counter()
    for addition in additions:
        for part, value in _parts(addition):
            sums[addition.metric, json.dumps(dict(addition.labels), sort_keys=True), part] += value  # type: ignore[assignment]
    if not sums:
        return None
    rows = [
        {"metric": metric, "labels": labels, "part": part, "value": float(value)}
        for (metric, labels, part), value in sorted(sums.items())
    ]
    statement = insert(metric_totals).values(rows)
    return statement.on_conflict_do_update(
        index_elements=[metric_totals.c.metric, metric_totals.c.labels, metric_totals.c.part],
        set_={"value": metric_totals.c.value + statement.excluded.value},
    )


async def read(connection: AsyncConnection) -> list[Total]:
    """Every total that has been added to, by name and labels. Rows of metrics that no longer exist are passed over."""
    rows = await connection.execute(select(metric_totals).order_by(metric_totals.c.metric, metric_totals.c.labels))
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        found.setdefault((row.metric, row.labels), {})[row.part] = row.value
    totals = []
    for (name, labels), parts in found.items():
        definition = TOTALS.get(name)
        values = json.loads(labels)
        if definition is not None and set(values) == set(definition.labels):
            totals.append(_total(definition, {label: values[label] for label in definition.labels}, parts))
    return totals


def of_runs(connection: Connection, ended: Sequence[uuid.UUID]) -> list[Addition]:
    """What these deployments, which have just ended, are to be counted for: themselves and their steps."""
    if not ended:
        return []
    runs = connection.execute(
        select(
            *(deployments.c.operation, deployments.c.status, deployments.c.duration_ms, deployments.c.job_id),
            tenants.c.line,
        )
        .join(tenants, tenants.c.slug == deployments.c.tenant)
        .where(deployments.c.id.in_(ended), deployments.c.duration_ms.is_not(None))
    )
    additions = [
        Addition(
            metric=RUN_SECONDS,
            labels={
                "line": run.line,
                "operation": run.operation,
                "status": run.status,
                "by": "job" if run.job_id is not None else "hand",
            },
            value=max(0, run.duration_ms) / 1000,
        )
        for run in runs
    ]
    steps = connection.execute(
        select(deployment_steps.c.key, deployment_steps.c.status, deployment_steps.c.duration_ms, tenants.c.line)
        .join(deployments, deployments.c.id == deployment_steps.c.deployment_id)
        .join(tenants, tenants.c.slug == deployments.c.tenant)
        .where(deployments.c.id.in_(ended), deployment_steps.c.duration_ms.is_not(None))
    )
    return additions + [
        Addition(
            metric=STEP_SECONDS,
            labels={"line": step.line, "step": step.key, "status": step.status},
            value=max(0, step.duration_ms) / 1000,
        )
        for step in steps
    ]


def of_engine(engine: str, commands: Iterable[tuple[str, float]]) -> list[Addition]:
    """What (command, seconds) of an engine are to be counted for. Pure."""
    return [
        Addition(metric=ENGINE_SECONDS, labels={"engine": engine, "command": command}, value=seconds)
        for command, seconds in commands
    ]


def of_job(job: Job) -> list[Addition]:
    """What the row of an ended job says. Pure."""
    labels = {"line": job.line, "operation": job.operation.value}
    ended = {**labels, "status": job.status.value}
    additions = [Addition(metric=JOBS, labels=ended)]
    if job.attempts:
        additions.append(Addition(metric=JOB_ATTEMPTS, labels=labels, value=job.attempts))
    if job.started_at is not None:
        waited = max(0.0, (job.started_at - job.created_at).total_seconds())
        additions.append(Addition(metric=JOB_WAIT_SECONDS, labels=labels, value=waited))
        if job.ended_at is not None:
            took = max(0.0, (job.ended_at - job.started_at).total_seconds())
            additions.append(Addition(metric=JOB_SECONDS, labels=ended, value=took))
    return additions


def _parts(addition: Addition) -> list[tuple[str, float]]:
    definition = TOTALS.get(addition.metric)
    if definition is None:
        raise ValueError(f"there is no total called {addition.metric}; add it to TOTALS first")
    if set(addition.labels) != set(definition.labels):
        given = ", ".join(sorted(addition.labels)) or "none"
        raise ValueError(f"{addition.metric} has the labels {', '.join(definition.labels)}; given: {given}")
    if addition.value < 0:
        raise ValueError(f"{addition.metric} only grows; given: {addition.value}")
    if not definition.buckets:
        return [("value", addition.value)]
    # One bucket per observation is stored; they are added up when they are read.
    bound = next((f"{bound:g}" for bound in definition.buckets if addition.value <= bound), INFINITY)
    return [(bound, 1), ("sum", addition.value)]


def _total(definition: TotalDefinition, labels: Mapping[str, str], parts: Mapping[str, float]) -> Total:
    if not definition.buckets:
        return Total(definition=definition, labels=labels, value=parts.get("value", 0.0))
    buckets, so_far = [], 0.0
    bounds = [f"{bound:g}" for bound in definition.buckets]
    # Buckets that an older version had are counted with the next larger one of today.
    stored = sorted((float(part), number) for part, number in parts.items() if part != "sum")
    for bound in [*bounds, INFINITY]:
        so_far = sum(number for upper, number in stored if upper <= float(bound))
        buckets.append((bound, so_far))
    return Total(definition=definition, labels=labels, value=parts.get("sum", 0.0), buckets=tuple(buckets))

"""The service: reads and acceptance with full tables, events to a reader and to a page, and jobs on four workers.

Measures a service and a worker as `tenantry dev` starts them, on an embedded PostgreSQL of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from automation.dev import MAIN_DATABASE, SOURCE, Dev
from benchmarks.environment import manifest_of
from benchmarks.figures import (
    ACCEPT_MS,
    EVENT_MS,
    OVERLOAD,
    QUEUED_JOBS,
    READ_MS,
    READ_RATE,
    SEEDED_JOBS,
    SEEDED_TENANTS,
    SERVICE_WORKERS,
    LatencyFigure,
    QueueFigure,
    overtaken,
)
from benchmarks.process import CommandFailedError
from benchmarks.service_load import Request, client, events, oldest_until_ended, on_a_clock, submitted
from benchmarks.service_page import chromium, shown
from sandbox import postgres

_FREE = {"TENANTRY_PROVISIONINGS_PER_HOUR": "0", "TENANTRY_REQUESTS_PER_MINUTE": "0"}
_LIMIT = 900.0
_SEED = """
    INSERT INTO tenants (slug, line, name, status, template_id, template_version, manifest_version)
        SELECT 'seed-' || n, 'cabinet', 'Cabinet ' || n, 'active', 'default-dental', '1.0.0', 1
        FROM generate_series(1, %(tenants)s) n;
    INSERT INTO manifests (tenant, version, manifest, actor)
        SELECT slug, 1, jsonb_set(%(manifest)s::jsonb, '{slug}', to_jsonb(slug)), 'seed' FROM tenants;
    INSERT INTO jobs (id, tenant, line, operation, status, manifest_version, actor, correlation_id, progress,
                      created_at, published_at, started_at, ended_at, duration_ms)
        SELECT gen_random_uuid(), 'seed-' || (1 + n %% %(tenants)s), 'cabinet', 'up', 'succeeded', 1, 'seed', 'seed',
               100, at, at, at, at + interval '3 seconds', 3000
        FROM (SELECT n, now() - n * interval '1 minute' AS at FROM generate_series(1, %(jobs)s) n) AS made;
    INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine, job_id, progress,
                             started_at, ended_at, duration_ms)
        SELECT gen_random_uuid(), tenant, 'up', 'succeeded', 'seed', 'seed', 'seed', 1, 'embedded', id, 100,
               started_at, ended_at, 3000
        FROM jobs;
    UPDATE jobs SET deployment_id = deployments.id FROM deployments WHERE deployments.job_id = jobs.id;
"""
_WATCHED = """
    INSERT INTO jobs (id, tenant, line, operation, status, manifest_version, actor, correlation_id, published_at,
                      started_at, worker, lease_until)
        VALUES (gen_random_uuid(), 'watched', 'cabinet', 'up', 'running', 1, 'seed', 'seed', now(), now(),
                'nobody', now() + interval '1 hour')
        RETURNING id::text
"""
_OUTCOME = """
    SELECT id::text, status, extract(epoch FROM started_at - created_at), extract(epoch FROM created_at),
           extract(epoch FROM ended_at)
    FROM jobs WHERE id::text = ANY(%s) ORDER BY started_at, number
"""


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[LatencyFigure | QueueFigure]:
    """All figures. Raises CommandFailedError or DevError when something could not be measured."""
    figures: list[LatencyFigure | QueueFigure] = []
    with _servers(folder / "requests", concurrency=0) as dev:
        figures.extend(_requests(dev, quick=quick, say=say))
    with _servers(folder / "jobs", concurrency=SERVICE_WORKERS) as dev:
        figures.extend(asyncio.run(_jobs(dev, quick=quick, say=say)))
    return figures


@contextlib.contextmanager
def _servers(folder: Path, *, concurrency: int) -> Iterator[Dev]:
    project = folder / "project"
    (project / "stacks").mkdir(parents=True)
    shutil.copyfile(SOURCE / "Pulumi.yaml", project / "Pulumi.yaml")
    dev = Dev(folder, project, clean=True, more={"TENANTRY_ENGINE": "embedded", **_FREE})
    try:
        with dev:
            dev.prepare()
            dev.start(concurrency=concurrency)
            yield dev
    finally:
        postgres.remove(dev.server_folder)


def _requests(dev: Dev, *, quick: bool, say: Callable[[str], None]) -> list[LatencyFigure]:
    scale = 10 if quick else 1
    tenants, jobs = SEEDED_TENANTS // scale, SEEDED_JOBS // scale
    say(f"service: {tenants} tenants and {jobs} jobs into the tables")
    database = dev.server.url(MAIN_DATABASE)
    with psycopg.connect(database, autocommit=True, connect_timeout=10) as connection:
        cursor = psycopg.ClientCursor(connection)
        values = {"tenants": tenants, "jobs": jobs, "manifest": psycopg.types.json.Jsonb(manifest_of("seed", 0))}
        cursor.execute(_SEED.encode(), values)
        cursor.execute("VACUUM ANALYZE")
        some = [str(row[0]) for row in cursor.execute("SELECT id FROM jobs ORDER BY random() LIMIT 500").fetchall()]
        watched = cursor.execute(_WATCHED.encode()).fetchone()
    if watched is None:
        raise CommandFailedError("the database made no job to watch")
    return asyncio.run(_timed(dev, database, tenants, some, str(watched[0]), quick=quick, say=say))


async def _timed(
    dev: Dev,
    database: str,
    tenants: int,
    jobs: Sequence[str],
    watched: str,
    *,
    quick: bool,
    say: Callable[[str], None],
) -> list[LatencyFigure]:
    figures: list[LatencyFigure] = []
    seconds = 5 if quick else 30
    accepts = 40 if quick else 400
    async with client(dev.url, dev.token("bench")) as http:
        # Caches, pools and plans of a service that has been up for a while.
        await on_a_clock(http, _reads(tenants, jobs, 100), 50)
        # The smaller rates show how far one process gets.
        for rate in (READ_RATE // 4, READ_RATE // 2, READ_RATE):
            say(f"service: {rate} reads a second for {seconds} s")
            taken, failed = await on_a_clock(http, _reads(tenants, jobs, rate * seconds), rate)
            figures.append(_latency(f"reads, {rate} a second", taken, failed, READ_MS))
        say("service: jobs accepted")
        ups = [Request(method="POST", path=f"/tenants/seed-{n + 1}/up", expected=202) for n in range(accepts)]
        taken, failed = await on_a_clock(http, ups, 20)
        figures.append(_latency("a job accepted (`up`), 20 a second", taken, failed, ACCEPT_MS))
        taken, failed = await on_a_clock(http, _creates("new", accepts), 20)
        figures.append(_latency("a job accepted (a new tenant), 20 a second", taken, failed, ACCEPT_MS))
        say("service: events to a reader")
        taken, failed = await events(http, database, watched, 40 if quick else 200)
        figures.append(_latency("an event, to a reader of the job", taken, failed, EVENT_MS))
    browser = chromium()
    if browser is None:
        say("service: events to a page are left out: there is no Chromium (TENANTRY_TEST_CHROMIUM names one)")
        return figures
    say("service: events to a page in Chromium")
    taken, failed = await shown(browser, dev.url, dev.token("bench"), database, watched, 15 if quick else 60)
    figures.append(_latency("an event, to a page in Chromium", taken, failed, EVENT_MS))
    return figures


def _latency(title: str, taken: Sequence[float], failed: int, target: float) -> LatencyFigure:
    if not taken:
        raise CommandFailedError(f"none of {failed} got through: {title}")
    return LatencyFigure.of(title, taken, failed=failed, target=target)


def _reads(tenants: int, jobs: Sequence[str], count: int) -> list[Request]:
    def path(number: int) -> str:
        match number % 5:
            case 0:
                return f"/tenants?page={1 + number % 100}&size=50"
            case 1:
                return f"/tenants/seed-{1 + number * 7919 % tenants}"
            case 2:
                return f"/jobs/{jobs[number % len(jobs)]}"
            case 3:
                return "/jobs?size=50"
            case _:
                return f"/tenants/seed-{1 + number * 7919 % tenants}/deployments"

    return [Request(method="GET", path=path(number), expected=200) for number in range(count)]


def _creates(prefix: str, count: int) -> list[Request]:
    return [
        Request(method="POST", path="/tenants", expected=202, body=manifest_of(f"{prefix}-{number}", number))
        for number in range(count)
    ]


async def _jobs(dev: Dev, *, quick: bool, say: Callable[[str], None]) -> list[QueueFigure]:
    count = 8 if quick else QUEUED_JOBS
    figures: list[QueueFigure] = []
    async with client(dev.url, dev.token("bench")) as http:
        say(f"service: {count} new cabinets queued on {SERVICE_WORKERS} workers")
        figures.append(await _queue(dev, http, "new cabinets", _creates("bench", count)))
        say("service: previews, at once and under overload")
        previews = [Request(method="POST", path=f"/tenants/bench-{n}/preview", expected=202) for n in range(count)]
        plain = await _queue(dev, http, "previews", previews)
        figures.append(plain)
        capacity = plain.jobs / plain.seconds
        figures.append(await _queue(dev, http, "previews under overload", previews, rate=OVERLOAD * capacity))
    return figures


async def _queue(
    dev: Dev, http: Any, title: str, requests: Sequence[Request], *, rate: float | None = None
) -> QueueFigure:
    database = dev.server.url(MAIN_DATABASE)
    begin = time.monotonic()
    submitting = asyncio.create_task(submitted(http, requests, rate))
    try:
        oldest = await oldest_until_ended(database, submitting.done, _LIMIT)
    except TimeoutError as error:
        raise CommandFailedError(f"{title}: {error}") from error
    finally:
        submitting.cancel()
        ended = await asyncio.gather(submitting, return_exceptions=True)
    seconds = time.monotonic() - begin
    if isinstance(ended[0], BaseException):
        raise CommandFailedError(f"{title}: {ended[0]}")
    jobs: list[str] = ended[0]
    with psycopg.connect(database, connect_timeout=10) as connection:
        rows = connection.execute(_OUTCOME, (jobs,)).fetchall()
    waits = sorted(float(row[2]) for row in rows)
    place = {job: number for number, job in enumerate(jobs)}
    return QueueFigure(
        title=title,
        jobs=len(jobs),
        failed=len(jobs) - sum(row[1] == "succeeded" for row in rows),
        workers=SERVICE_WORKERS,
        seconds=round(seconds, 2),
        wait_median=round(waits[len(waits) // 2], 2),
        wait_worst=round(waits[-1], 2),
        overtaken=overtaken([place[row[0]] for row in rows]),
        load=None if rate is None else OVERLOAD,
        oldest=None if rate is None else round(oldest, 2),
    )

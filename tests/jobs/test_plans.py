"""With 10,000 tenants and 100,000 jobs each statement touches few pages: counted, which no slow machine changes."""

import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from automation.database import ensure_ready
from automation.jobs import gauges, reading
from automation.jobs.database import async_engine_for
from automation.jobs.database import looking_up as autocommitting
from automation.jobs.model import BusyError, Ending
from automation.jobs.store import JobStore
from automation.models_jobs import JobStatus
from automation.settings import Settings, load_settings
from tests.automation.helpers import MANIFEST
from tests.conftest import MainDatabase
from tests.jobs.helpers import ALICE, new_job

pytestmark = pytest.mark.timeout(300)

PAGES = 1000
"""How many pages of 8 KiB one statement may touch: a list has 50 rows, of about ten each. The jobs have thousands."""

FILL = """
    SET session_replication_role = replica;  -- foreign keys are not looked at: it takes half the time
    INSERT INTO tenants (slug, line, name, status, template_id, template_version, manifest_version)
        SELECT 'seed-' || n, 'cabinet', 'Cabinet ' || n,
               CASE n % 50 WHEN 0 THEN 'failed' WHEN 1 THEN 'removed' ELSE 'active' END, 'default-dental', '1.0.0', 1
        FROM generate_series(1, 10000) n;
    INSERT INTO manifests (tenant, version, manifest, actor)
        SELECT slug, 1, jsonb_build_object('slug', slug), 'seed' FROM tenants;
    INSERT INTO tenant_members (tenant, subject, role, added_by)
        SELECT slug, 'owner of ' || slug, 'owner', 'seed' FROM tenants;
    INSERT INTO jobs (id, tenant, line, operation, status, manifest_version, actor, correlation_id, idempotency_key,
                      progress, created_at, not_before, published_at, started_at, ended_at, duration_ms, deployment_id,
                      event_seq)
        SELECT gen_random_uuid(), 'seed-' || (1 + n % 10000), 'cabinet', 'up',
               CASE WHEN n % 20 = 0 THEN 'failed' ELSE 'succeeded' END, 1, 'actor ' || n % 100, 'seed', 'key ' || n,
               100, at, at, at, at, at, 3000, gen_random_uuid(), 1
        FROM (SELECT n, now() - n * interval '1 minute' AS at FROM generate_series(1, 100000) n) AS made;
    INSERT INTO jobs (id, tenant, line, operation, manifest_version, actor, correlation_id, published_at, event_seq)
        SELECT gen_random_uuid(), 'seed-' || n, 'cabinet', 'up', 1, 'actor', 'seed', now() + interval '1 hour', 1
        FROM generate_series(1001, 3000) n;
    INSERT INTO jobs (id, tenant, line, operation, status, manifest_version, actor, correlation_id, published_at,
                      started_at, worker, lease_until, event_seq)
        SELECT gen_random_uuid(), 'seed-' || n, 'cabinet', 'up', 'running', 1, 'actor', 'seed', now(), now(), 'w',
               now() + interval '1 hour', 1
        FROM generate_series(3001, 3100) n;
    INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine, job_id, progress,
                             started_at, ended_at, duration_ms)
        SELECT deployment_id, tenant, 'up', 'succeeded', 'seed', 'seed', 'seed', 1, 'embedded', id, 100, started_at,
               ended_at, 3000
        FROM jobs WHERE deployment_id IS NOT NULL;
    INSERT INTO deployment_steps (deployment_id, key, position, title, status)
        SELECT id, 'record', 0, 'Record', 'completed' FROM deployments;
    INSERT INTO deployment_logs (deployment_id, level, message) SELECT id, 'info', 'made' FROM deployments;
    INSERT INTO job_events (job_id, seq, kind, data)
        SELECT id, 1, 'log', '{"message": "made"}' FROM jobs;
    INSERT INTO audit (actor, action, tenant, object, job_id, correlation_id)
        SELECT actor, 'tenant.up', tenant, 'job', id, 'seed' FROM jobs;
"""
WATCHED = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_level": "notice",
    "auto_explain.log_format": "json",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_nested_statements": "on",
}


@dataclass(slots=True)
class Plans:
    """What PostgreSQL says about the statements that it has run."""

    found: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        said = diagnostic.message_primary or ""
        if " plan:" in said:
            self.found.append(json.loads(said[said.index("{") :]))

    def judge(self, what: str, *, pages: int = PAGES) -> None:
        """Every statement since the last time, also those within functions, touched at most `pages`."""
        assert self.found, f"{what}: nothing was said of any statement"
        for one in self.found:
            plan = one["Plan"]
            touched = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            assert touched <= pages, (what, touched, one)
        self.found.clear()


@pytest.fixture
def full(main_db: MainDatabase) -> Settings:
    return filled(main_db, FILL)


def filled(main_db: MainDatabase, statements: str) -> Settings:
    """The settings of a database with our tables, filled by `statements`, that says what each statement touches."""
    settings = load_settings()
    ensure_ready(settings)
    with main_db.connect() as connection:
        connection.execute(statements.encode())
        connection.execute("VACUUM ANALYZE")
        for name, value in WATCHED.items():
            connection.execute(f"ALTER DATABASE \"{main_db.name}\" SET {name} = '{value}'".encode())
    return settings


@contextlib.asynccontextmanager
async def watched(main_db: MainDatabase, settings: Settings, mode: str) -> AsyncIterator[tuple[AsyncEngine, Plans]]:
    """Connections whose statements tell their plans."""
    with main_db.connect() as connection:
        connection.execute(f'ALTER DATABASE "{main_db.name}" SET plan_cache_mode = {mode}'.encode())
    engine, plans = async_engine_for(settings, application="test"), Plans()

    @event.listens_for(engine.sync_engine, "connect")
    def listen(connection: Any, _record: object) -> None:
        connection.driver_connection.add_notice_handler(plans.hear)

    try:
        yield engine, plans
    finally:
        await engine.dispose()


async def test_no_statement_goes_through_a_full_table(full: Settings, main_db: MainDatabase) -> None:
    # Also as PostgreSQL plans a statement that it has seen often: without looking at its values.
    for mode in ("auto", "force_generic_plan"):
        async with watched(main_db, full, mode) as (engine, plans):
            await change(JobStore(engine, full), plans, new=f"fresh-{mode[:4]}")
            async with autocommitting(engine, full) as connection:
                await read(connection, plans)
            # The measure measures: what goes through the jobs is found out.
            await all_jobs(engine)
            with pytest.raises(AssertionError, match="all jobs"):
                plans.judge("all jobs")


async def all_jobs(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT max(message) FROM jobs"))


async def change(store: JobStore, plans: Plans, *, new: str) -> None:
    # A tenant that is not there yet, and one that is, with a version more.
    for slug in (new, "seed-5000"):
        manifest = MANIFEST | {"slug": slug, "name": new}
        asked = new_job(slug, manifest=manifest, idempotency_key=f"{slug} {new}", request_hash="h")
        job, created = await store.submit(asked)
        assert created
        plans.judge("submit")
        assert await store.submit(asked) == (job, False)
        plans.judge("submit, the same again")
        with pytest.raises(BusyError):
            await store.submit(new_job(slug, manifest=manifest))
        plans.judge("submit, refused")
        await store.mark_published(job.id)
        plans.judge("mark_published")
        found = await store.claim(job.id, worker="w", lease_seconds=60)
        assert found is not None
        plans.judge("claim")
        assert await store.renew(found[1], 60)
        plans.judge("renew")
        assert await store.finish(found[1], Ending(status=JobStatus.FAILED, message="no")) is not None
        plans.judge("finish")
        assert len(await store.events(job.id)) == 4
        assert (await store.get(job.id)).ended
        plans.judge("events, get")
    job, _ = await store.submit(new_job("seed-5000", operation="destroy"))
    await store.request_cancel(job.id, ALICE)
    plans.judge("request_cancel")
    preview, _ = await store.submit(new_job("seed-5001", operation="preview"))
    plans.judge("submit, a preview")
    assert await store.due(100) == [preview.id]
    await store.request_cancel(preview.id, ALICE)
    plans.judge("due")


Read = Callable[[AsyncConnection], Awaitable[Any]]
FAR = 3000
"""A page is reached by counting up to it: what is far costs more, and the tables' own limits bound it."""

LISTS: dict[str, Read] = {
    "jobs": reading.jobs_page,
    "jobs, page 40": lambda c: reading.jobs_page(c, page=40),
    "jobs before": lambda c: reading.jobs_page(c, before=50_000),
    "jobs of a tenant": lambda c: reading.jobs_page(c, tenant="seed-77"),
    "jobs of a status": lambda c: reading.jobs_page(c, status="pending"),
    "jobs of an actor": lambda c: reading.jobs_page(c, actor="actor 7"),
    "jobs of a member": lambda c: reading.jobs_page(c, visible={"seed-77", "seed-78"}),
    "tenants": reading.tenants_page,
    "tenants, the last page": lambda c: reading.tenants_page(c, page=200),
    "tenants of a status": lambda c: reading.tenants_page(c, status="failed"),
    "tenants by name": lambda c: reading.tenants_page(c, search="77"),
    "tenants of a member": lambda c: reading.tenants_page(c, visible={"seed-77", "seed-78"}),
    "a tenant": lambda c: reading.tenant(c, "seed-77"),
    "deployments": lambda c: reading.deployments_page(c, "seed-77"),
    "manifests": lambda c: reading.manifests(c, "seed-77"),
    "audit": reading.audit_page,
    "audit of a tenant": lambda c: reading.audit_page(c, tenant="seed-77"),
    "audit of an actor": lambda c: reading.audit_page(c, actor="actor 7"),
    "audit of a member": lambda c: reading.audit_page(c, visible={"seed-77", "seed-78"}),
}


async def read(connection: AsyncConnection, plans: Plans) -> None:
    for what, ask in LISTS.items():
        found = await ask(connection)
        assert found[1] if isinstance(found, tuple) else found, what
        plans.judge(what, pages=FAR if what == "tenants, the last page" else PAGES)
    [row], _ = await reading.jobs_page(connection, tenant="seed-78", size=1)
    job = uuid.UUID(row["id"])
    assert len(await reading.job_logs(connection, job)) == 1
    assert len((await reading.job_detail(connection, job))["steps"]) == 1
    plans.judge("a job")
    await gauges.read(connection)
    plans.judge("gauges")

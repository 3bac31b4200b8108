"""A project with a main database, jobs to submit, and workers as processes: what the worker's tests are played on."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from automation.jobs.database import async_engine_for
from automation.jobs.model import Caller, Job, NewJob
from automation.jobs.store import JobStore
from automation.models_jobs import JobOperation
from automation.settings import load_settings
from tests.automation.helpers import MANIFEST, ROOT

CALLER = Caller(subject="zoe@example.org", address="192.0.2.7", correlation_id="c0ffee00c0ffee00")
ONE = {"records": 1, "databases": 1, "roles": 1}
NONE = {"records": 0, "databases": 0, "roles": 0}
LEASE = 4.0


class Yard:
    """Slugs are of this test only, so that databases and roles do not meet. The environment names the server."""

    def __init__(self, project: Path, server: Any, database: str) -> None:
        self.project = project
        self.server = server
        self.name = database
        self.slug = f"w-{database[-8:]}"
        self.settings = load_settings()
        self.engine = async_engine_for(self.settings, application="test")
        self.store = JobStore(self.engine, self.settings)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.logs: list[Any] = []
        self.environment = {
            **os.environ,
            "TENANTRY_ENGINE": os.environ.get("TENANTRY_ENGINE", "embedded"),
            "TENANTRY_RETRY_DELAYS": "[0.1]",
            "TENANTRY_LEASE_SECONDS": str(LEASE),
            "TENANTRY_SWEEP_SECONDS": "0.3",
            "TENANTRY_HEARTBEAT_SECONDS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        }

    # Jobs

    def manifest(self, slug: str | None = None, **changes: Any) -> dict[str, Any]:
        return MANIFEST | {"slug": slug or self.slug} | changes

    async def submit(
        self,
        operation: JobOperation = JobOperation.UP,
        manifest: dict[str, Any] | None = None,
        slug: str | None = None,
        line: str = "cabinet",
        **options: Any,
    ) -> uuid.UUID:
        new = NewJob(
            tenant=slug or self.slug,
            line=line,
            operation=operation,
            caller=CALLER,
            manifest=manifest,
            name=(manifest or {}).get("name"),
            options=options,
        )
        job, created = await self.store.submit(new)
        assert created
        return job.id

    async def cancel(self, job: uuid.UUID) -> None:
        await self.store.request_cancel(job, CALLER)

    async def ended(self, job: uuid.UUID, seconds: float = 90) -> Job:
        """The job, once it has ended."""
        until = time.monotonic() + seconds
        while not (found := await self.store.get(job)).ended:
            assert time.monotonic() < until, (found, self.said())
            await asyncio.sleep(0.1)
        return found

    async def reaches(self, job: uuid.UUID, step: str, seconds: float = 60) -> None:
        """Waits until the job's run has begun the step: that it may be over already is no reason to miss it."""
        await self.until(
            lambda: self.query(
                "SELECT 1 FROM deployment_steps s JOIN deployments d ON d.id = s.deployment_id"
                " WHERE d.job_id = %s AND s.key = %s AND s.started_at IS NOT NULL",
                *(job, step),
            ),
            seconds,
        )

    async def until(self, there: Callable[[], Any], seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < until, self.said()
            await asyncio.sleep(0.02)

    # Workers

    def worker(self, concurrency: int = 2, **environment: str) -> subprocess.Popen[bytes]:
        log = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by `close`
        self.logs.append(log)
        process = subprocess.Popen(
            [sys.executable, "-m", "automation", "worker", "--concurrency", str(concurrency)],
            cwd=self.project,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self.workers.append(process)
        return process

    def said(self) -> str:
        """All that the workers have logged. Read by name: the workers write at the position of the open files."""
        return "\n".join(Path(log.name).read_text("utf-8", "replace") for log in self.logs)

    async def child(self, job: uuid.UUID) -> int:
        """The process of the attempt that runs now."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = self.query("SELECT pid FROM deployments WHERE job_id = %s AND status = 'running'", job)
            return bool(found)

        await self.until(look)
        return int(found[0]["pid"])

    async def gone(self, process: subprocess.Popen[bytes], seconds: float = 60) -> int:
        until = time.monotonic() + seconds
        while process.poll() is None:
            assert time.monotonic() < until, self.said()
            await asyncio.sleep(0.05)
        return process.returncode

    async def stop(self) -> None:
        """Ends all workers, in order."""
        for process in self.workers:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.workers:
            await self.gone(process)

    async def close(self) -> None:
        for number in (signal.SIGTERM, signal.SIGTERM):
            for process in self.workers:
                if process.poll() is None:
                    process.send_signal(number)
        for process in self.workers:
            try:
                await self.gone(process, 45)
            except AssertionError:
                process.kill()
                process.wait()
                raise
        said = self.said()
        for log in self.logs:
            log.close()
        await self.engine.dispose()
        # No worker ever shows a secret.
        assert self.server.password not in said
        assert "correct horse battery staple" not in said

    # The databases

    def query(self, statement: str, *values: object, database: str | None = None) -> list[dict[str, Any]]:
        with psycopg.connect(
            self.server.url(database or self.name), autocommit=True, connect_timeout=10, row_factory=dict_row
        ) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def database(self, slug: str | None = None) -> str:
        return f"cabinet_{(slug or self.slug).replace('-', '_')}"

    def objects(self, slug: str | None = None) -> dict[str, int]:
        """How many of each object of the tenant exist."""
        slug = slug or self.slug
        name = self.database(slug)
        return {
            "records": len(self.query("SELECT 1 FROM cabinets WHERE slug = %s", slug)),
            "databases": len(self.query("SELECT 1 FROM pg_database WHERE datname = %s", name)),
            "roles": len(self.query("SELECT 1 FROM pg_roles WHERE rolname = %s", f"{name}_app")),
        }

    def tenant(self, slug: str | None = None) -> str:
        return str(self.query("SELECT status FROM tenants WHERE slug = %s", slug or self.slug)[0]["status"])

    def deployments(self, job: uuid.UUID) -> list[str]:
        rows = self.query("SELECT status FROM deployments WHERE job_id = %s ORDER BY number", job)
        return [str(row["status"]) for row in rows]

    def ends(self, job: uuid.UUID) -> int:
        """How many times the job has ended."""
        return len(self.query("SELECT 1 FROM job_events WHERE job_id = %s AND kind = 'end'", job))

    def locks(self) -> list[Path]:
        return list((self.project / ".tenantry" / "state" / ".pulumi").glob("locks/**/*.json"))

    def clean(self) -> None:
        for row in self.query("SELECT slug FROM tenants"):
            with contextlib.suppress(psycopg.Error):
                name = self.database(row["slug"])
                self.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', database="postgres")
                self.query(f'DROP ROLE IF EXISTS "{name}_app"', database="postgres")

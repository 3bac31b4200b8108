"""`tenantry worker`: one process that works until it is told to stop. SIGTERM and SIGINT drain it, twice hurries it.

Decides how the process comes up and goes down. What it does in between is `worker.service`'s.
"""

from __future__ import annotations

import asyncio
import gc
import signal

import structlog

from automation import backup_schedule, purging
from automation.database import ensure_ready
from automation.errors import DatabaseError
from automation.jobs.database import async_engine_for
from automation.jobs.store import JobStore
from automation.logs import configure_logging
from automation.queues.choose import choose
from automation.settings import Settings, load_settings
from automation.webhooks import deliver
from automation.worker import probes
from automation.worker.service import Worker
from automation.worker.settings import WorkerSettings, load_worker_settings

_log = structlog.stdlib.get_logger(__name__)
_OWN_CONNECTIONS = 4
_DATABASE_SECONDS = 300.0


def work(*, concurrency: int | None) -> None:
    """Runs a worker until it is stopped."""
    configure_logging("worker")
    gc.enable()  # switched off for commands that live for a second
    # What is wrong with the environment is said now, and not by each job.
    settings = load_settings()
    own = load_worker_settings(concurrency=concurrency)
    settings.run_environment()
    asyncio.run(_run(settings, own))


async def _run(settings: Settings, own: WorkerSettings) -> None:
    engine = async_engine_for(settings, application="tenantry worker", pool_size=own.concurrency + _OWN_CONNECTIONS)
    queue = choose(settings)

    async def deliver_webhooks(stop: asyncio.Event) -> None:
        await deliver.run(engine, settings, stop)

    async def purge(stop: asyncio.Event) -> None:
        await purging.run(settings, stop)

    async def ask_for_backups(stop: asyncio.Event) -> None:
        await backup_schedule.run(engine, settings, stop)

    beside = {"webhooks": deliver_webhooks, "purge": purge, "backups": ask_for_backups}
    worker = Worker(JobStore(engine, settings), queue, settings, own, beside=beside)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    try:
        async with probes.answered(own.probe_host, own.probe_port, worker.why_not_ready):
            await _database_ready(settings, worker)
            await worker.run()
    finally:
        await queue.close()
        await engine.dispose()


async def _database_ready(settings: Settings, worker: Worker) -> None:
    """Waits for the main database, as a worker may be started before it. Raises DatabaseError when it stays away."""
    until = asyncio.get_running_loop().time() + _DATABASE_SECONDS
    while not worker.stopping:
        try:
            await asyncio.to_thread(ensure_ready, settings)
            return
        except DatabaseError as error:
            if asyncio.get_running_loop().time() > until:
                raise
            _log.warning("main database not ready", error=error.message)
        await asyncio.sleep(1)

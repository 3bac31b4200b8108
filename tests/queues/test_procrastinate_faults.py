"""PostgreSQL that goes and comes back under the queue, workers that die, and tables of another version."""

import asyncio
import contextlib
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import pytest

from automation.queues import procrastinate_consumer, procrastinate_schema
from automation.queues.procrastinate import ProcrastinateQueue
from automation.queues.procrastinate_schema import missing, scripts
from automation.queues.seam import QueueError
from automation.settings import load_settings
from sandbox import postgres as sandbox_postgres
from tests.conftest import MainDatabase
from tests.queues.helpers import consuming, until
from tests.servers import named_postgres

NAME = "jobs"
_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server that the test may stop; the environment names it."""
    with named_postgres(monkeypatch) as (home, _):
        yield home


_END_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


async def execute(main_db: MainDatabase, query: LiteralString, *parameters: str) -> None:
    """In a thread: the loop holds locks that it could not let go of while the test waits for them."""

    def run() -> None:
        with main_db.connect() as connection:
            connection.execute("SET search_path TO tenantry_queue")
            connection.execute(query, parameters)

    await asyncio.to_thread(run)


async def publish_surely(queue: ProcrastinateQueue, job: uuid.UUID) -> int:
    """As the workers' sweeper does: what was not taken is published again. Returns how often it was refused."""
    for refused in range(100):
        try:
            await queue.publish(job)
            return refused
        except QueueError:
            await asyncio.sleep(0.3)
    raise AssertionError(f"{job} could not be published")


async def test_a_server_that_goes_and_comes_back_loses_no_message_and_no_handler(own_server: Path) -> None:
    queue = ProcrastinateQueue(load_settings(), NAME)
    await queue.open()
    seen: list[uuid.UUID] = []
    slow, go_on = uuid.uuid4(), asyncio.Event()

    async def handler(job: uuid.UUID) -> None:
        if job == slow:
            await go_on.wait()
        seen.append(job)

    jobs = [uuid.uuid4() for _ in range(20)]
    async with consuming(queue, handler, concurrency=3):
        await queue.publish(slow)
        for job in jobs[:10]:
            await queue.publish(job)
        await until(lambda: len(seen) == 10)
        assert await asyncio.to_thread(sandbox_postgres.stop, own_server)
        with pytest.raises(QueueError, match="the queue 'jobs': the main database 'tenantry' at"):
            await queue.publish(jobs[10])
        with pytest.raises(QueueError):
            await queue.depth()
        await asyncio.sleep(3)
        go_on.set()  # its handler ends while nobody can be told
        await until(lambda: slow in seen)
        await asyncio.to_thread(sandbox_postgres.start, own_server)
        for job in jobs[10:]:
            await publish_surely(queue, job)
        await until(lambda: len(seen) == 21, 60)
        await until(lambda: _empty(queue), 60)
        await asyncio.sleep(1)
    # Once each, and the one that ran all along neither interrupted nor given to another.
    assert sorted(seen) == sorted([slow, *jobs])
    assert await queue.parked() == []
    await queue.close()


async def _empty(queue: ProcrastinateQueue) -> bool:
    try:
        return (await queue.depth()).waiting == 0
    except QueueError:
        return False


async def test_connections_that_the_server_ends_are_made_again(main_db: MainDatabase) -> None:
    queue = ProcrastinateQueue(load_settings(), NAME)
    await queue.open()
    seen: list[uuid.UUID] = []

    async def handler(job: uuid.UUID) -> None:
        seen.append(job)

    async with consuming(queue, handler, concurrency=2):
        for number in range(4):
            await publish_surely(queue, uuid.uuid4())
            await until(lambda wanted=number + 1: len(seen) == wanted)
            await execute(main_db, _END_ALL)
    assert len(seen) == len(set(seen)) == 4
    await queue.close()


_CONSUMER = """
import asyncio, uuid
from automation.queues.procrastinate import ProcrastinateQueue
from automation.settings import load_settings

async def handler(job):
    print("began", flush=True)
    await asyncio.sleep(600)

async def main():
    queue = ProcrastinateQueue(load_settings(), "jobs")
    await queue.open()
    await queue.consume(handler, concurrency=1)

asyncio.run(main())
"""


async def test_the_message_of_a_worker_that_was_killed_is_delivered_again(
    main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procrastinate_consumer, "_STALLED_SECONDS", 2.0)
    monkeypatch.setattr(procrastinate_consumer, "_HEARTBEAT_SECONDS", 0.5)
    queue = ProcrastinateQueue(load_settings(), NAME)
    await queue.open()
    job = uuid.uuid4()
    await queue.publish(job)
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CONSUMER, stdout=asyncio.subprocess.PIPE, cwd=_ROOT
    )
    try:
        assert victim.stdout is not None
        assert await asyncio.wait_for(victim.stdout.readline(), 60) == b"began\n"
    finally:
        victim.kill()
        await victim.wait()
    seen: list[uuid.UUID] = []

    async def handler(found: uuid.UUID) -> None:
        seen.append(found)

    async with consuming(queue, handler):
        await until(lambda: seen == [job])
    await queue.close()


async def test_a_worker_that_the_others_gave_up_goes_on_under_another_number(
    main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = ProcrastinateQueue(load_settings(), NAME)
    await queue.open()
    seen: list[uuid.UUID] = []

    async def handler(job: uuid.UUID) -> None:
        seen.append(job)

    async with consuming(queue, handler):
        await queue.publish(uuid.uuid4())
        await until(lambda: len(seen) == 1)
        await execute(main_db, "DELETE FROM tenantry_queue.procrastinate_workers")
        await queue.publish(uuid.uuid4())
        await until(lambda: len(seen) == 2)
    await queue.close()


async def test_a_message_that_was_fetched_and_never_came_is_delivered_again(main_db: MainDatabase) -> None:
    queue = ProcrastinateQueue(load_settings(), NAME)
    await queue.open()
    seen: list[uuid.UUID] = []

    async def handler(job: uuid.UUID) -> None:
        seen.append(job)

    lost = uuid.uuid4()
    async with consuming(queue, handler):
        await queue.publish(uuid.uuid4())
        await until(lambda: len(seen) == 1)
        # As a fetch does whose answer is lost on the way, with the connection.
        await execute(
            main_db,
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, worker_id) "
            "SELECT %s, 'tenantry.job', jsonb_build_object('job_id', %s::text), 'doing', id FROM procrastinate_workers",
            NAME,
            str(lost),
        )
        await execute(main_db, _END_ALL)
        await until(lambda: lost in seen)
    await queue.close()


async def test_a_job_that_waits_already_is_not_queued_twice(main_db: MainDatabase) -> None:
    queue = ProcrastinateQueue(load_settings(), NAME)
    await queue.open()
    job = uuid.uuid4()
    await asyncio.gather(*(queue.publish(job) for _ in range(5)))
    assert (await queue.depth()).waiting == 1
    calls = 0

    async def handler(found: uuid.UUID) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await queue.publish(found)  # again while it runs: it may have to run once more
            raise RuntimeError("and failing")

    async with consuming(queue, handler):
        await until(lambda: calls == 2)
        await until(lambda: _empty(queue))
    assert await queue.parked() == []
    await queue.close()


async def test_many_processes_may_make_the_tables_at_once(main_db: MainDatabase) -> None:
    queues = [ProcrastinateQueue(load_settings(), NAME) for _ in range(6)]
    await asyncio.gather(*(each.open() for each in queues))
    await queues[0].publish(uuid.uuid4())
    assert (await queues[5].depth()).waiting == 1
    for each in queues:
        await each.close()


async def test_tables_of_an_older_library_are_brought_up_to_date(
    main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    queue = ProcrastinateQueue(load_settings(), NAME)
    await queue.open()
    await queue.publish(uuid.uuid4())
    await queue.close()
    folder = tmp_path / "scripts"
    shutil.copytree(procrastinate_schema.SchemaManager.get_migrations_path(), folder)
    (folder / "98.00.00_01_pre_more.sql").write_text("ALTER TABLE procrastinate_jobs ADD COLUMN more text DEFAULT '%';")
    (folder / "98.00.00_50_post_more.sql").write_text("ALTER TABLE procrastinate_jobs ADD COLUMN even_more text;")
    monkeypatch.setattr(procrastinate_schema.SchemaManager, "get_migrations_path", staticmethod(lambda: str(folder)))
    newer = ProcrastinateQueue(load_settings(), NAME)
    await newer.open()
    await newer.close()
    with main_db.connect() as connection:
        assert connection.execute("SELECT more, even_more FROM tenantry_queue.procrastinate_jobs").fetchall() == [
            ("%", None)
        ]
    monkeypatch.undo()
    for key, value in (main_db.server.env() | {"DB_NAME": main_db.name}).items():
        monkeypatch.setenv(key, value)
    with pytest.raises(QueueError, match=r"newer procrastinate: they have 98\.00\.00_50_post_more\.sql"):
        await ProcrastinateQueue(load_settings(), NAME).open()


def test_which_scripts_are_missing() -> None:
    assert missing(None, ["a", "b"]) is None
    assert missing("a", ["a", "b", "c"]) == ["b", "c"]
    assert missing("c", ["a", "b", "c"]) == []
    with pytest.raises(QueueError, match="newer"):
        missing("d", ["a", "b", "c"])
    assert scripts() == sorted(scripts())
    assert scripts()


async def test_no_database_is_an_error_that_names_it(main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PORT", "1")
    monkeypatch.setenv("DB_PASSWORD", "not-to-be-shown")
    queue = ProcrastinateQueue(load_settings(), NAME)
    with pytest.raises(QueueError, match=r"the queue 'jobs': the main database .* cannot be reached") as caught:
        await queue.open()
    assert "not-to-be-shown" not in str(caught.value.to_dict())
    assert caught.value.hint
    with contextlib.suppress(QueueError):
        await queue.stop()
    await queue.close()

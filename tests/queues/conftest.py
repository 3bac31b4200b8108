"""Every kind of queue, for the one contract that all keep."""

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from automation.queues.memory import MemoryQueue
from automation.queues.procrastinate import ProcrastinateQueue
from automation.queues.seam import Queue
from automation.settings import load_settings

SendRaw = Callable[[bytes], Awaitable[None]]


@pytest.fixture(params=["memory", "procrastinate"])
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[Queue]:
    """An open, empty queue of each kind."""
    name = f"test.{uuid.uuid4().hex[:12]}"
    made: Queue
    if request.param == "memory":
        made = MemoryQueue(name)
    else:
        request.getfixturevalue("main_db")
        made = ProcrastinateQueue(load_settings(), name)
    await made.open()
    yield made
    await made.stop()
    await made.close()


@pytest.fixture
async def twin(queue: Queue) -> AsyncIterator[Queue]:
    """Another process's view of the same queue, as far as the kind has one."""
    if isinstance(queue, MemoryQueue):
        yield queue
        return
    made = ProcrastinateQueue(load_settings(), queue.name.rpartition("/")[2])
    await made.open()
    yield made
    await made.stop()
    await made.close()


@pytest.fixture
def send_raw(queue: Queue, request: pytest.FixtureRequest) -> SendRaw:
    """Puts any bytes into the queue, as a stranger could."""
    if isinstance(queue, MemoryQueue):
        return queue.publish_raw
    assert isinstance(queue, ProcrastinateQueue)
    main_db = request.getfixturevalue("main_db")
    name = queue.name.rpartition("/")[2]

    async def insert(body: bytes) -> None:
        try:
            args = json.dumps(json.loads(body))
        except (ValueError, RecursionError):
            pytest.skip("the column holds JSON only")
        with main_db.connect() as connection:
            connection.execute("SET search_path TO tenantry_queue")
            connection.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args) SELECT %s, 'tenantry.job', %s",
                (name, args),
            )

    return insert

"""Every kind of queue, for the one contract that all keep."""

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from automation.queues.memory import MemoryQueue
from automation.queues.procrastinate import ProcrastinateQueue
from automation.queues.rabbitmq import RabbitQueue
from automation.queues.seam import Queue
from automation.queues.settings import QueueKind, QueueSettings
from automation.settings import load_settings
from tests.queues.helpers import delete_queues, rabbitmq_url

SendRaw = Callable[[bytes], Awaitable[None]]


@pytest.fixture(params=["memory", "procrastinate", "rabbitmq"])
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[Queue]:
    """An open, empty queue of each kind."""
    name = f"test.{uuid.uuid4().hex[:12]}"
    made: Queue
    if request.param == "memory":
        made = MemoryQueue(name)
    elif request.param == "procrastinate":
        request.getfixturevalue("main_db")
        made = ProcrastinateQueue(load_settings(), name)
    else:
        made = RabbitQueue(QueueSettings(kind=QueueKind.RABBITMQ, name=name, url=rabbitmq_url()))
    await made.open()
    yield made
    await made.stop()
    await made.close()
    if isinstance(made, RabbitQueue):
        await delete_queues(made)


@pytest.fixture
async def twin(queue: Queue) -> AsyncIterator[Queue]:
    """Another process's view of the same queue, as far as the kind has one."""
    if isinstance(queue, MemoryQueue):
        yield queue
        return
    name = queue.name.rpartition("/")[2]
    made: Queue
    if isinstance(queue, RabbitQueue):
        made = RabbitQueue(QueueSettings(kind=QueueKind.RABBITMQ, name=name, url=rabbitmq_url()))
    else:
        made = ProcrastinateQueue(load_settings(), name)
    await made.open()
    yield made
    await made.stop()
    await made.close()


@pytest.fixture
def send_raw(queue: Queue, request: pytest.FixtureRequest) -> SendRaw:
    """Puts any bytes into the queue, as a stranger could."""
    if isinstance(queue, (MemoryQueue, RabbitQueue)):
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

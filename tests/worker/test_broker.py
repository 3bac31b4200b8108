"""A worker on a real RabbitMQ that is killed, and comes back: jobs go on, those accepted meanwhile come later."""

import asyncio
import subprocess
import uuid
from pathlib import Path

import pytest

from automation.models_jobs import JobStatus
from automation.queues.rabbitmq import RabbitQueue
from automation.queues.seam import QueueError
from automation.queues.settings import QueueKind, QueueSettings
from tests.queues.helpers import delete_queues, rabbitmq_home, rabbitmq_url
from tests.worker.yard import ONE, Yard

pytestmark = pytest.mark.timeout(240)

_SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "rabbitmq"


async def broker(word: str) -> None:
    await asyncio.to_thread(subprocess.run, [_SCRIPT, word, rabbitmq_home()], check=True, timeout=120)


async def test_the_broker_dies_during_a_run(yard: Yard) -> None:
    url, name = rabbitmq_url(), f"test.{uuid.uuid4().hex[:12]}"
    rabbitmq_home()
    queue = RabbitQueue(QueueSettings(kind=QueueKind.RABBITMQ, name=name, url=url))
    await queue.open()
    slugs = [f"{yard.slug}-{letter}" for letter in "abc"]
    worker = yard.worker(concurrency=1, RABBITMQ_URL=url, PROVISIONING_QUEUE_NAME=name)
    running, waiting = [await yard.submit(manifest=yard.manifest(slug), slug=slug) for slug in slugs[:2]]
    await queue.publish(running)
    await yard.reaches(running, "record")
    await broker("kill")
    late = await yard.submit(manifest=yard.manifest(slugs[2]), slug=slugs[2])
    with pytest.raises(QueueError):
        await queue.publish(late)
    # What runs needs no broker.
    assert (await yard.ended(running)).status is JobStatus.SUCCEEDED
    await broker("start")
    for job, slug in zip((running, waiting, late), slugs, strict=True):
        ended = await yard.ended(job)
        assert ended.status is JobStatus.SUCCEEDED, (ended, yard.said())
        assert yard.ends(job) == 1
        assert yard.deployments(job) == ["succeeded"]
        assert yard.objects(slug) == ONE
    worker.terminate()
    assert await yard.gone(worker) == 0
    assert url.rsplit(":", 2)[1].partition("@")[0] not in yard.said()
    assert await queue.parked() == []
    await queue.close()
    await delete_queues(queue)

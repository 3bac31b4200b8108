"""What `automation.queues.seam` promises, held by every kind of queue."""

import asyncio
import contextlib
import re
import uuid

import pytest

from automation.queues import slots
from automation.queues.seam import Handler, Queue
from tests.queues.conftest import SendRaw
from tests.queues.helpers import consuming, until


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed message comes again after tenths of a second."""
    monkeypatch.setattr(slots, "_AGAIN_SECONDS", (0.05,))


async def test_what_is_published_is_handled_once(queue: Queue) -> None:
    jobs = [uuid.uuid4() for _ in range(20)]
    seen: list[uuid.UUID] = []

    async def handler(job: uuid.UUID) -> None:
        seen.append(job)

    for job in jobs[:10]:
        await queue.publish(job)
    async with consuming(queue, handler, concurrency=3):
        for job in jobs[10:]:
            await queue.publish(job)
        await until(lambda: len(seen) >= 20)
        await asyncio.sleep(0.3)
    assert sorted(seen) == sorted(jobs)
    assert (await queue.depth()).waiting == 0
    assert await queue.parked() == []


async def test_no_more_than_concurrency_run_at_once_and_all_places_are_used(queue: Queue) -> None:
    running = most = done = 0

    async def handler(job: uuid.UUID) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.1)
        running -= 1
        done += 1

    for _ in range(12):
        await queue.publish(uuid.uuid4())
    async with consuming(queue, handler, concurrency=4):
        await until(lambda: done == 12)
    assert most == 4


async def test_one_that_raises_is_delivered_again(queue: Queue) -> None:
    calls: list[uuid.UUID] = []

    async def handler(job: uuid.UUID) -> None:
        calls.append(job)
        if len(calls) < 3:
            raise RuntimeError("not yet")

    job = uuid.uuid4()
    await queue.publish(job)
    async with consuming(queue, handler):
        await until(lambda: len(calls) == 3)
        await asyncio.sleep(0.3)
    assert calls == [job] * 3
    assert (await queue.depth()).waiting == 0
    assert await queue.parked() == []


async def test_one_that_always_raises_is_parked_after_the_fifth_time_with_the_reason(queue: Queue) -> None:
    calls = 0

    async def handler(job: uuid.UUID) -> None:
        nonlocal calls
        calls += 1
        raise RuntimeError("cannot be done")

    job = uuid.uuid4()
    await queue.publish(job)
    async with consuming(queue, handler):
        await until(lambda: calls == 5)
        await asyncio.sleep(0.4)
    assert calls == 5
    [parked] = await queue.parked()
    assert "cannot be done" in parked.reason
    assert str(job) in parked.body
    assert parked.at.tzinfo is not None
    depth = await queue.depth()
    assert (depth.waiting, depth.parked) == (0, 1)


async def test_a_failing_one_holds_nobody_up(queue: Queue) -> None:
    bad, good = uuid.uuid4(), [uuid.uuid4() for _ in range(5)]
    seen: list[uuid.UUID] = []

    async def handler(job: uuid.UUID) -> None:
        if job == bad:
            raise RuntimeError("bad")
        seen.append(job)

    for job in (bad, *good):
        await queue.publish(job)
    async with consuming(queue, handler, concurrency=2):
        await until(lambda: len(seen) == 5)
        await until(queue.parked)
    assert sorted(seen) == sorted(good)


async def test_stop_waits_for_what_runs_and_leaves_the_rest_queued(queue: Queue) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    done: list[uuid.UUID] = []

    async def handler(job: uuid.UUID) -> None:
        began.set()
        await go_on.wait()
        done.append(job)

    jobs = [uuid.uuid4() for _ in range(3)]
    for job in jobs:
        await queue.publish(job)
    consumer = asyncio.create_task(queue.consume(handler, concurrency=1))
    await asyncio.wait_for(began.wait(), 20)
    stopping = asyncio.create_task(queue.stop())
    await asyncio.sleep(0.3)
    assert not stopping.done()
    assert not done
    go_on.set()
    await asyncio.wait_for(stopping, 20)
    await asyncio.wait_for(consumer, 20)
    assert len(done) == 1
    await queue.open()
    assert (await queue.depth()).waiting == 2

    async with consuming(queue, handler, concurrency=1):
        await until(lambda: len(done) == 3)
    assert sorted(done) == sorted(jobs)


async def test_depth_counts_what_waits(queue: Queue) -> None:
    assert (await queue.depth()).waiting == 0
    for _ in range(3):
        await queue.publish(uuid.uuid4())
    await asyncio.sleep(0.2)
    depth = await queue.depth()
    assert (depth.waiting, depth.parked) == (3, 0)
    assert depth.oldest_seconds is None or 0 < depth.oldest_seconds < 60


async def test_two_consumers_share_the_work(queue: Queue, twin: Queue) -> None:
    seen: dict[str, list[uuid.UUID]] = {"one": [], "two": []}

    def handler(who: str) -> Handler:
        async def handle(job: uuid.UUID) -> None:
            seen[who].append(job)
            await asyncio.sleep(0.05)

        return handle

    async with consuming(queue, handler("one")), consuming(twin, handler("two")):
        jobs = [uuid.uuid4() for _ in range(20)]
        for job in jobs:
            await queue.publish(job)
        await until(lambda: len(seen["one"]) + len(seen["two"]) == 20)
    assert sorted(seen["one"] + seen["two"]) == sorted(jobs)
    assert seen["one"]
    assert seen["two"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"hello", "not JSON"),
        (b"", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "job_id is missing"),
        (b'{"job_id": 7}', "job_id is not text"),
        (b'{"job_id": "seven"}', "job_id is not a UUID"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 4000, "not JSON"),
        (b'{"job_id": "' + b"x" * 5000 + b'"}', "too large|not a UUID"),
    ],
)
async def test_a_message_that_is_none_of_ours_is_parked_with_the_reason(
    queue: Queue, send_raw: SendRaw, body: bytes, reason: str
) -> None:
    handled: list[uuid.UUID] = []

    async def handler(job: uuid.UUID) -> None:
        handled.append(job)

    await send_raw(body)
    good = uuid.uuid4()
    await queue.publish(good)
    async with consuming(queue, handler):
        await until(lambda: bool(handled))
        await until(queue.parked)
    assert handled == [good]
    [parked] = await queue.parked()
    assert re.search(reason, parked.reason)
    assert len(parked.body) <= 520
    assert (await queue.depth()).waiting == 0


async def test_close_may_be_called_twice(queue: Queue) -> None:
    await queue.close()
    await queue.close()
    await queue.open()
    await queue.publish(uuid.uuid4())
    assert (await queue.depth()).waiting == 1


async def test_a_consumer_that_is_cancelled_loses_nothing(queue: Queue, twin: Queue) -> None:
    began = asyncio.Event()

    async def hangs(job: uuid.UUID) -> None:
        began.set()
        await asyncio.sleep(600)

    job = uuid.uuid4()
    await queue.publish(job)
    consumer = asyncio.create_task(queue.consume(hangs, concurrency=1))
    await asyncio.wait_for(began.wait(), 20)
    consumer.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await consumer
    seen: list[uuid.UUID] = []

    async def handler(found: uuid.UUID) -> None:
        seen.append(found)

    async with consuming(twin, handler):
        await until(lambda: seen == [job])

"""The queue on RabbitMQ, with the contract of SITE-3: the message is `{"job_id": "<uuid>"}`.

Publishing returns when the broker has confirmed; a message is acknowledged when its handler has returned. One whose
handler raised goes to NAME.again with its count and comes back when due, so it holds nobody up; at last, or when it is
none of ours, it is put into NAME.parked with the reason. Connections are made anew here and not by the library, so that
what was declared is declared again and a message is never acknowledged on another connection than its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from automation.queues import rabbitmq_broker as broker
from automation.queues.rabbitmq_broker import CALL_SECONDS, LOST
from automation.queues.seam import Depth, Handler, Parked, QueueError
from automation.queues.settings import QueueSettings
from automation.queues.slots import Slots, again_after, parse, reconnect_after, shown, sleep_unless, why

_log = structlog.stdlib.get_logger(__name__)
_PUBLISH_SECONDS = 10.0
_GIVEN_BACK_SECONDS = 2.0
_GIVEN_BACK_POLL_SECONDS = 0.02


class RabbitQueue:
    """See `seam.Queue`."""

    def __init__(self, settings: QueueSettings) -> None:
        self.name = f"rabbitmq {settings.address}/{settings.name}"
        self._settings = settings
        self._queue = settings.name
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()
        self._stop = asyncio.Event()
        self._consumers: set[asyncio.Event] = set()

    async def open(self) -> None:
        """See `seam.Queue`. Raises QueueError."""
        self._stop.clear()
        async with self._call() as _:
            pass

    @contextlib.asynccontextmanager
    async def _call(self) -> AsyncIterator[AbstractChannel]:
        """A channel that confirms, for calls within their time limit. One that went wrong is not used again."""
        channel = None
        try:
            async with asyncio.timeout(CALL_SECONDS):
                channel = await self._publisher()
                yield channel
        except LOST as error:
            if channel is None or channel is self._channel:
                await self._drop()
            raise broker.explain(self._settings, error) from None

    async def _publisher(self) -> AbstractChannel:
        async with self._opening:
            if self._channel is not None and not self._channel.is_closed:
                return self._channel
            await self._drop()
            self._connection = await broker.connect(self._settings, "publisher")
            channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            await broker.declare(channel, self._queue)
            self._channel = channel
            return channel

    async def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await _close(connection)

    async def publish(self, job: uuid.UUID) -> None:
        """See `seam.Queue`. Tries again while the broker is away, for ten seconds."""
        await self.publish_raw(json.dumps({"job_id": str(job)}).encode(), message_id=str(job))

    async def publish_raw(self, body: bytes, *, message_id: str | None = None) -> None:
        """Any bytes, as a stranger could send them."""
        message = Message(
            body,
            content_type="application/json",
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=message_id,
            timestamp=datetime.now(UTC),
            app_id="tenantry",
        )
        failures = 0
        giving_up = asyncio.get_running_loop().time() + _PUBLISH_SECONDS
        while True:
            try:
                async with self._call() as channel:
                    await _put(channel, self._queue, message)
                return
            except QueueError:
                failures += 1
                delay = reconnect_after(failures)
                if asyncio.get_running_loop().time() + delay > giving_up:
                    raise
                await asyncio.sleep(delay)

    async def consume(self, handler: Handler, *, concurrency: int) -> None:
        """See `seam.Queue`."""
        ended = asyncio.Event()
        self._consumers.add(ended)
        slots = Slots(concurrency)
        failures = 0
        try:
            while not self._stop.is_set():
                try:
                    async with _session(self._settings) as channel:
                        failures = 0
                        await self._deliver(channel, handler, slots, concurrency)
                except (*LOST, QueueError) as error:
                    failures += 1
                    delay = reconnect_after(failures)
                    told = broker.explain(self._settings, error).message
                    _log.warning("queue lost", queue=self.name, again_in=delay, error=told)
                    await sleep_unless(self._stop, delay)
            await slots.drained()
        except asyncio.CancelledError:
            await slots.cancel()
            raise
        finally:
            self._consumers.discard(ended)
            ended.set()

    async def _deliver(self, channel: AbstractChannel, handler: Handler, slots: Slots, concurrency: int) -> None:
        """Takes messages until stopped; raises when the connection or the queue has gone."""
        await channel.set_qos(prefetch_count=concurrency, timeout=CALL_SECONDS)
        queue = await broker.declare(channel, self._queue)
        gone = asyncio.Event()

        async def lost_it(*_: object) -> None:
            gone.set()

        channel.close_callbacks.add(lost_it)
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lost_it)

        async def take(message: AbstractIncomingMessage) -> None:
            # After a reconnection handlers of the connection before still hold their places.
            if await slots.reserve(self._stop):
                slots.run(self._handle(channel, message, handler))
            else:
                await _settle(message.nack(requeue=True))

        tag = await queue.consume(take, timeout=CALL_SECONDS)
        stopping, lost = asyncio.create_task(self._stop.wait()), asyncio.create_task(gone.wait())
        try:
            await asyncio.wait({stopping, lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            lost.cancel()
        if not self._stop.is_set():
            raise ConnectionError("the broker closed the connection, or the queue was deleted")
        await queue.cancel(tag, timeout=CALL_SECONDS)
        await slots.drained()

    async def _handle(self, channel: AbstractChannel, message: AbstractIncomingMessage, handler: Handler) -> None:
        job = parse(message.body)
        if isinstance(job, str):
            await _settle(self._park(channel, message, job))
            return
        try:
            await handler(job)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its message is delivered again or parked
            await _settle(self._failed(channel, message, error))
        else:
            await _settle(message.ack())

    async def _failed(self, channel: AbstractChannel, message: AbstractIncomingMessage, error: Exception) -> None:
        failures = _failures(message) + 1
        delay = again_after(failures)
        _log.warning("handler failed", queue=self.name, message=message.message_id, again_in=delay, error=str(error))
        if delay is None:
            await self._park(channel, message, why(error))
            return
        copy = _copy(message, {broker.FAILURES: failures})
        copy.expiration = delay
        await _put(channel, broker.again(self._queue), copy)
        await message.ack()

    async def _park(self, channel: AbstractChannel, message: AbstractIncomingMessage, reason: str) -> None:
        _log.error("message parked", queue=self.name, message=message.message_id, reason=reason)
        about = {broker.REASON: reason, broker.PARKED_AT: datetime.now(UTC).isoformat()}
        await _put(channel, broker.parked(self._queue), _copy(message, about))
        await message.ack()

    async def stop(self) -> None:
        """See `seam.Queue`."""
        self._stop.set()
        for ended in list(self._consumers):
            await ended.wait()

    async def depth(self) -> Depth:
        """Messages that are handed out to consumers do not count; the broker does not tell how old the oldest is."""
        names = (self._queue, broker.again(self._queue), broker.parked(self._queue))
        async with self._call() as channel:
            found = [await channel.declare_queue(each, passive=True, timeout=CALL_SECONDS) for each in names]
        waiting, later, parked = (each.declaration_result.message_count or 0 for each in found)
        return Depth(waiting=waiting + later, parked=parked)

    async def parked(self, limit: int = 100) -> list[Parked]:
        """See `seam.Queue`. While somebody else reads, the messages that he holds are missing here."""
        newest: deque[AbstractIncomingMessage] = deque(maxlen=limit)
        seen = 0
        # A channel of its own: when it closes, the broker has the messages back as they were.
        try:
            async with asyncio.timeout(4 * CALL_SECONDS), _session(self._settings) as channel:
                await broker.declare(channel, self._queue)
                queue = await channel.get_queue(broker.parked(self._queue))
                count = queue.declaration_result.message_count or 0
                full = asyncio.Event()

                async def read(message: AbstractIncomingMessage) -> None:
                    nonlocal seen
                    seen += 1
                    newest.append(message)
                    if seen >= count:
                        full.set()

                if count:
                    await queue.consume(read, timeout=CALL_SECONDS)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(full.wait(), CALL_SECONDS)
        except LOST as error:
            raise broker.explain(self._settings, error) from None
        await self._given_back(seen)
        return sorted((_parked(message) for message in newest), key=lambda item: item.at, reverse=True)

    async def _given_back(self, count: int) -> None:
        """Waits until the broker can hand out `count` parked messages again, some time after their reader has gone.

        Whoever reads sooner would find fewer. Somebody else may hold them, so it does not wait for long.
        """
        giving_up = asyncio.get_running_loop().time() + _GIVEN_BACK_SECONDS
        while asyncio.get_running_loop().time() < giving_up:
            if (await self.depth()).parked >= count:
                return
            await asyncio.sleep(_GIVEN_BACK_POLL_SECONDS)

    async def close(self) -> None:
        """See `seam.Queue`."""
        async with self._opening:
            await self._drop()


@contextlib.asynccontextmanager
async def _session(settings: QueueSettings) -> AsyncIterator[AbstractChannel]:
    connection = await broker.connect(settings, "consumer")
    try:
        yield await connection.channel(publisher_confirms=True, on_return_raises=True)
    finally:
        await _close(connection)


async def _close(connection: AbstractConnection) -> None:
    # What went wrong with a connection has been told; closing it is to free it.
    with contextlib.suppress(*LOST):
        async with asyncio.timeout(CALL_SECONDS):
            await connection.close()


async def _put(channel: AbstractChannel, queue: str, message: Message) -> None:
    # Mandatory: a queue that has been deleted is an error and not a message lost.
    await channel.default_exchange.publish(message, routing_key=queue, mandatory=True, timeout=CALL_SECONDS)


async def _settle(act: Any) -> None:
    """Tells the broker what became of a message. When the connection has gone, it is delivered again."""
    try:
        await act
    except LOST as error:
        _log.warning("message not settled, it is delivered again", error=str(error))


def _copy(message: AbstractIncomingMessage, headers: dict[str, Any]) -> Message:
    return Message(
        message.body,
        headers={**message.headers, **headers},
        content_type=message.content_type,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        timestamp=message.timestamp,
        app_id=message.app_id,
    )


def _failures(message: AbstractIncomingMessage) -> int:
    given = message.headers.get(broker.FAILURES)
    return given if isinstance(given, int) and given >= 0 else 0


def _parked(message: AbstractIncomingMessage) -> Parked:
    """Parked by ourselves, with our reason, or by the broker, with its own."""
    headers = message.headers
    reason, stamp = headers.get(broker.REASON), headers.get(broker.PARKED_AT)
    if isinstance(reason, str) and isinstance(stamp, str):
        return Parked(at=datetime.fromisoformat(stamp), reason=reason, body=shown(message.body))
    given = headers.get("x-first-death-reason")
    word = given if isinstance(given, str) else ""
    known = {"delivery_limit": "the worker that had it was lost, again and again", "rejected": "rejected"}
    deaths = headers.get("x-death")
    died = deaths[0].get("time") if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else None
    at = died if isinstance(died, datetime) else message.timestamp or datetime.now(UTC)
    return Parked(
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        reason=known.get(word, f"put there by the broker: {word}" if word else "put there by somebody"),
        body=shown(message.body),
    )

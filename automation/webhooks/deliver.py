"""Takes deliveries out of the outbox and sends them, until it is told to stop. Any number of processes may do this.

Decides who sends what, and writes what came of it. Each delivery is sent at least once: a process that dies between
sending and writing leaves a claim that runs out, and another sends it again. What follows an answer is decided in
`retrying`.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Double,
    Row,
    case,
    cast,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from automation.errors import DatabaseError
from automation.jobs import audit, totals
from automation.jobs.database import transaction
from automation.jobs.model import Caller
from automation.jobs.totals import Addition
from automation.logs import bound
from automation.models_jobs import DeliveryStatus, webhook_deliveries, webhooks
from automation.secretbox import SecretBox, SecretBoxError, secret_box
from automation.settings import Settings
from automation.webhooks import sign
from automation.webhooks.keys import unseal
from automation.webhooks.outbox import WebhookEvent, enqueue
from automation.webhooks.retrying import Verdict, disable_reason, verdict
from automation.webhooks.sending import Answer, new_client, post
from automation.webhooks.targets import Policy

AT_ONCE = 16
PER_WEBHOOK = 4
"""At once for one webhook: one that hangs must not hold up the others."""
LOOKED_AT = 200
POLL_SECONDS = 1.0
CLAIM_MARGIN_SECONDS = 60.0
WRITE_TRIES = 8
CLEAN_EVERY_SECONDS = 3600.0
CLEAN_AT_ONCE = 1000

_log = structlog.get_logger("tenantry.webhooks")
_d = webhook_deliveries.c
_OF_WEBHOOK = (webhooks.c.tenant, webhooks.c.url, webhooks.c.secret)
# Literal, so that PostgreSQL sees in every plan that the partial index serves.
_PENDING = literal_column("webhook_deliveries.status = 'pending'", Boolean)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that this process has to itself until its claim runs out. `tries` counts the one to come."""

    id: uuid.UUID
    webhook: uuid.UUID
    tenant: str | None
    url: str
    sealed: bytes
    event: str
    payload: dict[str, Any]
    tries: int


async def run(engine: AsyncEngine, settings: Settings, stop: asyncio.Event) -> None:
    """Delivers until `stop` is set, then finishes what is being sent. Lives through the loss of the database.

    Raises InputError or EngineError when there is no key to decrypt secrets with, or a setting is wrong.
    """
    async with new_client() as client:
        await Deliverer(engine, settings, client, secret_box()).run(stop)


class Deliverer:
    """One process's share of the deliveries. `chance` gives numbers from 0 to 1 for the delays' jitter."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        client: httpx.AsyncClient,
        box: SecretBox,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._client = client
        self._box = box
        self._chance = chance
        self._policy = Policy(settings.webhook_allow)
        self._sending: dict[asyncio.Task[None], Claimed] = {}
        self._next_clean = time.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """See the module's `run`."""
        pause = POLL_SECONDS
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                try:
                    found = await self.start_due()
                    await self._clean()
                    pause = 0 if found and len(self._sending) < AT_ONCE else POLL_SECONDS
                except DatabaseError as error:
                    pause = min(max(pause, POLL_SECONDS) * 2, 30.0)
                    _log.warning("webhooks.database_unavailable", error=error.message, again_in_seconds=pause)
                await asyncio.wait({stopping, *self._sending}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await self.finish()

    async def start_due(self) -> int:
        """Begins to send what is due, as far as there is room. Returns how many."""
        claimed = await self._claim()
        for one in claimed:
            task = asyncio.create_task(self._deliver(one), name=f"webhook {one.id}")
            self._sending[task] = one
            task.add_done_callback(self._done)
        return len(claimed)

    async def finish(self) -> None:
        """Waits for what is being sent; what takes longer than a request may is left to whoever claims it next."""
        if self._sending:
            _, late = await asyncio.wait(set(self._sending), timeout=self._settings.webhook_timeout + 5)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        one = self._sending.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The claim runs out, and the delivery is tried again.
            _log.error("webhooks.delivery_broke", delivery=str(one.id), error=type(error).__name__, exc_info=error)

    # Claiming

    async def _claim(self) -> list[Claimed]:
        room = AT_ONCE - len(self._sending)
        if room <= 0:
            return []
        ready = (
            _PENDING
            & (_d.next_attempt_at <= func.now())
            & or_(_d.claimed_until.is_(None), _d.claimed_until < func.now())
        )
        busy = Counter(one.webhook for one in self._sending.values())
        full = [webhook for webhook, number in busy.items() if number >= PER_WEBHOOK]
        # Not all that is due, which may be a day's work. Those who have their share already do not fill it up.
        first = (
            select(_d.id, _d.webhook_id, _d.number, _d.next_attempt_at)
            .where(ready, _d.webhook_id.not_in(full))
            .order_by(_d.next_attempt_at)
            .limit(LOOKED_AT)
            .subquery()
        )
        place: ColumnElement[Any] = func.row_number().over(
            partition_by=first.c.webhook_id, order_by=(first.c.next_attempt_at, first.c.number)
        )
        if busy:
            place = place + case(dict(busy), value=first.c.webhook_id, else_=0)
        due = select(first.c.id, first.c.next_attempt_at, place.label("place")).subquery()
        chosen = select(due.c.id).where(due.c.place <= PER_WEBHOOK).order_by(due.c.next_attempt_at).limit(room)
        mine = select(_d.id).where(_d.id.in_(chosen), ready).with_for_update(skip_locked=True).cte("mine")
        seconds = self._settings.webhook_timeout + CLAIM_MARGIN_SECONDS
        async with transaction(self._engine, self._settings) as connection:
            rows = await connection.execute(
                update(webhook_deliveries)
                .where(_d.id == mine.c.id, webhooks.c.id == _d.webhook_id)
                .values(claimed_until=_in(seconds), attempts=_d.attempts + 1)
                .returning(_d.id, _d.webhook_id, _d.event, _d.payload, _d.attempts, *_OF_WEBHOOK)
            )
            return [_claimed(row) for row in rows]

    # Sending

    async def _deliver(self, one: Claimed) -> None:
        # What came of a request is found by the request's id.
        with bound(**_asked_for_by(one.payload)):
            await self._deliver_now(one)

    async def _deliver_now(self, one: Claimed) -> None:
        answer = await self._send(one)
        then = verdict(
            answer,
            tries=one.tries,
            delays=self._settings.webhook_retry_delays,
            chance=self._chance(),
            once=one.event == WebhookEvent.PING,
        )
        facts = {"delivery": str(one.id), "webhook": str(one.webhook), "about": one.event, "tries": one.tries}
        if answer.ok:
            _log.info("webhooks.delivered", **facts, status=answer.status, duration_ms=answer.duration_ms)
        else:
            _log.warning("webhooks.not_delivered", **facts, status=answer.status, error=answer.error)
        await self._write_until_done(one, answer, then)

    async def _send(self, one: Claimed) -> Answer:
        now = datetime.now(UTC)
        try:
            # Deriving a key from a passphrase takes its time, and happens once per process that sealed something.
            keys = await asyncio.to_thread(unseal, self._box, one.webhook, one.sealed)
        except SecretBoxError as error:
            _log.error("webhooks.secret_lost", webhook=str(one.webhook), error=error.message)
            return Answer(status=None, error="not sent: its secret cannot be decrypted; rotate it", duration_ms=0)
        body = json.dumps(one.payload, separators=(",", ":"), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "Tenantry-Event": one.event,
            "Tenantry-Delivery": str(one.id),
            "Tenantry-Attempt": str(one.tries),
            sign.HEADER: sign.signature(keys.signing(now), body, at=int(now.timestamp())),
        }
        return await post(
            self._client,
            one.url,
            self._policy,
            body=body,
            headers=headers,
            seconds=self._settings.webhook_timeout,
            secrets=(*keys.all, *self._settings.secrets()),
        )

    # Writing

    async def _write_until_done(self, one: Claimed, answer: Answer, then: Verdict) -> None:
        for attempt in range(1, WRITE_TRIES + 1):
            try:
                await self._write(one, answer, then)
                return
            except DatabaseError as error:
                if attempt == WRITE_TRIES:
                    raise
                _log.warning("webhooks.answer_not_written", delivery=str(one.id), error=error.message)
                await asyncio.sleep(min(2**attempt * 0.25, 10))

    async def _write(self, one: Claimed, answer: Answer, then: Verdict) -> None:
        ended = then.status is not DeliveryStatus.PENDING
        async with transaction(self._engine, self._settings) as connection:
            # Whoever changes both a webhook and its deliveries takes the webhook first: nobody waits in a circle.
            hook = (
                await connection.execute(
                    select(webhooks).where(webhooks.c.id == one.webhook).with_for_update(key_share=True)
                )
            ).one_or_none()
            if hook is None or not await _save(connection, one, answer, then):
                return
            additions = [
                Addition(metric=totals.WEBHOOK_ATTEMPTS, labels={"event": one.event, "result": answer.result}),
                Addition(
                    metric=totals.WEBHOOK_SECONDS, labels={"event": one.event}, value=max(0, answer.duration_ms) / 1000
                ),
            ]
            if ended:
                labels = {"event": one.event, "status": then.status.value}
                additions.append(Addition(metric=totals.WEBHOOK_DELIVERIES, labels=labels))
            if ended and one.event != WebhookEvent.PING and hook.active:
                additions += await self._judge_webhook(connection, one, hook.failures, answer, then)
            await totals.add(connection, additions)

    async def _judge_webhook(
        self, connection: AsyncConnection, one: Claimed, failures: int, answer: Answer, then: Verdict
    ) -> list[Addition]:
        """Counts failures in a row, and switches the webhook off after too many."""
        failures = 0 if then.status is DeliveryStatus.DELIVERED else failures + 1
        limit = self._settings.webhook_disable_after
        reason = disable_reason(answer, failures=failures, limit=limit, gone=then.gone) if failures else None
        of_it = update(webhooks).where(webhooks.c.id == one.webhook)
        if reason is None:
            await connection.execute(of_it.where(webhooks.c.failures != failures).values(failures=failures))
            return []
        await connection.execute(
            of_it.values(
                failures=failures, active=False, disabled_at=func.now(), disabled_reason=reason, updated_at=func.now()
            )
        )
        dropped = await drop_pending(connection, one.webhook)
        facts = {"webhook": str(one.webhook), "reason": reason, "failures": failures, "dropped": sum(dropped.values())}
        await audit.record(
            connection,
            caller=Caller(subject="tenantry", address=None, correlation_id=str(one.id)),
            action="webhook.disable",
            tenant=one.tenant,
            object=str(one.webhook),
            before={"active": True},
            after={"active": False, **facts},
        )
        await enqueue(connection, WebhookEvent.WEBHOOK_DISABLED, one.tenant, facts)
        _log.error("webhooks.disabled", **facts)
        return [Addition(metric=totals.WEBHOOKS_DISABLED), *dropped_additions(dropped)]

    async def _clean(self) -> None:
        if time.monotonic() < self._next_clean:
            return
        self._next_clean = time.monotonic() + CLEAN_EVERY_SECONDS
        old = _d.ended_at < _in(-86_400 * self._settings.webhook_keep_days)
        some = select(_d.id).where(old).limit(CLEAN_AT_ONCE)
        async with transaction(self._engine, self._settings) as connection:
            gone = await connection.execute(
                delete(webhook_deliveries).where(_d.id.in_(some.with_for_update(skip_locked=True))).returning(_d.id)
            )
            if len(gone.all()) == CLEAN_AT_ONCE:
                self._next_clean = time.monotonic()


async def drop_pending(connection: AsyncConnection, webhook: uuid.UUID) -> dict[str, int]:
    """Ends what still waits to be sent to a webhook that has been switched off. Returns how many of each event."""
    rows = await connection.execute(
        update(webhook_deliveries)
        .where(_d.webhook_id == webhook, _d.status == DeliveryStatus.PENDING)
        .values(status=DeliveryStatus.DROPPED, ended_at=func.now(), claimed_until=None)
        .returning(_d.event)
    )
    return dict(Counter(row.event for row in rows))


def dropped_additions(dropped: dict[str, int]) -> list[Addition]:
    """What dropped deliveries are counted as."""
    return [
        Addition(
            metric=totals.WEBHOOK_DELIVERIES,
            labels={"event": event, "status": DeliveryStatus.DROPPED.value},
            value=number,
        )
        for event, number in dropped.items()
    ]


async def _save(connection: AsyncConnection, one: Claimed, answer: Answer, then: Verdict) -> bool:
    """Writes the try into the delivery. False: it is no longer ours, dropped or claimed by another process."""
    kept = {
        "at": datetime.now(UTC).isoformat(),
        "status": answer.status,
        "body": answer.body,
        "duration_ms": answer.duration_ms,
        "error": answer.error,
    }
    ended = then.status is not DeliveryStatus.PENDING
    saved = await connection.execute(
        update(webhook_deliveries)
        .where(_d.id == one.id, _d.status == DeliveryStatus.PENDING, _d.attempts == one.tries)
        .values(
            status=then.status,
            answers=_d.answers.op("||")(func.jsonb_build_array(cast(kept, JSONB))),
            claimed_until=None,
            next_attempt_at=_in(then.delay),
            ended_at=func.now() if ended else None,
        )
        .returning(_d.id)
    )
    return saved.one_or_none() is not None


def _asked_for_by(payload: Mapping[str, Any]) -> dict[str, str]:
    known = payload.get("data", {}).get("correlation_id")
    return {"correlation_id": known} if isinstance(known, str) else {}


def _in(seconds: float) -> ColumnElement[Any]:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, cast(seconds, Double))


def _claimed(row: Row[Any]) -> Claimed:
    return Claimed(
        id=row.id,
        webhook=row.webhook_id,
        tenant=row.tenant,
        url=row.url,
        sealed=bytes(row.secret),
        event=row.event,
        payload=row.payload,
        tries=row.attempts,
    )

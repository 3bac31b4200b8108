"""What people do with webhooks: make, find, change, delete, rotate the secret, see deliveries, send one again, ping.

Every change is one transaction with its row of the audit trail. A secret is given back when it is made and never again.
Who may do this is decided by the callers, by the webhook's `tenant`: None is the platform's.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from automation.errors import NotFoundError
from automation.jobs import audit, totals
from automation.jobs.database import transaction
from automation.jobs.model import Caller, ConflictError
from automation.models import tenants
from automation.models_jobs import DeliveryStatus, webhook_deliveries, webhooks
from automation.secretbox import SecretBox, SecretBoxError, secret_box
from automation.settings import Settings
from automation.webhooks import fields
from automation.webhooks.deliver import drop_pending, dropped_additions
from automation.webhooks.keys import Keys, seal, unseal
from automation.webhooks.outbox import WebhookEvent, payload
from automation.webhooks.targets import Policy, resolve

MOST_PER_TENANT = 20
MOST_PER_PAGE = 200

_SHOWN = tuple(column for column in webhooks.c if column.name != "secret")
_d = webhook_deliveries.c


class Webhooks:
    """Webhooks and their deliveries, as JSON-safe dicts; times are ISO 8601 with a zone."""

    def __init__(self, engine: AsyncEngine, settings: Settings, *, box: SecretBox | None = None) -> None:
        self._engine = engine
        self._settings = settings
        self._policy = Policy(settings.webhook_allow)
        self._box = box

    async def create(
        self, caller: Caller, *, tenant: str | None, url: str, events: Sequence[str], description: str = ""
    ) -> tuple[dict[str, Any], str]:
        """A new webhook, and its secret, which is not shown again. `events`: words of SELECTABLE, or `*`.

        Raises InputError naming each wrong field, NotFoundError for an unknown tenant, ConflictError when the tenant
        has MOST_PER_TENANT already.
        """
        values = fields.checked({"url": url, "events": list(events), "description": description})
        await resolve(values["url"], self._policy)
        new, keys = uuid.uuid4(), Keys.new()
        sealed = seal(self._secrets(), new, keys)
        async with transaction(self._engine, self._settings) as connection:
            await _room(connection, tenant)
            row = await connection.execute(
                insert(webhooks)
                .values(id=new, tenant=tenant, secret=sealed, created_by=caller.subject, **values)
                .returning(*_SHOWN)
            )
            made = _plain(row.one())
            await _record(connection, caller, "webhook.create", made, after=made)
        return made, keys.current

    async def find(
        self, *, visible: Collection[str] | None = None, tenant: str | None = None, page: int = 1, size: int = 50
    ) -> tuple[list[dict[str, Any]], int]:
        """Webhooks, newest first, and how many there are. `visible`: of these tenants only; None: all, and those of
        the platform. `tenant`: of this one only."""
        where: list[ColumnElement[bool]] = []
        if visible is not None:
            where.append(webhooks.c.tenant.in_(visible))
        if tenant is not None:
            where.append(webhooks.c.tenant == tenant)
        async with transaction(self._engine, self._settings) as connection:
            return await _page(
                connection,
                select(*_SHOWN).where(*where).order_by(webhooks.c.created_at.desc(), webhooks.c.id),
                select(func.count()).select_from(webhooks).where(*where),
                page,
                size,
            )

    async def get(self, webhook: uuid.UUID) -> dict[str, Any]:
        """The webhook. Raises NotFoundError."""
        async with transaction(self._engine, self._settings) as connection:
            return _plain(await _webhook(connection, webhook))

    async def update(self, caller: Caller, webhook: uuid.UUID, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The webhook with url, events, description or active changed.

        Switching it on forgets its failures; switching it off drops what waits to be sent. Raises InputError and
        NotFoundError.
        """
        values: dict[str, Any] = dict(fields.checked(changes))
        if "url" in values:
            await resolve(values["url"], self._policy)
        async with transaction(self._engine, self._settings) as connection:
            before = _plain(await _webhook(connection, webhook, lock=True))
            additions: list[totals.Addition] = []
            if values.get("active") is True:
                values |= {"failures": 0, "disabled_at": None, "disabled_reason": None}
            elif values.get("active") is False and before["active"]:
                reason = f"switched off by {caller.subject}"
                values |= {"disabled_at": func.now(), "disabled_reason": reason}
                additions = dropped_additions(await drop_pending(connection, webhook))
            row = await connection.execute(
                update(webhooks)
                .where(webhooks.c.id == webhook)
                .values(**values, updated_at=func.now())
                .returning(*_SHOWN)
            )
            after = _plain(row.one())
            await _record(connection, caller, "webhook.update", after, before=before, after=after)
            await totals.add(connection, additions)
        return after

    async def delete(self, caller: Caller, webhook: uuid.UUID) -> None:
        """Removes the webhook and all its deliveries. Raises NotFoundError."""
        async with transaction(self._engine, self._settings) as connection:
            before = _plain(await _webhook(connection, webhook, lock=True))
            await connection.execute(delete(webhooks).where(webhooks.c.id == webhook))
            await _record(connection, caller, "webhook.delete", before, before=before)

    async def rotate(self, caller: Caller, webhook: uuid.UUID) -> tuple[dict[str, Any], str]:
        """The webhook, and a new secret, which is not shown again; the old one signs beside it for a day.

        A secret that cannot be decrypted any more is replaced at once. Raises NotFoundError.
        """
        box = self._secrets()
        async with transaction(self._engine, self._settings) as connection:
            row = await _webhook(connection, webhook, columns=(*_SHOWN, webhooks.c.secret), lock=True)
            keys = _rotated(box, webhook, bytes(row.secret))
            changed = await connection.execute(
                update(webhooks)
                .where(webhooks.c.id == webhook)
                .values(secret=seal(box, webhook, keys), updated_at=func.now())
                .returning(*_SHOWN)
            )
            after = _plain(changed.one())
            until = keys.previous_until.isoformat() if keys.previous_until else None
            await _record(connection, caller, "webhook.rotate", after, after={"old_one_signs_until": until})
        return after, keys.current

    async def deliveries(
        self, webhook: uuid.UUID, *, status: str | None = None, page: int = 1, size: int = 50
    ) -> tuple[list[dict[str, Any]], int]:
        """The webhook's deliveries, newest first, with their payloads and answers. Raises NotFoundError."""
        where = [_d.webhook_id == webhook]
        if status is not None:
            where.append(_d.status == fields.delivery_status(status))
        async with transaction(self._engine, self._settings) as connection:
            await _webhook(connection, webhook)
            rows, total = await _page(
                connection,
                select(webhook_deliveries).where(*where).order_by(_d.number.desc()),
                select(func.count()).select_from(webhook_deliveries).where(*where),
                page,
                size,
            )
        return [_delivery(row) for row in rows], total

    async def delivery(self, webhook: uuid.UUID, delivery: uuid.UUID) -> dict[str, Any]:
        """One delivery. Raises NotFoundError, also where it is another webhook's."""
        async with transaction(self._engine, self._settings) as connection:
            return _delivery(_plain(await _one_delivery(connection, webhook, delivery)))

    async def resend(self, caller: Caller, webhook: uuid.UUID, delivery: uuid.UUID) -> dict[str, Any]:
        """A new delivery of the same event, sent at once. Raises NotFoundError, and ConflictError where the webhook is
        switched off or the delivery is still being tried."""
        async with transaction(self._engine, self._settings) as connection:
            hook = _plain(await _webhook(connection, webhook))
            old = await _one_delivery(connection, webhook, delivery)
            if old.status == DeliveryStatus.PENDING:
                raise ConflictError(
                    f"delivery {delivery} is still being tried, next at {old.next_attempt_at.isoformat()}",
                    hint="wait for it to end, then send it again",
                )
            return await _send(connection, caller, hook, "webhook.resend", old.event, old.payload, resend_of=delivery)

    async def ping(self, caller: Caller, webhook: uuid.UUID) -> dict[str, Any]:
        """A `ping`, sent once and at once, whether the webhook asked for it or not. Raises as `resend` does."""
        async with transaction(self._engine, self._settings) as connection:
            hook = _plain(await _webhook(connection, webhook))
            body = payload(WebhookEvent.PING, hook["tenant"], {"webhook": str(webhook), "by": caller.subject})
            return await _send(connection, caller, hook, "webhook.ping", WebhookEvent.PING, body)

    def _secrets(self) -> SecretBox:
        # Made when it is needed: what only reads webhooks needs no key.
        if self._box is None:
            self._box = secret_box()
        return self._box


def _rotated(box: SecretBox, webhook: uuid.UUID, sealed: bytes) -> Keys:
    try:
        return unseal(box, webhook, sealed).rotated(datetime.now(UTC))
    except SecretBoxError:
        return Keys.new()


async def _room(connection: AsyncConnection, tenant: str | None) -> None:
    if tenant is not None:
        # Locked, so that two at once count each other.
        known = await connection.execute(select(tenants.c.slug).where(tenants.c.slug == tenant).with_for_update())
        if known.one_or_none() is None:
            raise NotFoundError(f"there is no tenant '{tenant}'", hint="create the tenant first")
    of_it = webhooks.c.tenant.is_(None) if tenant is None else webhooks.c.tenant == tenant
    number = (await connection.execute(select(func.count()).select_from(webhooks).where(of_it))).scalar_one()
    if number >= MOST_PER_TENANT:
        raise ConflictError(
            f"{f'tenant {tenant!r}' if tenant else 'the platform'} has {number} webhooks, the most that it may have",
            hint="delete one that is not needed any more",
        )


async def _webhook(
    connection: AsyncConnection, webhook: uuid.UUID, *, columns: Sequence[Any] = _SHOWN, lock: bool = False
) -> Row[Any]:
    query = select(*columns).where(webhooks.c.id == webhook)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no webhook {webhook}", hint="list the webhooks that there are")
    return row


async def _one_delivery(connection: AsyncConnection, webhook: uuid.UUID, delivery: uuid.UUID) -> Row[Any]:
    query = select(webhook_deliveries).where(_d.id == delivery, _d.webhook_id == webhook)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(
            f"webhook {webhook} has no delivery {delivery}",
            hint="list its deliveries; old ones are deleted after a while",
        )
    return row


async def _send(
    connection: AsyncConnection,
    caller: Caller,
    hook: dict[str, Any],
    action: str,
    event: str,
    body: dict[str, Any],
    *,
    resend_of: uuid.UUID | None = None,
) -> dict[str, Any]:
    if not hook["active"]:
        raise ConflictError(
            f"webhook {hook['id']} is switched off: {hook['disabled_reason']}", hint="switch it on first (active: true)"
        )
    values = {"id": uuid.uuid4(), "webhook_id": uuid.UUID(hook["id"]), "event": event, "payload": body}
    row = await connection.execute(
        insert(webhook_deliveries).values(**values, resend_of=resend_of).returning(webhook_deliveries)
    )
    made = _delivery(_plain(row.one()))
    await _record(connection, caller, action, hook, after={"delivery": made["id"], "resend_of": made["resend_of"]})
    return made


async def _record(
    connection: AsyncConnection,
    caller: Caller,
    action: str,
    hook: Mapping[str, Any],
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    await audit.record(
        connection,
        caller=caller,
        action=action,
        tenant=hook["tenant"],
        object=str(hook["id"]),
        before=fields.for_audit(before),
        after=fields.for_audit(after),
    )


async def _page(
    connection: AsyncConnection, rows: Select[Any], number: Select[Any], page: int, size: int
) -> tuple[list[dict[str, Any]], int]:
    size = min(max(size, 1), MOST_PER_PAGE)
    total = (await connection.execute(number)).scalar_one()
    found = await connection.execute(rows.limit(size).offset((max(page, 1) - 1) * size))
    return [_plain(row) for row in found], total


def _plain(row: Row[Any]) -> dict[str, Any]:
    def value(one: Any) -> Any:
        if isinstance(one, datetime):
            return one.isoformat()
        return str(one) if isinstance(one, uuid.UUID) else one

    return {name: value(one) for name, one in row._mapping.items()}  # noqa: SLF001 - SQLAlchemy's public name


def _delivery(row: dict[str, Any]) -> dict[str, Any]:
    row = {name: value for name, value in row.items() if name != "claimed_until"}
    return row if row["status"] == DeliveryStatus.PENDING else row | {"next_attempt_at": None}

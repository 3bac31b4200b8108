"""Puts an event into the outbox: one delivery per webhook that wants it, in the transaction of what happened.

Decides what an event looks like and who gets it. It never sends: `deliver` does, after the transaction has committed,
so that nobody is told of what did not happen, and everybody of what did.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, insert, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from automation.models_jobs import webhook_deliveries, webhooks


class WebhookEvent(StrEnum):
    """What a webhook can ask for. PING only comes when somebody tries the webhook out."""

    JOB_CREATED = "job.created"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_ROLLED_BACK = "job.rolled_back"
    JOB_ROLLBACK_FAILED = "job.rollback_failed"
    JOB_CANCELLED = "job.cancelled"
    TENANT_ACTIVE = "tenant.active"
    TENANT_PARTIAL = "tenant.partial"
    TENANT_FAILED = "tenant.failed"
    TENANT_REMOVED = "tenant.removed"
    WEBHOOK_DISABLED = "webhook.disabled"
    PING = "ping"


EVERY = "*"
"""In a webhook's list of events: all that there are, also those that a later version adds."""

SELECTABLE = tuple(event.value for event in WebhookEvent if event is not WebhookEvent.PING)
"""What may stand in a webhook's list of events, besides EVERY."""


def payload(event: WebhookEvent, tenant: str | None, data: Mapping[str, Any]) -> dict[str, Any]:
    """The body of an event. `id` is the event's, the same for every webhook and try: receivers know doubles by it."""
    return {
        "id": str(uuid.uuid4()),
        "type": event.value,
        "created_at": datetime.now(UTC).isoformat(),
        "tenant": tenant,
        "data": dict(data),
    }


async def enqueue(connection: AsyncConnection, event: str, tenant: str | None, data: Mapping[str, Any]) -> int:
    """Adds a delivery for each active webhook that wants `event` of `tenant`. Returns how many.

    `data` is JSON-safe and holds no secret. Raises ValueError for an event that is not one of WebhookEvent.
    """
    word = WebhookEvent(event)
    body = payload(word, tenant, data)
    wanted = select(
        func.gen_random_uuid(), webhooks.c.id, literal(word.value), literal(body, JSONB(none_as_null=True))
    ).where(webhooks.c.active, wants(word), _reaches(tenant))
    columns = (webhook_deliveries.c.id, webhook_deliveries.c.webhook_id, webhook_deliveries.c.event)
    added = await connection.execute(
        insert(webhook_deliveries)
        .from_select([*columns, webhook_deliveries.c.payload], wanted)
        .returning(webhook_deliveries.c.id)
    )
    return len(added.all())


def wants(event: WebhookEvent) -> ColumnElement[bool]:
    """Whether a webhook's list has the event."""
    return or_(webhooks.c.events.contains([event.value]), webhooks.c.events.contains([EVERY]))


def _reaches(tenant: str | None) -> ColumnElement[bool]:
    everyones = webhooks.c.tenant.is_(None)
    return everyones if tenant is None else or_(everyones, webhooks.c.tenant == tenant)

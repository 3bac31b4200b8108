"""Webhooks for the API and for the web page alike: who may make, see, change and try them.

Decides rights only: what a webhook is and does is `automation.webhooks.manage`'s. A webhook without a tenant is the
platform's, and only its admins have anything to do with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from service.auth.permissions import Permission
from service.auth.principal import Principal
from service.state import State


async def webhooks(
    state: State, who: Principal, *, tenant: str | None = None, page: int = 1, size: int = 50
) -> tuple[list[dict[str, Any]], int]:
    """The webhooks that the caller may see, newest first, and how many there are."""
    visible = who.visible(Permission.WEBHOOKS_READ)
    return await state.webhooks.find(visible=visible, tenant=tenant, page=page, size=size)


async def create_webhook(state: State, who: Principal, values: Mapping[str, Any]) -> dict[str, Any]:
    """A new webhook, with its `secret`, which is not shown again. `values`: tenant, url, events, description."""
    tenant = values.get("tenant")
    who.demand(Permission.WEBHOOKS_WRITE if tenant is not None else Permission.PLATFORM_WEBHOOKS, tenant)
    made, secret = await state.webhooks.create(
        who.caller,
        tenant=tenant,
        url=values["url"],
        events=list(values["events"]),
        description=values.get("description") or "",
    )
    return {**made, "secret": secret}


async def webhook(
    state: State, who: Principal, wanted: uuid.UUID, permission: Permission = Permission.WEBHOOKS_READ
) -> dict[str, Any]:
    """The webhook, without its secret. Raises NotFoundError, ForbiddenError."""
    found = await state.webhooks.get(wanted)
    who.demand(permission, found["tenant"], what=f"webhook {wanted}")
    return found


async def change_webhook(state: State, who: Principal, wanted: uuid.UUID, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The webhook with url, events, description or active changed."""
    await webhook(state, who, wanted, Permission.WEBHOOKS_WRITE)
    return await state.webhooks.update(who.caller, wanted, dict(changes))


async def delete_webhook(state: State, who: Principal, wanted: uuid.UUID) -> None:
    """Removes the webhook with its deliveries."""
    await webhook(state, who, wanted, Permission.WEBHOOKS_WRITE)
    await state.webhooks.delete(who.caller, wanted)


async def rotate_webhook(state: State, who: Principal, wanted: uuid.UUID) -> dict[str, Any]:
    """The webhook with a new `secret`, which is not shown again."""
    await webhook(state, who, wanted, Permission.WEBHOOKS_WRITE)
    changed, secret = await state.webhooks.rotate(who.caller, wanted)
    return {**changed, "secret": secret}


async def test_webhook(state: State, who: Principal, wanted: uuid.UUID) -> dict[str, Any]:
    """Sends a ping; returns its delivery."""
    await webhook(state, who, wanted, Permission.WEBHOOKS_WRITE)
    return await state.webhooks.ping(who.caller, wanted)


async def deliveries(
    state: State, who: Principal, wanted: uuid.UUID, *, status: str | None = None, page: int = 1, size: int = 50
) -> tuple[list[dict[str, Any]], int]:
    """What was sent, newest first, and how many there are."""
    await webhook(state, who, wanted)
    return await state.webhooks.deliveries(wanted, status=status, page=page, size=size)


async def delivery(state: State, who: Principal, wanted: uuid.UUID, which: uuid.UUID) -> dict[str, Any]:
    """One delivery. Raises NotFoundError, also for another webhook's."""
    await webhook(state, who, wanted)
    return await state.webhooks.delivery(wanted, which)


async def resend_delivery(state: State, who: Principal, wanted: uuid.UUID, which: uuid.UUID) -> dict[str, Any]:
    """Sends the same event again; returns the new delivery."""
    await webhook(state, who, wanted, Permission.WEBHOOKS_WRITE)
    return await state.webhooks.resend(who.caller, wanted, which)

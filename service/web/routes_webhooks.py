"""Pages of webhooks: who is told of what, what became of telling them, and sending it again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from automation.errors import InputError, TenantryError
from automation.models_jobs import DeliveryStatus
from automation.webhooks.outbox import EVERY, SELECTABLE
from service import webhook_actions as actions
from service.auth.deps import Permission, Principal, require
from service.problems import problem_of
from service.state import StateDep
from service.web import views
from service.web.pages import PageRoute, Paging, asked, page_number, remember, render, to

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(remember)])

SignedIn = Annotated[Principal, Depends(require(Permission.SIGNED_IN))]
Reader = Annotated[Principal, Depends(require(Permission.WEBHOOKS_READ))]
Writer = Annotated[Principal, Depends(require(Permission.WEBHOOKS_WRITE))]
SECTION = "/webhooks"
STATUSES = [("", "All"), *((one.value, views.status_word(one)) for one in DeliveryStatus)]


@router.get("/webhooks")
async def webhooks_page(request: Request, state: StateDep, who: SignedIn) -> Response:
    """The webhooks of the tenants that the reader answers for."""
    tenant = asked(request, "tenant")
    page = page_number(request)
    rows, total = await actions.webhooks(state, who, tenant=tenant or None, page=page, size=50)
    return render(
        request,
        "webhooks.html",
        who,
        section=SECTION,
        rows=rows,
        tenant=tenant,
        paging=Paging(page=page, total=total, path="/webhooks", query={"tenant": tenant}),
        may_create=_may_create(who),
    )


def _may_create(who: Principal) -> bool:
    return who.may(Permission.PLATFORM_WEBHOOKS) or bool(who.visible(Permission.WEBHOOKS_WRITE))


@router.get("/webhooks/new")
async def new_webhook_page(request: Request, who: SignedIn) -> Response:
    """The form of a new webhook."""
    return _form(request, who, {"tenant": asked(request, "tenant"), "url": "", "description": "", "events": [EVERY]})


@router.post("/webhooks/new")
async def create_webhook(request: Request, state: StateDep, who: SignedIn) -> Response:
    """Makes a webhook, and shows its secret this once."""
    form = await request.form()
    values: dict[str, Any] = {name: str(form.get(name) or "").strip() for name in ("tenant", "url", "description")}
    values["events"] = [str(one) for one in form.getlist("events")]
    try:
        made = await actions.create_webhook(state, who, {**values, "tenant": values["tenant"] or None})
    except TenantryError as error:
        return _form(request, who, values, error)
    return render(request, "webhook_secret.html", who, section=SECTION, hook=made, fresh=True)


def _form(request: Request, who: Principal, values: Mapping[str, Any], error: TenantryError | None = None) -> Response:
    problems = {field: message for field, _given, message in error.problems} if isinstance(error, InputError) else {}
    return render(
        request,
        "webhook_form.html",
        who,
        section=SECTION,
        code=problem_of(error).status if error is not None else 200,
        values=values,
        choices=[(EVERY, "Everything"), *((one, one) for one in SELECTABLE)],
        platform=who.may(Permission.PLATFORM_WEBHOOKS),
        problems=problems,
        wrong=error.message if error is not None else "",
        hint=error.hint if error is not None else "",
    )


@router.get("/webhooks/{webhook_id}")
async def webhook_page(request: Request, state: StateDep, who: Reader, webhook_id: uuid.UUID) -> Response:
    """A webhook with its deliveries and the answers to them."""
    hook = await actions.webhook(state, who, webhook_id)
    status = asked(request, "status") if asked(request, "status") in dict(STATUSES) else ""
    page = page_number(request)
    rows, total = await actions.deliveries(state, who, webhook_id, status=status or None, page=page, size=20)
    return render(
        request,
        "webhook.html",
        who,
        section=SECTION,
        hook=hook,
        rows=[{**row, "text": json.dumps(row["payload"], indent=2, ensure_ascii=False)} for row in rows],
        statuses=STATUSES,
        status=status,
        paging=Paging(page=page, total=total, path=f"/webhooks/{webhook_id}", query={"status": status}, size=20),
        may_write=who.may(Permission.PLATFORM_WEBHOOKS)
        if hook["tenant"] is None
        else who.may(Permission.WEBHOOKS_WRITE, hook["tenant"]),
    )


@router.post("/webhooks/{webhook_id}/switch")
async def switch_webhook(request: Request, state: StateDep, who: Writer, webhook_id: uuid.UUID) -> Response:
    """Switches it on or off."""
    active = (await request.form()).get("active") == "true"
    await actions.change_webhook(state, who, webhook_id, {"active": active})
    return to(f"/webhooks/{webhook_id}", "webhook-changed")


@router.post("/webhooks/{webhook_id}/ping")
async def ping_webhook(state: StateDep, who: Writer, webhook_id: uuid.UUID) -> Response:
    """Sends a ping."""
    await actions.test_webhook(state, who, webhook_id)
    return to(f"/webhooks/{webhook_id}", "webhook-ping")


@router.post("/webhooks/{webhook_id}/rotate")
async def rotate_webhook(request: Request, state: StateDep, who: Writer, webhook_id: uuid.UUID) -> Response:
    """A new secret, shown this once."""
    made = await actions.rotate_webhook(state, who, webhook_id)
    return render(request, "webhook_secret.html", who, section=SECTION, hook=made, fresh=False)


@router.post("/webhooks/{webhook_id}/delete")
async def delete_webhook(state: StateDep, who: Writer, webhook_id: uuid.UUID) -> Response:
    """Removes it."""
    await actions.delete_webhook(state, who, webhook_id)
    return to("/webhooks", "webhook-deleted")


@router.post("/webhooks/{webhook_id}/deliveries/{delivery}/resend")
async def resend_delivery(state: StateDep, who: Writer, webhook_id: uuid.UUID, delivery: uuid.UUID) -> Response:
    """Sends the same event again."""
    await actions.resend_delivery(state, who, webhook_id, delivery)
    return to(f"/webhooks/{webhook_id}", "webhook-resent")

"""`/api/v1/webhooks`: who is told of what happens, and what became of telling them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from automation.models_jobs import DeliveryStatus
from service import answers
from service import webhook_actions as actions
from service.api.bodies import NewWebhookBody, WebhookBody
from service.api.documents import Page
from service.api.documents_webhooks import Delivery, Webhook, WebhookWithSecret
from service.api.parameters import DeliveryId, PageNumber, SignedIn, Size, WebhookId, Word
from service.auth.deps import Permission, Principal, require
from service.bodies import body_of, documented
from service.problem_documents import NOT_CHANGED, responses
from service.state import StateDep

router = APIRouter(tags=["webhooks"])

_READ = responses(404, 422) | NOT_CHANGED
Reader = Annotated[Principal, Depends(require(Permission.WEBHOOKS_READ))]
Writer = Annotated[Principal, Depends(require(Permission.WEBHOOKS_WRITE))]
_NEW = {"tenant": "cabinet-rive", "url": "https://hooks.example/tenantry", "events": ["job.succeeded", "job.failed"]}


@router.get("/webhooks", response_model=Page[Webhook], responses=_READ)
async def list_webhooks(
    request: Request, state: StateDep, who: SignedIn, tenant: Word = None, page: PageNumber = 1, size: Size = 50
) -> Response:
    """Webhooks of the tenants whose owner or admin the caller is, newest first; all of them for platform admins."""
    rows, total = await actions.webhooks(state, who, tenant=tenant, page=page, size=size)
    return answers.page_of(request, rows, total, page, size)


@router.post(
    "/webhooks",
    status_code=201,
    response_model=WebhookWithSecret,
    responses=responses(400, 404, 408, 409, 413, 415, 422),
    openapi_extra=documented(NewWebhookBody, examples={"of a tenant": _NEW}),
)
async def create_webhook(
    state: StateDep, who: SignedIn, body: Annotated[NewWebhookBody, Depends(body_of(NewWebhookBody))]
) -> Response:
    """Makes a webhook. Its `secret` signs what is sent, and is shown this once. Without a tenant: of all tenants."""
    made = await actions.create_webhook(state, who, body.model_dump())
    return answers.created(made, f"/api/v1/webhooks/{made['id']}")


@router.get("/webhooks/{webhook_id}", response_model=Webhook, responses=_READ)
async def get_webhook(request: Request, state: StateDep, who: Reader, webhook_id: WebhookId) -> Response:
    """A webhook, without its secret."""
    return answers.ok(request, await actions.webhook(state, who, webhook_id))


@router.patch(
    "/webhooks/{webhook_id}",
    response_model=Webhook,
    responses=responses(400, 404, 408, 409, 413, 415, 422),
    openapi_extra=documented(WebhookBody, examples={"switch it on again": {"active": True}}),
)
async def change_webhook(
    state: StateDep, who: Writer, webhook_id: WebhookId, body: Annotated[WebhookBody, Depends(body_of(WebhookBody))]
) -> Response:
    """Changes what is named, and leaves the rest. Switching it on forgets its failures."""
    return answers.changed(await actions.change_webhook(state, who, webhook_id, body.model_dump(exclude_unset=True)))


@router.delete("/webhooks/{webhook_id}", status_code=204, responses=responses(404, 422))
async def delete_webhook(state: StateDep, who: Writer, webhook_id: WebhookId) -> Response:
    """Removes a webhook with its deliveries."""
    await actions.delete_webhook(state, who, webhook_id)
    return answers.gone()


@router.post("/webhooks/{webhook_id}/rotate", response_model=WebhookWithSecret, responses=responses(404, 409, 422))
async def rotate_webhook(state: StateDep, who: Writer, webhook_id: WebhookId) -> Response:
    """Makes a new secret, which is shown this once; the old one signs beside it for a day."""
    return answers.changed(await actions.rotate_webhook(state, who, webhook_id))


@router.post(
    "/webhooks/{webhook_id}/test", status_code=202, response_model=Delivery, responses=responses(404, 409, 422)
)
async def test_webhook(state: StateDep, who: Writer, webhook_id: WebhookId) -> Response:
    """Sends a `ping`, once and at once."""
    return answers.queued(await actions.test_webhook(state, who, webhook_id))


@router.get("/webhooks/{webhook_id}/deliveries", response_model=Page[Delivery], responses=_READ)
async def list_deliveries(
    request: Request,
    state: StateDep,
    who: Reader,
    webhook_id: WebhookId,
    status: Annotated[DeliveryStatus | None, Query(description="only these")] = None,
    page: PageNumber = 1,
    size: Size = 50,
) -> Response:
    """What was sent, newest first, with the answers."""
    rows, total = await actions.deliveries(state, who, webhook_id, status=status, page=page, size=size)
    return answers.page_of(request, rows, total, page, size)


@router.get("/webhooks/{webhook_id}/deliveries/{delivery_id}", response_model=Delivery, responses=_READ)
async def get_delivery(
    request: Request, state: StateDep, who: Reader, webhook_id: WebhookId, delivery_id: DeliveryId
) -> Response:
    """One delivery with its payload and the answers."""
    return answers.ok(request, await actions.delivery(state, who, webhook_id, delivery_id))


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/resend",
    status_code=202,
    response_model=Delivery,
    responses=responses(404, 409, 422),
)
async def resend_delivery(state: StateDep, who: Writer, webhook_id: WebhookId, delivery_id: DeliveryId) -> Response:
    """Sends the same event again, as a delivery of its own."""
    return answers.queued(await actions.resend_delivery(state, who, webhook_id, delivery_id))

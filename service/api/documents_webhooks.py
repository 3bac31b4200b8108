"""The shapes of webhooks and deliveries in answers, for the OpenAPI document."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from automation.models_jobs import DeliveryStatus
from service.api.documents import Document


class Webhook(Document):
    """A webhook. `disabled_reason` says why it is switched off."""

    id: uuid.UUID
    tenant: str | None = Field(description="null: of all tenants", examples=["cabinet-rive"])
    url: str = Field(examples=["https://hooks.example/tenantry"])
    description: str = Field(examples=["the billing system"])
    events: list[str] = Field(examples=[["job.succeeded", "job.failed"]])
    active: bool
    failures: int = Field(description="deliveries in a row that did not get through")
    disabled_at: datetime | None
    disabled_reason: str | None
    created_by: str = Field(examples=["ann"])
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(Webhook):
    """A webhook with the secret that signs what is sent. It is shown this once."""

    secret: str = Field(examples=["whsec_..."])


class Delivery(Document):
    """What was sent to a webhook, and the answers."""

    id: uuid.UUID
    number: int
    webhook_id: uuid.UUID
    event: str = Field(examples=["job.succeeded"])
    payload: dict[str, Any]
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None
    answers: list[dict[str, Any]]
    resend_of: uuid.UUID | None
    created_at: datetime
    ended_at: datetime | None

"""The shapes of the API's answers, for its OpenAPI document: tenants, jobs, deployments, audit, templates.

Documentation only: answers are written as `automation.jobs.reading` reads them, and a test holds the two together.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from automation.models import DeploymentStatus, TenantStatus
from automation.models_jobs import JobOperation, JobStatus
from automation.steps import StepStatus
from service.examples import AT, ID

_Item = TypeVar("_Item")

MANIFEST: dict[str, Any] = {
    "kind": "cabinet",
    "name": "Cabinet dentaire de la Rive",
    "slug": "cabinet-rive",
    "address": {"street": "12, quai Gustave-Ador", "city": "Genève", "postalCode": "1207", "country": "CH"},
    "phone": "+41 22 555 01 42",
    "email": "contact@cabinet-rive.example",
    "templateId": "default-dental",
    "customSettings": {"branding": {"primaryColor": "#0F766E"}},
}


class Document(BaseModel):
    """What all answers share."""

    model_config = ConfigDict(extra="allow")


class Page(Document, Generic[_Item]):
    """A page of a list. `total` stops counting at 10000: then it means as many or more."""

    items: list[_Item]
    page: int = Field(examples=[1])
    size: int = Field(examples=[50])
    total: int = Field(examples=[1])


class StepDocument(Document):
    """A step of a run (CORE-3)."""

    key: str = Field(examples=["database"])
    title: str = Field(examples=["Cabinet database"])
    status: StepStatus
    attempts: int
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None = Field(examples=[1240])
    rolled_back_at: datetime | None
    message: str = Field(examples=["created"])
    error: str | None


class ActiveJob(Document):
    """The job that a tenant has now."""

    id: uuid.UUID
    operation: JobOperation
    status: JobStatus
    progress: int
    current_step: str | None
    created_at: datetime


class LastDeployment(Document):
    """A tenant's last run in short."""

    id: uuid.UUID
    operation: str = Field(examples=["up"])
    status: DeploymentStatus
    progress: int
    error: str | None
    started_at: datetime
    ended_at: datetime | None


class TenantRow(Document):
    """A tenant in a list."""

    slug: str = Field(examples=["cabinet-rive"])
    line: str = Field(examples=["cabinet"])
    name: str = Field(examples=["Cabinet dentaire de la Rive"])
    status: TenantStatus
    template_id: str | None = Field(examples=["default-dental"])
    template_version: str | None = Field(examples=["1.0.0"])
    manifest_version: int = Field(examples=[1])
    url: str | None = Field(description="where it is reached", examples=["https://acme.tenants.example"])
    created_at: datetime = Field(examples=[AT])
    updated_at: datetime = Field(examples=[AT])


class TenantInList(TenantRow):
    """A tenant with its active job and its last deployment."""

    job: ActiveJob | None
    last: LastDeployment | None


class DeploymentRow(Document):
    """A run of a tenant, as history keeps it."""

    id: uuid.UUID = Field(examples=[ID])
    tenant: str = Field(examples=["cabinet-rive"])
    operation: str = Field(examples=["up"])
    status: DeploymentStatus
    phase: str = Field(examples=["run"])
    correlation_id: str = Field(examples=["5d0f6b0c9c1e4a7d"])
    actor: str = Field(examples=["ann"])
    engine: str = Field(examples=["embedded"])
    progress: int
    changes: dict[str, int] | None = Field(examples=[{"create": 12}])
    requests: dict[str, int] | None = Field(description="how many were sent to each server that counts them")
    error: str | None
    leftovers: list[str] | None
    rollback_of: uuid.UUID | None
    job_id: uuid.UUID | None
    first_create: bool
    started_at: datetime
    ended_at: datetime | None
    duration_ms: int | None


class DeploymentWithSteps(DeploymentRow):
    """A run with its steps."""

    steps: list[StepDocument]


class DeploymentDetail(DeploymentWithSteps):
    """A run with its steps, the manifest that it applied and the one before. Secrets are masked."""

    manifest: dict[str, Any] | None
    previous_manifest: dict[str, Any] | None


class TenantDetail(TenantRow):
    """A tenant: its newest manifest (secrets masked), its record, its active job and its last run."""

    manifest: dict[str, Any] | None = Field(examples=[MANIFEST])
    record: dict[str, Any] | None
    job: ActiveJob | None
    deployment: DeploymentWithSteps | None


class CostItem(Document):
    """One thing that costs. Numbers are text, as prices are decimal."""

    what: str = Field(examples=["connections"])
    unit: str = Field(examples=["connection hours"])
    quantity: str = Field(examples=["14600.0000"])
    price: str = Field(examples=["0.0004"])
    amount: str = Field(examples=["5.8400"])


class CostOfHours(Document):
    """What some hours cost, item by item."""

    hours: str = Field(examples=["730.0000"])
    amount: str = Field(examples=["5.8400"])
    items: list[CostItem]


class CostSince(CostOfHours):
    """What a tenant has cost since it was created; `from` is null where nothing of it has worked yet.

    `workflow_runs` is null where they are not known or not counted, which a warning tells.
    """

    workflow_runs: int | None


class CostDocument(Document):
    """A tenant's cost: in a month with the settings in force (null where none are), and since it was created."""

    tenant: str = Field(examples=["cabinet-rive"])
    line: str = Field(examples=["cabinet"])
    currency: str = Field(examples=["EUR"])
    sizing: dict[str, Any] | None = Field(examples=[{"cpu": 0, "memory_mb": 0, "storage_mb": 0, "connections": 20}])
    month: CostOfHours | None
    since: CostSince
    warnings: list[str]


class ManifestVersion(Document):
    """A version of a tenant's manifest."""

    version: int = Field(examples=[1])
    actor: str = Field(examples=["ann"])
    created_at: datetime


class ManifestDetail(ManifestVersion):
    """A version of a tenant's manifest with what is in it. Secrets are masked."""

    manifest: dict[str, Any] = Field(examples=[MANIFEST])


class JobRow(Document):
    """A job: somebody asked for an operation on a tenant."""

    id: uuid.UUID = Field(examples=[ID])
    number: int = Field(examples=[42])
    tenant: str = Field(examples=["cabinet-rive"])
    line: str = Field(examples=["cabinet"])
    operation: JobOperation
    status: JobStatus
    manifest_version: int | None
    actor: str = Field(examples=["ann"])
    attempts: int
    progress: int = Field(ge=0, le=100)
    current_step: str | None = Field(examples=["database"])
    message: str = Field(examples=["up of 'cabinet-rive' succeeded: 11 create"])
    retry_of: uuid.UUID | None
    deployment_id: uuid.UUID | None
    correlation_id: str = Field(examples=["5d0f6b0c9c1e4a7d"])
    cancel_requested_at: datetime | None
    created_at: datetime = Field(examples=[AT])
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None


class JobDocument(JobRow):
    """A job with how it ended. `result` is what the operation found or did; for a preview, the planned changes."""

    not_before: datetime
    error: dict[str, Any] | None = Field(
        examples=[{"kind": "failed_rolled_back", "message": "up of 'acme' failed: ...", "hint": "...", "details": {}}]
    )
    result: dict[str, Any] | None


class JobDetail(JobDocument):
    """A job with the steps of its run; none while it waits."""

    steps: list[StepDocument]


class LogLine(Document):
    """A line of a job's log. Secrets are masked."""

    id: int
    at: datetime
    level: str = Field(examples=["info"])
    step: str | None
    message: str = Field(examples=["Cabinet database: completed"])


class Lines(Document):
    """Log lines in order. `after` of the next request is the last line's id."""

    items: list[LogLine]


class Steps(Document):
    """The steps of a job's run, in order."""

    items: list[StepDocument]


class AuditRow(Document):
    """Who changed what, from where; before and after. Secrets are masked."""

    id: int
    at: datetime
    actor: str = Field(examples=["ann"])
    address: str | None = Field(examples=["203.0.113.7"])
    action: str = Field(examples=["tenant.up"])
    tenant: str | None
    object: str | None
    job_id: uuid.UUID | None
    correlation_id: str = Field(examples=["5d0f6b0c9c1e4a7d"])
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class TemplateDocument(Document):
    """One version of a template."""

    id: str = Field(examples=["default-dental"])
    version: str = Field(examples=["1.0.0"])
    line: str = Field(examples=["cabinet"])
    title: str = Field(examples=["Dental practice"])
    description: str = Field(examples=["Slots of half an hour, booked up to 30 days ahead."])
    settings: dict[str, Any]
    builtin: bool
    versions: list[str] = Field(examples=[["1.0.0"]])


class Templates(Document):
    """The newest version of each template."""

    items: list[TemplateDocument]


class LineDocument(Document):
    """A product line."""

    kind: str = Field(examples=["cabinet"])
    title: str = Field(examples=["Dental cabinets"])
    noun: str = Field(examples=["cabinet"])
    steps: list[dict[str, Any]] = Field(examples=[[{"key": "database", "title": "Database", "optional": True}]])


class LineDocuments(Document):
    """The product lines that there are."""

    items: list[LineDocument]


class SchemaDocument(Document):
    """The JSON schema (2020-12) of a line's manifest."""

    type: str = Field(examples=["object"])
    properties: dict[str, Any]


class Member(Document):
    """Somebody with a role on a tenant."""

    subject: str = Field(examples=["ann"])
    role: str = Field(examples=["owner"])
    added_by: str = Field(examples=["root"])
    created_at: datetime


class Members(Document):
    """A tenant's members. Roles that only tokens carry are not among them."""

    items: list[Member]


class WorkerDocument(Document):
    """A worker process. `alive`: it has been heard of lately."""

    id: str = Field(examples=["host-1-4711"])
    host: str = Field(examples=["host-1"])
    pid: int
    concurrency: int
    queue: str = Field(examples=["procrastinate"])
    draining: bool
    alive: bool
    started_at: datetime
    seen_at: datetime


class QueueDocument(Document):
    """The queue: messages that wait, and those that were parked because nobody could handle them."""

    name: str = Field(examples=["procrastinate"])
    waiting: int
    parked: int
    oldest_seconds: float | None


class SystemDocument(Document):
    """What runs the jobs."""

    workers: list[WorkerDocument]
    queue: QueueDocument | None

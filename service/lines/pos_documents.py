"""The shapes of the answers and bodies of workspaces, for the OpenAPI document (POS-1, POS-5, POS-6)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from automation.steps import StepStatus
from service.api.bodies import Body
from service.api.documents import Document
from service.examples import AT, ID
from service.provisioning import Provisioning
from stacks.pos.engine import STATUSES

REQUEST: dict[str, Any] = {
    "name": "Mama Njeri's Shop",
    "category": "retail",
    "country_code": "KE",
    "admin_email": "njeri@shop.example",
    "admin_name": "Njeri Wambui",
    "admin_password": "a long one, please",
    "engine": "erpnext",
}
_STEP = Annotated[str, Field(max_length=64, description="a step's key", examples=["step_6_items"])]


class StartBody(Body):
    """What a provisioning is to be of. What is not named stays as it was asked for before."""

    include_demo_data: bool | None = Field(None, description="items to try it with")
    pos_store_enabled: bool | None = Field(None, description="a second warehouse, for the till")
    country_template: str | None = Field(None, max_length=140, description="the chart of accounts that is wished")


class RetryBody(Body):
    """What is to be tried again."""

    step: _STEP | None = Field(None, description="null: all that failed")


class SkipBody(Body):
    """What is to be gone on without."""

    step: _STEP


class ProvisioningStep(Document):
    """A step, as the last run that worked on it left it."""

    step: str = Field(examples=["step_2_company"])
    title: str = Field(examples=["Company"])
    status: StepStatus
    message: str = Field(description="what went wrong, where something did", examples=["created"])
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None = Field(examples=[1240])


class PlannedStep(ProvisioningStep):
    """A step of a workspace. What is optional never fails a provisioning, and can be skipped."""

    optional: bool


class ProvisioningLog(ProvisioningStep):
    """What a step of one run came to."""

    run_id: uuid.UUID = Field(examples=[ID])
    operation: str = Field(examples=["up"])


class ProvisioningLogs(Document):
    """The steps of the last 20 runs that worked on something, oldest first."""

    items: list[ProvisioningLog]


class ProvisioningError(Document):
    """What went wrong. `step` is null where no step could begin; what is not critical is only missing."""

    step: str | None = Field(examples=["step_6_items"])
    error: str
    critical: bool
    at: datetime | None


class Reference(Document):
    """An object in the engine. `ready` is false, with a `reason`, where it is optional and could not be made.

    `ours`: made for this workspace, and removed with it.
    """

    step: str | None = Field(examples=["step_4_warehouses"])
    kind: str = Field(examples=["Warehouse"])
    name: str | None = Field(examples=["Main Store - SHOP"])
    ready: bool
    reason: str | None
    ours: bool


class Waiting(Document):
    """Why a provisioning has not begun yet, and when it is tried again, by itself."""

    reason: str = Field(examples=["ERPNext is offline: the engine check: ERPNext at http://erp:8000 does not answer"])
    since: datetime
    next_try_at: datetime
    until: datetime = Field(description="then it is run whether the engine is there or not, and says what is wrong")


class ProvisioningStatus(Document):
    """How the provisioning of a workspace stands."""

    tenant_id: str = Field(examples=["mama-njeri-s-shop"])
    name: str = Field(examples=["Mama Njeri's Shop"])
    status: Provisioning
    message: str = Field(examples=["It is being worked on."])
    waiting: Waiting | None
    current_step: str | None = Field(examples=["step_2_company"])
    progress: int = Field(examples=[40], ge=0, le=100)
    steps_completed: int = Field(examples=[3])
    total_steps: int = Field(examples=[9])
    steps: list[PlannedStep]
    errors: list[ProvisioningError]
    objects: list[Reference]
    job_id: uuid.UUID | None = Field(description="the newest job; followed live at /api/v1/jobs/{job_id}/events")
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime = Field(examples=[AT])


class EngineState(Document):
    """How the workspace's engine was when it was asked for."""

    name: str = Field(examples=["erpnext"])
    status: str = Field(examples=["online"], json_schema_extra={"enum": list(STATUSES)})
    message: str = Field(description="what is wrong; empty where it is online")


class WorkspaceAdmin(Document):
    """Who owns the workspace, beside whoever asked for it."""

    email: str = Field(examples=["njeri@shop.example"])
    name: str = Field(examples=["Njeri Wambui"])
    role: str = Field(examples=["owner"])
    signs_in_by: str = Field(
        description="password; identity_provider, which must have verified the address; token: the address is that of "
        "somebody who signs in with one, and gets no account by this",
        json_schema_extra={"enum": ["password", "identity_provider", "token"]},
        examples=["password"],
    )
    known_before: bool = Field(
        description="the address was somebody's already: the password of this request is not theirs"
    )


class WorkspaceDocument(Document):
    """A workspace that was created, and how its provisioning stands."""

    id: str = Field(examples=["mama-njeri-s-shop"], description="its slug")
    name: str = Field(examples=["Mama Njeri's Shop"])
    engine: EngineState
    admin: WorkspaceAdmin
    provisioning: ProvisioningStatus
    status_url: str = Field(examples=["/api/provisioning/tenants/mama-njeri-s-shop/status"])

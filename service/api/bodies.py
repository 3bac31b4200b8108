"""What the API's bodies hold, apart from manifests and templates, which `stacks` checks."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.auth.passwords import LONGEST, SHORTEST


class Body(BaseModel):
    """Strict: an unknown key is an error, and so is a value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RunBody(Body):
    """How an `up` differs from what the manifest says."""

    enable_rollback: bool | None = Field(None, description="undo a failure; null: as the manifest says")


class RollbackBody(Body):
    """What is to be undone."""

    # Not strict: JSON has no type for ids.
    deployment: Annotated[uuid.UUID | None, Field(strict=False)] = Field(
        None, description="a deployment's id; null: the last change. A first create has to be named"
    )
    force: bool = Field(False, description="also undo what came after it")


class MemberBody(Body):
    """A role on a tenant."""

    role: Literal["owner", "admin", "member"]


class PasswordBody(Body):
    """A password."""

    password: str = Field(
        description=f"{SHORTEST} to {LONGEST} characters", json_schema_extra={"format": "password"}, repr=False
    )


class PasswordChangeBody(PasswordBody):
    """A password instead of the one that there is."""

    current: str = Field(
        description="the one that you sign in with now", json_schema_extra={"format": "password"}, repr=False
    )


class WebhookBody(Body):
    """What of a webhook is to change; what is not named stays."""

    url: str = Field("", max_length=2000, description="an https:// URL of the outside world")
    events: list[str] = Field([], max_length=100, description='words such as job.succeeded, or ["*"]')
    description: str = Field("", max_length=500)
    active: bool = True


class NewWebhookBody(Body):
    """A new webhook."""

    tenant: str | None = Field(None, max_length=40, description="null: of all tenants, for platform admins only")
    url: str = Field(max_length=2000, description="an https:// URL of the outside world")
    events: list[str] = Field(min_length=1, max_length=100, description='words such as job.succeeded, or ["*"]')
    description: str = Field("", max_length=500)

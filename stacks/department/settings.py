"""What a department can be set to: the typed model behind its templates and customSettings.

Decides which settings exist and which values each may have. Parameters of workflows are checked with their templates.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue
from pydantic.json_schema import SkipJsonSchema

from stacks.application import Application
from stacks.department.fields import Retention, Scope
from stacks.fields import listed
from stacks.settings import Section
from stacks.shape import Version


class Size(Section):
    """What a department may use. `cpu` is in cores; memory and storage are in MB.

    `workflowRunsPerMonth` is what is expected, for the estimate of its cost: it limits nothing.
    """

    cpu: Annotated[float, Field(ge=0.05, le=64, strict=False)] = 0.25
    memory_mb: Annotated[int, Field(ge=32, le=262_144)] = 128
    storage_mb: Annotated[int, Field(ge=10, le=10_485_760)] = 1024
    connections: Annotated[int, Field(ge=1, le=1000)] = 10
    statement_seconds: Annotated[int, Field(ge=1, le=3600)] = 15
    workflow_runs_per_month: Annotated[int, Field(ge=0, le=1_000_000_000)] = 1000


class Credential(Section):
    """The OAuth credential. Another `rotation` number asks for another secret; the old one lives for `graceSeconds`."""

    scopes: Annotated[tuple[Scope, ...], BeforeValidator(listed), Field(max_length=50)] = ()
    rotation: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    grace_seconds: Annotated[int, Field(ge=0, le=604_800)] = 300


class Gateway(Section):
    """Who may come through the gateway, and how often each: by the service, which the gateway then asks."""

    auth: Literal["none", "jwt"] = "none"
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Workflow(Section):
    """How one workflow differs from its template.

    `credentials` are by slot; a secret is given by its variable: `passwordFrom: TENANTRY_BACKEND_...`. The last two are
    what comes of it all once it is resolved, and nobody's to give.
    """

    version: Version | None = None
    parameters: Annotated[dict[str, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    credentials: Annotated[dict[str, dict[str, JsonValue]], Field(max_length=20)] = Field(default_factory=dict)
    definition: SkipJsonSchema[dict[str, JsonValue] | None] = None
    credential_types: SkipJsonSchema[dict[str, str] | None] = None


class DepartmentSettings(Section):
    """All settings of one department. Every key has a default, so that a partial mapping can be checked alone."""

    data_retention: Retention = "90d"
    size: Size = Size()
    application: Application = Application()
    credential: Credential = Credential()
    gateway: Gateway = Gateway()
    workflows: Annotated[dict[str, Workflow], Field(max_length=50)] = Field(default_factory=dict)

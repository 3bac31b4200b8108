"""The manifest of a department: what a person writes, or a program sends, to ask for one (DEP-4).

Decides which keys and values it may have. It never looks at servers: whether a region or a workflow is there is found
out by `resolve`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from stacks.department.fields import Retention, WorkflowName
from stacks.department.settings import DepartmentSettings
from stacks.fields import Email, NameText, Region, Slug, listed
from stacks.shape import Shape, TemplateId, TenantManifest, Version


class DepartmentManifest(TenantManifest):
    """One department. `custom_settings` holds only the overrides, with keys as written in YAML."""

    kind: Literal["department"] = Field(description="department")
    name: NameText
    slug: Slug
    admin_email: Email
    region: Region
    workflows: Annotated[tuple[WorkflowName, ...], BeforeValidator(listed), Field(max_length=20)] = Field(
        default=(), description="ids of workflow templates, such as email, google_drive and database"
    )
    data_retention: Retention | None = None
    template_id: TemplateId = "standard"
    template_version: Version | None = None
    custom_settings: dict[str, Any] = Field(default_factory=dict)
    enable_rollback: bool = True

    @field_validator("workflows")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a list in which no workflow is named twice")
        return value


DEPARTMENT_SHAPE = Shape(
    line="department",
    manifest=DepartmentManifest,
    settings=DepartmentSettings,
    folder=Path(__file__).resolve().parent.parent.parent / "templates" / "department",
    custom="department",
)

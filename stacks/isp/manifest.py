"""The manifest of an ISP: what a person writes, or a program sends, to ask for one (ISP-1).

Decides which keys and values it may have. It never looks at servers, and never computes a size: `sizing` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from stacks.fields import Email, NameText, Region, Slug, listed
from stacks.isp.settings import Feature, IspSettings, PlanType, inconsistencies
from stacks.shape import Shape, TemplateId, TenantManifest, Version

CustomerCount = Annotated[int, Field(ge=50, le=1_000_000, description="how many customers it serves, from 50")]


class IspManifest(TenantManifest):
    """One ISP. `custom_settings` holds only the overrides, with keys as written in YAML."""

    kind: Literal["isp"] = Field(description="isp")
    name: NameText
    slug: Slug
    admin_email: Email | None = Field(default=None, description="who is responsible for it, if anyone is to be named")
    region: Region = "default"
    customer_count: CustomerCount
    plan_type: PlanType = Field(description="standard, premium or enterprise")
    features: Annotated[tuple[Feature, ...], BeforeValidator(listed)] = Field(
        default=(), description="what it can do beside its core, such as billing and customer_portal"
    )
    template_id: TemplateId = "default-isp"
    template_version: Version | None = None
    custom_settings: dict[str, Any] = Field(default_factory=dict)
    enable_rollback: bool = True

    @field_validator("features")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a list in which no feature is named twice")
        return value


ISP_SHAPE = Shape(
    line="isp",
    manifest=IspManifest,
    settings=IspSettings,
    folder=Path(__file__).resolve().parent.parent.parent / "templates" / "isp",
    custom="isp",
    inconsistencies=inconsistencies,
)

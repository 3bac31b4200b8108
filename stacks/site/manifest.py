"""The manifest of a site: what a person writes, or a program sends, to ask for one (SITE).

Decides which keys and values it may have. It never looks at a bench.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from stacks.fields import Email, NameText, Region, Slug
from stacks.shape import Shape, TemplateId, TenantManifest, Version
from stacks.site.settings import SiteSettings


class SiteManifest(TenantManifest):
    """One site. `custom_settings` holds only the overrides, with keys as written in YAML."""

    kind: Literal["site"] = Field(description="site")
    name: NameText
    slug: Slug
    admin_email: Email | None = Field(default=None, description="who is responsible for it, if anyone is to be named")
    region: Region = "default"
    template_id: TemplateId = "standard-site"
    template_version: Version | None = None
    custom_settings: dict[str, Any] = Field(default_factory=dict)
    enable_rollback: bool = True


SITE_SHAPE = Shape(
    line="site",
    manifest=SiteManifest,
    settings=SiteSettings,
    folder=Path(__file__).resolve().parent.parent.parent / "templates" / "site",
    custom="site",
)

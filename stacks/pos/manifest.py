"""The manifest of a point of sale: what a person writes, or a program sends, to ask for one (POS-1, POS-6).

Decides which keys and values it may have, and which template is meant where none is named. It never looks at servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from stacks.fields import Country, Email, NameText, Region, ShortText, Slug, listed, matching
from stacks.pos.settings import PosSettings, ProvisioningType, inconsistencies
from stacks.pos.steps import OPTIONAL
from stacks.shape import Shape, TemplateId, TenantManifest, Version

Engine = Literal["erpnext", "odoo"]
BUSINESSES = ("retail", "restaurant", "pharmacy")
"""The categories that have a template of their own name."""
_OF_TYPE: Mapping[str, str] = {"FULL_POS": "full-pos", "BASIC": "basic", "CUSTOM": "custom"}
Category = Annotated[
    str,
    matching(r"[a-z][a-z0-9-]{0,39}", "a type of business, such as retail, restaurant or pharmacy"),
    Field(description="the type of business, such as retail, restaurant or pharmacy"),
]


def _template_may_be_left_out(schema: dict[str, Any]) -> None:
    """What a reader finds by other keys need not be sent: pydantic, which sees the field only, calls it required."""
    schema["required"].remove("templateId")
    schema["properties"]["templateId"]["description"] += "; left out, that of the category or the provisioningType"


class PosManifest(TenantManifest):
    """One point of sale. `custom_settings` holds only the overrides, with keys as written in YAML.

    What is None is as the template has it. `skip` are keys of optional steps that are left out.
    """

    model_config = ConfigDict(json_schema_extra=_template_may_be_left_out)

    kind: Literal["pos"] = Field(description="pos")
    name: NameText
    slug: Slug
    admin_email: Email | None = Field(default=None, description="who is responsible for it, and stands at its till")
    region: Region = "default"
    engine: Engine = Field(default="erpnext", description="erpnext or odoo")
    category: Category = "retail"
    country_code: Country
    provisioning_type: ProvisioningType | None = Field(default=None, description="FULL_POS, BASIC or CUSTOM")
    template_id: TemplateId
    template_version: Version | None = None
    include_demo_data: bool | None = None
    pos_store_enabled: bool | None = None
    country_template: ShortText | None = Field(default=None, description="the chart of accounts that is wished")
    skip: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=(), description=f"optional steps that are left out: any of {', '.join(OPTIONAL)}"
    )
    custom_settings: dict[str, Any] = Field(default_factory=dict)
    enable_rollback: bool = True

    @model_validator(mode="before")
    @classmethod
    def _template(cls, values: Any) -> Any:
        """The template of the business, else the one of the provisioning type."""
        if not isinstance(values, Mapping) or values.get("templateId") is not None:
            return values
        category, wanted = values.get("category", "retail"), values.get("provisioningType")
        # What is no text at all is told as such by its own field.
        of_type = _OF_TYPE.get(wanted, "full-pos") if isinstance(wanted, str) else "full-pos"
        meant = category if category in BUSINESSES else of_type
        return {**values, "templateId": meant}

    @field_validator("skip")
    @classmethod
    def _optional_steps(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if set(value) - set(OPTIONAL) or len(set(value)) < len(value):
            raise ValueError(f"steps that can be left out, each once: any of {', '.join(OPTIONAL)}")
        return value


POS_SHAPE = Shape(
    line="pos",
    manifest=PosManifest,
    settings=PosSettings,
    folder=Path(__file__).resolve().parent.parent.parent / "templates" / "pos",
    custom="pos",
    inconsistencies=inconsistencies,
)

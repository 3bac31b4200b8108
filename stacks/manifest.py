"""The tenant manifest: what a person writes to ask for a cabinet.

Decides which keys and values a manifest may have, and reports every problem at once. It never looks at the database or
at the templates on disk: a template that does not exist is found out by `resolve`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from stacks.fields import Country, Email, LineText, NameText, Phone, ShortText, Slug, check_postal_code
from stacks.problems import ManifestError
from stacks.settings import Settings, inconsistencies
from stacks.shape import Model, Shape, TemplateId, TenantManifest, Version, parse
from stacks.yaml_source import read_yaml

__all__ = ["CABINET_SHAPE", "Address", "CabinetManifest", "ManifestError", "load_manifest", "parse_manifest"]


class Address(Model):
    # The country comes first: the postal code is checked by its rules.
    country: Country
    street: LineText
    city: ShortText
    postal_code: Annotated[str, Field(description="a postal code")]

    @field_validator("postal_code", mode="before")
    @classmethod
    def _postal_code(cls, value: object, info: ValidationInfo) -> str:
        return check_postal_code(value, info.data.get("country"))


class CabinetManifest(TenantManifest):
    """One cabinet. `custom_settings` holds only the overrides, with keys as written in YAML."""

    kind: Literal["cabinet"] = Field(description="cabinet")
    name: NameText
    slug: Slug
    address: Address = Field(description="a mapping with street, city, postalCode and country")
    phone: Phone
    email: Email
    template_id: TemplateId
    template_version: Version | None = None
    custom_settings: dict[str, Any] = Field(default_factory=dict)
    skip_database_creation: bool = False
    enable_rollback: bool = True


CABINET_SHAPE = Shape(
    line="cabinet",
    manifest=CabinetManifest,
    settings=Settings,
    folder=Path(__file__).resolve().parent.parent / "templates" / "cabinet",
    # Cabinets were first: their custom templates lie beside other lines' folders.
    apart=frozenset({"department", "isp", "pos", "site"}),
    inconsistencies=inconsistencies,
)


def load_manifest(path: Path | str, *, stack: str | None = None) -> CabinetManifest:
    """The manifest in a YAML file. With `stack`, its slug must be that stack's name. Errors name `path` as it is given.

    Raises ManifestError, with line and column where the file is not YAML.
    """
    path = Path(path)
    return parse_manifest(read_yaml(path, ManifestError), source=str(path), stack=stack)


def parse_manifest(mapping: object, source: str = "manifest", *, stack: str | None = None) -> CabinetManifest:
    """The manifest in a mapping. Raises ManifestError with every problem found."""
    return parse(CABINET_SHAPE, mapping, source, stack=stack)

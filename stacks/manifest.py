"""The tenant manifest: what a person writes to ask for a cabinet.

Decides which keys and values a manifest may have, and reports every problem at once. It never looks at the database or
at the templates on disk: a template that does not exist is found out by `resolve`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from stacks.fields import Country, Email, LineText, NameText, Phone, ShortText, Slug, check_postal_code
from stacks.problems import FieldProblem, ManifestError, problems_of, shown
from stacks.settings import Settings
from stacks.versions import check_template_id, check_version
from stacks.yaml_source import read_yaml

__all__ = ["Address", "CabinetManifest", "ManifestError", "load_manifest", "parse_manifest"]

TemplateId = Annotated[
    str, BeforeValidator(check_template_id), Field(description="a template's id, such as default-dental")
]
Version = Annotated[str, BeforeValidator(check_version)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, strict=True)


class Address(_Model):
    # The country comes first: the postal code is checked by its rules.
    country: Country
    street: LineText
    city: ShortText
    postal_code: Annotated[str, Field(description="a postal code")]

    @field_validator("postal_code", mode="before")
    @classmethod
    def _postal_code(cls, value: object, info: ValidationInfo) -> str:
        return check_postal_code(value, info.data.get("country"))


class CabinetManifest(_Model):
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

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, with the keys as written in YAML; `parse_manifest` reads it back."""
        return self.model_dump(mode="json", by_alias=True)


def load_manifest(path: Path | str, *, stack: str | None = None) -> CabinetManifest:
    """The manifest in a YAML file. With `stack`, its slug must be that stack's name. Errors name `path` as it is given.

    Raises ManifestError, with line and column where the file is not YAML.
    """
    path = Path(path)
    return parse_manifest(read_yaml(path, ManifestError), source=str(path), stack=stack)


def parse_manifest(mapping: object, source: str = "manifest", *, stack: str | None = None) -> CabinetManifest:
    """The manifest in a mapping. Raises ManifestError with every problem found."""
    if not isinstance(mapping, Mapping):
        given = shown(mapping)
        raise ManifestError(source, [FieldProblem(field="manifest", given=given, valid="a mapping of keys to values")])
    problems = [*_override_problems(mapping.get("customSettings")), *_stack_problems(mapping.get("slug"), stack)]
    manifest: CabinetManifest | None = None
    try:
        manifest = CabinetManifest.model_validate(dict(mapping))
    except ValidationError as error:
        problems = [*problems_of(error, CabinetManifest), *problems]
    if problems or manifest is None:
        raise ManifestError(source, problems)
    return manifest


def _override_problems(overrides: object) -> tuple[FieldProblem, ...]:
    if not isinstance(overrides, Mapping):
        return ()  # the manifest's own model says what is wrong
    try:
        Settings.model_validate(dict(overrides))
    except ValidationError as error:
        return problems_of(error, Settings, prefix="customSettings")
    return ()


def _stack_problems(slug: object, stack: str | None) -> tuple[FieldProblem, ...]:
    if stack is None or not isinstance(slug, str) or slug == stack:
        return ()
    return (FieldProblem(field="slug", given=shown(slug), valid=f"the stack's name, {stack}", suggestion=stack),)

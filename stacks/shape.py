"""What the manifests and templates of a product line look like, and how a mapping becomes one of them.

Decides how every problem of a manifest is found at once, for all lines alike. Which keys and values a line has is
decided by its own models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from stacks.problems import FieldProblem, ManifestError, problems_of, shown
from stacks.versions import check_template_id, check_version

TemplateId = Annotated[str, BeforeValidator(check_template_id), Field(description="a template's id, such as standard")]
Version = Annotated[str, BeforeValidator(check_version)]


class Model(BaseModel):
    """A part of a manifest: keys as written in YAML, nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, strict=True)


class TenantManifest(Model):
    """What the manifest of every line has. Each declares the fields itself, in the order that its readers expect."""

    if TYPE_CHECKING:
        kind: str
        name: str
        slug: str
        template_id: str
        template_version: str | None
        custom_settings: dict[str, Any]
        enable_rollback: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, with the keys as written in YAML; `parse` reads it back."""
        return self.model_dump(mode="json", by_alias=True)


M = TypeVar("M", bound=TenantManifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What a tenant was built from: its template (id, version), and by id the versions of its workflows' templates."""

    template: tuple[str, str] | None = None
    workflows: Mapping[str, str] = field(default_factory=dict)


def fitting(_settings: Any, *, prefix: str) -> Iterable[FieldProblem]:
    """Settings of which every one that is valid alone fits all others. Nothing is put before a path: `prefix`."""
    del prefix
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape(Generic[M]):
    """The models of a line. `inconsistencies` says which settings do not fit together.

    `folder` holds the line's built-in templates. Custom ones are in `custom` of each folder that is named for them,
    and never in its sub-folders `apart`, which are other lines'.
    """

    line: str
    manifest: type[M]
    settings: type[BaseModel]
    folder: Path
    custom: str = ""
    apart: frozenset[str] = frozenset()
    inconsistencies: Callable[..., Iterable[FieldProblem]] = fitting


def parse(shape: Shape[M], mapping: object, source: str = "manifest", *, stack: str | None = None) -> M:
    """The manifest in a mapping. With `stack`, its slug must be that stack's name.

    Raises ManifestError with every problem found.
    """
    if not isinstance(mapping, Mapping):
        given = shown(mapping)
        raise ManifestError(source, [FieldProblem(field="manifest", given=given, valid="a mapping of keys to values")])
    overrides = _override_problems(shape, mapping.get("customSettings"))
    problems = [*overrides, *_stack_problems(mapping.get("slug"), stack)]
    manifest: M | None = None
    try:
        manifest = shape.manifest.model_validate(dict(mapping))
    except ValidationError as error:
        problems = [*problems_of(error, shape.manifest), *problems]
    if problems or manifest is None:
        raise ManifestError(source, problems)
    return manifest


def _override_problems(shape: Shape[M], overrides: object) -> tuple[FieldProblem, ...]:
    if not isinstance(overrides, Mapping):
        return ()  # the manifest's own model says what is wrong
    try:
        shape.settings.model_validate(dict(overrides))
    except ValidationError as error:
        return problems_of(error, shape.settings, prefix="customSettings")
    return ()


def _stack_problems(slug: object, stack: str | None) -> tuple[FieldProblem, ...]:
    if stack is None or not isinstance(slug, str) or slug == stack:
        return ()
    return (FieldProblem(field="slug", given=shown(slug), valid=f"the stack's name, {stack}", suggestion=stack),)

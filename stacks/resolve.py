"""From a manifest to exactly what is to be built: the template's version pinned, the effective settings merged.

Decides the effective settings. A resolved manifest is self-contained: history keeps it, and a rollback applies it again
even when the template is gone. It never reads the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from stacks.merge import deep_merge
from stacks.problems import FieldProblem, ManifestError, TemplateError, closest, problems_of, shown
from stacks.shape import Pinned, Shape, TenantManifest, parse
from stacks.templates import TemplateStore

FORMAT = 1
M = TypeVar("M", bound=TenantManifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedManifest(Generic[M]):
    """`manifest` with its template version pinned, and the complete effective `settings` with keys as in YAML."""

    manifest: M
    settings: Mapping[str, Any]

    @property
    def slug(self) -> str:
        return self.manifest.slug

    @property
    def template_id(self) -> str:
        return self.manifest.template_id

    @property
    def template_version(self) -> str:
        version = self.manifest.template_version
        if version is None:
            raise ValueError(f"{self.slug}: a resolved manifest has no template version")
        return version

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe; `restore` reads it back."""
        return {"format": FORMAT, "manifest": self.manifest.to_dict(), "settings": deep_merge(self.settings, {})}


def restore(shape: Shape[M], data: Mapping[str, Any], source: str = "saved manifest") -> ResolvedManifest[M]:
    """Raises ManifestError when `data` was not written by `to_dict`, or by a newer Tenantry."""
    if data.get("format") != FORMAT:
        problem = FieldProblem(field="format", given=shown(data.get("format")), valid=str(FORMAT))
        raise ManifestError(source, [problem])
    manifest = parse(shape, data.get("manifest"), source)
    if manifest.template_version is None:
        problem = FieldProblem(field="templateVersion", given="nothing", valid="the version it was resolved with")
        raise ManifestError(source, [problem])
    return ResolvedManifest(
        manifest=manifest, settings=_checked(shape, data.get("settings"), source, prefix="settings")
    )


def resolve(
    manifest: M, store: TemplateStore, *, pinned: Pinned | None = None, source: str = "manifest"
) -> ResolvedManifest[M]:
    """`manifest` over its template, which is one of `store`.

    The version is the manifest's; else the one of `pinned`, what the tenant was built from, while the template
    stays the same; else the latest. Raises ManifestError naming the templates that exist, or the overrides
    that do not fit.
    """
    version = manifest.template_version
    built_from = pinned.template if pinned is not None else None
    if version is None and built_from is not None and built_from[0] == manifest.template_id:
        version = built_from[1]
    try:
        template = store.get(manifest.template_id, version)
    except TemplateError as error:
        if error.source != "templates":
            raise  # a broken template file: not the manifest's fault
        raise ManifestError(source, error.problems) from error
    problems = _unknown_extras(manifest.custom_settings.get("extra"), template.settings.get("extra", {}))
    if problems:
        raise ManifestError(source, problems)
    merged = deep_merge(template.settings, manifest.custom_settings)
    settings = _checked(store.shape, merged, source, prefix="customSettings")
    return ResolvedManifest(
        manifest=manifest.model_copy(update={"template_version": template.version}), settings=settings
    )


def _checked(shape: Shape[Any], merged: object, source: str, *, prefix: str) -> dict[str, Any]:
    try:
        settings = shape.settings.model_validate(merged)
    except ValidationError as error:
        raise ManifestError(source, problems_of(error, shape.settings, prefix=prefix)) from error
    problems = tuple(shape.inconsistencies(settings, prefix=prefix))
    if problems:
        raise ManifestError(source, problems)
    return settings.model_dump(mode="json", by_alias=True)


def _unknown_extras(given: object, known: Mapping[str, Any]) -> list[FieldProblem]:
    if not isinstance(given, Mapping):
        return []
    valid = (
        f"one of the template's own keys {', '.join(known)}"
        if known
        else "no key here: the template has none of its own"
    )
    return [
        FieldProblem(
            field=f"customSettings.extra.{key}", given="an unknown key", valid=valid, suggestion=closest(key, known)
        )
        for key in given
        if key not in known
    ]

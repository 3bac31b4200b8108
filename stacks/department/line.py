"""The department line as the operations know it: how its manifests are resolved, and what is built of one.

Decides what is refused before anything is touched: a region that there is not, a workflow without a template, or
parameters that do not fit one. Imports the SDK only where a program is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from providers.backends import PARTS
from stacks.department import workflows
from stacks.department.manifest import DEPARTMENT_SHAPE, DepartmentManifest
from stacks.problems import FieldProblem, ManifestError
from stacks.regions import region_problems
from stacks.resolve import ResolvedManifest
from stacks.resolve import resolve as over_template
from stacks.schemas import schema_of
from stacks.shape import Pinned
from stacks.templates import TemplateStore

if TYPE_CHECKING:
    from components.department import Department

_HELP = {
    "dataRetention": "how long data is kept, such as 90d; left out, as the template has it",
    "templateId": "left out, the standard one",
    "templateVersion": "such as 1.0.0; left out, the one that the tenant was built from, or for a new one the newest",
    "enableRollback": "a run that fails is undone by itself; without this, what it made is left to be looked at",
}


def schema() -> dict[str, Any]:
    """The manifest's schema."""
    return schema_of(DEPARTMENT_SHAPE, _HELP)


def resolve(
    manifest: DepartmentManifest,
    store: TemplateStore,
    *,
    pinned: Pinned | None = None,
    source: str = "manifest",
) -> ResolvedManifest[DepartmentManifest]:
    """`manifest` over its template, each workflow's version pinned: a newer one never comes unasked (CORE-8).

    Raises ManifestError with every problem found.
    """
    resolved = over_template(manifest, store, pinned=pinned, source=source)
    problems = [
        *region_problems(manifest.region, PARTS, noun="a department"),
        *_given_results(manifest.custom_settings),
    ]
    settings = dict(resolved.settings)
    if manifest.data_retention is not None:
        settings["dataRetention"] = manifest.data_retention
    chosen, wrong = workflows.pinned(manifest.workflows, settings["workflows"], pinned.workflows if pinned else None)
    problems = [*problems, *wrong]
    if problems:
        raise ManifestError(source, problems)
    return replace(resolved, settings={**settings, "workflows": chosen})


def _given_results(overrides: Mapping[str, Any]) -> list[FieldProblem]:
    """What only resolving may make: a workflow is its template's, so that it can be told what it is."""
    given = overrides.get("workflows") or {}
    return [
        FieldProblem(field=f"customSettings.workflows.{name}.{key}", given="something", valid="no such key here")
        for name, own in given.items()
        for key in ("definition", "credentialTypes")
        if isinstance(own, Mapping) and own.get(key) is not None
    ]


def build(resolved: ResolvedManifest[DepartmentManifest], mark: str) -> Department:
    """The department, inside a Pulumi program. Raises ProviderError for a wrong environment."""
    from components.department import Department
    from stacks.department.arguments import department_args

    return Department(resolved.slug, department_args(resolved, mark))


def pinned(slug: str, mark: str) -> Pinned:
    """What the department's record says. Raises ProviderError for a database that cannot be read."""
    from providers.department_record import built_from

    template, kept = built_from(slug, mark)
    return Pinned(template=template, workflows=kept)

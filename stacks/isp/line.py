"""The ISP line as the operations know it: how its manifests are resolved, and what is built of one.

Decides what is refused before anything is touched: a region without what an ISP is made of, a size that this
installation does not allow, an application that nobody named. Imports the SDK only where a program is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from providers.backends import parts_of
from providers.errors import ConfigurationError
from stacks.isp.caps import caps_of
from stacks.isp.entrance import entrance_of
from stacks.isp.manifest import ISP_SHAPE, IspManifest
from stacks.isp.settings import FEATURES, Ingress, IspSettings, Resources
from stacks.isp.sizing import ResourceRequirements, size_of, size_problems
from stacks.pricing import Sizing
from stacks.problems import MISSING, FieldProblem, ManifestError, problems_of, shown
from stacks.regions import region_problems
from stacks.resolve import ResolvedManifest
from stacks.resolve import resolve as over_template
from stacks.schemas import schema_of
from stacks.shape import Pinned
from stacks.templates import TemplateStore

if TYPE_CHECKING:
    from components.isp import Isp

PARTS = ("database", "container")
"""What of a region an ISP is made of."""
PLATFORMS = ("docker", "kubernetes")
_HELP = {
    "features": f"what it can do beside its core: any of {', '.join(FEATURES)}",
    "region": "where it runs; default is that of the environment, where no file of regions is named",
    "templateId": "left out, the standard one",
    "templateVersion": "such as 1.0.0; left out, the one that the tenant was built from, or for a new one the newest",
    "enableRollback": "a run that fails is undone by itself; without this, what it made is left to be looked at",
}


def schema() -> dict[str, Any]:
    """The manifest's schema."""
    return schema_of(ISP_SHAPE, _HELP)


def resolve(
    manifest: IspManifest, store: TemplateStore, *, pinned: Pinned | None = None, source: str = "manifest"
) -> ResolvedManifest[IspManifest]:
    """`manifest` over its template, its size computed and written into the settings: going back gives the same size.

    Raises ManifestError with every problem found.
    """
    resolved = over_template(manifest, store, pinned=pinned, source=source)
    settings = IspSettings.model_validate(dict(resolved.settings))
    region = region_problems(manifest.region, PARTS, noun="an ISP") or _platform_problems(manifest.region)
    entrance = [] if region else _entrance_problems(manifest, settings.ingress)
    problems = [*region, *entrance, *_size_problems(manifest, settings)]
    if settings.application.image is None:
        valid = "the image of its application, such as registry.example/isp:1.2"
        problems.append(FieldProblem(field="customSettings.application.image", given=MISSING, valid=valid))
    if problems:
        raise ManifestError(source, problems)
    return replace(resolved, settings={**resolved.settings, "resources": _sized(manifest, settings, source)})


def _platform_problems(region: str) -> list[FieldProblem]:
    container = parts_of(region).container
    if container is None or container.platform in PLATFORMS:
        return []
    valid = f"a region whose containers run on {' or '.join(PLATFORMS)}: here they run on {container.platform}"
    return [FieldProblem(field="region", given=shown(region), valid=valid)]


def _entrance_problems(manifest: IspManifest, ingress: Ingress) -> list[FieldProblem]:
    try:
        entrance_of(manifest.slug, ingress, parts_of(manifest.region))
    except ConfigurationError as error:
        given = shown(ingress.model_dump(mode="json", by_alias=True, exclude_none=True))
        valid = f"what the region {manifest.region} can do ({error})"
        return [FieldProblem(field="customSettings.ingress", given=given, valid=valid)]
    return []


def _size_problems(manifest: IspManifest, settings: IspSettings) -> list[FieldProblem]:
    try:
        caps = caps_of()
    except ConfigurationError as error:
        valid = f"sizes that this installation allows ({error})"
        return [FieldProblem(field="planType", given=shown(manifest.plan_type), valid=valid)]
    found = size_problems(manifest.plan_type, rules=settings.sizing, overrides=settings.resources, caps=caps)
    return list(found)


def _sized(manifest: IspManifest, settings: IspSettings, source: str) -> dict[str, Any]:
    size = size_of(
        manifest.customer_count,
        manifest.plan_type,
        manifest.features,
        rules=settings.sizing,
        overrides=settings.resources,
        caps=caps_of(),
    )
    values = {name: getattr(size, name) for name in Resources.model_fields}
    try:
        checked = Resources.model_validate({Resources.model_fields[name].alias: values[name] for name in values})
    except ValidationError as error:
        # A template of somebody's own may ask for more than there is anywhere.
        raise ManifestError(source, problems_of(error, Resources, prefix="customSettings.resources")) from None
    return checked.model_dump(mode="json", by_alias=True)


def size(resolved: ResolvedManifest[IspManifest]) -> ResourceRequirements:
    """The size that a resolved ISP has, whatever caps hold by now."""
    given = Resources.model_validate(resolved.settings["resources"])
    return ResourceRequirements(**given.model_dump())


def build(resolved: ResolvedManifest[IspManifest], mark: str) -> Isp:
    """The ISP, inside a Pulumi program. Raises ProviderError for a wrong environment."""
    from components.isp import Isp
    from stacks.isp.arguments import isp_args

    return Isp(resolved.slug, isp_args(resolved, mark))


def pinned(slug: str, mark: str) -> Pinned:
    """What the ISP's record says. Raises ProviderError for a database that cannot be read."""
    from providers.isp_record import ISPS

    return Pinned(template=ISPS.template(slug, mark))


def sizing(resolved: ResolvedManifest[IspManifest]) -> Sizing:
    """What an ISP may use, for its cost. Replicas share its CPU, volume and connections; each has the whole memory."""
    given = size(resolved)
    replicas = IspSettings.model_validate(dict(resolved.settings)).replicas
    return Sizing(
        cpu=given.cpu_cores,
        memory_mb=given.memory_mib * replicas,
        storage_mb=given.storage_mib,
        connections=given.max_connections,
    )


def address(manifest: Mapping[str, Any] | None) -> str | None:
    """Where an ISP of that manifest is to be reached, where its template says nothing of it: its last run knows better.

    None where only its state says so, or its region is not known here.
    """
    if manifest is None:
        return None
    ingress = Ingress.model_validate((manifest.get("customSettings") or {}).get("ingress") or {})
    try:
        return entrance_of(str(manifest["slug"]), ingress, parts_of(str(manifest["region"]))).url or None
    except (ConfigurationError, KeyError):
        return None

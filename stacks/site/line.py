"""The site line as the operations know it: how its manifests are resolved, what is built of one, and what is backed up.

Decides what is refused before anything is touched: a region without a bench, a host's name that is none, backups
without a place for them. Imports the SDK only where a program is built.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from providers.backends import parts_of
from providers.errors import ConfigurationError
from providers.site.names import site_problem
from providers.site.plan import BackupPlan
from stacks.problems import FieldProblem, ManifestError, shown
from stacks.regions import region_problems
from stacks.resolve import ResolvedManifest
from stacks.resolve import resolve as over_template
from stacks.schemas import schema_of
from stacks.shape import Pinned
from stacks.site.manifest import SITE_SHAPE, SiteManifest
from stacks.site.settings import SiteSettings
from stacks.templates import TemplateStore

if TYPE_CHECKING:
    from components.site import Site

PARTS = ("site",)
"""What of a region a site is made of."""
_HELP = {
    "region": "whose bench makes it; default is that of the environment, where no file of regions is named",
    "templateId": "left out, the standard one",
    "templateVersion": "such as 1.0.0; left out, the one that the tenant was built from, or for a new one the newest",
    "enableRollback": "a run that fails is undone by itself; without this, what it made is left to be looked at",
}


def schema() -> dict[str, Any]:
    """The manifest's schema."""
    return schema_of(SITE_SHAPE, _HELP)


def resolve(
    manifest: SiteManifest, store: TemplateStore, *, pinned: Pinned | None = None, source: str = "manifest"
) -> ResolvedManifest[SiteManifest]:
    """`manifest` over its template, its host's name chosen and written into the settings.

    Raises ManifestError with every problem found.
    """
    resolved = over_template(manifest, store, pinned=pinned, source=source)
    settings = SiteSettings.model_validate(dict(resolved.settings))
    problems = region_problems(manifest.region, PARTS, noun="a site")
    if problems:
        raise ManifestError(source, problems)
    host = settings.host or _host(manifest)
    if site_problem(host) is not None:
        valid = f"a host's name of at most 100 characters: in this region it would be {host[:120]}"
        problems.append(FieldProblem(field="customSettings.host", given="nothing", valid=valid))
    problems += _place_problems(manifest, settings)
    if problems:
        raise ManifestError(source, problems)
    return replace(resolved, settings={**resolved.settings, "host": host})


def _host(manifest: SiteManifest) -> str:
    backend = parts_of(manifest.region).site
    domain = backend.domain if backend is not None else None
    return f"{manifest.slug}.{domain}" if domain else manifest.slug


def _place_problems(manifest: SiteManifest, settings: SiteSettings) -> list[FieldProblem]:
    """Backups are wanted, and the region says of no place for them. Said now, not on the day of the first one."""
    try:
        backend = parts_of(manifest.region).site
    except ConfigurationError:
        return []
    if backend is None or backend.backups is not None:
        return []
    valid = f"as the region {manifest.region} has no place for backups (site.backups)"
    found = []
    if settings.backups.on_delete:
        found.append(FieldProblem(field="customSettings.backups.onDelete", given="true", valid=f"false, {valid}"))
    if settings.backups.schedule is not None:
        given = shown(settings.backups.schedule)
        found.append(FieldProblem(field="customSettings.backups.schedule", given=given, valid=f"nothing, {valid}"))
    return found


def build(resolved: ResolvedManifest[SiteManifest], mark: str) -> Site:
    """The site, inside a Pulumi program. Raises ProviderError for a wrong environment."""
    from components.site import Site
    from stacks.site.arguments import site_args

    return Site(resolved.slug, site_args(resolved, mark))


def pinned(slug: str, mark: str) -> Pinned:
    """What the site's record says. Raises ProviderError for a database that cannot be read."""
    from providers.site_record import SITES

    return Pinned(template=SITES.template(slug, mark))


def backed_up(resolved: ResolvedManifest[SiteManifest], mark: str) -> BackupPlan:
    """Which site is backed up, when, and what is kept."""
    settings = SiteSettings.model_validate(dict(resolved.settings))
    return BackupPlan(
        region=resolved.manifest.region,
        site=str(settings.host),
        mark=mark,
        apps=settings.apps,
        schedule=settings.backups.planned(),
        keep=settings.backups.kept(),
    )

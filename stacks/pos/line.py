"""The line of points of sale as the operations know it: how its manifests are resolved, and what is built of one.

Decides what is refused before anything is touched: a region without the engine, demo items of which there are none, a
mode of payment that has nowhere to go.
Imports the SDK only where a program is built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from stacks.pos.included import included, provisioning_type
from stacks.pos.manifest import POS_SHAPE, PosManifest
from stacks.pos.settings import LONGEST_NAME, PosSettings
from stacks.pos.steps import OPTIONAL
from stacks.problems import MISSING, FieldProblem, ManifestError, shown
from stacks.regions import region_problems
from stacks.resolve import ResolvedManifest
from stacks.resolve import resolve as over_template
from stacks.schemas import schema_of
from stacks.shape import Pinned
from stacks.templates import TemplateStore

if TYPE_CHECKING:
    from components.point_of_sale import PointOfSale

PARTS: Mapping[str, tuple[str, ...]] = {"erpnext": ("erpnext",), "odoo": ("odoo",)}
"""By engine, what of a region a point of sale is made of. An engine is there once it is here."""
SKIPS = {step: {"skip": [step]} for step in OPTIONAL}
_HELP = {
    "category": "the type of business: retail, restaurant and pharmacy have templates of their own",
    "countryTemplate": "the chart of accounts that is wished; left out, Kenya for KE, Uganda for UG, else Standard",
    "includeDemoData": "items to try it with, as the template has them; left out, none",
    "posStoreEnabled": "a second warehouse, for the till; left out, as the provisioning type has it",
    "provisioningType": "FULL_POS, BASIC (only what a till cannot do without) or CUSTOM; left out, the template's",
    "region": "where it runs; default is that of the environment, where no file of regions is named",
    "templateId": "left out, that of the type of business, or else of the provisioning type",
    "templateVersion": "such as 1.0.0; left out, the one that the tenant was built from, or for a new one the newest",
    "enableRollback": "a run that fails is undone by itself; without this, what it made is left to be looked at",
}


def schema() -> dict[str, object]:
    """The manifest's schema."""
    return schema_of(POS_SHAPE, _HELP)


def resolve(
    manifest: PosManifest, store: TemplateStore, *, pinned: Pinned | None = None, source: str = "manifest"
) -> ResolvedManifest[PosManifest]:
    """`manifest` over its template, with what it includes written into the settings. Raises ManifestError."""
    resolved = over_template(manifest, store, pinned=pinned, source=source)
    settings = PosSettings.model_validate(dict(resolved.settings))
    includes = included(manifest, settings)
    problems = [*_engine_problems(manifest), *_payment_problems(manifest, settings)]
    if includes.demo_items and not settings.demo.items:
        valid = f"false, or a template with demo items, which {manifest.template_id} is not"
        problems.append(FieldProblem(field="includeDemoData", given=shown(True), valid=valid))
    if settings.company.name is None and len(manifest.name) > LONGEST_NAME:
        valid = f"at most {LONGEST_NAME} characters, as its company is called so, or a customSettings.company.name"
        problems.append(FieldProblem(field="name", given=shown(manifest.name), valid=valid))
    if problems:
        raise ManifestError(source, problems)
    chosen = {
        "provisioningType": provisioning_type(manifest, settings),
        "includes": includes.model_dump(by_alias=True),
    }
    return replace(resolved, settings={**resolved.settings, **chosen})


def _engine_problems(manifest: PosManifest) -> list[FieldProblem]:
    if manifest.engine not in PARTS:
        return [FieldProblem(field="engine", given=shown(manifest.engine), valid=f"one of {', '.join(PARTS)}")]
    return region_problems(manifest.region, PARTS[manifest.engine], noun="a point of sale")


def _payment_problems(manifest: PosManifest, settings: PosSettings) -> Iterator[FieldProblem]:
    for at, payment in enumerate(settings.till.payments if manifest.engine == "erpnext" else ()):
        if payment.kind != "Cash" and payment.account is None:
            valid = f"the account that {payment.mode} goes to, which only Cash has of its own"
            yield FieldProblem(field=f"customSettings.till.payments[{at}].account", given=MISSING, valid=valid)


def build(resolved: ResolvedManifest[PosManifest], mark: str) -> PointOfSale:
    """The point of sale, inside a Pulumi program. Raises ProviderError for a wrong environment."""
    from components.point_of_sale import PointOfSale
    from stacks.pos.arguments import pos_args

    return PointOfSale(resolved.slug, pos_args(resolved, mark))


def pinned(slug: str, mark: str) -> Pinned:
    """What the point of sale's record says. Raises ProviderError for a database that cannot be read."""
    from providers.pos_record import POINTS_OF_SALE

    return Pinned(template=POINTS_OF_SALE.template(slug, mark))

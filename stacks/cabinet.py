"""The line of dental cabinets: its manifest's schema, and the component of a resolved manifest.

Decides how a manifest's values become the component's arguments. Imports the SDK only where a program is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stacks.manifest import CABINET_SHAPE, CabinetManifest
from stacks.pricing import Sizing
from stacks.resolve import ResolvedManifest
from stacks.schemas import schema_of
from stacks.shape import Pinned

if TYPE_CHECKING:
    from components.cabinet import Cabinet, CabinetArgs

# components.database.CONNECTION_LIMIT, which cannot be imported without the SDK; a test holds the two together.
CONNECTIONS = 20
# What the model's own messages need not say, as they are about values that may be left out.
_HELP = {
    "templateVersion": "such as 1.0.0; left out, the one that the tenant was built from, or for a new one the newest",
    "skipDatabaseCreation": "leaves the cabinet without a database of its own",
    "enableRollback": "a run that fails is undone by itself; without this, what it made is left to be looked at",
}


def schema() -> dict[str, Any]:
    """The manifest's schema."""
    return schema_of(CABINET_SHAPE, _HELP)


def build(resolved: ResolvedManifest[CabinetManifest], mark: str) -> Cabinet:
    """The cabinet, inside a Pulumi program. Raises ProviderError for a wrong environment."""
    from components.cabinet import Cabinet

    return Cabinet(resolved.slug, cabinet_args(resolved, mark))


def pinned(slug: str, mark: str) -> Pinned:
    """What the cabinet's record says. Raises ProviderError when the main database cannot be read."""
    from providers.cabinet_record import CABINETS

    return Pinned(template=CABINETS.template(slug, mark))


def sizing(resolved: ResolvedManifest[CabinetManifest]) -> Sizing:
    """What a cabinet uses: connections to its own database. Where it has none, nothing of its own."""
    return Sizing(connections=0 if resolved.manifest.skip_database_creation else CONNECTIONS)


def cabinet_args(resolved: ResolvedManifest[CabinetManifest], mark: str) -> CabinetArgs:
    """The component's arguments: plain values, no Outputs. Raises ProviderError for a wrong environment."""
    from components.cabinet import CabinetArgs

    manifest = resolved.manifest
    return CabinetArgs(
        slug=manifest.slug,
        tenant_mark=mark,
        name=manifest.name,
        street=manifest.address.street,
        city=manifest.address.city,
        postal_code=manifest.address.postal_code,
        country=manifest.address.country,
        phone=manifest.phone,
        email=manifest.email,
        template_id=resolved.template_id,
        template_version=resolved.template_version,
        settings=resolved.settings,
        own_database=not manifest.skip_database_creation,
    )

"""From a resolved manifest to the arguments of the site's component. Imports the SDK.

Decides that all secrets are there before anything is touched. It never talks to a server.
"""

from __future__ import annotations

import os

from components.site import SiteArgs
from providers.backends import VARIABLE, RegionParts, parts_of, site_of, unset_secrets
from providers.errors import ConfigurationError
from stacks.resolve import ResolvedManifest
from stacks.site.manifest import SiteManifest
from stacks.site.settings import SiteSettings


def site_args(resolved: ResolvedManifest[SiteManifest], mark: str) -> SiteArgs:
    """Plain values, no Outputs. Raises ConfigurationError for a wrong environment."""
    manifest = resolved.manifest
    settings = SiteSettings.model_validate(dict(resolved.settings))
    site_of(manifest.region)
    _demand_secrets(parts_of(manifest.region))
    return SiteArgs(
        slug=manifest.slug,
        tenant_mark=mark,
        name=manifest.name,
        admin_email=manifest.admin_email,
        region=manifest.region,
        host=str(settings.host),
        apps=settings.apps,
        backup_on_delete=settings.backups.on_delete,
        template_id=resolved.template_id,
        template_version=resolved.template_version,
    )


def _demand_secrets(parts: RegionParts) -> None:
    """Those of the bench and of its backups. What other parts of the region need is not this line's."""
    missing = unset_secrets(RegionParts(site=parts.site))
    if missing:
        named = os.environ.get(VARIABLE, VARIABLE)
        told = "; ".join(f"{name}, which {named} names" for name in missing)
        raise ConfigurationError(f"these variables hold secrets and are not set: {told}.")

"""What a region's bench still has of a tenant after its removal: sites of its own, by their marks. Removes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from providers.backends import parts_of
from providers.site.names import site_problem


def left_of(region: str, sites: Iterable[str], *, tenant_mark: str) -> list[str]:
    """Those of `sites` that are there and are this tenant's, or were begun by it, in words. Raises ProviderError."""
    names = [site for site in dict.fromkeys(sites) if site_problem(site) is None]
    if not names or parts_of(region).site is None:
        return []
    # Late: most tenants have no site.
    from providers.site.region import operations_of

    ops = operations_of(region)
    found = {site: ops.look(site) for site in names}
    return [
        f"site {site} in region {region}"
        for site, one in found.items()
        if (one.made or one.begun is not None) and one.is_of(site, tenant_mark)
    ]

"""What a region's ERPNext still has of a tenant after its removal: companies that bear its mark. Removes nothing.

All else of a tenant is in its company, or is the site's: that stays where others use it (see `wanted`).
"""

from __future__ import annotations

from providers.erpnext.api import site_of
from providers.erpnext.own_company import DOCTYPE, MARK_FIELD
from providers.erpnext.wanted import mark_text


def left_in(region: str, *, tenant_mark: str) -> list[str]:
    """In words. Raises ProviderError, ConfigurationError among them."""
    what = f"what is left of {tenant_mark} in region {region!r}"
    marked = [(MARK_FIELD, "like", f"%{mark_text(tenant_mark)}%")]
    rows = site_of(region).find(DOCTYPE, marked, what=what, fields=("name",))
    return [f"company {row['name']!r} in ERPNext of region {region}" for row in rows]

"""What a region's ERPNext still has of a tenant after its removal: what bears its mark. Removes nothing.

All else of a tenant is in its company, or is the site's: what others use stays, without a mark (see `removal`).
"""

from __future__ import annotations

from typing import Any

from providers.erpnext.api import Site, site_of
from providers.erpnext.errors import ErpNextError
from providers.erpnext.own_company import DOCTYPE, MARK_FIELD
from providers.erpnext.wanted import mark_text

_MARKED = {DOCTYPE: MARK_FIELD, "Customer": "customer_details", "Item Price": "note", "User": "bio"}


def left_in(region: str, *, tenant_mark: str) -> list[str]:
    """In words. Raises ProviderError, ConfigurationError among them."""
    site, what = site_of(region), f"what is left of {tenant_mark} in region {region!r}"
    marked = mark_text(tenant_mark)
    return [
        f"{doctype.lower()} {row['name']!r} in ERPNext of region {region}"
        for doctype, field in _MARKED.items()
        for row in _bearing(site, doctype, field, marked, what)
    ]


def _bearing(site: Site, doctype: str, field: str, marked: str, what: str) -> list[dict[str, Any]]:
    try:
        return site.find(doctype, [(field, "like", f"%{marked}%")], what=what, fields=("name",))
    except ErpNextError as error:
        # What our user may not even read, it has not made.
        if error.status != 403 or doctype == DOCTYPE:
            raise
        return []

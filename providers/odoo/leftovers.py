"""What of a tenant is in a region's Odoo still: the records that bear its mark."""

from __future__ import annotations

from providers.odoo.api import odoo_at
from providers.odoo.lifecycle import MARKS
from providers.odoo.marks import MODULE, mark_name

_MANY = 100
WHAT = "what a removal has left"


def left_in(region: str, *, tenant_mark: str) -> list[str]:
    """In words, such as `res.company 5 in Odoo`. Raises ProviderError."""
    odoo, ours = odoo_at(region), mark_name(tenant_mark, "")
    domain = [("module", "=", MODULE), ("name", "like", ours)]
    rows = odoo.search(MARKS, domain, ["name", "model", "res_id"], what=WHAT, limit=_MANY)
    # In a pattern, _ is any letter.
    return [f"{row['model']} {row['res_id']} in {odoo.api.name}" for row in rows if str(row["name"]).startswith(ours)]

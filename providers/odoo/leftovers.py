"""What of a tenant is in a region's Odoo still: the records that bear its mark.

Decides that an archived company counts as gone, with all that is in it: it sells no more, and its books are kept.
"""

from __future__ import annotations

from providers.odoo.api import odoo_at
from providers.odoo.lifecycle import MARKS
from providers.odoo.marks import MODULE, mark_name

_COMPANY = "res.company"
WHAT = "what a removal has left"


def left_in(region: str, *, tenant_mark: str) -> list[str]:
    """In words, such as `res.company 5 in Odoo`. Raises ProviderError."""
    odoo, ours = odoo_at(region), mark_name(tenant_mark, "")
    domain = [("module", "=", MODULE), ("name", "like", ours)]
    # In a pattern, _ is any letter: `shop` finds all that `shop-2` has too, so that a limit could hide what is ours.
    rows = odoo.search(MARKS, domain, ["name", "model", "res_id"], what=WHAT)
    left = [row for row in rows if str(row["name"]).startswith(ours)]
    companies = [row["res_id"] for row in left if row["model"] == _COMPANY]
    if companies:
        found = odoo.search(_COMPANY, [("id", "in", companies)], ["active"], what=WHAT)
        if found and not any(row["active"] for row in found):
            return []
    return [f"{row['model']} {row['res_id']} in {odoo.api.name}" for row in left]

"""What a tenant has in stock from the beginning: one submitted Stock Entry, a Material Receipt, for all its items.

Decides by what it is found again: the tenant's mark in its remarks. It is made once: what was sold since is not filled
up, and items that come later are not put in. Cancelling it takes the pieces out; the ledgers keep both, and by that the
warehouse and the company, unless Accounts Settings let entries of deleted documents go (from memory, not read).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import pulumi

from providers.erpnext.document import Common, Document
from providers.erpnext.wanted import Whose, mark_text

_RECEIPT = "Material Receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRow:
    """So many `pieces` of an item; `value` is what one is worth, in the company's currency."""

    item: pulumi.Input[str]
    pieces: float
    value: float
    unit: str


class OpeningStock(Document, module="tenantry", name="ErpNextOpeningStock"):
    """`difference_account` is where their worth comes from, as an adjustment."""

    def __init__(
        self,
        name: str,
        *,
        company: pulumi.Input[str],
        warehouse: pulumi.Input[str],
        difference_account: pulumi.Input[str],
        cost_center: pulumi.Input[str],
        rows: Sequence[StockRow],
        **common: Unpack[Common],
    ) -> None:
        shared = {"t_warehouse": warehouse, "expense_account": difference_account, "cost_center": cost_center}
        items = [
            {"item_code": row.item, "qty": row.pieces, "uom": row.unit, "basic_rate": row.value, **shared}
            for row in rows
        ]
        super().__init__(
            name,
            doctype="Stock Entry",
            key={"company": company, "remarks": f"Opening stock. {mark_text(common['tenant_mark'])}"},
            whose=Whose.COMPANY,
            initial={"stock_entry_type": _RECEIPT, "purpose": _RECEIPT, "items": items},
            submit=True,
            **common,
        )

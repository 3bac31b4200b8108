"""What a tenant has in stock, as records: warehouses and products, all in the tenant's own company.

Decides by what each is found again. A product has its price, is sold at the tills of its company, and needs no stock to
be sold: Odoo keeps no quantities of goods unless it is told to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import pulumi

from providers.odoo.api import Odoo, Row
from providers.odoo.marks import encoded
from providers.odoo.record import Common, Record, RecordProvider
from providers.odoo.wanted import Wanted, Whose, id_of


class WarehouseProvider(RecordProvider):
    also = ("pos_type_id",)

    def _told(self, found: Row) -> Mapping[str, Any]:
        return {"till_operation": id_of(found.get("pos_type_id"))}


class Warehouse(Record, module="tenantry", name="OdooWarehouse"):
    """`till_operation` is the operation type by which a till takes goods out of it."""

    till_operation: pulumi.Output[int]
    provider = WarehouseProvider
    outputs = ("till_operation",)

    def __init__(
        self, name: str, *, warehouse: str, code: str, company: pulumi.Input[int], **common: Unpack[Common]
    ) -> None:
        """`code` has up to five letters, and is unique in the company."""
        super().__init__(
            name,
            model="stock.warehouse",
            key=f"warehouse_{encoded(code.lower())}",
            whose=Whose.COMPANY,
            named={"name": warehouse, "company_id": company},
            fields={"active": True},
            initial={"code": code},
            company=company,
            **common,
        )


class ProductProvider(RecordProvider):
    def _cleared(self, odoo: Odoo, wanted: Wanted, found: Row) -> None:
        # Odoo deletes nothing that is for sale at a till while any till of the database is open, whosever it is.
        values = {"available_in_pos": False}
        odoo.write(wanted.model, [found["id"]], values, what=wanted.what, company=wanted.company)


class Product(Record, module="tenantry", name="OdooProduct"):
    """An item for sale, with its price in the company's currency."""

    provider = ProductProvider

    def __init__(
        self,
        name: str,
        *,
        code: str,
        product: str,
        price: float,
        company: pulumi.Input[int],
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            name,
            model="product.template",
            key=f"product_{encoded(code.lower())}",
            whose=Whose.COMPANY,
            named={"default_code": code, "company_id": company},
            fields={"name": product, "list_price": price, "available_in_pos": True, "active": True},
            company=company,
            **common,
        )

"""What a tenant has in stock, as documents: warehouses, items, price lists and prices.

Decides by what each is found again. A warehouse is in the company, and so the tenant's. Items and price lists are the
site's: one that is there is used as it is. An item's row of defaults for the company says that the tenant uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult

from providers.erpnext.document import Common, Document, DocumentProvider
from providers.erpnext.errors import ErpNextError
from providers.erpnext.wanted import Whose
from providers.props import altered


class WarehouseProvider(DocumentProvider):
    def _checked(self, result: CheckResult, olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
        before, wanted = ((props.get("initial") or {}).get("warehouse_name") for props in (olds, news))
        if altered(before, wanted):
            reason = (
                f"a warehouse stays called {before!r}, since ERPNext does not let one go that something was in: leave "
                f"it that name, or make another tenant for {wanted!r}. A POS store that nothing was in yet is switched "
                "off first, by an up with posStoreEnabled: false, then on again under its new name"
            )
            result.failures.append(CheckFailure("warehouse_name", reason))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        try:
            super().delete(_id, _props)
        except ErpNextError as error:
            # Its refusal has no exception of its own; other reasons have.
            if error.exc_type != "ValidationError":
                raise
            raise ErpNextError(
                f"{error} What has been in stock stays in the ledgers: a Transaction Deletion Record of the company in "
                "ERPNext deletes its entries for good, which Tenantry never does. Make one, or keep the company.",
                status=error.status,
                exc_type=error.exc_type,
            ) from None


class Warehouse(Document, module="tenantry", name="ErpNextWarehouse"):
    """`company` is the company's docname, `abbr` its abbreviation: ERPNext calls a warehouse `Main Store - ABBR`."""

    provider = WarehouseProvider

    def __init__(
        self,
        name: str,
        *,
        warehouse: str,
        company: pulumi.Input[str],
        abbr: pulumi.Input[str],
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            name,
            doctype="Warehouse",
            key={"company": company},
            whose=Whose.COMPANY,
            named=pulumi.Output.from_input(abbr).apply(lambda end: suffixed(warehouse, end)),
            fields={"disabled": 0},
            initial={"warehouse_name": warehouse},
            **common,
        )


class PriceList(Document, module="tenantry", name="ErpNextPriceList"):
    """A price list for sales. `apart`: its name is the company's own, so that no other tenant has one of it."""

    def __init__(
        self,
        name: str,
        *,
        price_list: str,
        currency: str,
        apart: bool = False,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            name,
            doctype="Price List",
            key={"price_list_name": price_list},
            whose=Whose.SHARED,
            named=price_list,
            fields={"currency": currency, "selling": 1, "enabled": 1},
            more={"apart": apart},
            **common,
        )


class Item(Document, module="tenantry", name="ErpNextItem"):
    """An item for sale. Its price is an ItemPrice. `more` are further fields of its own, such as `is_stock_item`."""

    def __init__(
        self,
        name: str,
        *,
        code: pulumi.Input[str],
        item_name: str,
        group: str,
        unit: str,
        company: pulumi.Input[str],
        warehouse: pulumi.Input[str],
        more: Mapping[str, Any] | None = None,
        **common: Unpack[Common],
    ) -> None:
        defaults = [{"company": company, "default_warehouse": warehouse}]
        super().__init__(
            name,
            doctype="Item",
            key={"item_code": code},
            whose=Whose.SHARED,
            named=code,
            fields={"item_name": item_name, "disabled": 0, "item_defaults": defaults},
            # ERPNext lets neither be changed once there is stock.
            initial={"item_group": group, "stock_uom": unit, **(more or {})},
            tables={"item_defaults": "company"},
            more={"apart": True},
            **common,
        )


class ItemPrice(Document, module="tenantry", name="ErpNextItemPrice"):
    """An item's price in a price list: `rate` in the list's currency, for one `unit`.

    ERPNext refuses a second one of the same only by an exception of its own, so it is found by filter. It is the site's
    where the item is: one that is there is used as it is.
    """

    def __init__(
        self,
        name: str,
        *,
        code: pulumi.Input[str],
        price_list: pulumi.Input[str],
        unit: str,
        rate: float,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            name,
            doctype="Item Price",
            key={"item_code": code, "price_list": price_list, "uom": unit},
            whose=Whose.SHARED,
            fields={"price_list_rate": rate},
            mark_field="note",
            **common,
        )


def suffixed(name: str, abbr: str) -> str:
    """A name in a company, as ERPNext makes it: with the company's abbreviation, once."""
    end = f" - {abbr}"
    return name if name.endswith(end) else f"{name}{end}"

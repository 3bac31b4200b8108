"""A point of sale's demo items in ERPNext: a price list of its own, items with prices, and, if asked for, their stock.

Decides that items are the tenant's own, by the company's abbreviation in their codes: items are the whole site's. All
of it is optional. Stock comes last, once the till works: what has been in stock, ERPNext does not let go (docs/pos.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.pos_args import Made, Options, PosArgs, PosItem
from providers.erpnext.charts import ChartOfAccounts
from providers.erpnext.company import Company
from providers.erpnext.opening_stock import OpeningStock, StockRow
from providers.erpnext.stock import Item, ItemPrice, PriceList, Warehouse


class ErpNextItems:
    """Registers price list, items and prices. `price_list` is the list's name, none while it is not ready."""

    def __init__(
        self, args: PosArgs, ours: Mapping[str, Any], company: Company, store: Warehouse, options: Options
    ) -> None:
        self._args, self._company, self._store, self._options = args, company, store, options
        self._ours: dict[str, Any] = {**ours, "optional": True}
        self._prices = PriceList(
            args.slug,
            **self._ours,
            price_list=args.price_list,
            currency=args.currency,
            # One that is called otherwise may be meant to be several tenants'.
            apart=args.price_list == f"{args.company} Selling",
            opts=options(),
        )
        self.price_list = self._prices.docname
        self._items: list[tuple[PosItem, Item]] = []
        priced = []
        for wanted in args.items:
            item = self._item(wanted)
            self._items.append((wanted, item))
            priced.append(self._price(wanted, item))
        everything = [self._prices, *(item for _, item in self._items), *priced]
        self.made = Made(
            ready=everything,
            references={"priceList": self.price_list, "items": [item.docname for _, item in self._items]},
            optional=[one.ready for one in everything],
        )

    def put_in_stock(self, accounts: ChartOfAccounts, after: pulumi.Resource) -> OpeningStock | None:
        """One entry for all of them, where it is wanted."""
        rows = [
            StockRow(item=item.docname, pieces=wanted.stock, value=wanted.cost, unit=wanted.unit)
            for wanted, item in self._items
            if wanted.stock > 0
        ]
        if not self._args.opening_stock or not rows:
            return None
        return OpeningStock(
            self._args.slug,
            **self._ours,
            company=self._company.docname,
            warehouse=self._store.docname,
            difference_account=accounts.stock_adjustment_account,
            cost_center=accounts.cost_center,
            rows=rows,
            opts=self._options(after),
        )

    def _item(self, wanted: PosItem) -> Item:
        return Item(
            f"{self._args.slug}-{wanted.code}",
            **self._ours,
            code=self._company.abbr.apply(lambda abbr: f"{abbr}-{wanted.code}"),
            item_name=wanted.name,
            group=wanted.group,
            unit=wanted.unit,
            company=self._company.docname,
            warehouse=self._store.docname,
            # What is not counted is sold whatever there is.
            more={"is_stock_item": int(self._args.opening_stock and wanted.stock > 0)},
            opts=self._options(),
        )

    def _price(self, wanted: PosItem, item: Item) -> ItemPrice:
        return ItemPrice(
            f"{self._args.slug}-{wanted.code}",
            **self._ours,
            code=item.docname,
            price_list=self._prices.docname,
            unit=wanted.unit,
            rate=wanted.price,
            opts=self._options(self._prices, item),
        )

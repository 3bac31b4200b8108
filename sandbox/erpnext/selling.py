"""What is sold, at which price, to whom: Price List, Item, Item Price, Customer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.erpnext.documents import Documents
from sandbox.erpnext.refusals import Refusal, invalid
from sandbox.erpnext.rules import Rules
from sandbox.records import Doc

_DEFAULT = {"selling": ("Selling Settings", "selling_price_list"), "buying": ("Buying Settings", "buying_price_list")}


class PriceList(Rules):
    """[price-list-kind], [price-list-default]."""

    def validate(self, site: Documents, doc: Doc) -> None:  # noqa: ARG002 - it needs no other document
        if not doc["buying"] and not doc["selling"]:
            raise invalid("Price List must be applicable for Buying or Selling")

    def after_insert(self, site: Documents, doc: Mapping[str, Any]) -> None:
        settings, field = _DEFAULT["selling" if doc["selling"] else "buying"]
        if not site.get(settings, settings)[field]:
            site.set(settings, settings, **{field: doc["name"]})

    def on_trash(self, site: Documents, doc: Mapping[str, Any]) -> None:
        for settings, field in _DEFAULT.values():
            if site.get(settings, settings)[field] == doc["name"]:
                site.set(settings, settings, **{field: None})


class Item(Rules):
    """[item-fields], [delete-item-prices]. Its own unit is among its units."""

    def validate(self, site: Documents, doc: Doc) -> None:
        doc["item_name"] = doc["item_name"] or doc["item_code"]
        doc["description"] = doc["description"] or doc["item_name"]
        if doc["stock_uom"] and all(row["uom"] != doc["stock_uom"] for row in doc["uoms"]):
            row = {"doctype": "UOM Conversion Detail", "name": site.records.hash(), "idx": len(doc["uoms"]) + 1}
            link = {"parent": doc["name"], "parentfield": "uoms", "parenttype": "Item"}
            doc["uoms"].append(row | link | {"uom": doc["stock_uom"], "conversion_factor": 1.0})

    def on_trash(self, site: Documents, doc: Mapping[str, Any]) -> None:
        for doctype in ("Item Price", "Bin"):
            for one in site.records.each(doctype, item_code=doc["name"]):
                site.records.delete(doctype, one["name"])


class ItemPrice(Rules):
    """[item-price-duplicate]. Its currency and its kind are those of its price list."""

    def validate(self, site: Documents, doc: Doc) -> None:
        item, prices = site.records.look("Item", doc["item_code"] or ""), None
        if doc["price_list"]:
            prices = site.records.look("Price List", doc["price_list"])
        if item is None or prices is None:
            return  # its mandatory fields say so
        if not prices["enabled"]:
            raise invalid(f"The price list {doc['price_list']} does not exist or is disabled")
        doc["uom"] = doc["uom"] or item["stock_uom"]
        if all(row["uom"] != doc["uom"] for row in item["uoms"]):
            raise invalid(f"UOM {doc['uom']} not found in Item {doc['item_code']}")
        doc |= {key: prices[key] for key in ("buying", "selling", "currency")} | {"item_name": item["item_name"]}
        alike = ("item_code", "price_list", "uom", "valid_from", "customer")
        for other in site.records.each("Item Price", **{key: doc[key] for key in alike}):
            if other["name"] != doc["name"] and (other["packing_unit"] or 0) == (doc["packing_unit"] or 0):
                raise Refusal(
                    "ItemPriceDuplicateItem", "Item Price appears multiple times based on Price List, Item and Dates."
                )


class Customer(Rules):
    """[customer-again], [customer-links]."""

    def name(self, site: Documents, doc: Doc) -> str | None:
        wanted = doc["customer_name"]
        if not wanted:
            raise Refusal("MandatoryError", "[Customer]: customer_name")
        if site.get("Selling Settings", "Selling Settings")["cust_master_name"] == "Naming Series":
            return site.in_series(doc["naming_series"])
        if site.records.look("Customer", wanted) is None:
            return str(wanted)
        ends = re.compile(rf".*{re.escape(wanted)} - .*?(\d+)", re.IGNORECASE)
        numbers = [int(found[1]) for one in site.records.each("Customer") if (found := ends.fullmatch(one["name"]))]
        return f"{wanted} - {max(numbers, default=0) + 1}"

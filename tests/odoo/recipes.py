"""Inputs of resources, which tests make and vary, as the typed resources write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.odoo.charts import ChartOfAccountsProvider
from providers.odoo.company import CompanyProvider
from providers.odoo.record import RecordProvider
from providers.odoo.stock import ProductProvider, WarehouseProvider
from providers.odoo.till import PosConfigProvider
from tests.odoo.running import OURS, REGION, Made, created

CODES = {"currency_id": ["res.currency", "name"], "country_id": ["res.country", "code"]}


def company_inputs(**more: Any) -> dict[str, Any]:
    return {
        **OURS,
        "model": "res.company",
        "key": "company",
        "whose": "marked",
        "named": {"name": "Shop"},
        "fields": {"currency_id": "KES", "country_id": "KE", "active": True},
        "codes": CODES,
        "ready": True,
        **more,
    }


def inputs(model: str, key: str, company: int, named: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Of a record in the company."""
    given = {"model": model, "key": key, "whose": "company", "company": company, "fields": {"active": True}}
    return {**OURS, **given, "named": {**named, "company_id": company}, "ready": True, **more}


def company(**more: Any) -> Made:
    return created(CompanyProvider(), company_inputs(**more))


def chart(owner: int, **more: Any) -> Made:
    given = {"region": REGION, "company": owner, "country": "KE", "wish": "Kenya", "ready": True}
    return created(ChartOfAccountsProvider(), {**given, **more})


def warehouse(owner: int, **more: Any) -> Made:
    given = inputs("stock.warehouse", "warehouse_main", owner, {"name": "Main Store"}, initial={"code": "MAIN"})
    return created(WarehouseProvider(), {**given, **more})


def customer(owner: int, **more: Any) -> Made:
    given = inputs("res.partner", "customer_walk-in", owner, {"name": "Walk-In Customer"})
    return created(RecordProvider(), {**given, **more})


def product(owner: int, **more: Any) -> Made:
    fields = {"name": "Tea", "list_price": 150.5, "available_in_pos": True, "active": True}
    given = inputs("product.template", "product_tea", owner, {"default_code": "TEA"}, fields=fields)
    return created(ProductProvider(), {**given, **more})


def till(owner: int, operation: int, methods: list[int], **more: Any) -> Made:
    fields = {"payment_method_ids": methods, "picking_type_id": operation, "active": True}
    given = inputs("pos.config", "till", owner, {"name": "Shop Till"}, fields=fields)
    return created(PosConfigProvider(), {**given, **more})

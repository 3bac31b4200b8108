"""Recipes of documents, which tests make and vary."""

from __future__ import annotations

from typing import Any

from providers.erpnext.document import DocumentProvider
from tests.erpnext.running import Made, Recipe, created

COMPANY = Recipe(
    doctype="Company",
    whose="marked",
    key={"company_name": "Shop"},
    more={
        "named": "Shop",
        "mark_field": "registration_details",
        "fields": {"default_currency": "KES", "country": "Kenya"},
        "initial": {"abbr": "SH", "chart_of_accounts": "Standard"},
    },
)

CUSTOMER = Recipe(
    doctype="Customer",
    whose="shared",
    key={"customer_name": "Walk-In Customer"},
    more={"fields": {"disabled": 0}, "mark_field": "customer_details"},
)

WAREHOUSE = Recipe(
    doctype="Warehouse",
    whose="company",
    key={"company": "Shop"},
    more={"named": "Main Store - SH", "initial": {"warehouse_name": "Main Store"}, "fields": {"disabled": 0}},
)

CASH = Recipe(
    doctype="Mode of Payment",
    whose="shared",
    key={"mode_of_payment": "Till"},
    more={
        "named": "Till",
        "initial": {"type": "General"},
        "fields": {"accounts": [{"company": "Shop", "default_account": "Cash - SH"}]},
        "tables": {"accounts": "company"},
    },
)


def make(recipe: Recipe, **more: Any) -> Made:
    return created(DocumentProvider(), recipe.inputs(**more))

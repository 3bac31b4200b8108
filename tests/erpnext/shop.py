"""A point of sale, as a component writes it."""

from __future__ import annotations

from typing import Any

from providers.erpnext.charts import ChartOfAccounts
from providers.erpnext.company import Company
from providers.erpnext.health import EngineCheck
from providers.erpnext.selling import Customer, ModeOfPayment, PosProfile
from providers.erpnext.session import PosSession
from providers.erpnext.settings import Settings
from providers.erpnext.stock import Item, ItemPrice, PriceList, Warehouse
from tests.erpnext.running import MARK, REGION

OURS: dict[str, Any] = {"region": REGION, "tenant_mark": MARK}


def company(chart: str = "Kenya", **more: Any) -> Company:
    given = {"company": "Shop", "abbr": "SH", "currency": "KES", "country": "Kenya", "chart": chart, **more}
    return Company("company", **OURS, **given)


def shop(user: str | None = None) -> None:
    engine = EngineCheck("engine", region=REGION)
    made = company()
    accounts = ChartOfAccounts("accounts", region=REGION, company=made.docname)
    store = Warehouse("store", **OURS, warehouse="Main Store", company=made.docname, abbr=made.abbr)
    Settings(
        "selling", **OURS, doctype="Selling Settings", fields={"territory": "All Territories", "so_required": "No"}
    )
    Settings(
        "stock",
        **OURS,
        doctype="Stock Settings",
        fields={"default_warehouse": store.docname, "allow_negative_stock": 1},
        release=["default_warehouse"],
        optional=True,
    )
    prices = PriceList("prices", **OURS, price_list="Shop Prices", currency="KES")
    tea = Item(
        "tea",
        **OURS,
        code="SH-TEA",
        item_name="Tea",
        group="Products",
        unit="Nos",
        company=made.docname,
        warehouse=store.docname,
        optional=True,
    )
    ItemPrice("tea-price", **OURS, code=tea.docname, price_list=prices.docname, unit="Nos", rate=150, optional=True)
    customer = Customer("customer", **OURS, customer="Walk-In Customer", more={"customer_group": "Individual"})
    cash = ModeOfPayment("cash", **OURS, mode="Cash", kind="Cash", company=made.docname, account=accounts.cash_account)
    profile = PosProfile(
        "profile",
        **OURS,
        profile="Shop Till",
        company=made.docname,
        currency="KES",
        warehouse=store.docname,
        write_off_account=accounts.write_off_account,
        write_off_cost_center=accounts.cost_center,
        modes=[cash.docname],
        more={"customer": customer.docname, "selling_price_list": prices.docname},
    )
    PosSession("session", **OURS, profile=profile.docname, cashier=user, time_zone=engine.time_zone, optional=True)


def company_inputs(**more: Any) -> dict[str, Any]:
    return {
        **OURS,
        "doctype": "Company",
        "key": {"company_name": "Shop"},
        "whose": "marked",
        "named": "Shop",
        "fields": {"default_currency": "KES", "country": "Kenya"},
        "initial": {"abbr": "SH"},
        "mark_field": "registration_details",
        "chart": "Kenya",
        "ready": True,
        **more,
    }

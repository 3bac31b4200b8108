"""A point of sale, as a component writes it."""

from __future__ import annotations

from typing import Any

import pulumi

from providers.odoo.charts import ChartOfAccounts
from providers.odoo.company import Company
from providers.odoo.health import EngineCheck
from providers.odoo.session import PosSession
from providers.odoo.settings import Settings
from providers.odoo.stock import Product, Warehouse
from providers.odoo.till import Customer, Journal, PaymentMethod, PosConfig
from tests.odoo.running import OURS, REGION


def company(**more: Any) -> Company:
    return Company("company", **OURS, **{"company": "Shop", "currency": "KES", "country": "KE", **more})


def shop(*, cash: bool = True, wish: str = "Kenya") -> None:
    EngineCheck("engine", region=REGION)
    made = company()
    ours = {**OURS, "company": made.record_id}
    accounts = ChartOfAccounts("accounts", region=REGION, company=made.record_id, country="KE", wish=wish)
    store = Warehouse("store", **ours, warehouse="Main Store", code="MAIN")
    fields = {"point_of_sale_update_stock_quantities": "closing", "annual_inventory_day": 30}
    Settings("settings", region=REGION, company=made.record_id, fields=fields, optional=True)
    Product("tea", **ours, code="TEA", product="Tea", price=150.5, optional=True)
    Customer("customer", **ours, customer="Walk-In Customer")
    kind = "cash" if cash else "bank"
    after = pulumi.ResourceOptions(depends_on=[accounts])
    journal = Journal("journal", **ours, journal="Till", code="TILL", kind=kind, opts=after)
    method = PaymentMethod("method", **ours, method="Cash", journal=journal.record_id)
    till = PosConfig("till", **ours, till="Shop Till", methods=[method.record_id], operation=store.till_operation)
    PosSession("session", region=REGION, till=till.record_id, company=made.record_id, optional=True)

"""A point of sale whose every object somebody has made in the engine before, under the names that it will have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from providers.odoo.till import code_of
from tests.erpnext.running import MARK, Erp
from tests.odoo.running import Server
from tests.pos.rows import CASHIER


def _in_erpnext(erp: Erp) -> None:
    mark = f"Managed by Tenantry ({MARK})"
    company = {"company_name": "Shop", "abbr": "SHOP", "default_currency": "KES", "country": "Kenya"}
    erp.put("Company", **company, registration_details=mark)
    for name in ("Main Store", "POS Store"):
        erp.put("Warehouse", warehouse_name=name, company="Shop")
    erp.put("Price List", price_list_name="Shop Selling", currency="USD", selling=1)
    erp.put("Item", item_code="SHOP-TEA", item_name="Their tea", item_group="Services", stock_uom="Nos")
    erp.put("Item Price", item_code="SHOP-TEA", price_list="Shop Selling", uom="Nos", price_list_rate=7)
    erp.put("Customer", customer_name="Walk-In Customer", customer_type="Company", disabled=1)
    erp.put("User", email=CASHIER, first_name="Ann")
    profile = {"company": "Shop", "currency": "KES", "warehouse": "Stores - SHOP"}
    books = {"write_off_account": "Write Off - SHOP", "write_off_cost_center": "Main - SHOP"}
    erp.put("POS Profile", name="Shop POS", **profile, **books, payments=[{"mode_of_payment": "Cash", "default": 1}])
    erp.put(
        "POS Opening Entry",
        period_start_date="2026-01-01 08:00:00",
        posting_date="2026-01-01",
        company="Shop",
        pos_profile="Shop POS",
        user=erp.user,
        balance_details=[{"mode_of_payment": "Cash", "opening_amount": 70}],
        docstatus=1,
    )


def _in_odoo(server: Server) -> None:
    kenya = server.row("res.country", code="KE")["id"]
    company = server.put("res.company", name="Shop", country_id=kenya)
    mark = {"module": "tenantry", "name": "tenantry_2fshop_company", "model": "res.company", "res_id": company}
    with server.alone():
        server.site.root.create("ir.model.data", mark)
    # Whose company it is, may work in it.
    [user] = [row for row in server.rows("res.users") if row["login"] != "__system__"]
    server.change("res.users", user["id"], company_ids=[[6, 0, [*user["company_ids"], company]]])
    ours: Mapping[str, Any] = {"company_id": company}
    for name, code in (("Main Store", "SHOP"), ("POS Store", "TILL")):
        server.put("stock.warehouse", name=name, code=code, **ours)
    server.put("product.template", name="Their tea", default_code="TEA", list_price=7, **ours)
    server.put("res.partner", name="Walk-In Customer", **ours)
    # Everybody's of that name, which is another one.
    server.put("res.partner", name="Walk-In Customer", customer_rank=5)
    journal = server.put("account.journal", name="Drawer", code=code_of("Cash"), type="cash", **ours)
    method = server.put("pos.payment.method", name="Cash", journal_id=journal, **ours)
    till = server.put("pos.config", name="Shop POS", payment_method_ids=[[6, 0, [method]]], **ours)
    session = server.put("pos.session", config_id=till)
    with server.alone():
        server.site.root.set("pos.session", session, state="opened")


BY_HAND: Mapping[str, Callable[[Any], None]] = {"erpnext": _in_erpnext, "odoo": _in_odoo}

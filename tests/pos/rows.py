"""What the steps of a point of sale make, row by row (POS-3), and what may happen to each of it, in either engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.odoo.till import code_of

CASHIER = "ann@shop.invalid"
_UGANDA = 4
"""In the simulated Odoo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`made` is its resource, by type and name. `stop` is (method, path) of the requests without which it is not made.

    `kind` and `having` find it in the engine; `drift` is what somebody changes of it there by hand. None of the three
    where it makes nothing of its own. `over`: by that it is no more what it was, and another one is made.
    """

    step: str
    made: str
    stop: tuple[str, str]
    optional: bool = False
    kind: str = ""
    having: Mapping[str, Any] = field(default_factory=dict)
    drift: Mapping[str, Any] = field(default_factory=dict)
    over: bool = False


def _named(name: str) -> dict[str, str]:
    return {"name": name}


ERPNEXT = (
    Row(step="step_0_engine_check", made="ErpNextEngineCheck shop", stop=("GET", "/method/ping")),
    Row(step="step_2_company", made="ErpNextCountry shop", stop=("GET", "/Country")),
    Row(
        step="step_2_company",
        made="ErpNextCompany shop",
        stop=("POST", "/Company"),
        kind="Company",
        having=_named("Shop"),
        drift={"country": "Uganda"},
    ),
    Row(step="step_3_chart_of_accounts", made="ErpNextChartOfAccounts shop", stop=("GET", "/Account")),
    Row(
        step="step_4_warehouses",
        made="ErpNextWarehouse shop-main-store",
        stop=("GET", "/Warehouse/Main Store"),
        kind="Warehouse",
        having=_named("Main Store - SHOP"),
        drift={"disabled": 1},
    ),
    Row(
        step="step_4_warehouses",
        made="ErpNextWarehouse shop-pos-store",
        stop=("GET", "/Warehouse/POS Store"),
        optional=True,
        kind="Warehouse",
        having=_named("POS Store - SHOP"),
        drift={"disabled": 1},
    ),
    Row(
        step="step_5_settings",
        made="ErpNextSettings shop-selling",
        stop=("PUT", "/Selling Settings"),
        optional=True,
        kind="Selling Settings",
        having=_named("Selling Settings"),
        drift={"so_required": "Yes"},
    ),
    Row(
        step="step_5_settings",
        made="ErpNextSettings shop-stock",
        stop=("PUT", "/Stock Settings"),
        optional=True,
        kind="Stock Settings",
        having=_named("Stock Settings"),
        drift={"allow_negative_stock": 0},
    ),
    Row(
        step="step_6_items",
        made="ErpNextPriceList shop",
        stop=("POST", "/Price List"),
        optional=True,
        kind="Price List",
        having=_named("Shop Selling"),
        drift={"enabled": 0},
    ),
    Row(
        step="step_6_items",
        made="ErpNextItem shop-TEA",
        stop=("GET", "/Item/SHOP-TEA"),
        optional=True,
        kind="Item",
        having=_named("SHOP-TEA"),
        drift={"item_name": "Coffee", "item_defaults": []},
    ),
    Row(
        step="step_6_items",
        made="ErpNextItemPrice shop-TEA",
        stop=("POST", "/Item Price"),
        optional=True,
        kind="Item Price",
        having={"item_code": "SHOP-TEA"},
        drift={"price_list_rate": 1.0},
    ),
    Row(
        step="step_7_customer",
        made="ErpNextCustomer shop",
        stop=("POST", "/Customer"),
        kind="Customer",
        having=_named("Walk-In Customer"),
        drift={"disabled": 1},
    ),
    Row(
        step="step_8_pos_profile",
        made="ErpNextModeOfPayment shop-cash",
        stop=("GET", "/Mode of Payment/Cash"),
        kind="Mode of Payment",
        having=_named("Cash"),
        drift={"accounts": []},
    ),
    Row(
        step="step_8_pos_profile",
        made="ErpNextPosProfile shop",
        stop=("POST", "/POS Profile"),
        kind="POS Profile",
        having=_named("Shop POS"),
        drift={"warehouse": "Stores - SHOP"},
    ),
    Row(
        step="step_9_pos_session",
        made="ErpNextUser shop",
        stop=("POST", "/User"),
        optional=True,
        kind="User",
        having=_named(CASHIER),
        drift={"enabled": 0},
    ),
    Row(
        step="step_9_pos_session",
        made="ErpNextPosSession shop",
        stop=("POST", "/POS Opening Entry"),
        optional=True,
        kind="POS Opening Entry",
        having={"pos_profile": "Shop POS", "status": "Open"},
        drift={"status": "Closed"},
        over=True,
    ),
)
ODOO = (
    Row(step="step_0_engine_check", made="OdooEngineCheck shop", stop=("version", "/common")),
    Row(
        step="step_2_company",
        made="OdooCompany shop",
        stop=("load", "/res.company"),
        kind="res.company",
        having=_named("Shop"),
        drift={"country_id": _UGANDA},
    ),
    Row(step="step_3_chart_of_accounts", made="OdooChartOfAccounts shop", stop=("try_loading", "")),
    Row(
        step="step_4_warehouses",
        made="OdooWarehouse shop-main-store",
        stop=("load", "_warehouse_main"),
        kind="stock.warehouse",
        having=_named("Main Store"),
        drift={"active": False},
    ),
    Row(
        step="step_4_warehouses",
        made="OdooWarehouse shop-pos-store",
        stop=("load", "_warehouse_pos"),
        optional=True,
        kind="stock.warehouse",
        having=_named("POS Store"),
        drift={"active": False},
    ),
    Row(
        step="step_5_settings",
        made="OdooSettings shop",
        stop=("write", "/res.company"),
        optional=True,
        kind="res.company",
        having=_named("Shop"),
        drift={"annual_inventory_day": 1},
    ),
    Row(
        step="step_6_items",
        made="OdooProduct shop-TEA",
        stop=("load", "/product.template"),
        optional=True,
        kind="product.template",
        having={"default_code": "TEA"},
        drift={"list_price": 1.0, "available_in_pos": False},
    ),
    Row(
        step="step_7_customer",
        made="OdooCustomer shop",
        stop=("load", "/res.partner"),
        kind="res.partner",
        having=_named("Walk-In Customer"),
        drift={"active": False},
    ),
    Row(
        step="step_8_pos_profile",
        made="OdooJournal shop-cash",
        stop=("load", "/account.journal"),
        kind="account.journal",
        having={"code": code_of("Cash")},
        drift={"active": False},
    ),
    Row(
        step="step_8_pos_profile",
        made="OdooPaymentMethod shop-cash",
        stop=("load", "/pos.payment.method"),
        kind="pos.payment.method",
        having=_named("Cash"),
        drift={"active": False},
    ),
    Row(
        step="step_8_pos_profile",
        made="OdooPosConfig shop",
        stop=("load", "/pos.config"),
        kind="pos.config",
        having=_named("Shop POS"),
        drift={"active": False},
    ),
    Row(
        step="step_9_pos_session",
        made="OdooPosSession shop",
        stop=("create", "/pos.session"),
        optional=True,
        kind="pos.session",
        having={"state": "opened"},
        drift={"state": "closed"},
        over=True,
    ),
)
TABLE: Mapping[str, tuple[Row, ...]] = {"erpnext": ERPNEXT, "odoo": ODOO}

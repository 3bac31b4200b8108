"""The component of a point of sale, its real providers and a simulated ERPNext, without an engine in between.

What is registered is made at once, looked at by diff and read as a second run and a refresh would, and remembered.
"""

from __future__ import annotations

import pytest

from components.point_of_sale import engine_of, status_of
from components.pos_args import PosPayment, PosWarehouses
from providers.errors import ConfigurationError
from sandbox.erpnext.faults import Kind
from tests.erpnext.running import Engine, Erp, engine, here, quick
from tests.pos.stand_in import TEA, Made, args, in_place_of_the_sdks, up

__all__ = ["engine", "here", "quick"]


@pytest.fixture
def made(engine: Engine) -> Made:
    return in_place_of_the_sdks(Made())


def test_all_of_it_is_made_and_a_second_run_would_change_nothing(here: Erp, made: Made) -> None:
    told = up(made, cashier="ann@shop.invalid", opening_stock=True)
    assert told["status"] == "PROVISIONED"
    assert told["references"] == {
        "company": "Shop",
        "chartOfAccounts": "Standard",
        "chartNote": "the site offers no chart 'Kenya' for Kenya: 'Standard' is used",
        "mainStore": "Main Store - SHOP",
        "posStore": "POS Store - SHOP",
        "priceList": "Shop Selling",
        "items": ["SHOP-TEA", "SHOP-GIFT"],
        "customer": "Walk-In Customer",
        "modesOfPayment": ["Cash"],
        "posProfile": "Shop POS",
        "openingStock": here.docs("Stock Entry")[0]["name"],
        "posSession": here.docs("POS Opening Entry")[0]["name"],
    }
    assert here.docs("POS Opening Entry")[0]["user"] == "ann@shop.invalid"
    # Only what there is any of is counted, and that is in the main store.
    assert [(each["item_code"], each["warehouse"], each["actual_qty"]) for each in here.docs("Bin")] == [
        ("SHOP-TEA", "Main Store - SHOP", 35)
    ]
    assert {each["name"]: each["is_stock_item"] for each in here.docs("Item")} == {"SHOP-TEA": 1, "SHOP-GIFT": 0}


def test_without_demo_items_it_takes_no_more_requests_than_it_may(here: Erp, made: Made) -> None:
    assert up(made, items=(), cashier="ann@shop.invalid")["status"] == "PROVISIONED"
    # The looks of `Made` itself are among them.
    assert len(here.asked("POST", "PUT")) <= 15
    assert len(here.asked()) <= 60


def test_another_chart_that_is_wished_changes_what_is_said_of_it_alone(here: Erp, made: Made) -> None:
    up(made)
    before = here.state()
    later = in_place_of_the_sdks(Made(made.state))
    references = up(later, chart="Uganda")["references"]
    note = "the company has the chart 'Standard' already, which stays; 'Uganda' was wished"
    assert (references["chartOfAccounts"], references["chartNote"]) == ("Standard", note)
    assert (here.state(), later.last) == (before, [])


def test_what_it_made_goes_and_what_it_found_stays(here: Erp, made: Made) -> None:
    here.put("Customer", customer_name="Walk-In Customer", customer_type="Individual")
    before = {doctype: len(here.docs(doctype)) for doctype in ("Customer", "User", "Price List", "Account")}
    up(made, cashier="ann@shop.invalid")
    made.destroy()
    assert {doctype: len(here.docs(doctype)) for doctype in before} == before
    for doctype in ("Company", "Warehouse", "Item", "Item Price", "POS Profile", "POS Opening Entry"):
        assert here.docs(doctype) == [], doctype
    assert here.docs("Mode of Payment", name="Cash")[0]["accounts"] == []


OPTIONAL = {
    "POS Store": ("/Warehouse/POS Store", ""),
    "settings": ("/Selling Settings", "PUT"),
    "price list": ("/Price List", "POST"),
    "item": ("/Item/SHOP-TEA", "GET"),
    "session": ("/POS Opening Entry", "POST"),
    "cashier": ("/User", "POST"),
}


@pytest.mark.parametrize("which", OPTIONAL)
def test_what_is_optional_and_fails_leaves_the_rest_to_be_made(here: Erp, made: Made, which: str) -> None:
    where, method = OPTIONAL[which]
    here.fault(Kind.ERROR, status=403, where=where, method=method)
    told = up(made, cashier="ann@shop.invalid")
    assert told["status"] == "PARTIAL"
    profile = here.doc("POS Profile", "Shop POS")
    assert profile["customer"] == "Walk-In Customer"
    store = "Main Store" if which == "POS Store" else "POS Store"
    assert profile["warehouse"] == f"{store} - SHOP"
    assert (profile["selling_price_list"] is None) == (which == "price list")
    assert len(here.docs("Item")) == (1 if which == "item" else 2)
    lacking = [one for one in made.made.values() if not one.outs.get("ready", True)]
    assert lacking
    assert all(one.outs["reason"] for one in lacking)
    # Each of them differs from what is wanted, so that the next up tries it again.
    assert all(one.provider.diff(one.id, one.outs, one.inputs).changes for one in lacking)


def test_basic_is_what_a_till_cannot_do_without(here: Erp, made: Made) -> None:
    bare = PosWarehouses(main="Main Store", pos=None)
    told = up(made, warehouses=bare, selling={}, stock={}, items=(), session=False)
    assert told["status"] == "PROVISIONED"
    assert made.order == [
        "ErpNextEngineCheck",
        "PosRecord",
        "ErpNextCountry",
        "ErpNextCompany",
        "ErpNextChartOfAccounts",
        # Side by side.
        *made.order[5:7],
        "ErpNextModeOfPayment",
        "ErpNextPosProfile",
        "PosActivation",
    ]
    assert set(made.order[5:7]) == {"ErpNextWarehouse", "ErpNextCustomer"}


def test_other_payments_go_to_the_account_that_is_named(here: Erp, made: Made) -> None:
    card = PosPayment(mode="Credit Card", kind="Bank", account="Creditors")
    up(made, items=(), payments=(PosPayment(mode="Cash", kind="Cash"), card))
    rows = here.doc("POS Profile", "Shop POS")["payments"]
    assert [(row["mode_of_payment"], row["default"]) for row in rows] == [("Cash", 1), ("Credit Card", 0)]
    accounts = here.doc("Mode of Payment", "Credit Card")["accounts"]
    assert [(row["company"], row["default_account"]) for row in accounts] == [("Shop", "Creditors - SHOP")]


def test_a_status_is_partial_by_the_first_that_lacks() -> None:
    assert [status_of(ready) for ready in ([], [True], [True, False])] == ["PROVISIONED", "PROVISIONED", "PARTIAL"]


def test_an_engine_that_there_is_not_is_said() -> None:
    with pytest.raises(ConfigurationError, match="no engine is called 'sap'"):
        engine_of(args(engine="sap"))


def test_an_item_that_others_have_come_to_use_stays_without_a_word_of_the_tenant(here: Erp, made: Made) -> None:
    up(made, items=(TEA,))
    here.put("Company", company_name="Other", abbr="OT", default_currency="KES", country="Kenya")
    entry = {"item_code": "SHOP-TEA", "qty": 1, "t_warehouse": "Stores - OT"}
    here.put("Stock Entry", stock_entry_type="Material Receipt", company="Other", items=[entry])
    made.destroy()
    assert [each["name"] for each in here.docs("Company")] == ["Other"]
    assert here.docs("Item", name="SHOP-TEA")[0]["item_defaults"] == []

"""A point of sale from nothing to an open session, and back, with the real engine against the simulated ERPNext."""

from __future__ import annotations

import pytest

from sandbox.erpnext.faults import Fault, Kind
from tests.pos.yard import Yard, steps_of

pytestmark = pytest.mark.timeout(900)
CASHIER = "owner@duka.example"


def test_it_comes_stays_is_repaired_and_goes(yard: Yard) -> None:
    site, shared = yard.objects(), yard.shared()
    yard.write(includeDemoData=True, adminEmail=CASHIER, category="pharmacy")
    planned = yard.run("preview", "duka")
    assert not yard.asked(), "a preview asks nothing"
    made = yard.up()
    assert made["changes"] == planned["counts"]
    assert set(steps_of(made).values()) == {"completed"}
    assert (made["partial"], yard.status()) == ([], "active")
    assert made["outputs"]["status"] == "PROVISIONED"
    _sells(yard, made["outputs"]["references"])
    # The record says what was sent, and the site has seen no more.
    assert sum(made["requests"].values()) == len(yard.asked())
    assert yard.run("show", "duka")["deployment"]["requests"] == made["requests"]

    before = len(yard.asked())
    again = yard.up("duka", "--expect-no-changes")
    assert (again["changed"], again["requests"], len(yard.asked())) == (False, {}, before)

    profile = yard.names("POS Profile")[0]
    yard.call("PUT", "POS Profile", profile, body={"warehouse": "Stores - DUKA", "disabled": 1})
    yard.call("DELETE", "Item Price", yard.names("Item Price")[0])
    drift = yard.run("refresh", "duka")["drift"]
    assert {one["what"] for one in drift} == {"changed", "gone"}
    repaired = yard.up()
    assert repaired["changes"]["create"] == 1
    assert repaired["changes"]["update"] == 1
    assert yard.docs("POS Profile")[0]["warehouse"] == "POS Store - DUKA"
    assert len(yard.names("Item Price")) == len(yard.names("Item"))

    yard.run("destroy", "duka", "--yes")
    assert yard.objects() == site
    # What was set of the site's settings stays; nothing else of the site's does.
    assert (
        yard.shared()
        .replace('"so_required": "No"', '"so_required": null')
        .replace('"dn_required": "No"', '"dn_required": null')
        == shared
    )
    assert yard.status() == "removed"


def _sells(yard: Yard, references: dict[str, object]) -> None:
    (company,) = yard.docs("Company")
    assert (company["default_currency"], company["country"], company["abbr"]) == ("KES", "Kenya", "DUKA")
    assert "tenantry/duka" in company["registration_details"]
    # The site has no chart for Kenya: which one it is instead is said.
    assert references["chartOfAccounts"] == company["chart_of_accounts"] == "Standard"
    assert "no chart 'Kenya'" in str(references["chartNote"])
    assert {"Main Store - DUKA", "POS Store - DUKA"} <= set(yard.names("Warehouse"))
    items = {each["name"]: each for each in yard.docs("Item")}
    prices = {each["item_code"]: each for each in yard.docs("Item Price")}
    assert len(items) == 8
    assert set(items) == set(prices)
    assert prices["DUKA-BANDAGE"]["price_list_rate"] == 200
    assert all(each["is_stock_item"] == 0 for each in items.values())
    (profile,) = yard.docs("POS Profile")
    assert profile["warehouse"] == "POS Store - DUKA"
    assert profile["customer"] == yard.names("Customer")[0] == "Walk-In Customer"
    assert profile["selling_price_list"] == references["priceList"]
    (session,) = yard.docs("POS Opening Entry")
    assert (session["status"], session["user"], session["pos_profile"]) == ("Open", CASHIER, profile["name"])
    assert references["posSession"] == session["name"]


def test_what_is_called_otherwise_takes_the_place_of_what_was(yard: Yard) -> None:
    yard.write(includeDemoData=True, adminEmail=CASHIER)
    yard.up()
    for stays, said in (
        ({"till": {"name": "Counter"}}, "a till stays called 'Shop duka POS'"),
        ({"warehouses": {"main": "Back Room"}}, "a warehouse stays called 'Main Store'"),
    ):
        yard.write(includeDemoData=True, adminEmail=CASHIER, customSettings=stays)
        refused = yard.up(code=9)["error"]["message"]
        assert said in refused
        assert refused.endswith("Left as it is: it failed before it changed anything")
    changed = {"customer": {"name": "Counter Customer"}, "till": {"cashier": "bob@duka.example"}}
    yard.write(includeDemoData=True, adminEmail=CASHIER, customSettings=changed)
    assert yard.up()["partial"] == []
    assert (yard.names("Customer"), yard.names("POS Profile")) == (["Counter Customer"], ["Shop duka POS"])
    assert [each["user"] for each in yard.docs("POS Opening Entry")] == ["bob@duka.example"]
    assert CASHIER not in yard.names("User")
    yard.run("destroy", "duka", "--yes")
    assert yard.names("Company") == []


def test_what_is_there_already_is_adopted(yard: Yard) -> None:
    mark = "Managed by Tenantry (tenantry/duka)"
    company = {"company_name": "Shop duka", "abbr": "DUKA", "default_currency": "KES", "country": "Kenya"}
    yard.call("POST", "Company", body={**company, "registration_details": mark})
    yard.call("POST", "Warehouse", body={"warehouse_name": "Main Store", "company": "Shop duka"})
    yard.call("POST", "Customer", body={"customer_name": "Walk-In Customer"})
    yard.write(provisioningType="BASIC")
    yard.up()
    assert yard.names("Company") == ["Shop duka"]
    assert yard.names("Warehouse", warehouse_name="Main Store") == ["Main Store - DUKA"]
    assert yard.names("Customer") == ["Walk-In Customer"]
    # A till that BASIC does not open.
    assert (yard.names("POS Profile"), yard.names("POS Opening Entry")) == (["Shop duka POS"], [])
    yard.run("destroy", "duka", "--yes")
    # The customer was not made here, and is the site's.
    assert (yard.names("Company"), yard.names("Customer")) == ([], ["Walk-In Customer"])


def test_what_was_done_before_its_answer_was_lost_is_not_done_again(yard: Yard) -> None:
    posted = ("Company", "Customer", "Warehouse", "POS Profile", "POS Opening Entry")
    faults = [Fault(kind=Kind.DROP, method="POST", where=f"/{each}", times=1, after=True) for each in posted]
    submitted = Fault(kind=Kind.DROP, method="PUT", where="/POS Opening Entry/", times=1, after=True)
    yard.fault(*faults, submitted)
    yard.write()
    made = yard.up()
    assert (made["partial"], yard.status()) == ([], "active")
    assert sum(row.fault == "drop" for row in yard.asked()) == len(faults) + 1
    for doctype in ("Company", "Customer", "POS Profile", "POS Opening Entry"):
        assert len(yard.names(doctype)) == 1, doctype
    assert len(yard.names("Warehouse", warehouse_name="Main Store")) == 1
    assert yard.docs("POS Opening Entry")[0]["status"] == "Open"


def test_stock_is_put_in_if_asked_for_and_its_company_then_stays(yard: Yard) -> None:
    yard.write(includeDemoData=True, customSettings={"demo": {"openingStock": True}})
    made = yard.up()
    assert made["outputs"]["references"]["openingStock"] == yard.names("Stock Entry")[0]
    pieces = {each["item_code"]: each["actual_qty"] for each in yard.docs("Bin", warehouse="Main Store - DUKA")}
    assert pieces["DUKA-TEA-250G"] == 35
    assert yard.docs("Item", name="DUKA-TEA-250G")[0]["is_stock_item"] == 1
    left = yard.run("destroy", "duka", "--yes", code=9)
    assert "Transaction Deletion Record" in left["error"]["message"]
    assert "company 'Shop duka' in ERPNext" in left["error"]["message"]
    assert yard.names("POS Profile") == []
    # As its owner does: then the rest goes too.
    record = yard.call("POST", "Transaction Deletion Record", body={"company": "Shop duka"})
    yard.call("PUT", "Transaction Deletion Record", record["name"], body={"docstatus": 1})
    yard.until(lambda: yard.call("GET", "Transaction Deletion Record", record["name"])["status"] == "Completed")
    yard.run("destroy", "duka", "--yes")
    assert yard.names("Company") == []

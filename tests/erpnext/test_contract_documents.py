"""What holds on every ERPNext, simulated or real: how each document of a point of sale is named, checked and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.erpnext.conftest import Erp, Shop, refusal, row


def names(erp: Erp, doctype: str, **having: Any) -> list[str]:
    filters = json.dumps([[field, "=", value] for field, value in having.items()])
    rows = erp.doc("GET", doctype, filters=filters, limit_page_length="500").json()["data"]
    return sorted(each["name"] for each in rows)


@row("company-warehouses", "company-cost-center", "company-departments", "company-accounts")
def test_a_company_comes_with_what_it_needs(erp: Erp, shop: Shop) -> None:
    houses = ("All Warehouses", "Finished Goods", "Goods In Transit", "Stores", "Work In Progress")
    assert {f"{name} - {shop.abbr}" for name in houses} <= set(names(erp, "Warehouse", company=shop.company))
    assert f"Main - {shop.abbr}" in names(erp, "Cost Center", company=shop.company)
    assert f"Sales - {shop.abbr}" in names(erp, "Department", company=shop.company)
    for account in ("Cash", "Debtors", "Creditors", "Write Off", "Sales"):
        assert erp.read("Account", f"{account} - {shop.abbr}")["company"] == shop.company
    assert (shop.cash, shop.write_off) == (f"Cash - {shop.abbr}", f"Write Off - {shop.abbr}")


@row("company-vat")
def test_a_company_comes_with_the_vat_of_its_country(erp: Erp, shop: Shop) -> None:
    (template,) = names(erp, "Sales Taxes and Charges Template", company=shop.company)
    assert [each["rate"] for each in erp.read("Sales Taxes and Charges Template", template)["taxes"]] == [16]


@row("company-cash")
def test_cash_has_an_account_of_the_company(erp: Erp, shop: Shop) -> None:
    rows = erp.read("Mode of Payment", "Cash")["accounts"]
    assert [each["default_account"] for each in rows if each["company"] == shop.company] == [shop.cash]


@row("company-fields", "name-taken")
def test_a_company_needs_its_fields(erp: Erp, shop: Shop, unique: str) -> None:
    told = {"company_name": unique, "abbr": unique, "default_currency": "KES", "country": "Kenya"}
    for field in ("default_currency", "country"):
        sent = {key: value for key, value in told.items() if key != field}
        assert refusal(erp.doc("POST", "Company", body=sent)) == (417, "MandatoryError"), field
    again = told | {"company_name": shop.company, "abbr": shop.abbr}
    assert refusal(erp.doc("POST", "Company", body=again)) == (409, "DuplicateEntryError")


@row("company-abbr", "company-takes-along", "chart-offered")
def test_the_initials_are_a_companys_abbreviation(erp: Erp, shop: Shop) -> None:
    letters = shop.abbr.lower()
    told = {"default_currency": "UGX", "country": "Uganda", "chart_of_accounts": "Standard with Numbers"}
    name = " ".join(f"{letter}word" for letter in letters + "z")
    made = erp.make("Company", company_name=name, **told)
    assert made["abbr"] == f"{shop.abbr}Z"
    same = {"company_name": f"{name} again", "abbr": made["abbr"], **told}
    assert refusal(erp.doc("POST", "Company", body=same))[0] == 417
    assert erp.read("Account", f"1110 - Cash - {made['abbr']}")["account_number"] == "1110"
    erp.make("Warehouse", warehouse_name="Its Own", company=name)
    assert erp.doc("DELETE", "Company", name).status_code == 202
    for doctype in ("Account", "Warehouse", "Cost Center", "Department", "Sales Taxes and Charges Template"):
        assert names(erp, doctype, company=name) == [], doctype
    assert all(each["company"] != name for each in erp.read("Mode of Payment", "Cash")["accounts"])


@row("warehouse-name", "warehouse-fields", "link-to-nothing", "name-taken")
def test_a_warehouse_has_its_companys_suffix_once(erp: Erp, shop: Shop, unique: str) -> None:
    plain = erp.make("Warehouse", warehouse_name=f"Main Store {unique}", company=shop.company)
    assert plain["name"] == f"Main Store {unique} - {shop.abbr}"
    again = {"warehouse_name": plain["name"], "company": shop.company}
    assert refusal(erp.doc("POST", "Warehouse", body=again)) == (409, "DuplicateEntryError")
    nowhere = {"warehouse_name": unique, "company": "no such company"}
    assert refusal(erp.doc("POST", "Warehouse", body=nowhere)) == (417, "LinkValidationError")


@pytest.fixture
def territory(erp: Erp) -> Iterator[Any]:
    """Selling Settings as they were, afterwards."""
    before = erp.read("Selling Settings", "Selling Settings")
    yield before["territory"]
    fields = {key: before[key] for key in ("territory", "customer_group")}
    erp.change("Selling Settings", "Selling Settings", **fields)


@row("single-merge")
def test_a_single_merges_what_is_sent(erp: Erp, territory: str) -> None:
    erp.change("Selling Settings", "Selling Settings", customer_group="Individual", territory="All Territories")
    changed = erp.change("Selling Settings", "Selling Settings", territory="Rest Of The World")
    assert (changed["customer_group"], changed["territory"]) == ("Individual", "Rest Of The World")
    read = erp.read("Selling Settings", "Selling Settings")
    assert (read["customer_group"], read["territory"]) == ("Individual", "Rest Of The World")


@row("child-table-replaced", "mode-of-payment-company")
def test_a_child_table_replaces_all_its_rows(erp: Erp, shop: Shop, unique: str) -> None:
    one = {"company": shop.company, "default_account": shop.cash}
    made = erp.make("Mode of Payment", mode_of_payment=unique, type="Cash", accounts=[one])
    assert [each["default_account"] for each in made["accounts"]] == [shop.cash]
    twice = erp.doc("PUT", "Mode of Payment", unique, {"accounts": [*made["accounts"], one]})
    assert refusal(twice)[0] == 417
    other = {"company": shop.company, "default_account": f"Debtors - {shop.abbr}"}
    changed = erp.change("Mode of Payment", unique, accounts=[other])
    assert [each["default_account"] for each in changed["accounts"]] == [f"Debtors - {shop.abbr}"]
    assert (
        erp.change("Mode of Payment", unique, type="Bank")["accounts"]
        == erp.read("Mode of Payment", unique)["accounts"]
    )


@row("price-list-kind", "price-list-default")
def test_a_price_list_is_for_buying_or_selling(erp: Erp, unique: str) -> None:
    told = {"price_list_name": unique, "currency": "KES"}
    assert refusal(erp.doc("POST", "Price List", body=told)) == (417, "ValidationError")
    before = erp.read("Selling Settings", "Selling Settings")["selling_price_list"]
    erp.make("Price List", **told, selling=1)
    assert erp.read("Selling Settings", "Selling Settings")["selling_price_list"] == (before or unique)


@row("item-fields", "item-price-duplicate", "delete-item-prices")
def test_an_item_and_its_price(erp: Erp, unique: str) -> None:
    told = {"item_code": unique, "item_group": "All Item Groups", "stock_uom": "Nos"}
    for field in ("item_code", "item_group"):
        sent = {key: value for key, value in told.items() if key != field}
        assert erp.doc("POST", "Item", body=sent).status_code == 417, field
    prices = erp.make("Price List", price_list_name=unique, currency="KES", selling=1)["name"]
    assert erp.make("Item", **told)["name"] == unique
    assert refusal(erp.doc("POST", "Item", body=told)) == (409, "DuplicateEntryError")
    price = {"item_code": unique, "price_list": prices, "price_list_rate": 120.5}
    made = erp.make("Item Price", **price)
    assert (made["selling"], made["currency"], made["price_list_rate"]) == (1, "KES", 120.5)
    assert refusal(erp.doc("POST", "Item Price", body=price)) == (417, "ItemPriceDuplicateItem")
    assert names(erp, "Item Price", item_code=unique, price_list=prices) == [made["name"]]
    assert refusal(erp.doc("DELETE", "Price List", prices)) == (417, "LinkExistsError")
    assert erp.doc("DELETE", "Item", unique).status_code == 202
    assert names(erp, "Item Price", item_code=unique) == []


@row("customer-again", "customer-links")
def test_a_second_customer_of_a_name_becomes_another(erp: Erp, unique: str) -> None:
    told = {"customer_name": f"Walk-In {unique}", "customer_group": "Individual", "territory": "All Territories"}
    got = [erp.make("Customer", **told)["name"] for _ in range(3)]
    assert got == [f"Walk-In {unique}", f"Walk-In {unique} - 1", f"Walk-In {unique} - 2"]
    for field in ("customer_group", "territory"):
        assert refusal(erp.doc("POST", "Customer", body=told | {field: "nowhere"})) == (417, "LinkValidationError")


@row("pos-profile-name", "pos-profile-fields")
def test_a_profile_needs_its_name_and_fields(erp: Erp, shop: Shop, unique: str) -> None:
    told = shop.profile(unique)
    for field in ("company", "currency", "warehouse", "write_off_account", "write_off_cost_center", "payments"):
        sent = {key: value for key, value in told.items() if key != field}
        assert erp.doc("POST", "POS Profile", body=sent).status_code == 417, field
    nameless = {key: value for key, value in told.items() if key != "name"}
    assert erp.doc("POST", "POS Profile", body=nameless).status_code == 417
    assert erp.make("POS Profile", **told)["name"] == unique


@row("pos-profile-default", "pos-profile-mode-account")
def test_a_profiles_payments(erp: Erp, shop: Shop, unique: str) -> None:
    ours = {"company": shop.company, "default_account": shop.cash}
    with_account = erp.make("Mode of Payment", mode_of_payment=f"{unique} a", type="Cash", accounts=[ours])["name"]
    without = erp.make("Mode of Payment", mode_of_payment=f"{unique} b", type="Cash")["name"]
    cash = {"mode_of_payment": "Cash", "default": 1}
    refused = (
        [{"mode_of_payment": "Cash"}],
        [cash, {"mode_of_payment": with_account, "default": 1}],
        [cash, {"mode_of_payment": without}],
    )
    for payments in refused:
        answer = erp.doc("POST", "POS Profile", body=shop.profile(unique, payments=payments))
        assert refusal(answer)[0] == 417, payments
    made = erp.make("POS Profile", **shop.profile(unique, payments=[cash, {"mode_of_payment": with_account}]))
    assert [each["default"] for each in made["payments"]] == [1, 0]


@row("opening-fields", "opening-submit")
def test_an_opening_is_made_and_then_submitted(erp: Erp, shop: Shop, unique: str, cashier: str) -> None:
    profile = erp.make("POS Profile", **shop.profile(unique))["name"]
    told = shop.opening(profile, cashier)
    for field in ("period_start_date", "company", "pos_profile", "user", "balance_details"):
        sent = {key: value for key, value in told.items() if key != field}
        assert erp.doc("POST", "POS Opening Entry", body=sent).status_code == 417, field
    made = erp.make("POS Opening Entry", **told)
    assert (made["docstatus"], made["status"]) == (0, "Draft")
    opened = erp.change("POS Opening Entry", made["name"], docstatus=1)
    assert (opened["docstatus"], opened["status"]) == (1, "Open")
    late = erp.doc("PUT", "POS Opening Entry", made["name"], {"posting_date": "2024-06-01"})
    assert refusal(late) == (417, "UpdateAfterSubmitError")


@row("opening-second")
def test_a_second_open_entry_is_refused_where_it_is_checked(erp: Erp, shop: Shop, unique: str, cashier: str) -> None:
    """Newer ERPNexts refuse it, older do not: a caller of either must look first."""
    profile = erp.make("POS Profile", **shop.profile(unique))["name"]
    first = erp.make("POS Opening Entry", **shop.opening(profile, cashier))["name"]
    erp.change("POS Opening Entry", first, docstatus=1)
    answer = erp.doc("POST", "POS Opening Entry", body=shop.opening(profile, cashier))
    if answer.status_code == 200:
        assert erp.real, "the simulator was told to be a newer one"
        erp.made.append(("POS Opening Entry", answer.json()["data"]["name"]))
    else:
        assert answer.status_code == 417

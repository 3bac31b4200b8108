"""What is in a point of sale's way in ERPNext, and what is somebody else's: said, with what to do, and not touched."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from providers.erpnext import own_company
from providers.erpnext.leftovers import left_in
from providers.errors import OwnershipError
from tests.erpnext.running import KEY, MARK, REGION, SECRET, VARIABLES, Erp, created, here, quick, raw
from tests.pos.accounts import account, differing, with_others
from tests.pos.lifetimes import CASHIER, Tenant
from tests.pos.stand_in import PosCustomer, PosWarehouses

__all__ = ["here", "quick", "raw"]

SESSION = "ErpNextPosSession shop"
BOB = "bob@shop.invalid"
EVERYTHING = "read write create delete submit cancel"


@pytest.fixture
def tenant(here: Erp) -> Tenant:
    """One that is all there."""
    made = Tenant()
    assert made.run() == "PROVISIONED"
    return made


def reason(tenant: Tenant, which: str = SESSION) -> str:
    outs = tenant.state[which].outs
    return "" if outs["ready"] else str(outs["reason"])


def sessions(here: Erp) -> list[tuple[str, str]]:
    return [(each["user"], each["status"]) for each in here.docs("POS Opening Entry")]


def open_by_hand(here: Erp, user: str, **more: Any) -> str:
    """As a cashier does it in the browser, who is the site's Administrator here."""
    given = {"company": "Shop", "pos_profile": "Shop POS", "user": user, "docstatus": 1}
    when = {"period_start_date": "2026-01-01 08:00:00", "posting_date": "2026-01-01"}
    balance = [{"mode_of_payment": "Cash", "opening_amount": 70}]
    return str(here.put("POS Opening Entry", **{**given, **when, **more}, balance_details=balance)["name"])


def close(here: Erp, name: str) -> None:
    with here.alone():
        here.site.documents.set("POS Opening Entry", name, status="Closed")


# A till that passes to another cashier


def test_another_cashier_gets_a_session_of_their_own(here: Erp, tenant: Tenant) -> None:
    assert tenant.run(cashier=BOB) == "PROVISIONED"
    assert sessions(here) == [(BOB, "Open")]
    sent = len(here.asked())
    assert tenant.run(cashier=BOB) == "PROVISIONED"
    assert len(here.asked()) == sent
    # Without a cashier it is whoever has made the profile.
    assert tenant.run(cashier=None) == "PROVISIONED"
    assert sessions(here) == [(here.user, "Open")]


def test_a_session_that_has_sold_is_its_cashiers_to_close(here: Erp, tenant: Tenant) -> None:
    [name] = [each["name"] for each in here.docs("POS Opening Entry")]
    sold = here.put("POS Invoice", customer="Walk-In Customer", company="Shop", pos_profile="Shop POS", docstatus=1)
    with here.alone():
        here.site.documents.set("POS Invoice", sold["name"], owner=CASHIER)
    for _ in range(2):
        assert tenant.run(cashier=BOB) == "PARTIAL"
        assert f"{name} of {CASHIER} is open since" in reason(tenant)
        assert "unconsolidated Invoices" in reason(tenant)
        assert f"Close it in ERPNext; the next up opens one for {BOB}." in reason(tenant)
        assert sessions(here) == [(CASHIER, "Open")]
    close(here, name)
    assert tenant.run(cashier=BOB) == "PROVISIONED"
    assert sessions(here) == [(CASHIER, "Closed"), (BOB, "Open")]


def test_a_session_that_somebody_has_opened_is_theirs_to_close(here: Erp, tenant: Tenant) -> None:
    close(here, tenant.state[SESSION].outs["docname"])
    theirs = open_by_hand(here, CASHIER)
    tenant.refresh()
    assert tenant.run() == "PROVISIONED"
    assert tenant.run(cashier=BOB) == "PARTIAL"
    assert f"{theirs} of {CASHIER} is open since 2026-01-01 08:00:00, and was opened by Administrator" in reason(tenant)
    assert here.doc("POS Opening Entry", theirs)["status"] == "Open"
    # Back to who has it: nothing is lacking any more.
    assert tenant.run() == "PROVISIONED"


def test_a_till_is_not_left_without_a_session(here: Erp, tenant: Tenant) -> None:
    """Its new cashier has one open elsewhere, or cannot be made."""
    here.put("User", email=BOB, first_name="Bob")
    profile = {**here.doc("POS Profile", "Shop POS"), "name": "Other Till"}
    here.put("POS Profile", **{key: profile[key] for key in profile if key not in {"doctype", "creation", "owner"}})
    elsewhere = open_by_hand(here, BOB, pos_profile="Other Till")
    assert tenant.run(cashier=BOB) == "PARTIAL"
    assert f"{BOB} has a session open already, {elsewhere} at 'Other Till'" in reason(tenant)
    here.site.add_user(here.user, {"*": EVERYTHING, "User": "read"}, key=KEY, secret=SECRET)
    assert tenant.run(cashier="cay@shop.invalid") == "PARTIAL"
    assert "there is no user cay@shop.invalid yet" in reason(tenant)
    assert (CASHIER, "Open") in sessions(here)


def test_a_session_that_a_cashier_has_only_begun_is_left_to_them(here: Erp, tenant: Tenant) -> None:
    tenant.state[SESSION].delete()
    theirs = open_by_hand(here, CASHIER, docstatus=0)
    tenant.refresh()
    assert tenant.run() == "PROVISIONED"
    ours = tenant.state[SESSION].outs["docname"]
    assert ours != theirs
    assert [here.doc("POS Opening Entry", name)["docstatus"] for name in (theirs, ours)] == [0, 1]
    tenant.destroy()
    assert here.docs("POS Opening Entry", docstatus=0) == []


@pytest.mark.parametrize("docstatus", [0, 1], ids=["begun", "opened"])
def test_what_a_cashier_has_stays_with_the_profile_and_goes_with_it(here: Erp, tenant: Tenant, docstatus: int) -> None:
    """Without `includes.session` Tenantry opens none: that takes none from anybody."""
    tenant.state[SESSION].delete()
    theirs = open_by_hand(here, CASHIER, docstatus=docstatus)
    tenant.refresh()
    assert tenant.run() == "PROVISIONED"
    tenant.state.pop(SESSION).delete()
    assert [(each["name"], each["docstatus"]) for each in here.docs("POS Opening Entry")] == [(theirs, docstatus)]
    tenant.destroy()
    assert (here.docs("POS Opening Entry"), here.docs("POS Profile")) == ([], [])


def test_a_draft_that_a_run_has_left_is_removed_for_another_cashier(here: Erp, tenant: Tenant) -> None:
    name = tenant.state[SESSION].outs["docname"]
    with here.alone():
        here.site.documents.set("POS Opening Entry", name, docstatus=0, status="Draft")
    assert tenant.run(cashier=BOB) == "PROVISIONED", reason(tenant)
    assert sessions(here) == [(BOB, "Open")]


# What is called otherwise by now


def test_what_has_another_name_is_made_beside_the_one_of_before_which_goes_last(here: Erp, tenant: Tenant) -> None:
    changes: dict[str, Any] = {
        "cashier": BOB,
        "customer": PosCustomer(name="Counter Customer"),
        "price_list": "Counter Prices",
    }
    assert tenant.run(**changes) == "PROVISIONED", tenant.failed
    names = {each["name"] for kind in ("Customer", "Price List", "User") for each in here.docs(kind)}
    assert {"Counter Customer", "Counter Prices", BOB} <= names
    assert names.isdisjoint({"Walk-In Customer", "Shop Selling", CASHIER})
    assert sessions(here) == [(BOB, "Open")]
    sent = len(here.asked())
    assert tenant.run(**changes) == "PROVISIONED"
    assert len(here.asked()) == sent
    tenant.destroy()
    assert (here.docs("Customer"), here.docs("POS Profile"), left_in(REGION, tenant_mark=MARK)) == ([], [], [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"profile": "Counter POS"}, "a till stays called 'Shop POS'"),
        ({"warehouses": PosWarehouses(main="Back Room", pos="POS Store")}, "a warehouse stays called 'Main Store'"),
        ({"warehouses": PosWarehouses(main="Main Store", pos="Till")}, "a warehouse stays called 'POS Store'"),
    ],
    ids=["till", "main", "pos"],
)
def test_what_sales_name_keeps_its_name(here: Erp, tenant: Tenant, changes: dict[str, Any], said: str) -> None:
    """The evening's closed session stays in ERPNext, and names the till for good: no other could take its place."""
    [entry] = here.docs("POS Opening Entry")
    with here.alone():
        here.site.documents.set("POS Opening Entry", entry["name"], status="Closed")
    tenant.refresh()
    before = [here.docs(kind) for kind in ("Warehouse", "POS Profile")]
    assert tenant.run(**changes) is None
    assert said in str(tenant.failed)
    assert [here.docs(kind) for kind in ("Warehouse", "POS Profile")] == before
    assert tenant.run() == "PROVISIONED", tenant.failed
    assert [status for _, status in sessions(here)].count("Open") == 1


def test_a_pos_store_that_nothing_was_in_gets_another_name_as_the_refusal_says(here: Erp, tenant: Tenant) -> None:
    assert tenant.run(warehouses=PosWarehouses(main="Main Store", pos=None)) == "PROVISIONED", tenant.failed
    assert here.doc("POS Profile", "Shop POS")["warehouse"] == "Main Store - SHOP"
    assert tenant.run(warehouses=PosWarehouses(main="Main Store", pos="Till")) == "PROVISIONED", tenant.failed
    assert here.doc("POS Profile", "Shop POS")["warehouse"] == "Till - SHOP"
    assert "POS Store - SHOP" not in {each["name"] for each in here.docs("Warehouse")}


def test_a_till_without_items_any_more_sells_by_no_list_of_ours(here: Erp, tenant: Tenant) -> None:
    assert here.doc("POS Profile", "Shop POS")["selling_price_list"] == "Shop Selling"
    assert tenant.run(items=()) == "PROVISIONED", tenant.failed
    assert not here.doc("POS Profile", "Shop POS")["selling_price_list"]
    assert "Shop Selling" not in {each["name"] for each in here.docs("Price List")}
    tenant.destroy()
    assert left_in(REGION, tenant_mark=MARK) == []


def test_a_list_that_somebody_else_has_put_there_stays_the_tills(here: Erp, tenant: Tenant) -> None:
    here.put("Price List", price_list_name="By Hand", currency="KES", selling=1, enabled=1)
    with here.alone():
        here.site.documents.set("POS Profile", "Shop POS", selling_price_list="By Hand")
    assert tenant.run(items=()) == "PROVISIONED", tenant.failed
    assert here.doc("POS Profile", "Shop POS")["selling_price_list"] == "By Hand"
    assert "Shop Selling" not in {each["name"] for each in here.docs("Price List")}


def test_a_name_that_differs_in_case_alone_is_the_same_one_to_erpnext(tenant: Tenant) -> None:
    for name, given in (("Walk-in  customer", False), ("WALK-IN CUSTOMER ", True), ("Wálk-in customer", True)):
        made = tenant.state["ErpNextCustomer shop"]
        found = made.provider.diff(made.id, made.outs, {**made.inputs, "key": {"customer_name": name}})
        assert (found.replaces, found.delete_before_replace) == (["key"], given)


# A price list that may be several tenants'


def test_a_price_list_of_another_name_is_whose_it_was_and_its_currency_stays(here: Erp, tenant: Tenant) -> None:
    theirs = here.put("Price List", price_list_name="Group Selling", currency="UGX", selling=1)
    with here.alone():
        # Another tenant's run made it, as the same user.
        here.site.documents.set("Price List", theirs["name"], owner=here.user)
    assert tenant.run(price_list="Group Selling") == "PROVISIONED"
    assert here.doc("Price List", "Group Selling")["currency"] == "UGX"
    tenant.destroy()
    assert here.doc("Price List", "Group Selling")["currency"] == "UGX"


# A company that is another's


def replaced(here: Erp, tenant: Tenant) -> None:
    """All of it was deleted in ERPNext, and somebody made a shop of the same names."""
    for one in reversed(tenant.state.values()):
        with contextlib.suppress(AttributeError):
            one.delete()
    here.put("Company", company_name="Shop", abbr="SHOP", default_currency="KES", country="Kenya")
    here.put("Warehouse", warehouse_name="Main Store", company="Shop")
    books = {"write_off_account": "Write Off - SHOP", "write_off_cost_center": "Main - SHOP", "currency": "KES"}
    cash = [{"mode_of_payment": "Cash", "default": 1}]
    here.put("POS Profile", name="Shop POS", company="Shop", warehouse="Stores - SHOP", **books, payments=cash)
    open_by_hand(here, here.user)


def test_a_company_that_was_replaced_by_anothers_is_not_touched(here: Erp, monkeypatch: pytest.MonkeyPatch) -> None:
    one_store = {"warehouses": PosWarehouses(main="Main Store", pos=None)}
    tenant = Tenant()
    assert tenant.run(**one_store) == "PROVISIONED"
    replaced(here, tenant)
    before = account(here)
    # More than FRESH_SECONDS later.
    monkeypatch.setattr(own_company, "_seen", {})
    # Without a refresh nothing says that its company is gone: a warehouse more is all that there is to do.
    assert tenant.run() == "PARTIAL", tenant.failed
    said = reason(tenant, "ErpNextWarehouse shop-pos-store")
    assert "has another company 'Shop' by now than the one that was made for this tenant" in said
    assert "Rename that one there, then run refresh and up" in said
    assert differing(before, account(here)) == {}
    state = dict(tenant.state)
    tenant.destroy()
    assert differing(before, account(here)) == {}
    tenant.state = state
    tenant.refresh()
    in_it = {key for key in tenant.state if key.startswith(("ErpNextCompany", "ErpNextWarehouse", "ErpNextPos"))}
    assert in_it == {"ErpNextWarehouse shop-pos-store"}, "which never came to be"
    assert tenant.run() is None
    assert "does not bear the mark of tenantry/shop" in str(tenant.failed)
    assert differing(before, account(here)) == {}


@pytest.mark.parametrize("whose", ["name", "abbreviation"])
def test_a_company_that_is_anothers_is_said_and_not_touched(here: Erp, whose: str) -> None:
    with_others(here)
    named = {"company_name": "Shop", "abbr": "SH"} if whose == "name" else {"company_name": "Elsewhere", "abbr": "SHOP"}
    here.put("Company", **named, default_currency="KES", country="Kenya", registration_details="P051234567X")
    tenant, before = Tenant(), account(here)
    for _ in range(2):
        assert tenant.run() is None
        assert ("does not bear the mark" if whose == "name" else "is that of 'Elsewhere'") in str(tenant.failed)
    tenant.destroy()
    assert differing(before, account(here)) == {}


# Two at once


def test_two_runs_of_one_tenant_at_once_make_one(here: Erp) -> None:
    """Which the tenant's lock does not let be; were it broken, as by a process that stops for an hour."""
    with_others(here)
    tenant, before = Tenant(), account(here)
    tenant.run()
    made, kept = account(here), list(tenant.state.values())
    tenant.destroy()
    settings = differing(before, account(here))

    def again(_run: int) -> list[str]:
        return [str(created(one.provider, one.inputs).outs.get("docname", one.id)) for one in kept]

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(again, range(2))
    assert one == other
    assert differing(made, account(here)) == {}
    tenant.state = {str(number): created(each.provider, each.inputs) for number, each in enumerate(kept)}
    tenant.destroy()
    assert differing(before, account(here)) == settings


def test_of_two_tenants_that_want_one_company_at_once_one_gets_it(here: Erp, tenant: Tenant) -> None:
    company = tenant.state["ErpNextCompany shop"]
    tenant.destroy()

    def want(mark: str) -> Any:
        try:
            return created(company.provider, {**company.inputs, "tenant_mark": mark}).outs["mine"]
        except OwnershipError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        came = list(pool.map(want, ("tenantry/one", "tenantry/two")))
    assert len(here.docs("Company")) == 1
    [told] = [each for each in came if each is not True]
    assert "does not bear the mark of tenantry/" in told


# A site that was never set up, and one that does not let us


def test_a_site_that_was_never_set_up_is_left_as_it_is_until_it_was(raw: Erp) -> None:
    tenant, before = Tenant(), raw.state()
    assert tenant.run() is None
    assert "the set-up wizard of ERPNext at" in str(tenant.failed)
    assert "Sign in there once and finish it, then retry." in str(tenant.failed)
    assert (tenant.state, raw.state(), raw.asked("POST", "PUT", "DELETE")) == ({}, before, [])
    raw.site.finish_setup()
    assert tenant.run() == "PROVISIONED", tenant.failed


def test_a_wizard_whose_work_was_deleted_is_no_finished_one(here: Erp) -> None:
    here.delete("Warehouse Type", "Transit")
    tenant, before = Tenant(), account(here)
    assert tenant.run() is None
    assert "finish the wizard, or see what was deleted since, then retry" in str(tenant.failed)
    assert differing(before, account(here)) == {}
    here.put("Warehouse Type", name="Transit")
    assert tenant.run() == "PROVISIONED"


@pytest.mark.parametrize(
    ("doctype", "lacks", "which", "words"),
    [
        ("Selling Settings", "write", "ErpNextSettings shop-selling", "write or submit Selling Settings"),
        ("Price List", "create", "ErpNextPriceList shop", "create Price List"),
        ("POS Opening Entry", "submit", SESSION, "write or submit POS Opening Entry"),
        ("User", "create", "ErpNextUser shop", "create User"),
    ],
)
def test_a_right_that_lacks_is_named_and_once_given_it_is_whole(
    here: Erp, doctype: str, lacks: str, which: str, words: str
) -> None:
    rights = {"*": EVERYTHING, doctype: EVERYTHING.replace(lacks, "")}
    here.site.add_user(here.user, rights, key=KEY, secret=SECRET)
    tenant = Tenant()
    assert tenant.run() == "PARTIAL"
    said = f"does not let the user of {VARIABLES[0]} {words}. Give that user a role with that right"
    assert said in reason(tenant, which)
    here.site.add_user(here.user, {"*": EVERYTHING}, key=KEY, secret=SECRET)
    assert tenant.run() == "PROVISIONED"
    assert sessions(here) == [(CASHIER, "Open")]


# What is left


def test_what_others_have_come_to_use_stays_without_a_word_of_the_tenant(here: Erp, tenant: Tenant) -> None:
    here.put("Company", company_name="Other", abbr="OT", default_currency="KES", country="Kenya")
    here.put("Warehouse", warehouse_name="Theirs", company="Other", customer="Walk-In Customer")
    tenant.destroy()
    [customer] = here.docs("Customer")
    assert not customer["customer_details"]
    assert left_in(REGION, tenant_mark=MARK) == []


def test_what_bears_the_mark_and_is_left_is_named(here: Erp, tenant: Tenant) -> None:
    prices = [each["name"] for each in here.docs("Item Price")]
    assert left_in(REGION, tenant_mark=MARK) == [
        "company 'Shop' in ERPNext of region here",
        "customer 'Walk-In Customer' in ERPNext of region here",
        f"item price {prices[0]!r} in ERPNext of region here",
        f"user {CASHIER!r} in ERPNext of region here",
    ]
    here.site.add_user(here.user, {"*": EVERYTHING, "User": ""}, key=KEY, secret=SECRET)
    assert len(left_in(REGION, tenant_mark=MARK)) == 3
    here.site.add_user(here.user, {"*": EVERYTHING}, key=KEY, secret=SECRET)
    tenant.destroy()
    assert left_in(REGION, tenant_mark=MARK) == []

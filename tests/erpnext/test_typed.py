"""What a point of sale is made of, by a program as a component writes it: from nothing to an open session, back."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pulumi.runtime import rpc

from providers.erpnext.charts import ChartOfAccounts, ChartOfAccountsProvider, choose
from providers.erpnext.company import Company, CompanyProvider
from providers.erpnext.errors import (
    ErpNextError,
    LinkedError,
    ProfileMissingError,
    SessionOpenError,
    WizardUnfinishedError,
)
from providers.erpnext.health import EngineCheck
from providers.erpnext.selling import Customer, ModeOfPayment, PosProfile, PosProfileProvider
from providers.erpnext.session import PosSession, opening
from providers.erpnext.settings import Settings, SettingsProvider
from providers.erpnext.stock import Item, ItemPrice, PriceList, Warehouse, suffixed
from providers.errors import ConfigurationError, NotReadyError, OwnershipError
from sandbox.erpnext.faults import Kind
from tests.erpnext.running import MARK, REGION, Engine, Erp, created

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
    PosSession("session", **OURS, profile=profile.docname, user=user, time_zone=engine.time_zone, optional=True)


def test_a_point_of_sale_goes_from_nothing_to_an_open_session_and_back(engine: Engine, here: Erp) -> None:
    before = {doctype: [doc["name"] for doc in here.docs(doctype)] for doctype in ("Item", "Customer", "Price List")}
    engine.up(shop)
    [session] = here.docs("POS Opening Entry")
    assert (session["status"], session["docstatus"], session["pos_profile"]) == ("Open", 1, "Shop Till")
    assert session["user"] == here.user
    [profile] = here.docs("POS Profile")
    assert (profile["warehouse"], profile["customer"]) == ("Main Store - SH", "Walk-In Customer")
    [price] = here.docs("Item Price")
    assert (price["item_code"], price["price_list"], price["price_list_rate"]) == ("SH-TEA", "Shop Prices", 150)
    assert here.doc("Stock Settings", "Stock Settings")["default_warehouse"] == "Main Store - SH"
    assert all(made.outs["ready"] for made in engine.made.values())
    engine.destroy()
    for doctype in ("POS Opening Entry", "POS Profile", "Warehouse", "Company", "Account", "Item Price"):
        assert here.docs(doctype) == [], doctype
    assert {doctype: [doc["name"] for doc in here.docs(doctype)] for doctype in before} == before
    assert here.doc("Mode of Payment", "Cash")["accounts"] == []
    assert here.doc("Stock Settings", "Stock Settings")["default_warehouse"] is None


def test_a_second_time_all_is_adopted_and_nothing_is_written(engine: Engine, here: Erp) -> None:
    engine.up(shop)
    first = {name: made.outs["docname"] for name, made in engine.made.items() if "docname" in made.outs}
    state, asked = here.state(), len(here.asked("POST", "PUT", "DELETE"))
    engine.made.clear()
    engine.up(shop)
    assert {name: made.outs["docname"] for name, made in engine.made.items() if "docname" in made.outs} == first
    assert here.state() == state
    assert len(here.asked("POST", "PUT", "DELETE")) == asked


def test_it_takes_few_requests(engine: Engine, here: Erp) -> None:
    engine.up(shop)
    # Those of the stand-in's own refresh of each resource come on top of what a run sends.
    assert len(here.asked()) <= 60


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_each_step_bears_a_lost_answer(engine: Engine, here: Erp, method: str, after: bool) -> None:
    for doctype in ("Company", "Warehouse", "Settings", "Item", "POS Profile", "POS Opening Entry", "Mode of Payment"):
        # Where a request that never came makes no second one: the others are tried in test_document.
        if after or doctype not in {"POS Opening Entry", "Item"}:
            here.fault(Kind.DROP, method=method, where=doctype, after=after, times=1)
    engine.up(shop)
    assert all(made.outs["ready"] for made in engine.made.values()), {
        n: m.outs.get("reason") for n, m in engine.made.items()
    }
    for doctype in ("Company", "Item", "POS Profile", "POS Opening Entry", "Customer"):
        assert len(here.docs(doctype)) == 1, doctype


def test_the_chart_falls_back_and_says_so(engine: Engine, here: Erp) -> None:
    engine.up(company)
    outs = engine.made["company"].outs
    assert outs["chart_of_accounts"] == "Standard"
    assert outs["chart_note"] == "the site offers no chart 'Kenya' for Kenya: 'Standard' is used"


def test_a_chart_that_the_site_offers_is_taken_without_a_word(engine: Engine, here: Erp) -> None:
    here.site.switch(charts={"Kenya": ["Kenya - Chart of Accounts"]})
    engine.up(company)
    outs = engine.made["company"].outs
    assert (outs["chart_of_accounts"], outs["chart_note"]) == ("Kenya - Chart of Accounts", "")


@pytest.mark.parametrize(
    ("wish", "offer", "name", "said"),
    [
        ("Standard", ["Standard with Numbers", "Standard"], "Standard", False),
        ("Standard with Numbers", ["Standard", "Standard with Numbers"], "Standard with Numbers", False),
        ("Standard", ["Standard with Numbers"], "Standard with Numbers", True),
        ("Uganda", ["uganda - full", "Standard"], "uganda - full", False),
        ("Kenya", ["Kenya A", "Kenya B", "Standard"], "Standard", True),
    ],
)
def test_which_chart_is_chosen(wish: str, offer: list[str], name: str, said: bool) -> None:
    chart = choose(wish, offer, country="X")
    assert (chart.name, bool(chart.note)) == (name, said)


def test_a_site_that_offers_nothing_to_fall_back_on_is_told_so() -> None:
    with pytest.raises(ConfigurationError, match=r"'Kenya'.*offers for Kenya: SKR03, SKR04\. Choose one"):
        choose("Kenya", ["SKR03", "SKR04"], country="Kenya")


def test_too_few_accounts_are_no_chart(engine: Engine, here: Erp) -> None:
    engine.up(company)
    with here.alone():
        for account in here.docs("Account", is_group=0)[4:]:
            here.site.records.delete("Account", account["name"])
    with pytest.raises(NotReadyError, match="has 4 accounts, and 5 are the least"):
        created(ChartOfAccountsProvider(), {"region": REGION, "company": "Shop", "ready": True})


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


def test_an_abbreviation_that_another_has_names_them(here: Erp) -> None:
    here.put("Company", company_name="Other", abbr="SH", default_currency="KES", country="Kenya")
    with pytest.raises(OwnershipError, match="abbreviation 'SH' is that of 'Other'"):
        created(CompanyProvider(), company_inputs())


def test_what_a_company_is_called_and_counts_in_stays(here: Erp) -> None:
    olds = company_inputs()
    news = company_inputs(key={"company_name": "Store"}, initial={"abbr": "ST"}, fields={"default_currency": "UGX"})
    failures = CompanyProvider().check(olds, news).failures
    assert [each.property for each in failures] == ["company_name", "abbr", "default_currency"]
    assert CompanyProvider().check(olds, company_inputs()).failures == []


def test_a_company_on_a_site_without_its_wizard_says_what_to_do(raw: Erp) -> None:
    with pytest.raises(WizardUnfinishedError, match=r"Warehouse Type: Transit.*finish the wizard"):
        created(CompanyProvider(), company_inputs())
    assert raw.docs("Company") == []
    raw.site.finish_setup()
    assert created(CompanyProvider(), company_inputs()).outs["mine"] is True


def test_a_company_that_takes_longer_than_is_waited_for_is_made_once(
    here: Erp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CompanyProvider, "seconds", 0.05)
    monkeypatch.setattr("providers.http.WAITS", (0.2, 0.4, 0.8))
    here.fault(Kind.LATENCY, method="POST", where="Company", seconds=0.2, times=1)
    made = created(CompanyProvider(), company_inputs())
    assert (made.outs["mine"], len(here.docs("Company"))) == (True, 1)


def test_a_company_with_a_ledger_is_not_deleted(here: Erp) -> None:
    made = created(CompanyProvider(), company_inputs())
    account = here.docs("Account", company="Shop", is_group=0)[0]["name"]
    here.put("GL Entry", company="Shop", account=account, debit=5)
    before = here.state()
    with pytest.raises(LinkedError, match="Transaction Deletion Record"):
        made.delete()
    assert here.state() == before


def test_settings_are_written_only_where_they_differ_and_stay(here: Erp) -> None:
    inputs = {**OURS, "doctype": "Selling Settings", "key": {}, "whose": "single", "named": "Selling Settings"}
    inputs |= {"fields": {"so_required": "No", "territory": "All Territories"}, "ready": True}
    made = created(SettingsProvider(), inputs)
    assert len(here.asked("PUT")) == 1
    assert here.doc("Selling Settings", "Selling Settings")["cust_master_name"] == "Customer Name"
    created(SettingsProvider(), inputs)
    assert len(here.asked("PUT")) == 1
    here.change("Selling Settings", "Selling Settings", so_required="Yes", dn_required="Yes")
    assert made.refresh()
    assert made.outs["fields"]["so_required"] == "Yes"
    assert made.up()
    found = here.doc("Selling Settings", "Selling Settings")
    assert (found["so_required"], found["dn_required"]) == ("No", "Yes")
    made.delete()
    assert here.doc("Selling Settings", "Selling Settings")["so_required"] == "No"


def test_what_is_let_go_is_among_what_is_set() -> None:
    base: Mapping[str, Any] = {**OURS, "doctype": "Stock Settings", "whose": "single", "release": ["default_warehouse"]}
    failures = SettingsProvider().check({}, {**base, "fields": {"allow_negative_stock": 1}}).failures
    assert [each.property for each in failures] == ["release"]
    # Of a preview, the warehouse is not known yet, and with it all that is set.
    assert SettingsProvider().check({}, {**base, "fields": rpc.UNKNOWN}).failures == []
    assert CompanyProvider().check(company_inputs(), company_inputs(fields=rpc.UNKNOWN)).failures == []


def test_a_setting_that_somebody_pointed_elsewhere_is_not_let_go(engine: Engine, here: Erp) -> None:
    engine.up(shop)
    here.change("Stock Settings", "Stock Settings", default_warehouse="Stores - SH")
    engine.made["stock"].delete()
    assert here.doc("Stock Settings", "Stock Settings")["default_warehouse"] == "Stores - SH"


def test_one_session_is_open_for_a_profile(engine: Engine, here: Erp) -> None:
    here.site.switch(newer=False)
    engine.up(shop)
    made = engine.made["session"]
    again = created(made.provider, made.inputs)
    assert again.outs["docname"] == made.outs["docname"]
    assert len(here.docs("POS Opening Entry")) == 1


@pytest.mark.parametrize("newer", [False, True], ids=["older", "newer"])
def test_two_that_open_a_session_at_once_open_one(engine: Engine, here: Erp, newer: bool) -> None:
    here.site.switch(newer=newer)
    engine.up(shop)
    session = engine.made["session"]
    session.delete()
    here.fault(Kind.LATENCY, method="GET", seconds=0.02)
    inputs = {**session.inputs, "optional": False}
    with ThreadPoolExecutor(4) as pool:
        names = {made.outs["docname"] for made in pool.map(lambda _: created(session.provider, inputs), range(4))}
    assert names == {doc["name"] for doc in here.docs("POS Opening Entry")}
    assert [doc["status"] for doc in here.docs("POS Opening Entry")] == ["Open"]


def test_a_session_that_a_cashier_opened_is_adopted(engine: Engine, here: Erp) -> None:
    engine.up(shop)
    session = engine.made["session"]
    session.delete()
    entry = {"period_start_date": "2026-01-01 08:00:00", "posting_date": "2026-01-01", "company": "Shop"}
    theirs = here.put(
        "POS Opening Entry",
        **entry,
        pos_profile="Shop Till",
        user=here.user,
        balance_details=[{"mode_of_payment": "Cash", "opening_amount": 70}],
        docstatus=1,
    )
    again = created(session.provider, session.inputs)
    assert again.outs["docname"] == theirs["name"]
    assert len(here.docs("POS Opening Entry")) == 1


def test_a_session_that_was_closed_is_followed_by_another(engine: Engine, here: Erp) -> None:
    engine.up(shop)
    session = engine.made["session"]
    with here.alone():
        here.site.documents.set("POS Opening Entry", session.outs["docname"], status="Closed")
    assert not session.refresh()
    again = created(session.provider, session.inputs)
    assert again.outs["docname"] != session.outs["docname"]
    again.delete()
    assert [doc["status"] for doc in here.docs("POS Opening Entry")] == ["Closed"]


def test_a_session_without_its_profile_is_an_error_of_its_own(engine: Engine, here: Erp) -> None:
    engine.up(shop)
    session = engine.made["session"]
    inputs = {**session.inputs, "key": {"pos_profile": "Nowhere"}, "optional": False}
    with pytest.raises(ProfileMissingError, match="no POS profile 'Nowhere'"):
        created(session.provider, inputs)


def test_a_user_whose_session_is_open_elsewhere_is_told_where(engine: Engine, here: Erp) -> None:
    engine.up(shop)
    profile, session = engine.made["profile"], engine.made["session"]
    created(profile.provider, {**profile.inputs, "named": "Second Till"})
    inputs = {**session.inputs, "key": {"pos_profile": "Second Till"}, "optional": False}
    with pytest.raises(SessionOpenError, match=rf"{here.user} has a session open already, POS-OPE-.* at 'Shop Till'"):
        created(session.provider, inputs)


def test_a_session_with_invoices_is_not_taken_away(engine: Engine, here: Erp) -> None:
    engine.up(shop)
    session = engine.made["session"]
    invoice = here.put("POS Invoice", customer="Walk-In Customer", company="Shop", pos_profile="Shop Till", docstatus=1)
    with here.alone():
        here.site.documents.set("POS Invoice", invoice["name"], owner=here.user)
    with pytest.raises(ErpNextError, match="unconsolidated Invoices"):
        session.delete()
    assert [doc["docstatus"] for doc in here.docs("POS Opening Entry")] == [1]


def test_drift_of_a_profile_is_by_the_fields_that_are_ours(engine: Engine, here: Erp) -> None:
    engine.up(shop)
    profile = engine.made["profile"]
    here.put("Customer", customer_name="VIP")
    here.change("POS Profile", "Shop Till", customer="VIP", write_off_limit=5.0)
    assert profile.refresh()
    assert profile.outs["fields"]["customer"] == "VIP"
    assert profile.up()
    found = here.doc("POS Profile", "Shop Till")
    assert (found["customer"], found["write_off_limit"]) == ("Walk-In Customer", 5.0)


def test_a_profile_has_one_default_payment() -> None:
    rows = [{"mode_of_payment": "Cash", "default": 1}, {"mode_of_payment": "Card", "default": 1}]
    base: Mapping[str, Any] = {**OURS, "doctype": "POS Profile", "whose": "company", "key": {"company": "Shop"}}
    failures = PosProfileProvider().check({}, {**base, "fields": {"payments": rows}}).failures
    assert [each.reason for each in failures] == ["one of a profile's payments is the default, and 2 of these 2 are"]
    assert PosProfileProvider().check({}, {**base, "fields": {"payments": rows[:1]}}).failures == []


def test_what_an_opening_entry_says() -> None:
    profile = {
        "company": "Shop",
        "owner": "a@b",
        "payments": [{"mode_of_payment": "Cash"}, {"mode_of_payment": "Card"}],
    }
    now = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)
    assert opening(profile, user=None, now=now) == {
        "period_start_date": "2026-03-04 05:06:07",
        "posting_date": "2026-03-04",
        "company": "Shop",
        "user": "a@b",
        "balance_details": [
            {"mode_of_payment": "Cash", "opening_amount": 0},
            {"mode_of_payment": "Card", "opening_amount": 0},
        ],
    }
    assert opening(profile, user="c@d", now=now)["user"] == "c@d"


@pytest.mark.parametrize(
    ("given", "wanted"), [("Main", "Main - SH"), ("Main - SH", "Main - SH"), ("Main SH", "Main SH - SH")]
)
def test_the_suffix_of_a_company_is_not_doubled(given: str, wanted: str) -> None:
    assert suffixed(given, "SH") == wanted


def test_a_sessions_time_is_the_sites(engine: Engine, here: Erp) -> None:
    here.change("System Settings", "System Settings", time_zone="Pacific/Kiritimati")  # 14 hours ahead of UTC
    engine.up(shop)
    [entry] = here.docs("POS Opening Entry")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", entry["period_start_date"])
    opened = datetime.datetime.fromisoformat(entry["period_start_date"]).replace(tzinfo=datetime.UTC)
    ahead = opened - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(hours=13) < ahead < datetime.timedelta(hours=15)

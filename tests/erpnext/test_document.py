"""One document's life: made, adopted, kept, left alone where it is another's, looked for where an answer was lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from providers.erpnext.document import DocumentProvider
from providers.erpnext.errors import ErpNextError, LinkedError
from providers.errors import BudgetError, ConfigurationError, OwnershipError, ProviderError, UnreachableError
from sandbox.erpnext.faults import Kind
from tests.erpnext.running import MARK, REGION, Erp, Made, Recipe, created, name_region

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


@pytest.fixture
def company(here: Erp) -> Made:
    return make(COMPANY)


def test_a_document_is_made_once_and_a_second_run_changes_nothing(here: Erp) -> None:
    made = make(COMPANY)
    assert (made.id, made.outs["docname"], made.outs["mine"], made.outs["ready"]) == (
        "Company/Shop",
        "Shop",
        True,
        True,
    )
    assert here.doc("Company", "Shop")["registration_details"] == f"Managed by Tenantry ({MARK})"
    before = here.state()
    assert not made.up()
    assert made.refresh()
    assert not made.up()
    again = make(COMPANY)
    assert again.outs == made.outs
    assert here.state() == before
    assert len(here.asked("POST")) == 1


def test_one_that_bears_our_mark_is_adopted_and_brought_up(here: Erp) -> None:
    here.put(
        "Company",
        company_name="Shop",
        abbr="SH",
        default_currency="KES",
        country="Uganda",
        registration_details=f"<p>PIN 5 &amp; Managed by Tenantry ({MARK})</p>",
    )
    made = make(COMPANY)
    assert made.outs["mine"] is True
    assert (here.doc("Company", "Shop")["country"], len(here.docs("Company"))) == ("Kenya", 1)


@pytest.mark.parametrize("words", [None, "Managed by Tenantry (tenantry/shop2)", "tenantry/shop"])
def test_one_that_is_anothers_is_refused_and_not_touched(here: Erp, words: str | None) -> None:
    fields = {"company_name": "Shop", "abbr": "SH", "default_currency": "KES", "country": "Uganda"}
    here.put("Company", **fields, registration_details=words)
    before = here.state()
    with pytest.raises(OwnershipError, match=rf"Company 'Shop'.*mark of {MARK}.*registration_details"):
        make(COMPANY)
    assert here.state() == before


def test_a_name_that_another_company_has_is_refused(here: Erp, company: Made) -> None:
    here.put("Company", company_name="Other", abbr="OT", default_currency="KES", country="Kenya")
    here.put("Warehouse", warehouse_name="Main Store - SH", company="Other")
    before = here.state()
    with pytest.raises(OwnershipError, match="company 'Other', which is not ours"):
        make(WAREHOUSE, named="Main Store - SH - OT")
    assert here.state() == before


def test_what_is_in_our_company_is_adopted(here: Erp, company: Made) -> None:
    here.put("Warehouse", warehouse_name="Main Store", company="Shop")
    made = make(WAREHOUSE)
    assert (made.outs["mine"], len(here.docs("Warehouse", warehouse_name="Main Store"))) == (True, 1)


def test_a_field_that_we_own_is_kept_and_another_is_not(here: Erp, company: Made) -> None:
    here.change("Company", "Shop", country="Uganda", phone_no="0700", registration_details="PIN 7")
    assert company.refresh()
    assert company.outs["fields"] == {"default_currency": "KES", "country": "Uganda"}
    assert company.up()
    found = here.doc("Company", "Shop")
    assert (found["country"], found["phone_no"], found["registration_details"]) == ("Kenya", "0700", "PIN 7")
    assert company.refresh()
    assert not company.up()


def test_one_that_has_gone_is_made_again(here: Erp, company: Made) -> None:
    store = make(WAREHOUSE)
    here.delete("Warehouse", "Main Store - SH")
    assert not store.refresh()
    assert make(WAREHOUSE).outs["docname"] == "Main Store - SH"


def test_an_update_of_one_that_has_gone_makes_it_again(here: Erp, company: Made) -> None:
    store = make(WAREHOUSE)
    here.delete("Warehouse", "Main Store - SH")
    store.inputs = {**store.inputs, "fields": {"disabled": 1}}
    assert store.up()
    assert here.doc("Warehouse", "Main Store - SH")["disabled"] == 1


def test_one_that_somebody_made_anew_under_our_name_is_not_ours(here: Erp, company: Made) -> None:
    here.delete("Company", "Shop")
    here.put("Company", company_name="Shop", abbr="SH", default_currency="KES", country="Kenya")
    assert not company.refresh()
    before = here.state()
    company.delete()
    assert here.state() == before


@pytest.mark.parametrize("recipe", [COMPANY, CUSTOMER], ids=["named", "unnamed"])
@pytest.mark.parametrize("fault", [{"kind": Kind.DROP}, {"kind": Kind.ERROR, "status": 504}], ids=["drop", "504"])
def test_a_lost_answer_makes_one_and_it_is_ours(here: Erp, recipe: Recipe, fault: dict[str, Any]) -> None:
    here.fault(method="POST", after=True, times=1, **fault)
    made = make(recipe)
    assert (made.outs["mine"], made.outs["ready"]) == (True, True)
    assert len(here.docs(recipe.doctype)) == 1
    assert len(here.asked("POST")) == 1


def test_a_request_that_never_arrived_is_sent_again_where_its_name_protects(here: Erp) -> None:
    here.fault(Kind.DROP, method="POST", times=1)
    assert make(COMPANY).outs["mine"] is True
    assert len(here.asked("POST")) == 2


def test_a_request_that_never_arrived_is_not_sent_again_where_a_second_would_be_made(here: Erp) -> None:
    here.fault(Kind.DROP, method="POST", times=1)
    with pytest.raises(UnreachableError, match="Customer 'Walk-In Customer'"):
        make(CUSTOMER)
    assert len(here.asked("POST")) == 1
    assert make(CUSTOMER).outs["docname"] == "Walk-In Customer"
    assert len(here.docs("Customer")) == 1


def test_an_answer_that_is_lost_while_the_site_goes_on_working_is_waited_for(
    here: Erp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.http.WAITS", (0.05, 0.1, 0.2))
    made_later = threading.Timer(0.08, lambda: here.put("Customer", customer_name="Walk-In Customer"))
    here.fault(Kind.DROP, method="POST", times=1)
    made_later.start()
    made = make(CUSTOMER)
    made_later.join()
    assert (made.outs["docname"], len(here.docs("Customer"))) == ("Walk-In Customer", 1)


@pytest.mark.parametrize("recipe", [COMPANY, CUSTOMER], ids=["named", "unnamed"])
def test_many_at_once_make_one(here: Erp, recipe: Recipe) -> None:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(make(recipe).outs["docname"])
        except Exception as error:  # noqa: BLE001 - asserted below
            results.append(error)

    here.fault(Kind.LATENCY, method="GET", seconds=0.02)
    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1, results
    assert [doc["name"] for doc in here.docs(recipe.doctype)] == [results[0]]


def test_many_tenants_that_share_a_document_keep_all_their_rows(here: Erp) -> None:
    for number in range(6):
        fields = {"company_name": f"C{number}", "abbr": f"A{number}", "default_currency": "KES", "country": "Kenya"}
        here.put("Company", **fields)
    here.put("Mode of Payment", mode_of_payment="Till", type="General")
    failed: list[Exception] = []

    def run(number: int) -> None:
        rows = [{"company": f"C{number}", "default_account": f"Cash - A{number}"}]
        try:
            make(CASH, fields={"accounts": rows}, tenant_mark=f"tenantry/{number}")
        except Exception as error:  # noqa: BLE001 - asserted below
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(row["company"] for row in here.doc("Mode of Payment", "Till")["accounts"]) == [
        f"C{number}" for number in range(6)
    ]


def test_a_shared_one_that_is_there_is_used_and_not_changed(here: Erp) -> None:
    here.put("Customer", customer_name="Walk-In Customer", disabled=1)
    before = here.state()
    made = make(CUSTOMER)
    assert (made.outs["docname"], made.outs["mine"]) == ("Walk-In Customer", False)
    assert made.refresh()
    assert not made.up()
    made.delete()
    assert here.state() == before


def test_a_shared_one_that_we_made_goes_unless_others_use_it(here: Erp, company: Made) -> None:
    made = make(CUSTOMER)
    fields = {"customer": "Walk-In Customer", "company": "Shop", "warehouse_name": "Theirs"}
    here.put("Warehouse", **fields)
    made.delete()
    assert len(here.docs("Customer")) == 1
    here.delete("Warehouse", "Theirs - SH")
    made.delete()
    assert here.docs("Customer") == []


def test_only_our_rows_go_from_a_document_that_others_have_rows_in(here: Erp, company: Made) -> None:
    here.put("Company", company_name="Other", abbr="OT", default_currency="KES", country="Kenya")
    made = make(CASH)
    rows = here.doc("Mode of Payment", "Till")["accounts"]
    here.change("Mode of Payment", "Till", accounts=[*rows, {"company": "Other", "default_account": "Cash - OT"}])
    assert made.refresh()
    assert not made.up()
    made.delete()
    assert [row["company"] for row in here.doc("Mode of Payment", "Till")["accounts"]] == ["Other"]


def test_our_row_that_somebody_took_out_is_put_back_and_others_stay(here: Erp, company: Made) -> None:
    here.put("Company", company_name="Other", abbr="OT", default_currency="KES", country="Kenya")
    here.put(
        "Mode of Payment",
        mode_of_payment="Till",
        type="Bank",
        accounts=[{"company": "Other", "default_account": "Cash - OT"}],
    )
    theirs = here.doc("Mode of Payment", "Till")["accounts"][0]["name"]
    made = make(CASH)
    assert made.outs["mine"] is False
    here.change(
        "Mode of Payment", "Till", accounts=[{"name": theirs, "company": "Other", "default_account": "Cash - OT"}]
    )
    assert made.refresh()
    assert made.up()
    found = here.doc("Mode of Payment", "Till")
    assert [(row["company"], row["default_account"]) for row in found["accounts"]] == [
        ("Other", "Cash - OT"),
        ("Shop", "Cash - SH"),
    ]
    assert (found["accounts"][0]["name"], found["type"]) == (theirs, "Bank")
    made.delete()
    assert [row["company"] for row in here.doc("Mode of Payment", "Till")["accounts"]] == ["Other"]


def test_a_removal_of_what_is_gone_succeeds(here: Erp, company: Made) -> None:
    company.delete()
    company.delete()
    assert here.docs("Company") == []


def test_a_removal_that_others_links_stop_says_who_they_are(here: Erp, company: Made) -> None:
    make(CASH)
    row = {"mode_of_payment": "Till", "default": 1}
    store = make(WAREHOUSE)
    here.put(
        "POS Profile",
        name="Theirs",
        company="Shop",
        currency="KES",
        warehouse="Main Store - SH",
        write_off_account="Write Off - SH",
        write_off_cost_center="Main - SH",
        payments=[row],
    )
    with pytest.raises(
        LinkedError, match=r"Warehouse 'Main Store - SH'.*Delete or cancel those first.*POS Profile Theirs"
    ):
        store.delete()
    assert here.doc("Warehouse", "Main Store - SH")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_removal_whose_answer_is_lost_is_done(here: Erp, company: Made, after: bool) -> None:
    here.fault(Kind.DROP, method="DELETE", after=after, times=1)
    company.delete()
    assert here.docs("Company") == []


def test_offline_before_is_one_clear_error_and_changes_nothing(here: Erp) -> None:
    here.stop()
    with pytest.raises(UnreachableError, match=r"Company 'Shop': ERPNext at .* does not answer"):
        make(COMPANY)
    assert here.docs("Company") == []


def test_offline_during_leaves_one_and_the_next_up_goes_on(here: Erp) -> None:
    # Its answer is lost, and nothing is answered any more after it.
    here.fault(Kind.DROP, method="POST", after=True)
    here.fault(Kind.DROP, method="GET", skip=1)
    with pytest.raises(UnreachableError):
        make(COMPANY)
    here.site.faults.heal()
    assert len(here.docs("Company")) == 1
    made = make(COMPANY)
    assert (made.outs["mine"], len(here.docs("Company"))) == (True, 1)


def test_offline_after_neither_refreshes_nor_removes_and_says_so(here: Erp, company: Made) -> None:
    here.stop()
    with pytest.raises(UnreachableError):
        company.refresh()
    with pytest.raises(UnreachableError):
        company.delete()


def test_an_optional_one_never_fails_and_is_tried_again(here: Erp, company: Made) -> None:
    here.fault(Kind.MAINTENANCE, where="Warehouse")
    store = make(WAREHOUSE, optional=True)
    assert store.outs["ready"] is False
    assert "is stopped for maintenance" in store.outs["reason"]
    assert store.refresh()
    assert store.up()
    assert store.outs["ready"] is False
    here.site.faults.heal()
    assert store.up()
    assert (store.outs["ready"], store.outs["reason"], store.outs["docname"]) == (True, "", "Main Store - SH")
    assert not store.up()
    store.delete()
    assert here.docs("Warehouse", warehouse_name="Main Store") == []


def test_an_optional_one_that_is_anothers_is_not_ready_and_not_touched(here: Erp) -> None:
    here.put("Company", company_name="Shop", abbr="SH", default_currency="KES", country="Kenya")
    before = here.state()
    made = make(COMPANY, optional=True)
    assert made.outs["ready"] is False
    assert "does not bear the mark" in made.outs["reason"]
    made.delete()
    assert here.state() == before


def test_an_optional_ones_removal_fails_where_it_cannot_be_done(here: Erp, company: Made) -> None:
    store = make(WAREHOUSE, optional=True)
    here.stop()
    with pytest.raises(UnreachableError):
        store.delete()


def test_an_update_that_fails_leaves_an_optional_one_known(here: Erp, company: Made) -> None:
    store = make(WAREHOUSE, optional=True)
    store.inputs = {**store.inputs, "fields": {"disabled": 1}}
    here.fault(Kind.ERROR, method="PUT", status=503)
    assert store.up()
    assert (store.outs["ready"], store.outs["docname"]) == (False, "Main Store - SH")
    here.site.faults.heal()
    assert store.up()
    assert here.doc("Warehouse", "Main Store - SH")["disabled"] == 1


def test_a_change_that_somebody_else_was_faster_with_is_made_anew(here: Erp, company: Made) -> None:
    here.change("Company", "Shop", country="Uganda")
    # The change is carried out and its answer lost: sent again, it is a stale one.
    here.fault(Kind.DROP, method="PUT", after=True, times=1)
    assert company.refresh()
    assert company.up()
    assert here.doc("Company", "Shop")["country"] == "Kenya"


def test_a_document_that_counts_once_it_is_submitted(here: Erp, company: Made) -> None:
    entry = Recipe(
        doctype="Stock Entry",
        whose="company",
        key={"company": "Shop", "remarks": "opening"},
        more={
            "submit": True,
            "docstatus": 1,
            "fields": {"stock_entry_type": "Material Receipt", "items": [item(here)]},
        },
    )
    # The draft is made and the run ends there.
    here.fault(Kind.ERROR, method="PUT", status=503)
    with pytest.raises(ProviderError):
        make(entry)
    assert [doc["docstatus"] for doc in here.docs("Stock Entry")] == [0]
    here.site.faults.heal()
    # Submitted, and its answer lost.
    here.fault(Kind.DROP, method="PUT", after=True, times=1)
    made = make(entry)
    assert [doc["docstatus"] for doc in here.docs("Stock Entry")] == [1]
    assert made.refresh()
    assert not made.up()
    wanted = {**made.inputs["fields"], "stock_entry_type": "Other"}
    assert made.provider.diff(made.id, made.outs, {**made.inputs, "fields": wanted}).replaces == ["fields"]
    # Somebody cancels it: it counts no more, and another is made.
    here.change("Stock Entry", made.outs["docname"], docstatus=2)
    assert not made.refresh()
    again = make(entry)
    assert again.outs["docname"] != made.outs["docname"]
    # Cancelled ones block what they link to: they go as well.
    again.delete()
    assert here.docs("Stock Entry") == []


def item(here: Erp) -> dict[str, Any]:
    here.put("Item", item_code="TEA", item_group="Products", stock_uom="Nos")
    return {"item_code": "TEA", "qty": 5, "t_warehouse": "Stores - SH", "basic_rate": 10}


def test_a_run_that_may_send_no_more_says_so(here: Erp, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    name_region(monkeypatch, tmp_path, here.url, requestsPerRun=1)
    with pytest.raises(BudgetError, match="Company 'Shop': this run has sent 1 requests"):
        make(COMPANY)


def test_a_document_on_the_site_of_before_is_neither_gone_nor_made_anew(
    here: Erp, company: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    other = Erp()
    try:
        name_region(monkeypatch, tmp_path, other.url)
        for act in (company.refresh, company.delete):
            with pytest.raises(ConfigurationError, match=rf"Company 'Shop': it is at {here.url}.*erpnext.url back"):
                act()
        assert other.docs("Company") == []
    finally:
        other.stop()


def test_an_answer_that_refuses_is_not_taken_for_a_lost_one(here: Erp) -> None:
    with pytest.raises(ErpNextError, match="Could not find Customer Group: Nobody"):
        make(CUSTOMER, fields={"customer_group": "Nobody"})
    assert len(here.asked("POST")) == 1


def test_one_that_waits_for_an_optional_one_finds_nothing_else_meanwhile(here: Erp) -> None:
    here.put("Item", item_code="THEIRS", item_group="Products", stock_uom="Nos")
    here.put("Item Price", item_code="THEIRS", price_list="Standard Selling", uom="Nos", price_list_rate=7)
    before = here.state()
    price = Recipe(
        doctype="Item Price",
        whose="shared",
        key={"price_list": "Standard Selling", "uom": "Nos"},
        more={"needs": ["item_code", "price_list", "uom"], "fields": {"price_list_rate": 9}, "optional": True},
    )
    made = make(price)
    assert (made.outs["ready"], made.outs["reason"]) == (
        False,
        "Item Price 'Standard Selling, Nos': it waits for its item_code, which is not ready.",
    )
    wanted = {**made.inputs, "key": {**price.key, "item_code": "OURS"}}
    assert "key" in made.provider.diff(made.id, made.outs, wanted).replaces
    made.delete()
    assert here.state() == before


def test_a_key_is_required() -> None:
    inputs = {**CUSTOMER.inputs(), "key": {}, "region": REGION}
    assert [each.property for each in DocumentProvider().check({}, inputs).failures] == ["key"]

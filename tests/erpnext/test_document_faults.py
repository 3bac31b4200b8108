"""A document's making, change and removal with a site that fails: one document, or none, and a clear error."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from providers.erpnext.errors import ErpNextError
from providers.errors import BudgetError, ConfigurationError, UnreachableError
from sandbox.erpnext.faults import Kind
from tests.erpnext.recipes import CASH, COMPANY, CUSTOMER, WAREHOUSE, make
from tests.erpnext.running import Erp, Made, Recipe, name_region


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


ITEM = Recipe(
    doctype="Item",
    whose="shared",
    key={"item_code": "SH-TEA"},
    more={
        "named": "SH-TEA",
        "initial": {"item_group": "Products", "stock_uom": "Nos"},
        "fields": {"item_defaults": [{"company": "Shop", "default_warehouse": "Stores - SH"}]},
        "tables": {"item_defaults": "company"},
        "apart": True,
        "optional": True,
    },
)


@pytest.mark.parametrize("again", [True, False], ids=["after an up", "at once"])
def test_an_optional_one_that_was_made_unseen_goes_with_the_tenant(here: Erp, company: Made, again: bool) -> None:
    """Nothing in an item says whose it is: that it was asked for, when there was none, has to be remembered."""
    here.fault(Kind.DROP, method="POST", after=True)
    here.fault(Kind.DROP, method="GET", where="/Item/", skip=1)
    item = make(ITEM)
    assert (item.outs["ready"], len(here.docs("Item"))) == (False, 1)
    assert item.refresh()
    here.site.faults.heal()
    if again:
        assert item.up()
        assert (item.outs["ready"], item.outs["mine"]) == (True, True)
        assert not item.up()
    item.delete()
    assert here.docs("Item") == []


def test_an_optional_one_that_somebody_else_made_before_is_not_taken_for_ours(here: Erp, company: Made) -> None:
    here.put("Item", item_code="SH-TEA", item_group="Products", stock_uom="Nos")
    here.fault(Kind.DROP, where="/Item/")
    item = make(ITEM)
    here.site.faults.heal()
    assert item.up()
    item.delete()
    assert [each["name"] for each in here.docs("Item")] == ["SH-TEA"]


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

"""One document's life: made, adopted, kept, left alone where it is another's, submitted, removed."""

from __future__ import annotations

from typing import Any

import pytest

from providers.erpnext.document import DocumentProvider
from providers.erpnext.errors import LinkedError
from providers.errors import OwnershipError, ProviderError
from sandbox.erpnext.faults import Kind
from tests.erpnext.recipes import CASH, COMPANY, CUSTOMER, WAREHOUSE, make
from tests.erpnext.running import MARK, REGION, Erp, Made, Recipe


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


def test_a_key_is_required() -> None:
    inputs = {**CUSTOMER.inputs(), "key": {}, "region": REGION}
    assert [each.property for each in DocumentProvider().check({}, inputs).failures] == ["key"]

"""What is there after a request whose answer was lost: ours only where it proves that, as somebody may be faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from providers import metering
from providers.errors import UnreachableError
from sandbox.erpnext.faults import Kind
from sandbox.http import Answer, Request
from tests.erpnext.recipes import CASH, CUSTOMER, make
from tests.erpnext.running import MARK, Erp, Made, Recipe, name_region

USER = Recipe(
    doctype="User",
    whose="shared",
    key={"email": "ann@shop.invalid"},
    more={"named": "ann@shop.invalid", "initial": {"first_name": "ann"}, "fields": {"enabled": 1}, "mark_field": "bio"},
)
LIST = Recipe(
    doctype="Price List",
    whose="shared",
    key={"price_list_name": "Shop Selling"},
    more={"named": "Shop Selling", "fields": {"currency": "UGX", "selling": 1}, "apart": True, "optional": True},
)
THEIRS = {
    "User": {"email": "ann@shop.invalid", "first_name": "Ann"},
    "Mode of Payment": {"mode_of_payment": "Till", "type": "Bank"},
}


def faster(
    here: Erp, monkeypatch: pytest.MonkeyPatch, doctype: str, fields: Mapping[str, Any], *, arrives: bool, owner: str
) -> None:
    """Somebody makes one a moment before our request for it, whose answer is lost; `arrives`: it is carried out."""
    handle, asked = here.site.handle, []

    def cut(request: Request) -> Answer | None:
        if request.method != "POST" or asked:
            return handle(request)
        asked.append(request)
        made = here.put(doctype, **fields)
        with here.alone():
            here.site.documents.set(doctype, made["name"], owner=owner)
        if arrives:
            handle(request)
        return None

    monkeypatch.setattr(here.site, "handle", cut)


@pytest.mark.parametrize("words", ["Managed by Tenantry (tenantry/other)", None], ids=["a tenant", "a person"])
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "by the next run"])
def test_of_two_of_one_key_the_older_stays_its_makers_and_ours_goes(
    here: Erp, monkeypatch: pytest.MonkeyPatch, words: str | None, at_once: bool
) -> None:
    fields = {"customer_name": "Walk-In Customer", "customer_details": words}
    faster(here, monkeypatch, "Customer", fields, arrives=True, owner=here.user)
    if not at_once:
        here.fault(Kind.DROP, method="GET", skip=1)
        with pytest.raises(UnreachableError):
            make(CUSTOMER)
        here.site.faults.heal()
        assert len(here.docs("Customer")) == 2
    made = make(CUSTOMER)
    assert (made.outs["docname"], made.outs["mine"]) == ("Walk-In Customer", False)
    assert not made.up()
    made.delete()
    assert [(each["name"], each["customer_details"]) for each in here.docs("Customer")] == [("Walk-In Customer", words)]


def test_ours_that_was_made_unseen_goes_though_another_is_older(here: Erp, monkeypatch: pytest.MonkeyPatch) -> None:
    """No run has come to look at it again."""
    faster(here, monkeypatch, "Customer", {"customer_name": "Walk-In Customer"}, arrives=True, owner="Administrator")
    here.fault(Kind.DROP, method="GET", skip=1)
    made = make(CUSTOMER, optional=True)
    here.site.faults.heal()
    made.delete()
    assert [each["name"] for each in here.docs("Customer")] == ["Walk-In Customer"]


@pytest.mark.parametrize("recipe", [USER, CASH], ids=lambda one: one.doctype)
def test_what_a_person_made_when_our_request_did_not_arrive_is_theirs(
    here: Erp, company: Made, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    faster(here, monkeypatch, recipe.doctype, THEIRS[recipe.doctype], arrives=False, owner="Administrator")
    made = make(recipe)
    assert made.outs["mine"] is False
    made.delete()
    assert here.doc(recipe.doctype, made.outs["docname"])["owner"] == "Administrator"


def test_what_another_tenant_made_when_our_request_did_not_arrive_is_theirs(
    here: Erp, company: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.put("Company", company_name="Other", abbr="OT", default_currency="KES", country="Kenya")
    theirs = {**THEIRS["Mode of Payment"], "accounts": [{"company": "Other", "default_account": "Cash - OT"}]}
    faster(here, monkeypatch, "Mode of Payment", theirs, arrives=False, owner=here.user)
    made = make(CASH)
    assert made.outs["mine"] is False
    here.change("Mode of Payment", "Till", accounts=[])
    made.delete()
    assert here.doc("Mode of Payment", "Till")


@pytest.mark.parametrize("recipe", [USER, CASH], ids=lambda one: one.doctype)
def test_what_came_of_our_request_is_ours(here: Erp, company: Made, recipe: Recipe) -> None:
    here.fault(Kind.DROP, method="POST", after=True, times=1)
    made = make(recipe)
    assert made.outs["mine"] is True
    made.delete()
    assert [each for each in here.docs(recipe.doctype) if each["name"] == made.outs["docname"]] == []


@pytest.mark.parametrize("again", [True, False], ids=["after an up", "at once"])
def test_what_a_person_made_after_our_request_was_lost_is_theirs(here: Erp, again: bool) -> None:
    here.fault(Kind.DROP, method="POST")
    here.fault(Kind.DROP, method="GET", skip=1)
    made = make(LIST)
    assert (made.outs["ready"], made.outs["asked"]) == (False, True)
    here.site.faults.heal()
    here.put("Price List", price_list_name="Shop Selling", currency="KES", selling=1)
    if again:
        assert made.up()
        assert (made.outs["ready"], made.outs["mine"]) == (True, False)
    made.delete()
    assert here.doc("Price List", "Shop Selling")["currency"] == "KES"


def test_a_run_that_may_send_no_more_remembers_what_it_has_asked_for(
    here: Erp, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    name_region(monkeypatch, tmp_path, here.url, requestsPerRun=2)
    here.fault(Kind.DROP, method="POST", after=True, times=1)
    made = make(LIST)
    assert (made.outs["ready"], made.outs["asked"]) == (False, True)
    name_region(monkeypatch, tmp_path, here.url)
    monkeypatch.setattr(metering, "_meters", {})
    assert made.up()
    assert (made.outs["ready"], made.outs["mine"], made.outs["tenant_mark"]) == (True, True, MARK)
    made.delete()
    assert here.docs("Price List", name="Shop Selling") == []

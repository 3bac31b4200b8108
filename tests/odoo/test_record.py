"""A record is made once, known by its mark, kept as far as it is ours, and nothing of others is touched."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from providers.errors import BudgetError, ConfigurationError, OwnershipError, UnreachableError
from providers.odoo.errors import InUseError, InvalidError, OdooError
from providers.odoo.record import RecordProvider
from sandbox.faults import Kind
from tests.odoo import recipes
from tests.odoo.recipes import company, company_inputs, customer, product, warehouse
from tests.odoo.running import MARK, OURS, USER, Server, created, name_region

COMPANY_MARK = "tenantry_2fshop_company"


def test_a_record_is_made_with_its_mark_and_a_second_run_adopts_it(here: Server) -> None:
    made = company()
    assert here.marks() == {COMPANY_MARK}
    assert company().outs["record_id"] == made.outs["record_id"] == here.row("res.company", name="Shop")["id"]
    assert len(here.asked("load")) == 1
    assert made.outs["reference"] == f"res.company,{made.outs['record_id']}"


def test_a_company_that_is_not_ours_is_named_and_left_alone(here: Server) -> None:
    theirs = here.put("res.company", name="Shop", annual_inventory_day=7)
    here.change("res.users", here.row("res.users", login=USER)["id"], company_ids=[[6, 0, [1, theirs]]])
    before = here.state()
    words = rf"does not bear the mark of {MARK}.*external identifier tenantry\.{COMPANY_MARK}"
    with pytest.raises(OwnershipError, match=words):
        company()
    assert here.state() == before


def test_a_company_that_we_may_not_see_is_guessed(here: Server) -> None:
    here.put("res.company", name="Shop")
    before = here.rows("res.company")
    with pytest.raises(InvalidError, match=r"company name must be unique! One of that name may be hidden"):
        company()
    assert here.rows("res.company") == before


def test_a_company_of_another_tenant_is_said_to_be(here: Server) -> None:
    company()
    with pytest.raises(OwnershipError, match=r"bears another mark, tenantry\.tenantry_2fshop_company\. Choose another"):
        company(tenant_mark="tenantry/other")


def test_what_is_in_our_company_is_adopted_and_marked(here: Server) -> None:
    owner = company().outs["record_id"]
    theirs = here.put("res.partner", name="Walk-In Customer", company_id=owner, active=False)
    made = customer(owner)
    assert made.outs["record_id"] == theirs
    assert "tenantry_2fshop_customer_walk-in" in here.marks()
    assert here.row("res.partner", id=theirs)["active"] is True
    made.delete()
    assert here.rows("res.partner", id=theirs) == []


def test_a_customer_of_another_company_is_another(here: Server) -> None:
    first = company().outs["record_id"]
    second = company(tenant_mark="tenantry/other", named={"name": "Other"}).outs["record_id"]
    one, other = customer(first), customer(second, tenant_mark="tenantry/other")
    assert one.outs["record_id"] != other.outs["record_id"]


def test_drift_is_by_the_fields_that_are_ours(here: Server) -> None:
    owner = company().outs["record_id"]
    tea = product(owner)
    here.change("product.template", tea.outs["record_id"], list_price=99, default_code="TEA")
    assert tea.refresh()
    assert tea.outs["fields"]["list_price"] == 99
    assert tea.up()
    assert here.row("product.template")["list_price"] == 150.5
    assert not tea.up()


def test_a_link_that_drifted_is_shown_by_its_name(here: Server) -> None:
    made = company()
    uganda = here.row("res.country", code="UG")["id"]
    here.change("res.company", made.outs["record_id"], country_id=uganda)
    assert made.refresh()
    assert made.outs["fields"]["country_id"] == "Uganda"
    assert made.up()
    assert here.row("res.company", name="Shop")["country_code"] == "KE"


def test_what_was_renamed_is_found_by_its_mark(here: Server) -> None:
    owner = company().outs["record_id"]
    made = customer(owner)
    here.change("res.partner", made.outs["record_id"], name="Passers-by")
    assert made.refresh()
    made.delete()
    assert here.rows("res.partner", company_id=owner) == []


def test_what_lost_its_mark_is_known_by_the_state_and_marked_again(here: Server) -> None:
    made = company()
    here.delete("ir.model.data", here.row("ir.model.data", name=COMPANY_MARK)["id"])
    assert made.refresh()
    assert made.up()
    assert here.marks() == {COMPANY_MARK}
    here.delete("ir.model.data", here.row("ir.model.data", name=COMPANY_MARK)["id"])
    made.delete()
    assert here.rows("res.company", name="Shop") == []


def test_what_is_gone_is_made_again_and_its_removal_succeeds(here: Server) -> None:
    owner = company().outs["record_id"]
    made = customer(owner)
    here.delete("res.partner", made.outs["record_id"])
    assert not made.refresh()
    made.delete()
    assert customer(owner).outs["record_id"] != made.outs["record_id"]


@pytest.mark.parametrize("fault", [{"kind": Kind.DROP}, {"kind": Kind.ERROR, "status": 504}], ids=["drop", "504"])
def test_a_lost_answer_makes_one_and_it_is_ours(here: Server, fault: dict[str, Any]) -> None:
    here.fault(method="load", after=True, times=1, **fault)
    made = company()
    assert (made.outs["ready"], len(here.rows("res.company", name="Shop"))) == (True, 1)
    assert len(here.asked("load")) == 1


def test_a_request_that_never_arrived_is_sent_again(here: Server) -> None:
    here.fault(Kind.DROP, method="load", times=1)
    assert company().outs["ready"] is True
    assert len(here.asked("load")) == 2


def test_a_server_that_stays_away_is_an_error_and_nothing_is_doubled(here: Server) -> None:
    here.fault(Kind.DROP, method="load", after=True)
    here.fault(Kind.DROP, method="search_read", where="ir.model.data", skip=1)
    with pytest.raises(UnreachableError, match=r"res\.company 'Shop'"):
        company()
    here.site.faults.heal()
    company()
    assert len(here.rows("res.company", name="Shop")) == 1


@pytest.mark.parametrize("kind", [Kind.TOO_MANY, Kind.MAINTENANCE, Kind.BUSY])
def test_what_passes_is_tried_again(here: Server, kind: Kind) -> None:
    here.fault(kind, method="load", times=2)
    assert company().outs["ready"] is True
    assert len(here.asked("load")) == 3


def test_many_at_once_make_one(here: Server) -> None:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(company().outs["record_id"])
        except Exception as error:  # noqa: BLE001 - asserted below
            results.append(error)

    here.fault(Kind.LATENCY, method="search_read", seconds=0.02)
    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1, results
    assert [row["id"] for row in here.rows("res.company", name="Shop")] == results[:1]


def test_what_odoo_refuses_is_said_in_its_words(here: Server) -> None:
    owner = company().outs["record_id"]
    with pytest.raises(InvalidError, match=r"stock.warehouse 'Main Store'.*refuses it: .*mandatory field"):
        warehouse(owner, initial={})
    assert here.rows("stock.warehouse", company_id=owner) == []


def test_an_optional_one_says_why_it_is_not_ready_and_is_tried_again(here: Server) -> None:
    owner = company().outs["record_id"]
    here.fault(Kind.ERROR, method="load", where="stock.warehouse", status=500, times=3)
    made = warehouse(owner, optional=True)
    assert made.outs["ready"] is False
    assert "does not work at the moment" in made.outs["reason"]
    assert made.up()
    assert (made.outs["ready"], len(here.rows("stock.warehouse", company_id=owner))) == (True, 1)


def test_what_waits_for_another_says_so(here: Server) -> None:
    owner = company().outs["record_id"]
    given = recipes.inputs("pos.payment.method", "payment_cash", owner, {"name": "Cash"}, needs=["journal_id"])
    made = created(RecordProvider(), {**given, "optional": True})
    assert "it waits for its journal_id, which is not ready" in made.outs["reason"]


def test_a_code_that_odoo_has_not_is_named(here: Server) -> None:
    fields = {"currency_id": "XTS", "country_id": "KE", "active": True}
    with pytest.raises(ConfigurationError, match=r"has no res\.currency 'XTS'"):
        company(fields=fields)


def test_what_others_need_is_not_deleted_and_odoos_reason_is_said(here: Server) -> None:
    owner = company().outs["record_id"]
    made = warehouse(owner)
    here.put("pos.config", name="Somebody's", company_id=owner, picking_type_id=made.outs["till_operation"])
    way = "Delete in Odoo what needs it, or archive the company there, then retry"
    with pytest.raises(InUseError, match=rf"another model requires the record.*pos\.config.*{way}"):
        made.delete()
    assert len(here.rows("stock.warehouse", company_id=owner)) == 1


def test_a_removal_whose_answer_is_lost_is_done_once(here: Server) -> None:
    made = customer(company().outs["record_id"])
    here.fault(Kind.DROP, method="unlink", after=True, times=1)
    made.delete()
    assert here.rows("res.partner", name="Walk-In Customer") == []


def test_a_record_on_the_server_of_before_is_not_made_again(
    here: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    made = company()
    other = Server()
    try:
        name_region(monkeypatch, tmp_path, other.url)
        with pytest.raises(ConfigurationError, match=r"it is at http.*odoo\.url and odoo\.database back"):
            made.refresh()
    finally:
        other.stop()


def test_a_run_sends_no_more_than_it_may(here: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    name_region(monkeypatch, tmp_path, here.url, requestsPerRun=4)
    with pytest.raises(BudgetError, match="4 requests"):
        company()


def test_a_user_without_the_right_is_told_which_it_needs(here: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    here.site.add_user("tenantry@shop.invalid", key="key-hunter2")
    with here.alone():
        here.site.root.set("res.users", here.row("res.users", login="tenantry@shop.invalid")["id"], system=False)
    with pytest.raises(OdooError, match="Give that user the right Settings"):
        company()


def test_what_stays_of_a_company_is_refused_before_anything_is_touched() -> None:
    from providers.odoo.company import CompanyProvider

    olds = company_inputs()
    news = company_inputs(named={"name": "Store"}, fields={"currency_id": "UGX", "country_id": "KE"})
    assert [each.property for each in CompanyProvider().check(olds, news).failures] == ["name", "currency_id"]
    assert CompanyProvider().check(olds, company_inputs()).failures == []
    lacking = RecordProvider().check({}, {**OURS, "model": "res.partner"}).failures
    assert [each.property for each in lacking] == ["key", "whose", "named"]

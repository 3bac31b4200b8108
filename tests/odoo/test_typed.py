"""Charts, tills, sessions and settings: what is particular of each."""

from __future__ import annotations

from typing import Any

import pytest

from providers.errors import ConfigurationError, NotReadyError
from providers.odoo.charts import choose
from providers.odoo.errors import InUseError, InvalidError, OdooError, SessionOpenError, TillMissingError
from providers.odoo.leftovers import left_in
from providers.odoo.session import PosSessionProvider
from providers.odoo.settings import SettingsProvider
from sandbox.faults import Kind
from sandbox.odoo.company import CHARTS
from tests.odoo.recipes import chart, company, product
from tests.odoo.running import MARK, REGION, Engine, Server, created
from tests.odoo.shop import shop


@pytest.mark.parametrize(
    ("wish", "country", "code", "said"),
    [
        ("Kenya", "KE", "ke", False),
        ("ke", "KE", "ke", False),
        ("Uganda", "UG", "ug", False),
        ("Belgium - Companies", "BE", "be_comp", False),
        ("Belgium", "BE", "generic_coa", True),
        ("Standard", "KE", "generic_coa", False),
        ("", "KE", "generic_coa", False),
        ("Narnia", "KE", "generic_coa", True),
    ],
)
def test_which_chart_is_chosen(wish: str, country: str, code: str, said: bool) -> None:
    found = choose(wish, CHARTS, country=country)
    assert (found.code, bool(found.note)) == (code, said)


def test_a_server_that_offers_nothing_to_fall_back_on_is_told_so() -> None:
    with pytest.raises(ConfigurationError, match=r"'Kenya'.*offers for KE: fr\. Choose one"):
        choose("Kenya", {"fr": "France"}, country="KE")


def test_a_chart_is_loaded_once_and_its_module_with_it(here: Server) -> None:
    owner = company().outs["record_id"]
    made = chart(owner)
    assert (made.outs["chart_of_accounts"], made.outs["chart_note"], made.outs["accounts"]) == ("ke", "", 12)
    assert here.row("ir.module.module", name="l10n_ke")["state"] == "installed"
    chart(owner)
    assert len(here.asked("try_loading")) == 1


def test_a_chart_that_is_not_offered_falls_back_and_says_so(here: Server) -> None:
    made = chart(company().outs["record_id"], wish="Narnia")
    assert made.outs["chart_of_accounts"] == "generic_coa"
    assert made.outs["chart_note"] == "Odoo offers no chart 'Narnia' for KE: 'generic_coa' is used"


def test_a_chart_that_is_there_stays_and_that_is_said(here: Server) -> None:
    owner = company().outs["record_id"]
    chart(owner, wish="Standard")
    assert "has the chart 'generic_coa' already" in chart(owner).outs["chart_note"]


def test_another_chart_that_is_wished_changes_what_is_said_and_nothing_else(here: Server) -> None:
    made = chart(company().outs["record_id"])
    before = here.state()
    notes = {}
    for wish in ("Uganda", "Narnia", "", "ke"):
        news = {**made.inputs, "wish": wish}
        found = made.provider.diff(made.id, made.outs, news)
        assert (found.changes, found.replaces) == (True, [])
        made.outs, made.inputs = made.provider.update(made.id, made.outs, news).outs, news
        assert not made.up()
        notes[wish] = made.outs["chart_note"]
    stays = "the company has the chart 'ke' already, which stays; {!r} was wished"
    assert notes == {
        "Uganda": stays.format("Uganda"),
        "Narnia": stays.format("Narnia"),
        "": stays.format("generic_coa"),
        "ke": "",
    }
    assert (made.outs["chart_of_accounts"], here.state()) == ("ke", before)


def test_a_chart_is_loaded_where_the_method_takes_no_ids(here: Server) -> None:
    here.site.switch(model_methods=["try_loading"])
    owner = company().outs["record_id"]
    assert chart(owner).outs["accounts"] == 12
    assert here.row("res.company", name="Shop")["chart_template"] == "ke"


def test_a_chart_whose_answer_was_lost_is_not_loaded_again(here: Server) -> None:
    owner = company().outs["record_id"]
    here.fault(Kind.DROP, method="try_loading", after=True)
    assert chart(owner).outs["accounts"] == 12
    assert len(here.asked("try_loading")) == 1


def test_too_few_accounts_are_no_chart(here: Server) -> None:
    owner = company().outs["record_id"]
    with here.alone():
        here.site.root.set("res.company", owner, chart_template="ke")
    with pytest.raises(NotReadyError, match="has 0 accounts, and 5 are the least"):
        chart(owner)


def test_a_product_goes_while_tills_of_others_are_open(engine: Engine, here: Server) -> None:
    engine.up(shop)
    other = company(tenant_mark="tenantry/other", named={"name": "Other"}).outs["record_id"]
    tea = product(other, tenant_mark="tenantry/other")
    tea.delete()
    assert here.rows("product.template", company_id=other) == []


def test_a_till_without_cash_opens_at_once(engine: Engine, here: Server) -> None:
    engine.up(lambda: shop(cash=False))
    assert here.row("pos.session")["state"] == "opened"
    assert here.asked("set_opening_control") == []


@pytest.mark.parametrize(("version", "method"), [(17, "set_cashbox_pos"), (18, "set_opening_control")])
def test_a_till_with_cash_is_opened_with_an_empty_drawer(
    engine: Engine, here: Server, version: int, method: str
) -> None:
    here.site.switch(version=version)
    engine.up(shop)
    assert len(here.asked(method)) == 1
    outs = engine.made["session"].outs
    assert (outs["state"], outs["reference"]) == ("opened", f"pos.session,{outs['session_id']}")


def session_of(engine: Engine, **more: Any) -> dict[str, Any]:
    return {**engine.made["session"].inputs, "optional": False, **more}


def test_a_session_that_a_cashier_opened_is_adopted(engine: Engine, here: Server) -> None:
    engine.up(shop)
    session = engine.made["session"]
    session.delete()
    theirs = here.put("pos.session", config_id=int(session.inputs["till"]))
    assert created(PosSessionProvider(), session_of(engine)).outs["session_id"] == theirs
    assert len(here.rows("pos.session")) == 1


def test_a_session_that_was_closed_is_followed_by_another(engine: Engine, here: Server) -> None:
    engine.up(shop)
    session = engine.made["session"]
    with here.alone():
        here.site.root.set("pos.session", session.outs["session_id"], state="closed")
    assert not session.refresh()
    again = created(PosSessionProvider(), session_of(engine))
    assert again.outs["session_id"] != session.outs["session_id"]
    # The closed one, without a sale, goes with its till.
    again.delete()
    engine.made["till"].delete()
    assert here.rows("pos.session") == []


def test_a_session_that_is_being_closed_is_in_the_way(engine: Engine, here: Server) -> None:
    engine.up(shop)
    with here.alone():
        here.site.root.set("pos.session", engine.made["session"].outs["session_id"], state="closing_control")
    with pytest.raises(SessionOpenError, match=r"Shop Till/.* is being closed.*Finish closing it"):
        created(PosSessionProvider(), session_of(engine))


def test_a_session_whose_answer_was_lost_is_found(engine: Engine, here: Server) -> None:
    here.fault(Kind.DROP, method="create", where="pos.session", after=True)
    here.fault(Kind.DROP, method="set_opening_control", after=True)
    engine.up(shop)
    assert engine.made["session"].outs["state"] == "opened"
    assert len(here.rows("pos.session")) == 1


def test_a_session_without_its_till_is_an_error_of_its_own(engine: Engine, here: Server) -> None:
    engine.up(shop)
    with pytest.raises(TillMissingError, match="no such point of sale"):
        created(PosSessionProvider(), session_of(engine, till=999))


def test_what_has_sold_is_not_taken_away(engine: Engine, here: Server) -> None:
    engine.up(shop)
    session = engine.made["session"]
    owner = engine.made["company"].outs["record_id"]
    here.put("pos.order", name="0001", session_id=session.outs["session_id"], company_id=owner, amount_total=10)
    before = here.state()
    for name in ("session", "till"):
        with pytest.raises(InUseError, match="it has sold: 1 orders are in the books"):
            engine.made[name].delete()
    assert here.state() == before


@pytest.mark.parametrize("cash", [True, False])
def test_a_shop_that_has_sold_goes_by_the_way_that_its_refusal_names(engine: Engine, here: Server, cash: bool) -> None:
    engine.up(lambda: shop(cash=cash))
    session = engine.made["session"].outs["session_id"]
    owner = engine.made["company"].outs["record_id"]
    here.put("pos.order", name="0001", session_id=session, company_id=owner, amount_total=10)
    way = r"Close its session in Odoo, archive the company there, then retry"
    with pytest.raises(InUseError, match=way):
        engine.made["session"].delete()
    # As Odoo does it, which books what was sold.
    with here.alone():
        here.site.root.set("pos.session", session, state="closed")
    engine.made.pop("session").delete()
    journal = here.row("account.journal", code="INV")["id"]
    here.put("account.move", name="POSS/1", state="posted", journal_id=journal, company_id=owner)
    with pytest.raises(InUseError, match=way):
        engine.made["till"].delete()
    here.change("res.company", owner, active=False)
    before = here.state()
    engine.destroy()
    assert (here.state(), left_in(REGION, tenant_mark=MARK)) == (before, [])


def test_a_tills_payments_are_not_changed_while_it_is_open(engine: Engine, here: Server) -> None:
    engine.up(shop)
    till = engine.made["till"]
    here.site.records.put(
        "pos.config", str(till.outs["record_id"]), {**here.row("pos.config"), "payment_method_ids": []}
    )
    assert till.refresh()
    with pytest.raises(InvalidError, match="while a session is open"):
        till.up()


def test_a_company_with_entries_is_not_deleted_unless_it_was_archived(engine: Engine, here: Server) -> None:
    engine.up(lambda: shop(cash=False))
    company_ = engine.made["company"]
    owner = company_.outs["record_id"]
    journal = here.row("account.journal", code="INV")["id"]
    here.put("account.move", name="INV/1", state="posted", journal_id=journal, company_id=owner)
    for name in list(engine.made)[::-1]:
        if name != "company":
            engine.made.pop(name).delete()
    before = here.state()
    with pytest.raises(InUseError, match=r"1 posted entries.*Archive the company"):
        company_.delete()
    assert here.state() == before
    here.change("res.company", owner, active=False)
    company_.delete()
    assert here.row("res.company", id=owner)["active"] is False
    # An archived one that bears our mark is taken up again.
    assert company().outs["record_id"] == owner
    assert here.row("res.company", id=owner)["active"] is True


def test_a_shop_whose_company_was_archived_is_left_as_it_is(engine: Engine, here: Server) -> None:
    """Odoo refuses whatever names an archived company; the way out that a refusal of ours names must be one."""
    engine.up(lambda: shop(cash=False))
    owner = engine.made["company"].outs["record_id"]
    journal = here.row("account.journal", code="INV")["id"]
    here.put("account.move", name="INV/1", state="posted", journal_id=journal, company_id=owner)
    here.change("res.company", owner, active=False)
    before = here.state()
    known = {name: dict(made.outs) for name, made in engine.made.items()}
    assert [name for name, made in engine.made.items() if not made.refresh()] == []
    assert [name for name, made in engine.made.items() if made.outs != known[name]] == ["company"]
    engine.destroy()
    assert here.state() == before
    assert left_in(REGION, tenant_mark=MARK) == []
    here.change("res.company", owner, active=True)
    assert f"res.company {owner} in Odoo at {here.url}" in left_in(REGION, tenant_mark=MARK)


def test_what_is_left_is_not_hidden_by_tenants_of_a_like_name(here: Server) -> None:
    marks = [(f"tenantry_2fshop-2_p{number}", "res.partner", number + 1) for number in range(120)]
    with here.alone():
        for name, model, number in (*marks, ("tenantry_2fshop_till", "pos.config", 7)):
            given = {"module": "tenantry", "name": name, "model": model, "res_id": number}
            here.site.root.create("ir.model.data", given)
    assert left_in(REGION, tenant_mark=MARK) == [f"pos.config 7 in Odoo at {here.url}"]


def test_a_shop_whose_company_was_deleted_is_gone(engine: Engine, here: Server) -> None:
    engine.up(lambda: shop(cash=False))
    owner = engine.made["company"].outs["record_id"]
    with here.alone():
        here.site.records.delete("res.company", str(owner))
    engine.made.pop("engine")
    assert [name for name, made in engine.made.items() if made.refresh()] == []
    engine.destroy()


def test_a_settings_field_is_written_only_where_it_differs(here: Server) -> None:
    owner = company().outs["record_id"]
    fields = {"annual_inventory_day": 30, "point_of_sale_update_stock_quantities": "real"}
    given = {"region": REGION, "company": owner, "fields": fields, "ready": True}
    made = created(SettingsProvider(), given)
    assert len(here.asked("write", where="res.company")) == 1
    created(SettingsProvider(), given)
    assert len(here.asked("write", where="res.company")) == 1
    here.change("res.company", owner, annual_inventory_day=1)
    assert made.refresh()
    assert made.outs["fields"]["annual_inventory_day"] == 1
    assert made.up()
    assert here.row("res.company", id=owner)["annual_inventory_day"] == 30


def test_a_setting_that_odoo_has_not_is_said_to_be(here: Server) -> None:
    given = {"region": REGION, "company": company().outs["record_id"], "fields": {"so_required": "No"}, "ready": True}
    with pytest.raises(OdooError, match="so_required"):
        created(SettingsProvider(), given)
    assert "so_required" in created(SettingsProvider(), {**given, "optional": True}).outs["reason"]


def test_what_is_left_of_a_tenant_is_found_by_its_mark(here: Server) -> None:
    made = company()
    company(tenant_mark="tenantry/shop2", named={"name": "Other"})
    assert left_in(REGION, tenant_mark=MARK) == [f"res.company {made.outs['record_id']} in Odoo at {here.url}"]
    made.delete()
    assert left_in(REGION, tenant_mark=MARK) == []

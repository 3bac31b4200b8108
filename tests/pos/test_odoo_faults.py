"""A point of sale in Odoo whose engine goes away, is somebody else's, or is changed: nothing twice, nothing of others.

As test_rows: the component and its providers against the simulator, without a Pulumi engine in between.
"""

from __future__ import annotations

from typing import Any

import pytest

from components.pos_args import PosPayment
from providers import http
from providers.odoo import api
from providers.odoo.company import CompanyProvider
from providers.odoo.leftovers import left_in
from providers.odoo.session import PosSessionProvider
from sandbox.faults import Fault, Kind
from tests.erpnext.running import MARK, REGION, Engine, created, engine
from tests.odoo.running import here, quick
from tests.odoo.test_faults import cut_off
from tests.pos.place import Place, known, undone
from tests.pos.rows import TABLE

__all__ = ["engine", "here", "quick"]
CASH = PosPayment(mode="Cash", kind="Cash")
OTHERS = tuple(PosPayment(mode=f"Card {number}", kind="Bank", account="Bank") for number in range(9))


@pytest.fixture
def odoo(engine: Engine, here: Any) -> Place:
    return Place("odoo", here)


def test_an_engine_that_is_away_before_is_said_and_nothing_is_made(odoo: Place) -> None:
    before = odoo.site.state()
    odoo.site.fault(Kind.DROP)
    failed, told = odoo.run()
    assert told == {}
    assert "It is offline" in odoo.error
    assert failed.made == {}
    odoo.heal()
    assert odoo.site.state() == before
    # Not one call of any but the look at it.
    assert {row.path for row in odoo.site.asked()} == {"/common"}
    assert odoo.run(failed.state)[1]["status"] == "PROVISIONED"


@pytest.mark.parametrize("row", [row for row in TABLE["odoo"] if row.drift], ids=lambda row: row.made)
def test_what_is_cut_off_after_its_work_is_made_whole_and_not_twice(odoo: Place, row: Any) -> None:
    """The server has done the work, its answer is lost, and from then on it is gone."""
    method, where = row.stop
    odoo.site.site.faults.add(cut_off(odoo.site, {"method": method, "where": where}, after=True))
    failed, told = odoo.run()
    assert told.get("status") in {None, "PARTIAL"}
    assert row.made not in failed.made or not failed.made[row.made].outs["ready"]
    odoo.heal()
    again, told = odoo.run(failed.state)
    assert told["status"] == "PROVISIONED"
    assert odoo.found().keys() == {one.made for one in odoo.rows if one.kind}
    assert len(odoo.site.rows("res.company")) == 2
    undone(again)
    assert (odoo.counts(), left_in(REGION, tenant_mark=MARK)) == (odoo.before, [])


def test_what_a_lost_answer_has_left_is_told_after_a_rollback(odoo: Place) -> None:
    """It is in no state, so that a rollback does not take it; its mark says whose it is."""
    odoo.site.site.faults.add(cut_off(odoo.site, {"method": "load", "where": "/res.company"}, after=True))
    failed, _ = odoo.run()
    odoo.heal()
    undone(failed)
    company = odoo.site.row("res.company", name="Shop")["id"]
    assert left_in(REGION, tenant_mark=MARK) == [f"res.company {company} in Odoo at {odoo.site.url}"]
    again, told = odoo.run()
    assert (told["status"], told["references"]["company"]) == ("PROVISIONED", f"res.company,{company}")
    undone(again)
    assert odoo.counts() == odoo.before


@pytest.mark.parametrize(
    "fault",
    [Fault(kind=Kind.DROP, after=True, times=1), Fault(kind=Kind.ERROR, status=504, after=True, times=1)],
    ids=["drop", "504"],
)
@pytest.mark.parametrize("method", ["load", "try_loading", "create", "set_opening_control"])
def test_a_time_out_after_the_work_is_no_failure_and_nothing_is_twice(odoo: Place, method: str, fault: Fault) -> None:
    given = {name: getattr(fault, name) for name in ("kind", "status", "after", "times")}
    odoo.site.site.faults.add(Fault(**given, method=method, where="/pos.session" if method == "create" else ""))
    _, told = odoo.run()
    assert any(row.fault for row in odoo.site.asked(method))
    assert told["status"] == "PROVISIONED"
    assert odoo.found().keys() == {one.made for one in odoo.rows if one.kind}


@pytest.mark.parametrize(("method", "where"), [("create", "/pos.session"), ("set_opening_control", "")])
def test_a_session_whose_request_never_came_is_asked_for_again(odoo: Place, method: str, where: str) -> None:
    odoo.site.fault(Kind.DROP, method=method, where=where, times=1)
    _, told = odoo.run()
    assert [row.fault for row in odoo.site.asked(method, where=where)] == ["drop", ""]
    assert (told["status"], odoo.site.row("pos.session")["state"]) == ("PROVISIONED", "opened")


@pytest.mark.parametrize("late", ["/res.company", "/pos.config"])
def test_what_takes_longer_than_is_waited_for_is_made_once(
    odoo: Place, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """The server works on when nobody waits any more."""
    monkeypatch.setattr(api, "CALL_SECONDS", 0.3)
    monkeypatch.setattr(CompanyProvider, "seconds", 0.3)
    monkeypatch.setattr(http, "WAITS", (0.2, 0.4, 0.8))
    odoo.site.fault(Kind.LATENCY, method="load", where=late, seconds=0.6, times=1)
    _, told = odoo.run()
    assert told["status"] == "PROVISIONED"
    assert odoo.found().keys() == {one.made for one in odoo.rows if one.kind}


@pytest.mark.parametrize("hidden", [False, True], ids=["seen", "hidden"])
def test_a_company_that_is_not_ours_ends_the_run_and_stays_as_it_is(odoo: Place, hidden: bool) -> None:
    site = odoo.site
    theirs = site.put("res.company", name="Shop", annual_inventory_day=7)
    if not hidden:
        [user] = [row for row in site.rows("res.users") if row["login"] != "__system__"]
        site.change("res.users", user["id"], company_ids=[[6, 0, [1, theirs]]])
    before = (site.rows("res.company"), site.marks(), odoo.counts())
    failed, told = odoo.run()
    assert told == {}
    assert ("may be hidden" if hidden else "does not bear the mark") in odoo.error
    undone(failed)
    assert (site.rows("res.company"), site.marks(), odoo.counts()) == before


def test_a_mode_of_payment_that_comes_before_the_others_changes_none_of_theirs(odoo: Place) -> None:
    first, _ = odoo.run(payments=(CASH, OTHERS[0]), session=False)
    again, told = odoo.run(first.state, payments=(*OTHERS[:2], CASH), session=False)
    assert told["status"] == "PROVISIONED"
    assert {key: known(made) for key, made in first.made.items()}.items() <= {
        key: known(made) for key, made in again.made.items()
    }.items()
    assert len(odoo.site.row("pos.config")["payment_method_ids"]) == 3


def test_as_many_modes_of_payment_as_a_manifest_may_have_each_have_a_journal(odoo: Place) -> None:
    _, told = odoo.run(payments=(CASH, *OTHERS))
    assert told["status"] == "PROVISIONED"
    journals = {row["journal_id"] for row in odoo.site.rows("pos.payment.method")}
    assert len(journals) == 1 + len(OTHERS)


def test_a_drawer_that_a_cashier_counts_just_before_us_is_open(odoo: Place) -> None:
    first, _ = odoo.run()
    session = first.made["OdooPosSession shop"]
    session.delete()
    theirs = odoo.site.put("pos.session", config_id=int(session.inputs["till"]))
    odoo.site.fault(Kind.ERROR, status=403, method="set_opening_control", after=True, times=1)
    made = created(PosSessionProvider(), {**session.inputs, "optional": False})
    assert (made.outs["session_id"], made.outs["state"]) == (theirs, "opened")

"""What goes wrong while a point of sale is made: what is not critical costs a step, what is critical all of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.erpnext.faults import Fault, Kind
from sandbox.postgres import EmbeddedPostgres
from tests.pos.yard import Yard, steps_of

pytestmark = pytest.mark.timeout(900)


def broken(where: str, method: str = "", **more: Any) -> Fault:
    """What does not pass by itself: something before ERPNext lets no such request through."""
    return Fault(kind=Kind.ERROR, status=403, method=method, where=where, **more)


OPTIONAL = {
    "step_4_warehouses": broken("/Warehouse/POS Store"),
    "step_5_settings": broken("/Selling Settings", "PUT"),
    "step_6_items": broken("/Item Price", "POST"),
    "step_9_pos_session": broken("/POS Opening Entry", "POST"),
}


def test_what_is_not_critical_leaves_it_partial_until_it_can_be_made(yard: Yard) -> None:
    yard.fault(*OPTIONAL.values())
    yard.write(includeDemoData=True)
    made = yard.up()
    assert (made["status"], yard.status()) == ("succeeded", "partial")
    assert made["outputs"]["status"] == "PARTIAL"
    assert {key for key, status in steps_of(made).items() if status == "failed"} == set(OPTIONAL)
    assert made["partial"] == list(OPTIONAL)
    errors = {step["key"]: step["error"] for step in made["steps"] if step["error"]}
    assert "Selling Settings" in errors["step_5_settings"]
    # The till works: it sells from the main store until there is another.
    assert yard.docs("POS Profile")[0]["warehouse"] == "Main Store - DUKA"
    assert yard.names("POS Opening Entry") == []

    # One step is tried again, and no other.
    yard.heal()
    yard.fault(*(fault for step, fault in OPTIONAL.items() if step != "step_9_pos_session"))
    before = len(yard.asked())
    retried = yard.up("duka", "--step", "step_9_pos_session")
    assert steps_of(retried)["step_9_pos_session"] == "completed"
    assert steps_of(retried)["step_5_settings"] == "skipped"
    # Nothing of it is done before it is known that the company is still its own.
    assert {"Company", "POS Opening Entry", "POS Profile"} >= {row.path.split("/")[3] for row in yard.asked()[before:]}
    assert yard.docs("POS Opening Entry")[0]["status"] == "Open"
    assert yard.status() == "partial"

    yard.heal()
    healed = yard.up()
    assert (healed["partial"], yard.status()) == ([], "active")
    assert yard.docs("POS Profile")[0]["warehouse"] == "POS Store - DUKA"
    assert len(yard.names("Item Price")) == len(yard.names("Item")) == 8
    assert yard.docs("Selling Settings")[0]["so_required"] == "No"
    assert len(yard.names("POS Opening Entry")) == 1


CRITICAL = {
    "step_0_engine_check": Fault(kind=Kind.MAINTENANCE),
    "step_2_company": broken("/Company", "POST"),
    "step_3_chart_of_accounts": broken("/Account"),
    "step_4_warehouses": broken("/Warehouse/Main Store", "GET", times=1),
    "step_7_customer": broken("/Customer", "POST"),
}


@pytest.mark.parametrize("step", CRITICAL)
def test_what_is_critical_takes_all_of_it_back(yard: Yard, step: str) -> None:
    before = yard.objects()
    yard.fault(CRITICAL[step])
    yard.write(posStoreEnabled=False)
    failed = yard.up(code=3)
    assert f"step '{step}' failed" in failed["error"]["message"]
    assert failed["leftovers"] == []
    assert yard.objects() == before
    assert yard.status() == "removed"


def test_what_is_critical_is_taken_back_with_all_there_is_or_left_and_retried(yard: Yard) -> None:
    # What others have made, and the tenant comes to use.
    yard.call("POST", "Customer", body={"customer_name": "Walk-In Customer"})
    yard.call("POST", "Price List", body={"price_list_name": "Shop duka Selling", "currency": "KES", "selling": 1})
    before = yard.objects()
    yard.fault(broken("/POS Profile", "POST"))
    yard.write(includeDemoData=True)
    refused = yard.up(code=3)
    assert "step 'step_8_pos_profile' failed" in refused["error"]["message"]
    assert (refused["leftovers"], yard.status()) == ([], "removed")
    assert yard.objects() == before

    yard.write(includeDemoData=True, enableRollback=False)
    left = yard.up(code=9)
    assert [key for key, status in steps_of(left).items() if status == "failed"] == ["step_8_pos_profile"]
    assert yard.status() == "failed"
    made = yard.objects()
    assert len(made["Item"]) == 8

    yard.heal()
    posted = len(yard.asked("POST"))
    retried = yard.up("duka", "--step", "step_8_pos_profile")
    # And what depends on it, without what was there.
    assert steps_of(retried)["step_9_pos_session"] == "completed"
    assert [row.path.split("/")[-1] for row in yard.asked("POST")[posted:]] == ["POS Profile", "POS Opening Entry"]
    assert {doctype: names for doctype, names in yard.objects().items() if doctype in made} == made
    assert yard.status() == "active"


def test_what_a_killed_run_made_and_did_not_note_goes_with_the_tenant(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item bears no mark: that it was being made is all that its state says."""
    before, shared = yard.objects(), yard.shared()
    yard.write(includeDemoData=True, skip=["step_5_settings"])
    handle, running = yard.erp.site.handle, []

    def and_die(request: Any) -> Any:
        answer = handle(request)
        if request.method == "POST" and request.path.endswith("/Item") and running:
            os.killpg(running.pop().pid, signal.SIGKILL)
            return None
        return answer

    monkeypatch.setattr(yard.erp.site, "handle", and_die)
    run = yard.begin("duka")
    running.append(run)
    run.communicate(timeout=300)
    assert run.returncode == -signal.SIGKILL
    assert len(yard.names("Item")) > 0
    yard.run("destroy", "duka", "--yes")
    assert (yard.objects(), yard.shared(), yard.status()) == (before, shared, "removed")


def test_an_engine_that_goes_away_in_the_middle_is_said_and_goes_on_from_there(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its customer is made and its answer lost, and no request is answered any more after it."""
    before = yard.objects()
    yard.write(includeDemoData=True, enableRollback=False, skip=["step_5_settings"])
    handle, gone = yard.erp.site.handle, []

    def and_go(request: Any) -> Any:
        if gone:
            return None
        answer = handle(request)
        if request.method == "POST" and request.path.endswith("/Customer"):
            gone.append(request)
            return None
        return answer

    monkeypatch.setattr(yard.erp.site, "handle", and_go)
    failed = yard.up(code=9)
    assert "does not answer" in failed["error"]["message"]
    assert yard.status() == "failed"
    monkeypatch.setattr(yard.erp.site, "handle", handle)
    made = yard.up()
    assert (made["partial"], yard.status()) == ([], "active")
    assert {kind: len(names) for kind, names in yard.objects().items() if names != before.get(kind)} == {
        "Company": 1,
        "Warehouse": 7,
        "Price List": 1 + len(before["Price List"]),
        "Item": 8,
        "Item Price": 8,
        "Customer": 1,
        "POS Profile": 1,
        "POS Opening Entry": 1,
    }
    assert len(set(yard.names("Item"))) == 8
    yard.run("destroy", "duka", "--yes")
    assert yard.objects() == before


def test_a_company_that_is_not_ours_is_not_touched(yard: Yard) -> None:
    company = {"company_name": "Shop duka", "abbr": "SD", "default_currency": "KES", "country": "Kenya"}
    yard.call("POST", "Company", body={**company, "registration_details": "P051234567X"})
    before = (yard.objects(), yard.docs("Company"), yard.docs("Account"))
    yard.write()
    failed = yard.up(code=3)
    assert "does not bear the mark of tenantry/duka" in failed["error"]["message"]
    assert (yard.objects(), yard.docs("Company"), yard.docs("Account")) == before


@pytest.fixture
def raw(project: Path, postgres: EmbeddedPostgres, main_db: Any) -> Iterator[Yard]:
    """A site whose set-up wizard nobody has finished."""
    with Yard.open(project, postgres, main_db.name, wizard=False) as made:
        yield made


def test_an_unfinished_wizard_is_said_and_nothing_is_made(raw: Yard) -> None:
    before = raw.objects()
    raw.write()
    failed = raw.up(code=3)
    assert "set-up wizard" in failed["error"]["message"]
    assert "was never finished" in failed["error"]["message"]
    assert not raw.asked("POST", "PUT", "DELETE")
    assert raw.objects() == before


def test_two_tenants_at_once_share_a_site_and_two_runs_of_one_do_not(yard: Yard) -> None:
    yard.fault(Fault(kind=Kind.LATENCY, seconds=0.3))
    for slug in ("duka", "kiosk"):
        # One user has one session: without another cashier the second till of a site would stay closed.
        yard.write(slug, adminEmail=f"owner@{slug}.example", skip=["step_5_settings"])
    running = [yard.begin(slug) for slug in ("duka", "kiosk")]
    yard.until(lambda: yard.asked(where="/Company/Shop duka"))
    refused = yard.up(code=5)
    assert "duka" in refused["error"]["message"]
    for one in running:
        out, err = one.communicate(timeout=400)
        assert one.returncode == 0, out + err
    assert (yard.status("duka"), yard.status("kiosk")) == ("active", "active")
    assert sorted(yard.names("Company")) == ["Shop duka", "Shop kiosk"]
    assert yard.names("Customer") == ["Walk-In Customer"]
    assert [each["status"] for each in yard.docs("POS Opening Entry")] == ["Open", "Open"]
    yard.heal()
    yard.run("destroy", "duka", "--yes")
    # What the other one uses too is still there.
    assert (yard.names("Company"), yard.names("Customer")) == (["Shop kiosk"], ["Walk-In Customer"])
    assert not yard.docs("Selling Settings")[0]["so_required"], "the step was left out"

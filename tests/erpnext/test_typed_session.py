"""One open session for each till, whoever opens it and however often."""

from __future__ import annotations

import datetime
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from providers.erpnext.errors import (
    ErpNextError,
    ProfileMissingError,
    SessionOpenError,
)
from providers.erpnext.session import PosSessionProvider, opening
from sandbox.erpnext.faults import Kind
from tests.erpnext.running import Engine, Erp, created
from tests.erpnext.shop import shop


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


def open_by_hand(here: Erp) -> str:
    """As a cashier does it in the browser."""
    made = here.put(
        "POS Opening Entry",
        period_start_date="2026-01-01 08:00:00",
        posting_date="2026-01-01",
        company="Shop",
        pos_profile="Shop Till",
        user=here.user,
        balance_details=[{"mode_of_payment": "Cash", "opening_amount": 70}],
        docstatus=1,
    )
    return str(made["name"])


def test_a_session_that_a_cashier_opened_is_adopted(engine: Engine, here: Erp) -> None:
    engine.up(shop)
    session = engine.made["session"]
    session.delete()
    theirs = open_by_hand(here)
    assert created(session.provider, session.inputs).outs["docname"] == theirs
    assert len(here.docs("POS Opening Entry")) == 1


def test_a_session_that_a_cashier_opens_just_before_us_is_adopted(
    engine: Engine, here: Erp, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.up(shop)
    session = engine.made["session"]
    session.delete()
    prepared, theirs = PosSessionProvider._prepared, []

    def meanwhile(*given: Any) -> Any:
        theirs.append(open_by_hand(here))
        return prepared(*given)

    monkeypatch.setattr(PosSessionProvider, "_prepared", meanwhile)
    made = created(PosSessionProvider(), {**session.inputs, "optional": False})
    assert [made.outs["docname"]] == theirs
    assert len(here.docs("POS Opening Entry")) == 1


def test_years_of_closed_sessions_do_not_hide_the_open_one(
    engine: Engine, here: Erp, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.site.switch(newer=False)
    engine.up(shop)
    session = engine.made["session"]
    session.delete()
    monkeypatch.setattr("providers.erpnext.api._MOST_ROWS", 3)
    for _ in range(3):
        closed = open_by_hand(here)
        with here.alone():
            here.site.documents.set("POS Opening Entry", closed, status="Closed")
    theirs = open_by_hand(here)
    again = created(session.provider, session.inputs)
    assert again.outs["docname"] == theirs
    assert len(here.docs("POS Opening Entry", status="Open")) == 1
    # Whoever opened it: only what Tenantry has opened goes before its profile does.
    with here.alone():
        here.site.documents.set("POS Opening Entry", theirs, owner=here.user)
    again.delete()
    assert here.docs("POS Opening Entry", status="Open") == []


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


def test_a_sessions_time_is_the_sites(engine: Engine, here: Erp) -> None:
    here.change("System Settings", "System Settings", time_zone="Pacific/Kiritimati")  # 14 hours ahead of UTC
    engine.up(shop)
    [entry] = here.docs("POS Opening Entry")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", entry["period_start_date"])
    opened = datetime.datetime.fromisoformat(entry["period_start_date"]).replace(tzinfo=datetime.UTC)
    ahead = opened - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(hours=13) < ahead < datetime.timedelta(hours=15)

"""An ERPNext that goes away before, in or after any step of a point of sale: its next run makes it whole, nothing is
there twice, and nothing of others is touched. In this process: real providers, a simulated site, a state of our own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from providers import http
from sandbox.erpnext.faults import Fault, Kind
from tests.erpnext.running import Erp, here, quick
from tests.pos.accounts import Account, account, differing, with_others
from tests.pos.lifetimes import Tenant

__all__ = ["here", "quick"]


class Way(StrEnum):
    """When it goes away, of one request: it is not there for it; it loses it; it does it, and says nothing any more.

    LATE stays: a gateway gives up waiting for what is done.
    """

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"
    LATE = "late"


WRITES = {
    "step_2_company": ["POST /Company"],
    "step_4_warehouses": ["POST /Warehouse"],
    "step_5_settings": ["PUT /Selling Settings/.*"],
    "step_6_items": ["POST /Price List", "POST /Item", "POST /Item Price"],
    "step_7_customer": ["POST /Customer"],
    "step_8_pos_profile": ["POST /Mode of Payment", "POST /POS Profile"],
    "step_9_pos_session": ["POST /User", "POST /POS Opening Entry", "PUT /POS Opening Entry/.*"],
}
READS = {
    "step_0_engine_check": ["GET ping"],
    "step_2_company": ["GET /Country"],
    "step_3_chart_of_accounts": ["GET /Account"],
    "step_4_warehouses": ["GET /Warehouse/Main Store.*"],
    "step_5_settings": ["GET /Selling Settings/.*"],
    "step_6_items": ["GET /Item/SHOP-TEA"],
    "step_7_customer": ["GET /Customer"],
    "step_8_pos_profile": ["GET /POS Profile/.*"],
    "step_9_pos_session": ["GET /POS Opening Entry"],
}
CELLS = [
    *((step, one, way) for step, asked in WRITES.items() for one in asked for way in Way),
    *((step, one, way) for step, asked in READS.items() for one in asked for way in (Way.BEFORE, Way.DURING)),
]


@dataclass(slots=True)
class Moment:
    """One request, the first of its kind, at which the site goes away. `come`: it has come to that."""

    here: Erp
    asked: str
    way: Way
    come: bool = False

    def arm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if self.way is Way.LATE:
            method, _, where = self.asked.partition(" ")
            self.here.site.faults.add(
                Fault(kind=Kind.ERROR, status=504, method=method, where=where.removesuffix(".*"), after=True, times=1)
            )
            return
        if self.way is Way.BEFORE:
            client = http._client
            monkeypatch.setattr(http, "_client", lambda verify: _Watched(client(verify), self))
            return
        handle = self.here.site.handle

        def cut(request: Any) -> Any:
            if not self.is_it(request.method, request.target):
                return handle(request)
            if self.way is Way.AFTER:
                handle(request)
            self.here.front.away()
            return None

        monkeypatch.setattr(self.here.site, "handle", cut)

    def is_it(self, method: str, target: str) -> bool:
        if self.come:
            return False
        path = _path(target)
        self.come = re.fullmatch(self.asked, f"{method} {path}") is not None
        return self.come


class _Watched:
    """A client before whose request the site is gone."""

    def __init__(self, client: Any, moment: Moment) -> None:
        self._client, self._moment = client, moment

    def request(self, method: str, url: str, **sent: Any) -> Any:
        if self._moment.is_it(method, url):
            self._moment.here.front.away()
        return self._client.request(method, url, **sent)


def _path(target: str) -> str:
    return re.sub(r"^/api/(resource|method/)", "", unquote(urlsplit(target).path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a site holds before, with, and after a tenant whose run nobody disturbed."""

    before: Account
    made: Account
    removed: Account


_lives: list[Life] = []


@pytest.fixture
def life(here: Erp) -> Life:
    """Found once; the site is as before."""
    with_others(here)
    if not _lives:
        tenant, before = Tenant(), account(here)
        assert tenant.run() == "PROVISIONED"
        made = account(here)
        tenant.destroy()
        _lives.append(Life(before=before, made=made, removed=account(here)))
        with_others(here)
    return _lives[0]


def test_an_undisturbed_life_leaves_nothing_but_the_settings(here: Erp, life: Life) -> None:
    assert set(differing(life.before, life.removed)) == {"Selling Settings"}
    added = differing(life.before, life.made)
    assert {doctype: len(new) for doctype, (_, new) in added.items() if doctype not in _OF_A_COMPANY} == {
        "Company": 1,
        "Warehouse": 7,
        "Selling Settings": 1,
        "Price List": 1,
        "Item": 1,
        "Item Price": 1,
        "Customer": 1,
        "Mode of Payment": 2,
        "POS Profile": 1,
        "User": 1,
        "POS Opening Entry": 1,
    }


_OF_A_COMPANY = {
    "Account",
    "Cost Center",
    "Department",
    "Sales Taxes and Charges Template",
    "Purchase Taxes and Charges Template",
    "Item Tax Template",
}


def test_each_step_and_each_write_is_among_the_cells(here: Erp, life: Life) -> None:
    assert Tenant().run() == "PROVISIONED"
    wrote = {f"{row.method} {_path(row.path)}" for row in here.asked("POST", "PUT", "DELETE")}
    tried = [one for asked in WRITES.values() for one in asked]
    assert all(any(re.fullmatch(one, each) for one in tried) for each in wrote), wrote
    assert all(any(re.fullmatch(one, each) for each in wrote) for one in tried), wrote


@pytest.mark.parametrize(("step", "asked", "way"), CELLS)
def test_what_was_cut_off_is_made_whole_and_nothing_is_twice(
    here: Erp, life: Life, monkeypatch: pytest.MonkeyPatch, step: str, asked: str, way: Way
) -> None:
    tenant, moment = Tenant(), Moment(here, asked, way)
    with monkeypatch.context() as armed:
        moment.arm(armed)
        first = tenant.run()
    if way is Way.LATE:
        assert first == "PROVISIONED"
        assert any(row.fault == "error" for row in here.asked())
    else:
        assert moment.come
        assert first == ("PARTIAL" if step == "step_9_pos_session" else None)
        lacking = [one.outs["reason"] for one in tenant.state.values() if not one.outs.get("ready", True)]
        said = [str(tenant.failed)] if first is None else lacking
        assert all(f"ERPNext at {here.url} does not answer" in words for words in said), said
        assert said
    here.front.back()
    assert tenant.run() == "PROVISIONED", tenant.failed
    assert differing(life.made, account(here)) == {}
    sent = len(here.asked())
    assert tenant.run() == "PROVISIONED"
    assert len(here.asked()) == sent, "a third run has nothing to do"
    tenant.destroy()
    assert differing(life.removed, account(here)) == {}


def test_what_a_killed_run_made_is_taken_over_whole_and_goes_with_the_tenant(here: Erp, life: Life) -> None:
    """Whatever it had made, and none of it is in any state."""
    tenant = Tenant()
    assert tenant.run() == "PROVISIONED"
    tenant.forget()
    assert tenant.run() == "PROVISIONED", tenant.failed
    assert differing(life.made, account(here)) == {}
    tenant.destroy()
    assert differing(life.removed, account(here)) == {}

"""An engine that goes away before, during or after any of a shop's steps: said, and made whole later, nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from providers.errors import UnreachableError
from providers.odoo.record import RecordProvider
from providers.odoo.session import PosSessionProvider
from sandbox.faults import Fault, Kind
from tests.odoo.recipes import chart, company, customer, inputs, product, till, warehouse
from tests.odoo.running import REGION, Server, created

COUNTS = {
    "stock.warehouse": 1,
    "product.template": 1,
    "pos.payment.method": 1,
    "pos.config": 1,
    "pos.session": 1,
    "account.tax": 1,
}
AT: list[Mapping[str, Any]] = [
    {"method": "load", "where": "res.company"},
    {"method": "try_loading", "where": "account.chart.template"},
    {"method": "load", "where": "stock.warehouse"},
    {"method": "load", "where": "res.partner"},
    {"method": "load", "where": "pos.config"},
    {"method": "create", "where": "pos.session"},
    {"method": "set_opening_control", "where": "pos.session"},
]


def build() -> str:
    """All of a shop, by a run that knows nothing of those before it; the session's state."""
    owner = company().outs["record_id"]
    chart(owner)
    store = warehouse(owner)
    product(owner)
    customer(owner)
    journal = inputs(
        "account.journal", "journal_till", owner, {"code": "TILL"}, initial={"name": "Till", "type": "cash"}
    )
    booked = created(RecordProvider(), journal).outs["record_id"]
    fields = {"journal_id": booked, "active": True}
    method = inputs("pos.payment.method", "payment_cash", owner, {"name": "Cash"}, fields=fields)
    paid = created(RecordProvider(), method).outs["record_id"]
    made = till(owner, store.outs["till_operation"], [paid])
    given = {"region": REGION, "company": owner, "till": made.outs["record_id"], "ready": True}
    return str(created(PosSessionProvider(), given).outs["state"])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", AT, ids=lambda at: f"{at['where']}-{at['method']}")
def test_what_was_cut_off_is_made_whole_and_not_twice(here: Server, at: Mapping[str, Any], after: bool) -> None:
    here.site.faults.add(cut_off(here, at, after=after))
    with pytest.raises(UnreachableError, match="does not answer"):
        build()
    here.site.faults.heal()
    assert build() == "opened"
    assert {model: len(here.rows(model)) for model in COUNTS} == COUNTS
    assert len(here.rows("res.company")) == 2
    assert len(here.rows("res.partner", name="Walk-In Customer")) == 1


def cut_off(here: Server, at: Mapping[str, Any], *, after: bool) -> Fault:
    """The call is cut off, and from then on the server is gone."""
    fault = Fault(kind=Kind.DROP, after=after, times=1, **at)
    gone = Fault(kind=Kind.DROP)
    handle = here.site.faults.matching

    def matching(method: str, path: str) -> Any:
        found = handle(method, path)
        if found[1] is fault:
            here.site.faults.add(gone)
        return found

    here.site.faults.matching = matching  # type: ignore[method-assign]
    return fault

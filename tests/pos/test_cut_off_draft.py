"""An ERPNext that goes away in the middle of any step, its work done or not: made whole later, and nothing is twice."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, settings

from components.point_of_sale import PointOfSale
from sandbox.erpnext.faults import Fault, Kind
from tests.erpnext.running import Engine, Erp, engine, here, quick
from tests.pos.test_component import TEA, Made, args

__all__ = ["engine", "here", "quick"]

CASHIER = "ann@shop.invalid"
COUNTS = {
    "Company": 1,
    "Item": 1,
    "Item Price": 1,
    "Customer": 1,
    "POS Profile": 1,
    "POS Opening Entry": 1,
}
AT = [
    ("POST", "/Company", True),
    ("GET", "/Account", False),
    ("POST", "/Warehouse", True),
    ("PUT", "/Selling Settings", True),
    ("POST", "/Item", True),
    ("POST", "/Customer", True),
    ("POST", "/Customer", False),
    ("POST", "/POS Profile", True),
    ("POST", "/POS Opening Entry", True),
    ("PUT", "/POS Opening Entry/", True),
]


def run() -> Any:
    """By a run whose state knows nothing of those before it: its outputs' status, None where it failed."""
    made = Made()
    made.refreshes = False
    settings.reset_options(project="tenantry", stack="shop")
    mocks.set_mocks(made.mocks, project="tenantry", stack="shop", preview=False, monitor=made)
    told: dict[str, Any] = {}

    def program() -> None:
        shop = PointOfSale("shop", args(items=(TEA,), cashier=CASHIER))
        pulumi.Output.from_input(shop.outputs).apply(told.update)

    try:
        made.up(program)
    except Exception:  # noqa: BLE001 - the SDK wraps what a provider raises in errors of its own
        return None
    return told.get("status")


@pytest.mark.parametrize(("method", "where", "after"), AT)
def test_what_was_cut_off_is_made_whole_and_not_twice(
    here: Erp, engine: Engine, method: str, where: str, after: bool
) -> None:
    cut = Fault(kind=Kind.DROP, method=method, where=where, after=after, times=1)
    here.site.faults.add(cut)
    matching = here.site.faults.matching

    def gone(*asked: Any) -> Any:
        found = matching(*asked)
        if found[1] is cut:
            here.fault(Kind.DROP)
        return found

    here.site.faults.matching = gone  # type: ignore[method-assign]
    assert run() in {None, "PARTIAL"}
    assert any(row.fault == "drop" and row.method == method and where in row.path for row in here.asked())
    here.site.faults.heal()
    assert run() == "PROVISIONED"
    assert {doctype: len(here.docs(doctype)) for doctype in COUNTS} == COUNTS
    assert len(here.docs("Warehouse", warehouse_name="Main Store")) == 1
    assert len(here.docs("User", email=CASHIER)) == 1
    assert [each["status"] for each in here.docs("POS Opening Entry")] == ["Open"]

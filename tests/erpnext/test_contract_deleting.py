"""What holds on every ERPNext, simulated or real: what is in the way of a cancel or a delete."""

from __future__ import annotations

import pytest

from tests.erpnext.conftest import Erp, Shop, refusal, row


@pytest.fixture
def opened(erp: Erp, shop: Shop, unique: str, cashier: str) -> str:
    """A session that is open, of the profile that is named `unique`."""
    erp.make("POS Profile", **shop.profile(unique))
    made = erp.make("POS Opening Entry", **shop.opening(unique, cashier))["name"]
    erp.change("POS Opening Entry", made, docstatus=1)
    return made


@row("opening-cancel", "delete-submitted", "docstatus")
def test_an_open_session_is_cancelled_and_then_deleted(erp: Erp, opened: str) -> None:
    assert erp.doc("DELETE", "POS Opening Entry", opened).status_code == 417
    back = erp.doc("PUT", "POS Opening Entry", opened, {"docstatus": 0, "period_end_date": "2024-05-02 08:00:00"})
    assert back.status_code == 417
    assert erp.change("POS Opening Entry", opened, docstatus=2)["status"] == "Cancelled"
    assert erp.doc("PUT", "POS Opening Entry", opened, {"docstatus": 1}).status_code == 417
    assert erp.doc("DELETE", "POS Opening Entry", opened).status_code == 202


@row("docstatus")
def test_a_draft_is_not_cancelled(erp: Erp, shop: Shop, unique: str, cashier: str) -> None:
    erp.make("POS Profile", **shop.profile(unique))
    made = erp.make("POS Opening Entry", **shop.opening(unique, cashier))["name"]
    answer = erp.doc("PUT", "POS Opening Entry", made, {"docstatus": 2})
    assert refusal(answer) == (417, "DocstatusTransitionError")


@row("cancelled-blocks", "linked-from-elsewhere")
def test_a_cancelled_session_blocks_its_profile(erp: Erp, opened: str, unique: str) -> None:
    assert refusal(erp.doc("DELETE", "POS Profile", unique)) == (417, "LinkExistsError")
    erp.change("POS Opening Entry", opened, docstatus=2)
    assert refusal(erp.doc("DELETE", "POS Profile", unique)) == (417, "LinkExistsError")
    assert erp.doc("DELETE", "POS Opening Entry", opened).status_code == 202
    assert erp.doc("DELETE", "POS Profile", unique).status_code == 202


@row("linked-from-elsewhere")
def test_a_profile_blocks_what_it_names(erp: Erp, shop: Shop, unique: str) -> None:
    house = erp.make("Warehouse", warehouse_name=unique, company=shop.company)["name"]
    customer = erp.make("Customer", customer_name=unique, customer_group="Individual", territory="All Territories")[
        "name"
    ]
    erp.make("POS Profile", **shop.profile(unique, warehouse=house, customer=customer))
    for doctype, name in (("Warehouse", house), ("Customer", customer), ("Company", shop.company)):
        assert refusal(erp.doc("DELETE", doctype, name)) == (417, "LinkExistsError"), doctype
    assert erp.doc("DELETE", "POS Profile", unique).status_code == 202
    assert erp.doc("DELETE", "Warehouse", house).status_code == 202


@row("warehouse-default")
def test_the_default_warehouse_is_not_deleted(erp: Erp, shop: Shop, unique: str) -> None:
    before = erp.read("Stock Settings", "Stock Settings")["default_warehouse"]
    house = erp.make("Warehouse", warehouse_name=unique, company=shop.company)["name"]
    erp.change("Stock Settings", "Stock Settings", default_warehouse=house)
    try:
        assert refusal(erp.doc("DELETE", "Warehouse", house)) == (417, "LinkExistsError")
    finally:
        erp.change("Stock Settings", "Stock Settings", default_warehouse=before)
    assert erp.doc("DELETE", "Warehouse", house).status_code == 202

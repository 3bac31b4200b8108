"""What the simulator does beyond the contract: switches, faults, and what only it can be asked of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.erpnext.api import CHARTS_METHOD, Site
from sandbox.erpnext.faults import Fault, Kind
from sandbox.http import Answer, Request
from sandbox.store import Store

COMPANY = {"company_name": "Duka", "default_currency": "KES", "country": "Kenya"}


class Desk:
    """A site in this process, and somebody who asks it."""

    def __init__(self, **options: Any) -> None:
        self.now = 1_700_000_000.0
        self.slept: list[float] = []
        self.site = Site(
            options.pop("store", None) or Store(), clock=lambda: self.now, sleep=self.slept.append, **options
        )
        self.key, self.secret = self.site.add_user("Administrator", {})

    def ask(
        self, method: str, path: str, body: Any = None, *, accept: str = "application/json", **more: str
    ) -> Answer | None:
        headers = {"accept": accept, "authorization": f"token {self.key}:{self.secret}", **more}
        raw = b"" if body is None else json.dumps(body).encode()
        target = path.replace(" ", "%20")
        return self.site.handle(Request(method=method, target=target, headers=headers, body=raw))

    def got(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.ask(method, path, body)
        assert answer is not None
        assert answer.status in {200, 202}, answer.body
        return answer.body.get("data", answer.body.get("message"))

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        answer = self.ask(method, path, body)
        assert answer is not None
        return answer.status, answer.body["exc_type"]

    def make(self, doctype: str, **fields: Any) -> str:
        return str(self.got("POST", f"/api/resource/{doctype}", fields)["name"])

    def till(self, name: str = "Till") -> str:
        """A profile of the company Duka, which it makes where it is not."""
        if not self.got("GET", "/api/resource/Company"):
            self.make("Company", **COMPANY)
        told = {"write_off_account": "Write Off - D", "write_off_cost_center": "Main - D", "warehouse": "Stores - D"}
        payments = [{"mode_of_payment": "Cash", "default": 1}]
        return self.make("POS Profile", name=name, company="Duka", currency="KES", payments=payments, **told)

    def opening(self, profile: str, **changes: Any) -> dict[str, Any]:
        told = {"period_start_date": "2024-05-01 08:00:00", "posting_date": "2024-05-01", "company": "Duka"}
        balances = [{"mode_of_payment": "Cash"}]
        return {**told, "pos_profile": profile, "user": "Administrator", "balance_details": balances, **changes}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_unfinished_wizard_leaves_a_site_without_what_a_company_needs() -> None:
    desk = Desk(wizard=False)
    assert desk.got("GET", "/api/resource/System Settings/System Settings")["setup_complete"] == 0
    answer = desk.ask("POST", "/api/resource/Company", COMPANY)
    assert answer is not None
    assert (answer.status, answer.body["exc_type"]) == (417, "LinkValidationError")
    assert "Could not find Warehouse Type: Transit" in answer.body["_server_messages"]
    for doctype in ("Company", "Account", "Warehouse", "Cost Center", "UOM", "Mode of Payment", "Price List"):
        assert desk.got("GET", f"/api/resource/{doctype}") == [], doctype
    desk.site.finish_setup()
    desk.site.finish_setup()
    assert desk.got("GET", "/api/resource/System Settings/System Settings")["setup_complete"] == 1
    assert desk.make("Company", **COMPANY) == "Duka"


def test_a_missing_transit_type_alone_is_the_same(desk: Desk) -> None:
    desk.got("DELETE", "/api/resource/Warehouse Type/Transit")
    assert desk.refused("POST", "/api/resource/Company", COMPANY) == (417, "LinkValidationError")
    desk.make("Warehouse Type", name="Transit")
    assert desk.make("Company", **COMPANY) == "Duka"


def test_an_older_one_opens_a_second_session_and_a_newer_one_refuses_it(desk: Desk) -> None:
    profile = desk.till()
    desk.make("POS Opening Entry", **desk.opening(profile), docstatus=1)
    other = desk.till("Other till")
    for second in (profile, other):  # the same profile, and the same user
        assert desk.refused("POST", "/api/resource/POS Opening Entry", desk.opening(second)) == (417, "ValidationError")
    desk.site.switch(newer=False)
    desk.make("POS Opening Entry", **desk.opening(profile), docstatus=1)
    rows = desk.got("GET", '/api/resource/POS Opening Entry?filters=[["status","=","Open"]]')
    assert len(rows) == 2


def test_a_delete_is_answered_as_the_version_does(desk: Desk) -> None:
    for newer, body in ((True, {"data": "ok"}), (False, {"message": "ok"})):
        desk.site.switch(newer=newer)
        name = desk.make("UOM", uom_name=f"Crate {newer}")
        answer = desk.ask("DELETE", f"/api/resource/UOM/{name}")
        assert answer is not None
        assert (answer.status, answer.body) == (202, body)


def test_a_session_with_invoices_is_not_cancelled(desk: Desk) -> None:
    entry = desk.make("POS Opening Entry", **desk.opening(desk.till()), docstatus=1)
    customer = desk.make("Customer", customer_name="Asha")
    sold = desk.make("POS Invoice", customer=customer, company="Duka", pos_profile="Till", docstatus=1)
    where = f"/api/resource/POS Opening Entry/{entry}"
    assert desk.refused("PUT", where, {"docstatus": 2}) == (417, "ValidationError")
    assert desk.got("GET", where)["status"] == "Open"
    desk.got("PUT", f"/api/resource/POS Invoice/{sold}", {"consolidated_invoice": "SINV-1"})
    assert desk.got("PUT", where, {"docstatus": 2})["status"] == "Cancelled"


def stocked(desk: Desk) -> str:
    desk.make("Company", **COMPANY)
    desk.make("Item", item_code="Soap", item_group="Products", stock_uom="Nos")
    rows = [{"item_code": "Soap", "qty": 12, "t_warehouse": "Stores - D", "basic_rate": 50}]
    return desk.make("Stock Entry", stock_entry_type="Material Receipt", company="Duka", items=rows, docstatus=1)


def test_stock_is_in_the_way_of_deleting_even_once_it_is_cancelled(desk: Desk) -> None:
    entry = stocked(desk)
    assert [one["actual_qty"] for one in desk.got("GET", '/api/resource/Bin?fields=["actual_qty"]')] == [12]
    for _ in range(2):
        assert desk.refused("DELETE", "/api/resource/Warehouse/Stores - D") == (417, "ValidationError")
        assert desk.refused("DELETE", "/api/resource/Company/Duka") == (417, "LinkExistsError")
        assert desk.refused("DELETE", "/api/resource/Item/Soap") == (417, "LinkExistsError")
        if desk.got("GET", f"/api/resource/Stock Entry/{entry}")["docstatus"] == 1:
            desk.got("PUT", f"/api/resource/Stock Entry/{entry}", {"docstatus": 2})
    assert [one["actual_qty"] for one in desk.got("GET", '/api/resource/Bin?fields=["actual_qty"]')] == [0]
    assert desk.got("GET", "/api/resource/Account?limit_page_length=0") != []


def test_a_deletion_record_empties_the_ledgers_after_a_while(desk: Desk) -> None:
    stocked(desk)
    record = desk.make("Transaction Deletion Record", company="Duka", docstatus=1)
    where = f"/api/resource/Transaction Deletion Record/{record}"
    assert desk.got("GET", where)["status"] == "Queued"
    assert desk.refused("DELETE", "/api/resource/Company/Duka")[0] == 417
    desk.now += 1
    assert desk.got("GET", where)["status"] == "Completed"
    desk.got("DELETE", "/api/resource/Company/Duka")
    desk.got("DELETE", "/api/resource/Item/Soap")
    for doctype in ("Account", "Warehouse", "GL Entry", "Stock Ledger Entry", "Stock Entry"):
        assert desk.got("GET", f"/api/resource/{doctype}?limit_page_length=0") == [], doctype


def test_a_user_without_the_right_is_refused_and_a_disabled_one_unknown(desk: Desk) -> None:
    admin = desk.key, desk.secret
    desk.key, desk.secret = desk.site.add_user("reader@duka.invalid", {"*": "read", "Customer": "read create"})
    assert desk.got("GET", "/api/resource/Company") == []
    assert desk.refused("POST", "/api/resource/Company", COMPANY) == (403, "PermissionError")
    name = desk.make("Customer", customer_name="Asha")
    for method in ("PUT", "DELETE"):
        assert desk.refused(method, f"/api/resource/Customer/{name}", {}) == (403, "PermissionError")
    reader = desk.key, desk.secret
    desk.key, desk.secret = admin
    desk.got("PUT", "/api/resource/User/reader@duka.invalid", {"enabled": 0})
    desk.key, desk.secret = reader
    assert desk.refused("GET", "/api/resource/Company") == (401, "AuthenticationError")


def test_a_chart_that_a_site_has_is_offered_and_taken(desk: Desk) -> None:
    ask = f"/api/method/{CHARTS_METHOD}?country=Kenya"
    assert desk.got("GET", ask) == ["Standard", "Standard with Numbers"]
    desk.site.switch(charts={"Kenya": ["Kenya - Chart of Accounts"]})
    assert desk.got("GET", ask) == ["Kenya - Chart of Accounts"]
    assert desk.got("GET", f"{ask}&with_standard=1")[1:] == ["Standard", "Standard with Numbers"]
    desk.make("Company", **COMPANY, chart_of_accounts="Kenya - Chart of Accounts")
    assert desk.got("GET", "/api/resource/Account/Cash - D")["account_type"] == "Cash"


def test_errors_are_pages_unless_json_is_asked_for_and_traced_where_allowed(desk: Desk) -> None:
    page = desk.ask("POST", "/api/resource/Price List", {"price_list_name": "<b>"}, accept="*/*")
    assert page is not None
    assert page.content_type.startswith("text/html")
    desk.site.switch(tracebacks=True)
    traced = desk.ask("POST", "/api/resource/Price List", {"price_list_name": "one"})
    gone = desk.ask("GET", "/api/resource/Price List/none")
    assert traced is not None
    assert gone is not None
    assert {"exc", "exception"} <= traced.body.keys()
    assert not {"exc", "exception"} & gone.body.keys()


def test_a_field_that_it_does_not_have_is_dropped(desk: Desk) -> None:
    name = desk.make("Customer", customer_name="Asha", shoe_size=38)
    assert "shoe_size" not in desk.got("GET", f"/api/resource/Customer/{name}")


def test_names_by_series_where_the_site_says_so(desk: Desk) -> None:
    desk.got("PUT", "/api/resource/Selling Settings/Selling Settings", {"cust_master_name": "Naming Series"})
    year = desk.got("GET", "/api/resource/Selling Settings/Selling Settings")["modified"][:4]
    assert [desk.make("Customer", customer_name="Asha") for _ in range(2)] == [
        f"CUST-{year}-00001",
        f"CUST-{year}-00002",
    ]


WRONG: list[tuple[Fault, int | None]] = [
    (Fault(kind=Kind.TOO_MANY, seconds=3, times=1), 429),
    (Fault(kind=Kind.ERROR, status=504, times=1), 504),
    (Fault(kind=Kind.MAINTENANCE, times=1), 503),
    (Fault(kind=Kind.DROP, times=1), None),
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("fault", "status"), WRONG)
def test_a_fault_is_before_or_after_the_work(desk: Desk, fault: Fault, status: int | None, *, after: bool) -> None:
    told = fault.told() | {"after": after, "method": "POST", "where": "/UOM"}
    desk.site.faults.add(Fault(**told))
    desk.make("Warehouse Type", name="another")  # not what the fault is for
    answer = desk.ask("POST", "/api/resource/UOM", {"uom_name": "Crate"})
    assert (answer.status if answer else None) == status
    if fault.kind is Kind.TOO_MANY:
        assert answer is not None
        assert (answer.headers, answer.body["exc_type"]) == ({"Retry-After": "3"}, "TooManyRequestsError")
    there = desk.ask("POST", "/api/resource/UOM", {"uom_name": "Crate"})
    assert there is not None
    assert there.status == (409 if after else 200)


def test_a_fault_spares_the_first_and_holds_until_healed(desk: Desk) -> None:
    desk.site.faults.add(Fault(kind=Kind.ERROR, skip=2))
    asked = [desk.ask("GET", "/api/method/ping") for _ in range(4)]
    assert [answer and answer.status for answer in asked] == [200, 200, 502, 502]
    desk.site.faults.heal()
    assert desk.got("GET", "/api/method/ping") == "pong"


def test_latency_is_added_to_each_call(desk: Desk) -> None:
    desk.site.faults.add(Fault(kind=Kind.LATENCY, seconds=0.05))
    desk.site.faults.add(Fault(kind=Kind.ERROR, times=1))
    for _ in range(3):
        desk.ask("GET", "/api/method/ping")
    assert desk.slept == [0.05, 0.05, 0.05]


def test_what_was_asked_is_counted_without_what_was_said(desk: Desk) -> None:
    desk.ask("POST", "/api/resource/Mode of Payment?x=1", {"mode_of_payment": "hush"}, **{"x-correlation-id": "run-7"})
    desk.site.faults.add(Fault(kind=Kind.DROP, times=1))
    desk.ask("GET", "/api/method/ping")
    rows = [(one.method, one.path, one.status, one.user, one.correlation, one.fault) for one in desk.site.log.rows()]
    assert rows == [
        ("POST", "/api/resource/Mode of Payment", 200, "Administrator", "run-7", ""),
        ("GET", "/api/method/ping", 0, "Guest", "", "drop"),
    ]
    assert "hush" not in repr(desk.site.log.rows())


def test_a_restart_finds_documents_keys_and_switches_but_no_faults(tmp_path: Path) -> None:
    first = Desk(store=Store(tmp_path / "erpnext.db"))
    first.make("Company", **COMPANY)
    first.site.switch(newer=False)
    first.site.faults.add(Fault(kind=Kind.MAINTENANCE))
    before = first.site.documents.get("Company", "Duka")
    again = Desk(store=Store(tmp_path / "erpnext.db"))
    assert again.got("GET", "/api/resource/Company/Duka") == before
    assert again.site.documents.newer is False
    again.key, again.secret = first.key, first.secret
    assert again.got("GET", "/api/method/frappe.auth.get_logged_user") == "Administrator"
    assert again.refused("POST", "/api/resource/Company", COMPANY) == (409, "DuplicateEntryError")


@pytest.mark.parametrize("body", [b"no json", b"[1]", b'"x"'])
def test_a_body_that_is_none_is_refused(desk: Desk, body: bytes) -> None:
    headers = {"accept": "application/json", "authorization": f"token {desk.key}:{desk.secret}"}
    answer = desk.site.handle(Request(method="POST", target="/api/resource/UOM", headers=headers, body=body))
    assert answer is not None
    assert answer.status == 417

"""An ERPNext for each contract test: the simulator, and a real site where ERPNEXT_URL, _KEY and _SECRET name one.

On a real site all that a test makes has a name of its own, and goes again. What differs there from the rows of the
facts is said at the end of the run, row by row.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.erpnext import server as simulator
from sandbox.erpnext.facts import ROWS, sureness
from tests.contracts import Contract
from tests.erpnext import running
from tests.erpnext.recipes import COMPANY, make
from tests.erpnext.running import engine, here, quick, raw

__all__ = ["engine", "here", "quick", "raw"]


@pytest.fixture
def company(here: running.Erp) -> running.Made:
    """A tenant's company, as a document."""
    return make(COMPANY)


VARIABLES = ("ERPNEXT_URL", "ERPNEXT_KEY", "ERPNEXT_SECRET")
CONTRACT = Contract(
    rows=ROWS, sureness=sureness, fixture="site", title="ERPNext, by the rows of sandbox/erpnext/facts.py"
)
row, report_lines = CONTRACT.row, CONTRACT.lines
pytest_runtest_makereport, pytest_terminal_summary = CONTRACT.hooks()


def refusal(answer: httpx.Response) -> tuple[int, str | None]:
    """(status, exc_type); what success has instead is None."""
    return answer.status_code, answer.json().get("exc_type")


@dataclass(slots=True, kw_only=True)
class Erp:
    """A site, as somebody sees it who is not Tenantry. What it `make`s goes at the end of the test."""

    url: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    real: bool
    client: httpx.Client = field(repr=False)
    made: list[tuple[str, str]] = field(default_factory=list, repr=False)

    def call(self, method: str, path: str, body: Any = None, **query: str) -> httpx.Response:
        headers = {"Authorization": f"token {self.key}:{self.secret}", "Accept": "application/json"}
        return self.client.request(method, self.url + path, json=body, params=query, headers=headers)

    def doc(self, method: str, doctype: str, name: str = "", body: Any = None, **query: str) -> httpx.Response:
        return self.call(method, f"/api/resource/{doctype}{'/' if name else ''}{name}", body, **query)

    def read(self, doctype: str, name: str) -> dict[str, Any]:
        answer = self.doc("GET", doctype, name)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def make(self, doctype: str, **fields: Any) -> dict[str, Any]:
        answer = self.doc("POST", doctype, body=fields)
        assert answer.status_code == 200, answer.text
        told = dict(answer.json()["data"])
        self.made.append((doctype, told["name"]))
        return told

    def change(self, doctype: str, name: str, **fields: Any) -> dict[str, Any]:
        answer = self.doc("PUT", doctype, name, fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def clean(self) -> None:
        """The last made goes first; one that is submitted is cancelled before."""
        for doctype, name in reversed(self.made):
            if self.doc("DELETE", doctype, name).status_code == 417:
                self.doc("PUT", doctype, name, {"docstatus": 2})
                self.doc("DELETE", doctype, name)
        self.made.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A company of the test's own, and what a till of it needs."""

    company: str
    abbr: str
    currency: str
    warehouse: str
    cash: str
    write_off: str
    cost_center: str

    def profile(self, name: str, **changes: Any) -> dict[str, Any]:
        payments = [{"mode_of_payment": "Cash", "default": 1}]
        told = {"name": name, "company": self.company, "currency": self.currency, "warehouse": self.warehouse}
        return {
            **told,
            "write_off_account": self.write_off,
            "write_off_cost_center": self.cost_center,
            "payments": payments,
            **changes,
        }

    def opening(self, profile: str, user: str, **changes: Any) -> dict[str, Any]:
        balances = [{"mode_of_payment": "Cash", "opening_amount": 100}]
        told = {"period_start_date": "2024-05-01 08:00:00", "posting_date": "2024-05-01", "company": self.company}
        return {**told, "pos_profile": profile, "user": user, "balance_details": balances, **changes}


def sites() -> list[str]:
    """Which there are. Raises for a real one that is named by half."""
    named = [name for name in VARIABLES if os.environ.get(name)]
    if named and len(named) < len(VARIABLES):
        raise pytest.UsageError(f"a real ERPNext needs all of {', '.join(VARIABLES)}; there is only {', '.join(named)}")
    return ["simulated", "real"] if named else ["simulated"]


@pytest.fixture(scope="session", params=sites())
def site(request: pytest.FixtureRequest) -> Iterator[Erp]:
    """Each contract test runs on all."""
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(timeout=120))
        if request.param == "real":
            url, key, secret = (os.environ[name] for name in VARIABLES)
            yield Erp(url=url.rstrip("/"), key=key, secret=secret, real=True, client=client)
            return
        folder = Path(tempfile.mkdtemp(prefix="tenantry-test-erpnext-"))
        stack.callback(simulator.remove, folder)
        running = simulator.start(folder)
        yield Erp(url=running.url, key=running.key, secret=running.secret, real=False, client=client)


@pytest.fixture
def erp(site: Erp) -> Iterator[Erp]:
    kept, site.made = site.made, []
    yield site
    site.clean()
    site.made = kept


@pytest.fixture(scope="session")
def shop(site: Erp) -> Iterator[Shop]:
    """One for all tests of a site: a real one takes its time over a company."""
    unique = uuid.uuid4().hex[:6].upper()
    site.make("Company", company_name=f"Contract {unique}", abbr=f"C{unique}", default_currency="KES", country="Kenya")
    yield shop_of(site, f"Contract {unique}")
    site.clean()


def shop_of(erp: Erp, company: str) -> Shop:
    told = erp.read("Company", company)
    return Shop(
        company=company,
        abbr=told["abbr"],
        currency=told["default_currency"],
        warehouse=f"Stores - {told['abbr']}",
        cash=told["default_cash_account"],
        write_off=told["write_off_account"],
        cost_center=told["cost_center"],
    )


@pytest.fixture
def unique() -> str:
    """In the names of all that a test makes."""
    return f"T{uuid.uuid4().hex[:8]}"


@pytest.fixture
def cashier(erp: Erp) -> str:
    """Who asks, and who will be at the till."""
    return str(erp.call("GET", "/api/method/frappe.auth.get_logged_user").json()["message"])

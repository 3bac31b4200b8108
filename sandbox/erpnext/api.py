"""The simulated site's front: who asks, which request goes where, and how success and refusal are told.

Decides the order: faults, key, route; and that a request's changes are kept whole or not at all [rollback].
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox.erpnext import charts, fixtures, stock
from sandbox.erpnext.access import GUEST, Access
from sandbox.erpnext.company import Account, Company
from sandbox.erpnext.doctypes import Catalogue
from sandbox.erpnext.documents import ADMINISTRATOR, Documents
from sandbox.erpnext.faults import Faults, Log, answer_of
from sandbox.erpnext.listing import listed
from sandbox.erpnext.refusals import Refusal, invalid
from sandbox.erpnext.rules import Rules
from sandbox.erpnext.selling import Customer, Item, ItemPrice, PriceList
from sandbox.erpnext.till import ModeOfPayment, PosOpeningEntry, PosProfile
from sandbox.http import Answer, Request
from sandbox.records import Records
from sandbox.store import Store

CHARTS_METHOD = "erpnext.accounts.doctype.account.chart_of_accounts.chart_of_accounts.get_charts_for_country"
_SWITCHES = "#switches"
_RULES: Mapping[str, Rules] = {
    "Account": Account(),
    "Company": Company(),
    "Customer": Customer(),
    "Item": Item(),
    "Item Price": ItemPrice(),
    "Mode of Payment": ModeOfPayment(),
    "POS Opening Entry": PosOpeningEntry(),
    "POS Profile": PosProfile(),
    "Price List": PriceList(),
    "Stock Entry": stock.StockEntry(),
    "Stock Reconciliation": stock.StockReconciliation(),
    "Transaction Deletion Record": stock.TransactionDeletionRecord(),
    "Warehouse": stock.Warehouse(),
}


class Site:
    """The whole simulator. Switches are kept: `newer`, `tracebacks`, `charts` by country, `deletion_seconds`."""

    def __init__(
        self,
        store: Store,
        *,
        wizard: bool = True,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.records = Records(store, clock)
        self.access = Access(self.records)
        self.documents = Documents(records=self.records, kinds=Catalogue(), rules=_RULES, permit=self.access.permit)
        self.faults, self.log = Faults(), Log()
        self._lock, self._sleep, self._tracebacks = threading.Lock(), sleep, False
        if self.records.look("User", ADMINISTRATOR) is None:
            with self.records.request():
                fixtures.installed(self.documents)
                if wizard:
                    fixtures.set_up(self.documents)
        self._switch(self.records.look(_SWITCHES, "all") or {})

    def handle(self, request: Request) -> Answer | None:
        """The answer to any request; None for a connection that is cut. Waits are no wait for others."""
        waits, fault = self.faults.for_request(request)
        if waits:
            self._sleep(waits)
        as_json = "application/json" in request.headers.get("accept", "")
        answer: Answer | None = None
        user = GUEST
        if fault is None or fault.after:
            user, answer = self._answered(request, as_json=as_json)
        if fault is not None:
            answer = answer_of(fault, as_json=as_json, tracebacks=self._tracebacks)
        self.log.add(request, status=answer.status if answer else 0, user=user, fault=fault)
        return answer

    def close(self) -> None:
        with self._lock:
            self.records.close()

    def finish_setup(self) -> None:
        """As somebody who goes through the set-up wizard now. Nothing where it was finished."""
        with self._lock, self.records.request():
            if not self.documents.get("System Settings", "System Settings")["setup_complete"]:
                fixtures.set_up(self.documents)

    def add_user(self, name: str, rights: Mapping[str, str], *, key: str = "", secret: str = "") -> tuple[str, str]:
        """(key, secret) of a user with these rights: words by DocType, `*` for all others."""
        with self._lock, self.records.request():
            if self.records.look("User", name) is None:
                self.documents.insert("User", {"email": name, "first_name": name})
            return self.access.give(name, rights, key=key, secret=secret)

    def switch(self, **switches: Any) -> None:
        """Keeps them across restarts. Raises TypeError for one that there is not."""
        unknown = switches.keys() - {"newer", "tracebacks", "charts", "deletion_seconds"}
        if unknown:
            raise TypeError(f"no such switch: {', '.join(sorted(unknown))}")
        with self._lock, self.records.request():
            kept = {**(self.records.look(_SWITCHES, "all") or {}), **switches}
            self.records.put(_SWITCHES, "all", kept)
            self._switch(kept)

    def _switch(self, kept: Mapping[str, Any]) -> None:
        self.documents.newer = bool(kept.get("newer", True))
        self.documents.charts = {country: tuple(names) for country, names in kept.get("charts", {}).items()}
        self.documents.deletion_seconds = float(kept.get("deletion_seconds", 0.2))
        self._tracebacks = bool(kept.get("tracebacks", False))

    def _answered(self, request: Request, *, as_json: bool) -> tuple[str, Answer]:
        user = GUEST
        with self._lock:
            try:
                user = self.access.user_of(request.headers.get("authorization", ""))
                if stock.pending(self.documents):
                    with self.records.request():
                        stock.settle(self.documents)
                # Only what may change something is worth a transaction.
                with nullcontext() if request.method == "GET" else self.records.request():
                    return user, self._routed(request, user)
            except Refusal as refusal:
                wrong = refusal
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                # What nobody thought of is an error 500 of Python's own, as it is in Frappe.
                wrong = Refusal(type(error).__name__, str(error))
            return user, wrong.answer(as_json=as_json, tracebacks=self._tracebacks)

    def _routed(self, request: Request, user: str) -> Answer:
        _, api, what, *rest = [*unquote(request.path).split("/", 4), "", ""]
        doctype, name = rest[0], rest[1] if len(rest) > 2 else ""
        if (api, what) == ("api", "method"):
            return Answer(body={"message": self._called(doctype, request, user)})
        if (api, what) != ("api", "resource") or not doctype:
            raise Refusal("DoesNotExistError", f"{request.path} not found")
        if user == GUEST:
            raise Refusal("PermissionError", f"User {GUEST} does not have access to {doctype}")  # [no-key]
        if request.method == "DELETE" and name:
            self.documents.delete(doctype, name, user)
            return Answer(status=202, body={"data" if self.documents.newer else "message": "ok"})  # [deleted]
        return Answer(body={"data": self._resource(request, doctype, name, user)})

    def _resource(self, request: Request, doctype: str, name: str, user: str) -> Any:
        """[envelope]."""
        if request.method == "GET" and name:
            return self.documents.get(doctype, name, user)
        if request.method == "GET":
            return self._list(doctype, request.query, user)
        if request.method == "POST" and not name:
            return self.documents.insert(doctype, _sent(request), user)
        if request.method == "PUT" and name:
            return self.documents.update(doctype, name, _sent(request), user)
        raise invalid(f"{request.method} is not allowed here")

    def _list(self, doctype: str, query: Mapping[str, str], user: str) -> list[dict[str, Any]]:
        try:
            kind = self.documents.kind(doctype)
        except Refusal:
            raise Refusal("DoesNotExistError", f"DocType {doctype} not found") from None  # [unknown-doctype-list]
        self.documents.permit(user, doctype, "read")
        if kind.single:
            raise invalid(f"{doctype} is a Single: it has no list")
        return listed(self.records, self.documents.kinds, kind, query)

    def _called(self, method: str, request: Request, user: str) -> Any:
        """[ping], [logged-user], [charts-method], [unknown-method]."""
        if method == "ping":
            return "pong"
        if method not in {"frappe.auth.get_logged_user", CHARTS_METHOD}:
            raise invalid(f"Failed to get method for command {method}")
        if user == GUEST:
            raise Refusal("PermissionError", f"Function {method} is not whitelisted.")
        if method == CHARTS_METHOD:
            told = {**request.query, **(_sent(request) if request.method == "POST" else {})}
            standard = str(told.get("with_standard", "")).lower() in {"1", "true"}
            return charts.offered(str(told.get("country", "")), self.documents.charts, with_standard=standard)
        return user


def _sent(request: Request) -> dict[str, Any]:
    """The fields of a body: JSON, or a form whose `data` is JSON."""
    kind = request.headers.get("content-type", "")
    text = request.body.decode("utf-8", "replace")
    if kind.startswith("application/x-www-form-urlencoded"):
        form = dict(parse_qsl(text, keep_blank_values=True))
        if "data" not in form:
            return dict(form)
        text = form["data"]
    try:
        told = json.loads(text or "{}")
    except ValueError:
        raise invalid("Invalid request body") from None
    if isinstance(told, dict) and isinstance(told.get("data"), str):
        told = json.loads(told["data"])
    if not isinstance(told, dict):
        raise invalid("Invalid request body")
    return told

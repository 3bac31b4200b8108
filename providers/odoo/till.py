"""Whom a tenant sells to, how it is paid, and its till: customer, journal, payment method and point of sale.

Decides by what each is found again; all are in the tenant's own company. A till that has sold is not deleted: its
orders are entries of the books. Days that were closed without a sale go with it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult

from providers.odoo.api import Odoo, Row
from providers.odoo.errors import InUseError
from providers.odoo.lifecycle import unlinked
from providers.odoo.marks import encoded
from providers.odoo.record import Common, Record, RecordProvider
from providers.odoo.wanted import Wanted, Whose

SESSIONS = "pos.session"
_NO_LETTERS = re.compile(r"[^A-Z]")


class Customer(Record, module="tenantry", name="OdooCustomer"):
    """A customer of the company."""

    def __init__(self, name: str, *, customer: str, company: pulumi.Input[int], **common: Unpack[Common]) -> None:
        super().__init__(
            name,
            model="res.partner",
            key=f"customer_{encoded(customer.lower())}",
            whose=Whose.COMPANY,
            named={"name": customer, "company_id": company},
            fields={"active": True},
            initial={"customer_rank": 1},
            company=company,
            **common,
        )


class Journal(Record, module="tenantry", name="OdooJournal"):
    """Where payments are booked. Odoo gives a cash or a bank journal an account of its own."""

    def __init__(
        self,
        name: str,
        *,
        journal: str,
        code: str,
        kind: str,
        company: pulumi.Input[int],
        **common: Unpack[Common],
    ) -> None:
        """`kind` is cash or bank. `code` has up to five letters, and is unique in the company."""
        super().__init__(
            name,
            model="account.journal",
            key=f"journal_{encoded(code.lower())}",
            whose=Whose.COMPANY,
            named={"code": code, "company_id": company},
            fields={"active": True},
            initial={"name": journal, "type": kind},
            company=company,
            **common,
        )


class PaymentMethod(Record, module="tenantry", name="OdooPaymentMethod"):
    """How a till is paid: in cash or by a bank, as its journal is. A cash journal serves one method, and one till."""

    def __init__(
        self,
        name: str,
        *,
        method: str,
        journal: pulumi.Input[int],
        company: pulumi.Input[int],
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            name,
            model="pos.payment.method",
            key=f"payment_{encoded(method.lower())}",
            whose=Whose.COMPANY,
            named={"name": method, "company_id": company},
            fields={"journal_id": journal, "active": True},
            company=company,
            needs=("journal_id",),
            **common,
        )


class PosConfigProvider(RecordProvider):
    def _checked(self, result: CheckResult, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
        fields = news.get("fields")
        methods = fields.get("payment_method_ids") if isinstance(fields, Mapping) else None
        if isinstance(methods, (list, tuple)) and not methods:
            result.failures.append(CheckFailure("methods", "a till needs a payment method: give one or more"))

    def _cleared(self, odoo: Odoo, wanted: Wanted, found: Row) -> None:
        sessions = odoo.search(
            SESSIONS, [("config_id", "=", found["id"])], ["id"], what=wanted.what, company=wanted.company
        )
        ids = [row["id"] for row in sessions]
        check_unsold(odoo, wanted.what, ids, company=wanted.company)
        unlinked(odoo, SESSIONS, ids, what=f"{wanted.what}, its sessions", company=wanted.company)


class PosConfig(Record, module="tenantry", name="OdooPosConfig"):
    """A till. `methods` are payment methods of the company, `operation` the warehouse's `till_operation`."""

    provider = PosConfigProvider

    def __init__(
        self,
        name: str,
        *,
        till: str,
        methods: Sequence[pulumi.Input[int]],
        operation: pulumi.Input[int],
        company: pulumi.Input[int],
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            name,
            model="pos.config",
            key="till",
            whose=Whose.COMPANY,
            named={"name": till, "company_id": company},
            fields={"payment_method_ids": list(methods), "picking_type_id": operation, "active": True},
            company=company,
            needs=("payment_method_ids", "picking_type_id"),
            **common,
        )


def code_of(mode: str) -> str:
    """The code of the journal of a mode of payment, such as `CA5XQ` for Cash: five letters or digits.

    It follows from the mode alone. By a place among the modes another mode before it would make it another journal,
    which cannot be: Odoo deletes none that a payment method is booked in. Odoo's own codes are of other forms.
    """
    digest = hashlib.sha256(mode.encode()).digest()
    return (_NO_LETTERS.sub("", mode.upper())[:2] + base64.b32encode(digest).decode())[:5]


def check_unsold(odoo: Odoo, what: str, sessions: Sequence[int], *, company: int | None) -> None:
    """Raises InUseError where any of these sessions has sold.

    The way out is the company's: a till that is archived has sold still, and what Odoo keeps for it stands in its way.
    """
    domain = [("session_id", "in", list(sessions))]
    orders = odoo.count("pos.order", domain, what=what, company=company) if sessions else 0
    if orders:
        raise InUseError(
            f"{what}: it has sold: {orders} orders are in the books, which Tenantry never deletes. Close its session "
            "in Odoo, archive the company there, then retry: an archived one counts as gone, and its books are kept.",
            status=200,
        )

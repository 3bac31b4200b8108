"""Whom a tenant sells to, how it is paid, and its till: customer, mode of payment and POS profile, as documents.

Decides by what each is found again. A customer and a mode of payment are the site's: one that is there is used as it
is, and of a mode of payment only the company's own row is kept. A POS profile is in the company, and so the tenant's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult

from providers.erpnext.document import Common, Document, DocumentProvider, kept_site
from providers.erpnext.errors import LinkedError
from providers.erpnext.lifecycle import look
from providers.erpnext.session import without_sessions
from providers.erpnext.wanted import Whose, kept_of, same, wanted_of
from providers.props import altered


class Customer(Document, module="tenantry", name="ErpNextCustomer"):
    """ERPNext makes `X - 1` of a second customer X: so it is looked for first, and looked for again once it is made."""

    def __init__(
        self,
        name: str,
        *,
        customer: str,
        more: Mapping[str, Any] | None = None,
        **common: Unpack[Common],
    ) -> None:
        """`more` are further fields of its own, such as `customer_group` and `territory`, which must be there."""
        super().__init__(
            name,
            doctype="Customer",
            key={"customer_name": customer},
            whose=Whose.SHARED,
            fields={"disabled": 0},
            initial={"customer_type": "Individual", **(more or {})},
            mark_field="customer_details",
            **common,
        )


class ModeOfPayment(Document, module="tenantry", name="ErpNextModeOfPayment"):
    """`kind` is Cash, Bank, General or Phone, and counts only where it is made here."""

    def __init__(
        self,
        name: str,
        *,
        mode: str,
        kind: str,
        company: pulumi.Input[str],
        account: pulumi.Input[str],
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            name,
            doctype="Mode of Payment",
            key={"mode_of_payment": mode},
            whose=Whose.SHARED,
            named=mode,
            fields={"accounts": [{"company": company, "default_account": account}]},
            initial={"type": kind, "enabled": 1},
            tables={"accounts": "company"},
            **common,
        )


class PosProfileProvider(DocumentProvider):
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        try:
            super().delete(_id, _props)
        except LinkedError:
            without_sessions(kept_site(_props), wanted_of(_props))
            super().delete(_id, _props)

    def _brought_up(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        return super()._brought_up(olds, {**news, "fields": {**_given_back(olds, news), **news["fields"]}})

    def _checked(self, result: CheckResult, olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
        before, wanted = olds.get("named"), news.get("named")
        if altered(before, wanted):
            reason = (
                f"a till stays called {before!r}, since its sessions stay in ERPNext and name it: leave it that name, "
                f"or make another tenant for {wanted!r}"
            )
            result.failures.append(CheckFailure("profile", reason))
        payments = (news.get("fields") or {}).get("payments")
        # Of a preview, a list that holds an Output is unknown as a whole.
        if not isinstance(payments, (list, tuple)) or not all(isinstance(row, Mapping) for row in payments):
            return
        defaults = [row for row in payments if row.get("default")]
        if len(defaults) != 1:
            reason = f"one of a profile's payments is the default, and {len(defaults)} of these {len(payments)} are"
            result.failures.append(CheckFailure("payments", reason))


class PosProfile(Document, module="tenantry", name="ErpNextPosProfile"):
    """A till. `modes` are modes of payment that have an account of the company, the first being the default."""

    provider = PosProfileProvider

    def __init__(
        self,
        name: str,
        *,
        profile: str,
        company: pulumi.Input[str],
        currency: str,
        warehouse: pulumi.Input[str],
        write_off_account: pulumi.Input[str],
        write_off_cost_center: pulumi.Input[str],
        modes: Sequence[pulumi.Input[str]],
        more: Mapping[str, pulumi.Input[Any]] | None = None,
        **common: Unpack[Common],
    ) -> None:
        """`more` are further fields that are kept, such as `customer` and `selling_price_list`."""
        super().__init__(
            name,
            doctype="POS Profile",
            key={"company": company},
            whose=Whose.COMPANY,
            named=profile,
            fields={
                "currency": currency,
                "warehouse": warehouse,
                "write_off_account": write_off_account,
                "write_off_cost_center": write_off_cost_center,
                "payments": [{"mode_of_payment": mode, "default": int(at == 0)} for at, mode in enumerate(modes)],
                "disabled": 0,
                **(more or {}),
            },
            **common,
        )


def _given_back(olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are kept no more, empty, as far as they still say what we have put there: what they name could
    not go, and a till would go on selling by it."""
    before, wanted = olds.get("fields") or {}, news["fields"]
    dropped = [name for name in before if name not in wanted]
    found = look(kept_site(olds), wanted_of(olds), kept_of(olds)) if dropped else None
    return {name: "" for name in dropped if found is not None and same(found.get(name), before[name])}

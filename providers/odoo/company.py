"""A tenant's company: found by its name, known by its mark, and taken away with all that Odoo has made for it.

Decides that a company which is not ours is never touched, and that its name and currency stay. Odoo deletes a company
only once nothing needs it: its journals, taxes, accounts and warehouses go before, in that order. One whose books have
entries is not deleted here: it can be archived in Odoo, which counts as gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from pulumi.dynamic import CheckResult

from providers.live import speaker
from providers.odoo.api import LONG_SECONDS, Odoo, Row
from providers.odoo.errors import DeniedError, InUseError, OdooError
from providers.odoo.lifecycle import marked, unlinked
from providers.odoo.record import Common, Record, RecordProvider, kept_at, stays
from providers.odoo.wanted import Wanted, Whose, id_of, wanted_of

MODEL = "res.company"
SHARED_ACCOUNTS = 18
"""From this version on an account may be that of several companies."""
_PARTS = (
    "pos.payment.method",
    "account.reconcile.model",
    "account.fiscal.position",
    "account.journal",
    "account.tax",
    "account.tax.group",
    "account.account",
    "stock.warehouse",
)
"""What Odoo makes for a company, in the order in which it goes."""


class CompanyProvider(RecordProvider):
    seconds = LONG_SECONDS
    also = ("partner_id", "country_code")

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        odoo, wanted = kept_at(_props), wanted_of(_props)
        found = marked(odoo, wanted, also=self.also)
        try:
            super().delete(_id, _props)
        except (InUseError, DeniedError) as error:
            # Odoo refuses whatever names an archived company, as if its user lacked a right.
            if found is not None and found.get("active") is False:
                # Somebody has archived it, since its books may not be deleted: it sells no more.
                speaker()(f"{wanted.what} stays in Odoo, archived: {error}")
                return
            raise
        if found is not None:
            _without_partner(odoo, wanted, found)

    def _checked(self, result: CheckResult, olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
        stays(result, olds, news, ("name", "currency_id"))

    def _cleared(self, odoo: Odoo, wanted: Wanted, found: Row) -> None:
        company = int(found["id"])
        _check_unused(odoo, wanted, company)
        many = odoo.version(what=wanted.what)[0] >= SHARED_ACCOUNTS
        for model in _PARTS:
            field = "company_ids" if model == "account.account" and many else "company_id"
            rows = odoo.search(model, [(field, "=", company)], ["id", field], what=wanted.what, company=company)
            # An account that other companies have as well is theirs.
            ours = [row["id"] for row in rows if field == "company_id" or row[field] == [company]]
            unlinked(odoo, model, ours, what=f"{wanted.what}, its {model}", company=company)

    def _told(self, found: Row) -> Mapping[str, Any]:
        return {"country_code": found.get("country_code") or ""}


class Company(Record, module="tenantry", name="OdooCompany"):
    """`record_id` is what all of the tenant's records are in."""

    provider = CompanyProvider
    outputs = ("country_code",)

    def __init__(self, name: str, *, company: str, currency: str, country: str, **common: Unpack[Common]) -> None:
        """`currency` and `country` are ISO codes, such as KES and KE."""
        super().__init__(
            name,
            model=MODEL,
            key="company",
            whose=Whose.MARKED,
            named={"name": company},
            fields={"currency_id": currency, "country_id": country.upper(), "active": True},
            codes={"currency_id": ("res.currency", "name"), "country_id": ("res.country", "code")},
            **common,
        )


def _check_unused(odoo: Odoo, wanted: Wanted, company: int) -> None:
    domain = [("company_id", "=", company), ("state", "=", "posted")]
    entries = odoo.count("account.move", domain, what=wanted.what, company=company)
    if entries:
        raise InUseError(
            f"{wanted.what}: its books have {entries} posted entries, which the law may ask to be kept: Tenantry never "
            "deletes them. Archive the company in Odoo, then retry; it counts as gone then.",
            status=200,
        )


def _without_partner(odoo: Odoo, wanted: Wanted, found: Row) -> None:
    """The address that Odoo has made with the company. Others may have come to use it: then it is left to them."""
    partner = id_of(found.get("partner_id"))
    try:
        unlinked(odoo, "res.partner", [partner] if partner else [], what=f"{wanted.what}, its address", company=None)
    except OdooError as error:
        speaker()(f"the address of {wanted.what} stays in Odoo: {error}")

"""A tenant's company: found by its name, known by its mark, and made with the chart of accounts that the site offers.

Decides that a company which is not ours is never touched, and that its name, abbreviation and currency stay: ERPNext
has them in the names and the entries of all that is in it. So does its chart stay: another wish changes only what is
said of it. A company with ledger entries is not deleted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, Unpack

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult

from providers.erpnext.api import LONG_SECONDS, Site, site_of
from providers.erpnext.charts import STANDARD, Chart, choose, offered
from providers.erpnext.document import Common, Document, DocumentProvider
from providers.erpnext.errors import ErpNextError, LinkedError, MissingLinkError, WizardUnfinishedError
from providers.erpnext.own_company import DOCTYPE, MARK_FIELD
from providers.erpnext.wanted import Wanted, Whose, wanted_of
from providers.errors import OwnershipError
from providers.props import altered

_STAYS = ("company_name", "abbr", "default_currency")


class CompanyProvider(DocumentProvider):
    seconds = LONG_SECONDS
    chosen: Chart | None = None
    """What the site was asked for, by what it offers: None where the company was not made now."""

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        try:
            super().delete(_id, _props)
        except LinkedError as error:
            raise LinkedError(
                f"{error} A company with entries in its ledger needs a Transaction Deletion Record in ERPNext first, "
                "which deletes them for good: Tenantry never makes one.",
                status=error.status,
                exc_type=error.exc_type,
            ) from None

    def _checked(self, result: CheckResult, olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
        for name in _STAYS:
            before, wanted = _given(olds).get(name), _given(news).get(name)
            if altered(before, wanted):
                reason = f"a company's {name} stays as it is ({before!r}): make another tenant for {wanted!r}"
                result.failures.append(CheckFailure(name, reason))

    def _prepared(self, site: Site, wanted: Wanted, props: Mapping[str, Any]) -> Mapping[str, Any]:
        self.chosen = _chosen(site, wanted, str(props["chart"]))
        return {
            **wanted.body,
            "create_chart_of_accounts_based_on": "Standard Template",
            "chart_of_accounts": self.chosen.name,
        }

    def _brought_up(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        making = copy(self)  # what it chooses is of this call alone
        outs = making.placed(olds, news)
        wish, used, chosen = str(news["chart"]), str(outs["chart_of_accounts"]), making.chosen
        if chosen is None and not olds.get("docname") and not _as_wished(wish, used):
            # Of one that is taken up by a state without it nothing was noted: the site is asked as when it was made.
            chosen = _chosen(site_of(str(news["region"])), wanted_of(news), wish)
        return {**outs, "chart_note": _note(olds, news, used, chosen)}

    def placed(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        """As any document, with errors that say what a company needs."""
        try:
            return super()._brought_up(olds, news)
        except MissingLinkError as error:
            raise WizardUnfinishedError(
                f"{error} A new company links to what the set-up wizard makes, such as the Warehouse Type Transit: "
                "finish the wizard, or see what was deleted since, then retry."
            ) from None
        except ErpNextError as error:
            raise _taken(error, news) or error from None

    def _told(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"abbr": found.get("abbr"), "chart_of_accounts": found.get("chart_of_accounts") or ""}


class Company(Document, module="tenantry", name="ErpNextCompany"):
    """`chart_of_accounts` is the one that it has, and stays; `chart_note` says so where another was wished.

    `chart` is what was wished when that was written down: a wish of later changes nothing of the company.
    """

    abbr: pulumi.Output[str]
    chart: pulumi.Output[str]
    chart_of_accounts: pulumi.Output[str]
    chart_note: pulumi.Output[str]
    provider = CompanyProvider
    also = ("abbr", "chart_of_accounts", "chart_note")

    def __init__(
        self,
        name: str,
        *,
        company: str,
        abbr: str,
        currency: str,
        country: pulumi.Input[str],
        chart: str,
        **common: Unpack[Common],
    ) -> None:
        """`country` is ERPNext's name for it, such as Kenya; `chart` a wish, such as Kenya or Standard."""
        super().__init__(
            name,
            doctype=DOCTYPE,
            key={"company_name": company},
            whose=Whose.MARKED,
            named=company,
            fields={"default_currency": currency, "country": country},
            initial={"abbr": abbr},
            mark_field=MARK_FIELD,
            more={"chart": chart},
            **common,
        )

    def said_of_its_chart(self, wish: str) -> pulumi.Output[str]:
        """Empty where the chart is as wished by now."""
        known = pulumi.Output.all(self.chart, self.chart_of_accounts, self.chart_note)
        return known.apply(lambda told: said_of_chart(wish, noted=told[0], used=told[1], note=told[2]))


def _chosen(site: Site, wanted: Wanted, wish: str) -> Chart:
    country = str(wanted.fields["country"])
    return choose(wish, offered(site, country, what=wanted.what), country=country)


def _note(olds: Mapping[str, Any], news: Mapping[str, Any], used: str, chosen: Chart | None) -> str:
    """What is said of the chart, empty where it is as wished. That the site offers none only where it was asked."""
    wish, known = str(news["chart"]), str(olds.get("chart_note") or "")
    if _as_wished(wish, used):
        return ""
    if chosen is not None and chosen.name == used:
        return chosen.note
    noted = str(olds.get("chart") or "") if used == olds.get("chart_of_accounts") else ""
    return said_of_chart(wish, noted=noted, used=used, note=known)


def said_of_chart(wish: str, *, noted: str, used: str, note: str) -> str:
    """What is said of the chart `used` by now. `note` was said of it when `noted` was the wish."""
    if _as_wished(wish, used):
        return ""
    if note and wish == noted:
        return note
    return f"the company has the chart {used!r} already, which stays; {wish!r} was wished"


def _as_wished(wish: str, used: str) -> bool:
    same = used.casefold() == wish.casefold()
    return not used or same or (wish not in STANDARD and used.casefold().startswith(wish.casefold()))


def _taken(error: ErpNextError, news: Mapping[str, Any]) -> OwnershipError | None:
    """Whose the abbreviation is, where that was the reason: ERPNext has no exception of its own for it."""
    wanted, abbr = wanted_of(news), str(_given(news).get("abbr") or "")
    if error.exc_type != "ValidationError" or not abbr:
        return None
    rows = site_of(str(news["region"])).find(DOCTYPE, [("abbr", "=", abbr)], what=wanted.what, fields=("name",))
    if not rows or rows[0]["name"] == wanted.named:
        return None
    return OwnershipError(
        f"{wanted.what}: its abbreviation {abbr!r} is that of {rows[0]['name']!r}. Choose another one."
    )


def _given(props: Mapping[str, Any]) -> dict[str, Any]:
    parts = (props.get(name) for name in ("key", "initial", "fields"))
    # Of a preview, one that holds an Output is unknown as a whole.
    return {key: value for part in parts if isinstance(part, Mapping) for key, value in part.items()}

"""Which chart of accounts a company gets, and whether it has one: a wish, the site's offer, and a said fallback.

Decides that a wish which the site does not offer falls back to a standard chart (an unknown chart's name would give a
500), and that a company with fewer than ENOUGH accounts has no chart (POS-3). It makes no account: ERPNext makes them
with the company.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.erpnext.api import Site, site_of
from providers.errors import ConfigurationError, NotReadyError, ProviderError
from providers.props import diff_of, required

ENOUGH = 5
STANDARD = ("Standard", "Standard with Numbers")
_OFFERED = "erpnext.accounts.doctype.account.chart_of_accounts.chart_of_accounts.get_charts_for_country"
_DEFAULTS = {
    "cash_account": "default_cash_account",
    "receivable_account": "default_receivable_account",
    "income_account": "default_income_account",
    "write_off_account": "write_off_account",
    "stock_adjustment_account": "stock_adjustment_account",
    "cost_center": "cost_center",
}
"""Our name -> the company's field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`note` says that it is not the one that was wished; empty where it is."""

    name: str
    note: str = ""


def choose(wish: str, offered: Sequence[str], *, country: str) -> Chart:
    """The chart for a wish, such as `Kenya`: one of that name, else the only one that begins with it, else a standard
    one. Raises ConfigurationError where the site offers none of these."""
    if wish in offered:
        return Chart(name=wish)
    # Charts of a country are called such as `Kenya - Chart of Accounts`; of several, none is the obvious one.
    near = [name for name in offered if name.casefold().startswith(wish.casefold())]
    if len(near) == 1 and wish not in STANDARD:
        return Chart(name=near[0])
    fallback = next((name for name in STANDARD if name in offered), None)
    if fallback is None:
        listed = ", ".join(offered) or "none"
        raise ConfigurationError(
            f"chart of accounts {wish!r}: the site offers for {country}: {listed}. Choose one of those as the template."
        )
    return Chart(name=fallback, note=f"the site offers no chart {wish!r} for {country}: {fallback!r} is used")


def offered(site: Site, country: str, *, what: str) -> list[str]:
    """The charts that the site offers for a country, and the standard ones."""
    found = site.method(_OFFERED, what=what, country=country, with_standard="1")
    if not isinstance(found, list):
        raise ProviderError(f"{what}: {site.api.name} does not say which charts it has for {country}.")
    return [str(each) for each in found]


class ChartOfAccountsProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, ("region", "company"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=("region", "company"), owned=("ready",))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"accounts/{props['company']}", _complete(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        outs = _outs(props)
        return ReadResult(id_, outs) if outs is not None else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_complete(_news))


class ChartOfAccounts(Resource, module="tenantry", name="ErpNextChartOfAccounts"):
    """A company's accounts are there. `accounts` is how many; the others are those that the company has as defaults,
    empty where it has none. It goes with the company."""

    accounts: pulumi.Output[int]
    cash_account: pulumi.Output[str]
    receivable_account: pulumi.Output[str]
    income_account: pulumi.Output[str]
    write_off_account: pulumi.Output[str]
    stock_adjustment_account: pulumi.Output[str]
    cost_center: pulumi.Output[str]

    def __init__(
        self, name: str, *, region: str, company: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        outputs: dict[str, Any] = dict.fromkeys((*_DEFAULTS, "accounts"))
        props = {**outputs, "region": region, "company": company, "ready": True}
        super().__init__(ChartOfAccountsProvider(), name, props, opts)


def _complete(props: Mapping[str, Any]) -> dict[str, Any]:
    outs = _outs(props)
    if outs is None:
        raise ProviderError(f"{_what(props)}: the company is not there. Run refresh, then up, to make it again.")
    if not outs["ready"]:
        raise NotReadyError(
            f"{_what(props)}: the company has {outs['accounts']} accounts, and {ENOUGH} are the least that it works "
            "with. Import a chart of accounts in ERPNext, or delete the company there, then retry."
        )
    return outs


def _outs(props: Mapping[str, Any]) -> dict[str, Any] | None:
    site, what, company = site_of(str(props["region"])), _what(props), str(props["company"])
    found = site.get("Company", company, what=what)
    if found is None:
        return None
    filters = [("company", "=", company), ("is_group", "=", 0)]
    rows = site.find("Account", filters, what=what, fields=("name", "account_type", "root_type"))
    defaults = {ours: str(found.get(theirs) or "") for ours, theirs in _DEFAULTS.items()}
    # A chart of a country may leave the company without some of its defaults, where an account of that type is.
    defaults["cash_account"] = defaults["cash_account"] or _first(rows, "Cash")
    defaults["receivable_account"] = defaults["receivable_account"] or _first(rows, "Receivable")
    return {**props, **defaults, "accounts": len(rows), "ready": len(rows) >= ENOUGH}


def _first(rows: Sequence[Mapping[str, Any]], kind: str) -> str:
    return next((str(row["name"]) for row in rows if row.get("account_type") == kind), "")


def _what(props: Mapping[str, Any]) -> str:
    return f"the chart of accounts of {str(props['company'])!r}"

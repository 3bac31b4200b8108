"""Which chart of accounts a company gets, and whether it has one: a wish, the server's offer, and a said fallback.

Decides that a wish which Odoo does not offer falls back to its generic chart, and that a company with fewer than ENOUGH
accounts has no chart (POS-3). A chart is loaded once: a company that has one keeps it, and another wish changes only
what is said of it. Odoo installs the module of a country's chart (`l10n_..`) by itself, which takes its time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.errors import ConfigurationError, NotReadyError, ProviderError, UnreachableError
from providers.odoo.api import LONG_SECONDS, Odoo, odoo_at
from providers.odoo.company import MODEL, SHARED_ACCOUNTS
from providers.odoo.errors import OdooError
from providers.odoo.standing import inside
from providers.props import diff_of, required

ENOUGH = 5
GENERIC = "generic_coa"
STANDARD = frozenset({"", "standard", "generic", GENERIC})
"""Wishes for the generic chart."""
_TEMPLATES = "account.chart.template"
_NO_LETTER = re.compile(r"^[^\w]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`code` is Odoo's. `note` says that it is not the one that was wished; empty where it is."""

    code: str
    note: str = ""


def choose(wish: str, offered: Mapping[str, str], *, country: str) -> Chart:
    """The chart for a wish, such as `Kenya`: the one of that code or name, else the only one that begins with it, else
    the country's own, else the generic one. `offered` is code -> name. Raises ConfigurationError where none is left."""
    words = wish.strip().casefold()
    if words in STANDARD and GENERIC in offered:
        return Chart(code=GENERIC)
    # A country's chart is called such as a flag and `Kenya`, or `Belgium - Companies`.
    names = {code: _NO_LETTER.sub("", name).casefold() for code, name in offered.items()}
    exact = [code for code, name in names.items() if words in {code.casefold(), name}]
    near = [code for code, name in names.items() if words and name.startswith(words)]
    for found in (exact, near):
        if len(found) == 1:
            return Chart(code=found[0])
        if country.casefold() in found:
            return Chart(code=country.casefold())
    listed = ", ".join(sorted(offered)) or "none"
    if GENERIC not in offered:
        raise ConfigurationError(
            f"chart of accounts {wish!r}: Odoo offers for {country}: {listed}. Choose one of those as the template."
        )
    return Chart(code=GENERIC, note=f"Odoo offers no chart {wish!r} for {country}: {GENERIC!r} is used")


class ChartOfAccountsProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, ("region", "company", "country"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=("region", "company"), owned=("ready", "wish"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"accounts/{int(props['company'])}", _complete(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        odoo = odoo_at(str(props["region"]))
        found = _company(odoo, props)
        if found is None:
            return ReadResult("", {})
        company = int(props["company"])
        counted: dict[str, Any] = inside(
            odoo, company, lambda: _counted(odoo, props), what=_what(props), gone={}, archived={}
        )
        if counted.get("ready"):
            # More of them come as the business goes on, which is no drift.
            counted = {}
        return ReadResult(id_, {**props, **counted, "chart_of_accounts": found or props["chart_of_accounts"]})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_complete(_news))


class ChartOfAccounts(Resource, module="tenantry", name="OdooChartOfAccounts"):
    """A company's accounts are there. `accounts` is how many, `chart_of_accounts` which chart, and `chart_note` says so
    where another was wished. It goes with the company."""

    accounts: pulumi.Output[int]
    chart_of_accounts: pulumi.Output[str]
    chart_note: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        company: pulumi.Input[int],
        country: str,
        wish: str = "",
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`country` is an ISO code. `wish` is a chart's or a country's name, empty for the generic chart."""
        outputs = dict.fromkeys(("accounts", "chart_of_accounts", "chart_note"))
        props = {"region": region, "company": company, "country": country.upper(), "wish": wish, "ready": True}
        super().__init__(ChartOfAccountsProvider(), name, {**outputs, **props}, opts)


def _complete(props: Mapping[str, Any]) -> dict[str, Any]:
    odoo = odoo_at(str(props["region"]))
    has = _company(odoo, props)
    if has is None:
        raise ProviderError(f"{_what(props)}: the company is not there. Run refresh, then up, to make it again.")
    wish, country = str(props.get("wish") or ""), str(props["country"])
    chart = choose(wish, offered(odoo, what=_what(props)), country=country)
    if not has:
        _load(odoo, props, chart.code)
    note = chart.note
    if has and has != chart.code:
        note = f"the company has the chart {has!r} already, which stays; {wish or chart.code!r} was wished"
    outs = {**props, **_counted(odoo, props), "chart_of_accounts": has or chart.code, "chart_note": note}
    if not outs["ready"]:
        raise NotReadyError(
            f"{_what(props)}: the company has {outs['accounts']} accounts, and {ENOUGH} are the least that it works "
            "with. Choose a fiscal localization for it in Odoo's settings of Accounting, then retry."
        )
    return outs


def offered(odoo: Odoo, *, what: str) -> dict[str, str]:
    """The charts that the server offers, installed or not: code -> name."""
    told = odoo.call(MODEL, "fields_get", ["chart_template"], ["selection"], what=what, again=True)
    field = told.get("chart_template") if isinstance(told, dict) else None
    rows: Sequence[Any] = (field.get("selection") if isinstance(field, dict) else None) or ()
    if not rows:
        raise ProviderError(
            f"{what}: {odoo.api.name} does not say which charts it has. Is its module account installed?"
        )
    return {str(code): str(name) for code, name in rows}


def _load(odoo: Odoo, props: Mapping[str, Any], code: str) -> None:
    """Makes the accounts, whole or not at all."""
    company, what = int(props["company"]), _what(props)

    def load(*args: Any) -> None:
        odoo.call(_TEMPLATES, "try_loading", *args, code, company, what=what, company=company, seconds=LONG_SECONDS)

    try:
        try:
            load([])
        except OdooError as error:
            # In some versions it is a method of no record, which takes no ids before what it is given.
            if not error.misused:
                raise
            load()
    except (UnreachableError, OdooError) as error:
        if isinstance(error, OdooError) and not error.lost:
            raise
        if not _company(odoo, props):
            raise


def _company(odoo: Odoo, props: Mapping[str, Any]) -> str | None:
    """The code of the chart that the company has, empty where it has none; None without a company."""
    company = int(props["company"])
    rows = odoo.search(MODEL, [("id", "=", company)], ["chart_template"], what=_what(props), limit=1)
    return str(rows[0]["chart_template"] or "") if rows else None


def _counted(odoo: Odoo, props: Mapping[str, Any]) -> dict[str, Any]:
    company, what = int(props["company"]), _what(props)
    field = "company_ids" if odoo.version(what=what)[0] >= SHARED_ACCOUNTS else "company_id"
    found = odoo.count("account.account", [(field, "=", company)], what=what, company=company)
    return {"accounts": found, "ready": found >= ENOUGH}


def _what(props: Mapping[str, Any]) -> str:
    return f"the chart of accounts of company {int(props['company'])}"

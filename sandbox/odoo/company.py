"""What a company comes with, and its charts of accounts.

[company-name], [company-country]: what is unique of it is in models.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.odoo.orm import Env, Row, Rules
from sandbox.odoo.refusals import denied, invalid, user_error

GENERIC = "generic_coa"
CHARTS: Mapping[str, str] = {
    GENERIC: "Generic (Minimal) Chart of Accounts",
    "be_asso": "🇧🇪 Belgium - Associations",
    "be_comp": "🇧🇪 Belgium - Companies",
    "fr": "🇫🇷 France",
    "ke": "🇰🇪 Kenya",
    "ug": "🇺🇬 Uganda",
}
"""[chart-offered]: codes begin with the country's."""
_ACCOUNTS = (
    ("101401", "Bank", "asset_cash"),
    ("101501", "Cash", "asset_cash"),
    ("121000", "Account Receivable", "asset_receivable"),
    ("101300", "Account Receivable (PoS)", "asset_receivable"),
    ("211000", "Account Payable", "liability_payable"),
    ("400000", "Product Sales", "income"),
    ("442000", "Cash Difference Gain", "income"),
    ("600000", "Expenses", "expense"),
    ("642000", "Cash Difference Loss", "expense"),
    ("999999", "Undistributed Profits/Losses", "equity_unaffected"),
)
_JOURNALS = (
    ("INV", "Customer Invoices", "sale"),
    ("BILL", "Vendor Bills", "purchase"),
    ("MISC", "Miscellaneous Operations", "general"),
    ("BNK1", "Bank", "bank"),
    ("CSH1", "Cash", "cash"),
)


class Company(Rules):
    """[company-partner], [company-user], [company-warehouse]."""

    def prepare(self, env: Env, values: Row) -> None:
        if not values.get("partner_id"):
            values["partner_id"] = env.sudo().create("res.partner", {"name": values.get("name")})["id"]
        values.setdefault("currency_id", env.one("res.company", env.company)["currency_id"])

    def validate(self, env: Env, record: Row) -> None:
        country = env.one("res.country", record["country_id"]) if record["country_id"] else None
        env.set("res.company", record["id"], country_code=country["code"] if country else False)

    def before_write(self, env: Env, record: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        if values.get("active") is False and any(
            user["company_id"] == record["id"] for user in env.sudo().each("res.users")
        ):
            raise invalid(
                f"The company {record['name']} cannot be archived because it is still used as the default company."
            )

    def after_create(self, env: Env, record: Row) -> None:
        for number in {1, int(env.user["id"])}:
            user = env.one("res.users", number)
            env.set("res.users", number, company_ids=[*user["company_ids"], record["id"]])
        if env.db.version < 18:
            code = str(record["name"])[:5].upper()
            env.sudo().create("stock.warehouse", {"name": record["name"], "code": code, "company_id": record["id"]})


class Account(Rules):
    """[account-companies]."""

    def prepare(self, env: Env, values: Row) -> None:
        values.setdefault("company_id", env.company)
        values["company_ids"] = [[6, 0, [values["company_id"]]]]


class Journal(Rules):
    """[journal-account], [journal-code], [char-size]: what is unique is in models.yaml."""

    def prepare(self, env: Env, values: Row) -> None:
        values.setdefault("company_id", env.company)
        values["code"] = str(values.get("code") or "")[:5]
        if values.get("type") in {"cash", "bank"} and not values.get("default_account_id"):
            number = env.db.records.next_of("#liquidity")
            account = {"name": values["name"], "code": f"1015{number:02d}", "account_type": "asset_cash"}
            made = env.sudo().create("account.account", {**account, "company_id": values["company_id"]})
            values["default_account_id"] = made["id"]


def try_loading(env: Env, code: str, company: int, *_more: Any, **_named: Any) -> None:
    """[chart-load], [chart-module], [chart-admin]."""
    if not env.user["system"]:
        raise denied("Only administrators can install chart templates")
    if not isinstance(code, str):
        raise TypeError(f"unhashable type: {type(code).__name__!r}")
    if code not in env.db.charts:
        raise KeyError(code)
    every = env.sudo()
    if any(every.each("account.move", [["company_id", "=", company]])):
        raise user_error("The company has entries already")
    module = "account" if code == GENERIC else f"l10n_{code.partition('_')[0]}"
    for found in every.each("ir.module.module", [["name", "=", module], ["state", "!=", "installed"]]):
        every.write("ir.module.module", [found["id"]], {"state": "installed"})
    for number, name, kind in _ACCOUNTS:
        every.create("account.account", {"name": name, "code": number, "account_type": kind, "company_id": company})
    for short, name, kind in _JOURNALS:
        every.create("account.journal", {"name": name, "code": short, "type": kind, "company_id": company})
    group = every.create("account.tax.group", {"name": "Tax", "company_id": company})["id"]
    every.create("account.tax", {"name": "15%", "amount": 15, "company_id": company, "tax_group_id": group})
    every.set("res.company", company, chart_template=code)

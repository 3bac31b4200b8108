"""What a new database has, with Point of Sale installed: countries, currencies, modules [modules], a first company."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.odoo.company import CHARTS, Account, Company, Journal
from sandbox.odoo.orm import Database, Env, Rules
from sandbox.odoo.till import PaymentMethod, PosConfig, PosSession, Product, Warehouse

__all__ = ["CHARTS", "MODULES", "RULES", "installed"]

RULES: Mapping[str, Rules] = {
    "account.account": Account(),
    "account.journal": Journal(),
    "pos.config": PosConfig(),
    "pos.payment.method": PaymentMethod(),
    "pos.session": PosSession(),
    "product.template": Product(),
    "res.company": Company(),
    "stock.warehouse": Warehouse(),
}
MODULES = ("base", "account", "stock", "point_of_sale")
_COUNTRIES = {"BE": "Belgium", "FR": "France", "KE": "Kenya", "UG": "Uganda", "US": "United States"}
_CURRENCIES = ("USD", "EUR", "KES", "UGX")


def installed(db: Database) -> None:
    nobody = {"id": 1, "company_ids": [], "company_id": 0, "system": True}
    env = Env(db=db, user=nobody, context={"active_test": False})
    for code, name in _COUNTRIES.items():
        env.create("res.country", {"code": code, "name": name})
    for currency in _CURRENCIES:
        env.create("res.currency", {"name": currency})
    for module in MODULES:
        env.create("ir.module.module", {"name": module, "state": "installed"})
    for code in CHARTS:
        if code != "generic_coa":
            name = f"l10n_{code.partition('_')[0]}"
            if db.records.first("ir.module.module", name=name) is None:
                env.create("ir.module.module", {"name": name, "state": "uninstalled"})
    _first_company(db, env)


def _first_company(db: Database, env: Env) -> None:
    """It and its user name each other: neither can be made by the rules."""
    partner = env.create("res.partner", {"name": "My Company"})["id"]
    first = {name: how.empty() for name, how in db.catalogue.find("res.company").fields.items()}  # type: ignore[union-attr]
    usd = db.records.first("res.currency", name="USD")
    first |= {"id": db.records.next_of("res.company"), "name": "My Company", "partner_id": partner, "active": True}
    db.records.put(
        "res.company", "1", first | {"currency_id": usd["id"] if usd else 0, "create_date": db.records.now()[:19]}
    )
    user = {"login": "__system__", "name": "OdooBot", "company_id": 1, "company_ids": [[6, 0, [1]]], "system": True}
    env.create("res.users", user)

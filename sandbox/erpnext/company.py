"""A Company: what it checks, what comes with it, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.erpnext import charts
from sandbox.erpnext.documents import Documents
from sandbox.erpnext.refusals import Refusal, invalid
from sandbox.erpnext.rules import Rules
from sandbox.records import Doc

_WAREHOUSES = ("Stores", "Work In Progress", "Finished Goods", "Goods In Transit")
_DEPARTMENTS = (
    "Accounts", "Marketing", "Sales", "Purchase", "Operations", "Production", "Dispatch", "Customer Service",
    "Human Resources", "Management", "Quality Management", "Research & Development", "Legal",
)  # fmt: skip
# [company-vat]: percent.
_VAT = {"Kenya": 16.0, "Uganda": 18.0, "Germany": 19.0, "India": 18.0}
_DEFAULTS = {
    "default_receivable_account": "Debtors",
    "default_payable_account": "Creditors",
    "default_cash_account": "Cash",
    "default_expense_account": "Cost of Goods Sold",
    "default_income_account": "Sales",
    "default_inventory_account": "Stock In Hand",
    "write_off_account": "Write Off",
    "round_off_account": "Round Off",
    "stock_adjustment_account": "Stock Adjustment",
    "stock_received_but_not_billed": "Stock Received But Not Billed",
    "exchange_gain_loss_account": "Exchange Gain/Loss",
}
_TEMPLATES = ("Sales Taxes and Charges Template", "Purchase Taxes and Charges Template", "Item Tax Template")


class Account(Rules):
    def name(self, site: Documents, doc: Doc) -> str | None:
        """[company-accounts]: one with a number begins with it."""
        if not doc["account_number"] or not doc["account_name"]:
            return None
        return site.with_abbr(f"{doc['account_number']} - {doc['account_name']}", doc["company"])


class Company(Rules):
    def validate(self, site: Documents, doc: Doc) -> None:
        """[company-abbr]; the default accounts are the company's own."""
        doc["abbr"] = str(doc["abbr"] or "".join(word[0] for word in doc["company_name"].split()).upper()).strip()
        others = site.records.each("Company", abbr=doc["abbr"])
        if any(other["name"] != doc["name"] for other in others):
            raise invalid("Abbreviation already used for another company")
        doc["create_chart_of_accounts_based_on"] = "Standard Template"
        doc["chart_of_accounts"] = doc["chart_of_accounts"] or charts.STANDARD
        for field in _DEFAULTS:
            account = site.records.look("Account", doc[field]) if doc[field] else None
            if account is not None and account["company"] != doc["name"]:
                raise invalid(f"Account {doc[field]} does not belong to company: {doc['name']}")

    def after_insert(self, site: Documents, doc: Mapping[str, Any]) -> None:
        if not charts.known(doc["chart_of_accounts"], site.charts):
            # [chart-unknown]: nothing of Frappe's own catches that there is no such chart.
            raise Refusal("TypeError", "'NoneType' object is not iterable")
        _accounts(site, doc)
        _warehouses(site, doc)
        _cost_centers(site, doc)
        _vat(site, doc)
        _departments(site, doc)
        _defaults(site, doc)

    def on_trash(self, site: Documents, doc: Mapping[str, Any]) -> None:
        """[company-takes-along], [company-ledger]: with ledger entries its accounts and warehouses stay, in the way."""
        company, records = doc["name"], site.records
        gone = ["Department", "Transaction Deletion Record", *_TEMPLATES]
        if records.first("GL Entry", company=company) is None:
            gone += ["Account", "Cost Center"]
        if records.first("Stock Ledger Entry", company=company) is None:
            gone.append("Warehouse")
        for doctype in gone:
            for one in records.each(doctype, company=company):
                records.delete(doctype, one["name"])
        for doctype, table in (("Mode of Payment", "accounts"), ("Item", "item_defaults")):
            _without_rows(site, doctype, table, company)
        if site.get("Global Defaults", "Global Defaults")["default_company"] == company:
            site.set("Global Defaults", "Global Defaults", default_company=None)


def _accounts(site: Documents, company: Mapping[str, Any]) -> None:
    """[company-accounts]."""
    numbered = company["chart_of_accounts"] == charts.NUMBERED
    names: list[str] = []
    for plan in charts.planned():
        made = site.insert(
            "Account",
            {
                "account_name": plan.name,
                "account_number": plan.number if numbered else None,
                "account_type": plan.type,
                "root_type": plan.root,
                "report_type": "Profit and Loss" if plan.root in {"Income", "Expense"} else "Balance Sheet",
                "account_currency": company["default_currency"],
                "is_group": plan.group,
                "company": company["name"],
                "parent_account": None if plan.parent is None else names[plan.parent],
            },
        )
        names.append(made["name"])


def _warehouses(site: Documents, company: Mapping[str, Any]) -> None:
    """[company-warehouses], [wizard-fixtures]: the last of them is of the type that the set-up wizard makes."""
    root = {"warehouse_name": "All Warehouses", "is_group": 1, "company": company["name"]}
    parent = site.insert("Warehouse", root)["name"]
    for name in _WAREHOUSES:
        transit = "Transit" if name == "Goods In Transit" else None
        sent = {
            "warehouse_name": name,
            "company": company["name"],
            "parent_warehouse": parent,
            "warehouse_type": transit,
        }
        site.insert("Warehouse", sent)


def _cost_centers(site: Documents, company: Mapping[str, Any]) -> None:
    """[company-cost-center]."""
    root = {"cost_center_name": company["name"], "is_group": 1, "company": company["name"]}
    parent = site.insert("Cost Center", root)["name"]
    sent = {"cost_center_name": "Main", "company": company["name"], "parent_cost_center": parent}
    main = site.insert("Cost Center", sent)["name"]
    site.set("Company", company["name"], cost_center=main, round_off_cost_center=main)


def _vat(site: Documents, company: Mapping[str, Any]) -> None:
    """[company-vat]."""
    rate, country = _VAT.get(company["country"]), company["country"]
    if rate is None:
        return
    above = site.records.first("Account", company=company["name"], account_name="Duties and Taxes")
    sent = {"account_name": "VAT", "company": company["name"], "account_type": "Tax", "tax_rate": rate}
    account = site.insert("Account", sent | {"parent_account": above["name"] if above else None})["name"]
    charge = {"charge_type": "On Net Total", "account_head": account, "rate": rate, "description": f"VAT @ {rate}"}
    named = {"title": f"{country} Tax", "company": company["name"]}
    for side in ("Sales", "Purchase"):
        site.insert(f"{side} Taxes and Charges Template", named | {"is_default": 1, "taxes": [charge]})
    site.insert("Item Tax Template", named | {"taxes": [{"tax_type": account, "tax_rate": rate}]})


def _departments(site: Documents, company: Mapping[str, Any]) -> None:
    """[company-departments]: the root is everybody's."""
    if site.records.look("Department", "All Departments") is None:
        site.insert("Department", {"department_name": "All Departments", "is_group": 1})
    for name in _DEPARTMENTS:
        sent = {"department_name": name, "company": company["name"], "parent_department": "All Departments"}
        site.insert("Department", sent)


def _defaults(site: Documents, company: Mapping[str, Any]) -> None:
    """[company-cash]: the mode of payment of type Cash is everybody's, and gets a row of this company's."""
    found = {
        field: account["name"]
        for field, name in _DEFAULTS.items()
        if (account := site.records.first("Account", company=company["name"], account_name=name, is_group=0))
    }
    site.set("Company", company["name"], **found)
    cash = site.records.first("Mode of Payment", type="Cash")
    if cash is not None:
        row = {"company": company["name"], "default_account": found["default_cash_account"]}
        site.update("Mode of Payment", cash["name"], {"accounts": [*cash["accounts"], row]})


def _without_rows(site: Documents, doctype: str, table: str, company: str) -> None:
    for one in site.records.each(doctype):
        rows = [row for row in one[table] if row["company"] != company]
        if len(rows) < len(one[table]):
            site.records.put(doctype, one["name"], {**one, table: rows})

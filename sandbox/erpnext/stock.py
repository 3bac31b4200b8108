"""Stock: what an entry does to the ledgers, what ledgers keep from being deleted, and the record that empties them.

Read less closely than the rest: what a Stock Entry or a Stock Reconciliation checks of itself is not among the rows;
that their ledgers block a Warehouse and a Company is: [warehouse-stock], [warehouse-default], [company-ledger].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.erpnext.documents import Documents
from sandbox.erpnext.refusals import invalid
from sandbox.erpnext.rules import Rules

DELETION = "Transaction Deletion Record"
_TRANSACTIONS = (
    "POS Invoice", "POS Opening Entry", "Stock Entry", "Stock Reconciliation", "Stock Ledger Entry", "GL Entry",
)  # fmt: skip
_DUE = "#deletion"
Change = tuple[str, str, float, float]
"""(item, warehouse, pieces, value of one)"""


class Warehouse(Rules):
    def on_trash(self, site: Documents, doc: Mapping[str, Any]) -> None:
        """[warehouse-stock], by cancelled entries too; that Stock Settings link to it is seen afterwards."""
        if site.records.first("Stock Ledger Entry", warehouse=doc["name"]):
            raise invalid("Warehouse can not be deleted as stock ledger entry exists for this warehouse.")
        if site.records.first("Warehouse", parent_warehouse=doc["name"]):
            raise invalid("Child warehouse exists for this warehouse. You can not delete this warehouse.")
        for one in site.records.each("Bin", warehouse=doc["name"]):
            site.records.delete("Bin", one["name"])


class StockEntry(Rules):
    def on_submit(self, site: Documents, doc: Mapping[str, Any]) -> None:
        for item, warehouse, pieces, value in self._changes(site, doc):
            _moved(site, doc, item, warehouse, pieces, value)

    def on_cancel(self, site: Documents, doc: Mapping[str, Any]) -> None:
        """The ledgers keep their entries, marked as cancelled."""
        for doctype in ("Stock Ledger Entry", "GL Entry"):
            for one in site.records.each(doctype, voucher_no=doc["name"], is_cancelled=0):
                site.set(doctype, one["name"], is_cancelled=1)
                if doctype == "Stock Ledger Entry":
                    _in_bin(site, one["item_code"], one["warehouse"], -one["actual_qty"])

    def _changes(self, site: Documents, doc: Mapping[str, Any]) -> Iterator[Change]:  # noqa: ARG002 - for the other
        for row in doc["items"]:
            for field, sign in (("s_warehouse", -1.0), ("t_warehouse", 1.0)):
                if row[field]:
                    yield row["item_code"], row[field], sign * row["qty"], row["basic_rate"]


class StockReconciliation(StockEntry):
    def _changes(self, site: Documents, doc: Mapping[str, Any]) -> Iterator[Change]:
        for row in doc["items"]:
            there = site.records.first("Bin", item_code=row["item_code"], warehouse=row["warehouse"])
            missing = row["qty"] - (there["actual_qty"] if there else 0.0)
            if missing:
                yield row["item_code"], row["warehouse"], missing, row["valuation_rate"]


class TransactionDeletionRecord(Rules):
    """[company-ledger]: submitted it is queued; some time later the company's transactions are gone."""

    def on_submit(self, site: Documents, doc: Mapping[str, Any]) -> None:
        site.set(DELETION, doc["name"], status="Queued")
        due = {"name": doc["name"], "at": site.records.seconds() + site.deletion_seconds}
        site.records.put(_DUE, doc["name"], due)


def settle(site: Documents) -> None:
    """Does what a job in the background would have done by now."""
    for due in site.records.each(_DUE):
        if due["at"] > site.records.seconds():
            continue
        site.records.delete(_DUE, due["name"])
        record = site.records.look(DELETION, due["name"])
        if record is None:
            continue  # its company is gone, and took it along
        for doctype in _TRANSACTIONS:
            for one in site.records.each(doctype, company=record["company"]):
                site.records.delete(doctype, one["name"])
        for warehouse in site.records.each("Warehouse", company=record["company"]):
            for one in site.records.each("Bin", warehouse=warehouse["name"]):
                site.records.delete("Bin", one["name"])
        site.set(DELETION, due["name"], status="Completed")


def pending(site: Documents) -> bool:
    return any(due["at"] <= site.records.seconds() for due in site.records.each(_DUE))


def _moved(site: Documents, voucher: Mapping[str, Any], item: str, warehouse: str, pieces: float, value: float) -> None:
    company = site.get("Company", voucher["company"])
    told = {
        "company": company["name"],
        "voucher_type": voucher["doctype"],
        "voucher_no": voucher["name"],
        "posting_date": voucher["posting_date"] or voucher["creation"][:10],
    }
    stock = {"item_code": item, "warehouse": warehouse, "actual_qty": pieces, "valuation_rate": value}
    site.insert("Stock Ledger Entry", told | stock)
    _in_bin(site, item, warehouse, pieces)
    if company["enable_perpetual_inventory"]:
        worth = pieces * value
        sides = (("default_inventory_account", worth), ("stock_adjustment_account", -worth))
        for account, amount in sides:
            sums = {"debit": max(amount, 0.0), "credit": max(-amount, 0.0)}
            site.insert("GL Entry", told | sums | {"account": company[account], "cost_center": company["cost_center"]})


def _in_bin(site: Documents, item: str, warehouse: str, pieces: float) -> None:
    there = site.records.first("Bin", item_code=item, warehouse=warehouse)
    if there is None:
        site.insert("Bin", {"item_code": item, "warehouse": warehouse, "actual_qty": pieces})
    else:
        site.set("Bin", there["name"], actual_qty=there["actual_qty"] + pieces)

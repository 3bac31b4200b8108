"""What a till needs: Mode of Payment, POS Profile, and the POS Opening Entry that is its session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.erpnext.documents import Documents
from sandbox.erpnext.refusals import invalid
from sandbox.erpnext.rules import Rules
from sandbox.records import Doc

_OWN = {"Account": ("income_account", "expense_account"), "Cost Center": ("cost_center",), "Warehouse": ("warehouse",)}


class ModeOfPayment(Rules):
    """[mode-of-payment-company]."""

    def validate(self, site: Documents, doc: Doc) -> None:
        for row in doc["accounts"]:
            account = site.records.look("Account", row["default_account"] or "")
            if account is None or account["company"] != row["company"]:
                raise invalid(f"Account {row['default_account']} does not match with Company {row['company']}")
        companies = [row["company"] for row in doc["accounts"]]
        if len(companies) != len(set(companies)):
            raise invalid("Same Company is entered more than once")


class PosProfile(Rules):
    """[pos-profile-default], [pos-profile-mode-account]; what it names is its company's own."""

    def validate(self, site: Documents, doc: Doc) -> None:
        for doctype, fields in _OWN.items():
            for field in fields:
                found = site.records.look(doctype, doc[field]) if doc[field] else None
                if found is not None and found["company"] != doc["company"]:
                    raise invalid(f"{doc[field]} does not belong to Company {doc['company']}")
        for table, field in (("item_groups", "item_group"), ("customer_groups", "customer_group")):
            groups = [row[field] for row in doc[table]]
            if len(groups) != len(set(groups)):
                raise invalid(f"Duplicate {field.replace('_', ' ')} found in the {field.replace('_', ' ')} table")
        self._payments(site, doc)

    def _payments(self, site: Documents, doc: Doc) -> None:
        if not doc["payments"]:
            return  # its mandatory fields say so
        defaults = sum(row["default"] for row in doc["payments"])
        if defaults != 1:
            raise invalid(
                "Multiple default mode of payment is not allowed" if defaults else "Set default mode of payment"
            )
        _check_modes(site, doc["payments"], doc["company"])


class PosOpeningEntry(Rules):
    """[opening-fields], [opening-submit], [opening-second], [opening-cancel], [opening-cancel-invoices]."""

    def validate(self, site: Documents, doc: Doc) -> None:
        profile = site.records.look("POS Profile", doc["pos_profile"] or "")
        user = site.records.look("User", doc["user"] or "")
        if profile is None or user is None:
            return  # its mandatory fields say so
        if profile["disabled"] and site.newer:
            raise invalid(f"POS Profile {doc['pos_profile']} is disabled.")
        if profile["company"] != doc["company"]:
            raise invalid(f"POS Profile {doc['pos_profile']} does not belong to company {doc['company']}")
        if not user["enabled"]:
            raise invalid(f"User {doc['user']} is disabled. Please select valid user/cashier")
        if site.newer:
            self._alone(site, doc)
        _check_modes(site, doc["balance_details"], doc["company"])

    def _alone(self, site: Documents, doc: Doc) -> None:
        if site.records.first("POS Opening Entry", pos_profile=doc["pos_profile"], status="Open"):
            raise invalid(f"{doc['pos_profile']} is open. Close the POS or cancel the existing POS Opening Entry.")
        if site.records.first("POS Opening Entry", user=doc["user"], status="Open"):
            raise invalid("Cashier is currently assigned to another POS.")

    def on_submit(self, site: Documents, doc: Mapping[str, Any]) -> None:
        site.set("POS Opening Entry", doc["name"], status="Open")

    def before_cancel(self, site: Documents, doc: Mapping[str, Any]) -> None:
        sold = site.records.each("POS Invoice", pos_profile=doc["pos_profile"], owner=doc["user"], docstatus=1)
        if any(not one["consolidated_invoice"] for one in sold):
            raise invalid("POS Opening Entry cannot be cancelled as unconsolidated Invoices exists.")

    def on_cancel(self, site: Documents, doc: Mapping[str, Any]) -> None:
        site.set("POS Opening Entry", doc["name"], status="Cancelled")


def _check_modes(site: Documents, rows: list[Doc], company: str) -> None:
    for row in rows:
        mode = site.records.look("Mode of Payment", row["mode_of_payment"] or "")
        accounts = mode["accounts"] if mode else []
        if mode and all(each["company"] != company or not each["default_account"] for each in accounts):
            raise invalid(f"Please set default Cash or Bank account in Mode of Payments {mode['name']}")

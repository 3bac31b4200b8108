"""What is held to be so of an ERPNext's HTTP API: one row a fact, by the key that rules and contract tests cite.

**From reading**: of stored source texts of mixed versions (13 to 16). None was observed on a running site. A row says
how sure it is. Whoever has a site runs `tests/erpnext` against it (ERPNEXT_URL, ERPNEXT_KEY, ERPNEXT_SECRET), which
says row by row what differs. A docstring of the simulator cites a row as [its-key]. Decides nothing.
"""

from collections.abc import Mapping
from enum import StrEnum


class Sure(StrEnum):
    """How a row is known."""

    READ = "read in sources"
    MEMORY = "memory"
    INFERRED = "inferred"


_PROTOCOL = {
    "token": "Authorization is `token KEY:SECRET`",
    "accept": "errors are JSON where `Accept: application/json` is sent, else they may be HTML",
    "envelope": "success is {'data': ...} of /api/resource and {'message': ...} of /api/method",
    "page-of-20": "a list gives 20 rows unless limit_page_length says otherwise",
    "deleted": "DELETE answers 202 {'data': 'ok'}; in older versions {'message': 'ok'} (memory)",
    "error-form": "an error has exc_type, and _server_messages: a JSON string that holds a list of JSON strings",
    "traceback": "`exception` and `exc` only where tracebacks are allowed, never on a 404 by default",
    "rollback": "an error in a POST, PUT or DELETE rolls the whole request back",
}
_ERRORS = {
    "wrong-key": "wrong key or secret: 401 AuthenticationError",
    "no-key": "no key at all: 403 PermissionError",
    "ping": "GET /api/method/ping answers 200 {'message': 'pong'} (memory)",
    "unknown-method": "an unknown method: 417 ValidationError",
    "unknown-doctype": "an unknown doctype, by POST or for one document: 500 ImportError",
    "unknown-doctype-list": "an unknown doctype as a list: 404 (inferred)",
    "unknown-name": "an unknown name: 404 DoesNotExistError",
    "name-taken": "a name that is taken: 409 DuplicateEntryError",
    "unique-field": "another unique field that is taken: 417 UniqueValidationError",
    "field-missing": "a mandatory field is missing: 417 MandatoryError",
    "link-to-nothing": "a link to nothing: 417 LinkValidationError, checked before the mandatory fields",
    "linked-from-elsewhere": "on delete, linked from elsewhere: 417 LinkExistsError",
    "stale-modified": "a `modified` that is not the last (only if sent; exact string; Singles too): 417 "
    "TimestampMismatchError",
    "too-many": "too many requests: 429 TooManyRequestsError",
}
_CREATING = {
    "wizard-fixtures": "without Warehouse Type `Transit`, which the set-up wizard makes, a Company fails: 417 "
    "LinkValidationError `Could not find Warehouse Type: Transit`; the wizard also makes UOMs, groups, territories, "
    "modes of payment, price lists",
    "setup-complete": "the wizard's state is System Settings.setup_complete",
    "company-fields": "a Company needs company_name, default_currency, country",
    "company-abbr": "abbr defaults to the initials of the name; one in use is 417",
    "chart-offered": "the site offers charts for a country; Kenya and Uganda have none of their own: Standard, "
    "Standard with Numbers",
    "chart-unknown": "a chart's name that is unknown: 500",
    "company-accounts": "a Company comes with its accounts (about 80 of Standard)",
    "company-warehouses": "a Company comes with five warehouses",
    "company-cost-center": "a Company comes with the cost center `Main - ABBR`",
    "company-departments": "a Company comes with departments",
    "company-vat": "a Company comes with VAT templates (Kenya 16, Uganda 18)",
    "warehouse-name": "a Warehouse becomes `X - ABBR`; the suffix is not doubled",
    "warehouse-fields": "a Warehouse needs warehouse_name and company",
    "single-merge": "PUT of a Single merges the fields sent",
    "child-table-replaced": "a child table that is sent replaces all its rows",
    "price-list-kind": "a Price List needs buying or selling",
    "item-fields": "an Item needs item_code, item_group, stock_uom",
    "item-price-duplicate": "a second Item Price of the same: 417 ItemPriceDuplicateItem",
    "customer-again": "a second Customer of a name does not fail: it becomes `X - 1`",
    "customer-links": "a Customer's group and territory must exist if sent",
    "mode-of-payment-company": "a Mode of Payment has one account row per company",
    "pos-profile-name": "a POS Profile is named by the `name` that is sent",
    "pos-profile-fields": "a POS Profile needs company, currency, warehouse, write_off_account, write_off_cost_center, "
    "payments",
    "pos-profile-default": "exactly one of a POS Profile's payments is the default",
    "pos-profile-mode-account": "each mode of payment of a POS Profile has an account of the company",
    "opening-fields": "a POS Opening Entry needs period_start_date, posting_date, company, pos_profile, user, "
    "balance_details",
    "opening-submit": "a POS Opening Entry is submitted by PUT docstatus 1",
    "opening-second": "newer code refuses a second open entry (same profile or same user) with 417; older code does "
    "not check",
}
_DELETING = {
    "opening-cancel": "a POS Opening Entry is cancelled by PUT docstatus 2, then it can be deleted",
    "opening-cancel-invoices": "its cancelling is refused while unconsolidated invoices exist",
    "delete-item-prices": "deleting an Item takes its prices along",
    "cancelled-blocks": "a cancelled document still blocks what it links to",
    "warehouse-stock": "deleting a Warehouse with stock entries is refused",
    "warehouse-default": "deleting a Warehouse that is the default of Stock Settings is refused",
    "company-ledger": "a Company with ledger entries is refused: it needs a Transaction Deletion Record first, whose "
    "status is polled",
}
_BESIDE = {
    "charts-method": "...chart_of_accounts.get_charts_for_country(country, with_standard) says which; Standard ones "
    "where not exactly one",
    "company-cash": "a Company adds its cash account to the Mode of Payment of type Cash (company.py)",
    "company-takes-along": "deleting a Company takes its accounts, warehouses, cost centers, departments, templates "
    "along (company.py)",
    "price-list-default": "the first selling Price List becomes Selling Settings.selling_price_list; deleting it "
    "clears that (price_list.py)",
    "docstatus": "0 to 1 submits, 1 to 2 cancels; all else is refused, and so is any change of a cancelled document "
    "(document.py)",
    "delete-submitted": "a submitted document is not deleted (delete_doc.py)",
    "permission": "a user without the right: 403 PermissionError (delete_doc.py, document.py)",
    "logged-user": "frappe.auth.get_logged_user says who asks (memory)",
    "maintenance": "under maintenance: 503 SessionStopped (memory)",
}
ROWS: Mapping[str, str] = _PROTOCOL | _ERRORS | _CREATING | _DELETING | _BESIDE


def sureness(key: str) -> Sure:
    """How the row is known. Raises KeyError for none of ours."""
    words = ROWS[key]
    return next((sure for sure in (Sure.MEMORY, Sure.INFERRED) if f"({sure})" in words), Sure.READ)

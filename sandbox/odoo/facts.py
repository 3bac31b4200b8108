"""What is held to be so of an Odoo's external API: one row a fact, by the key that rules and contract tests cite.

**From reading**: of stored source texts of mixed versions (17 to 19, and the branch after them). None was observed on a
running server. A row says how sure it is; docs/odoo-facts.md says where it was read. Whoever has a server runs
`tests/odoo` against it (ODOO_URL, ODOO_DB, ODOO_USER, ODOO_KEY), which says row by row what differs. Decides nothing.
"""

from collections.abc import Mapping
from enum import StrEnum


class Sure(StrEnum):
    """How a row is known."""

    READ = "read in sources"
    MEMORY = "memory"
    INFERRED = "inferred"


_PROTOCOL = {
    "envelope": "POST /jsonrpc with params service, method, args; the answer is 200 with `result`, or with `error`",
    "error-form": "an error has code, message, and data with name (module and class), message, arguments, debug",
    "no-result": "a method that returns None is answered without `result`",
    "version": "common.version needs no login, and says server_version, server_version_info, server_serie",
    "authenticate": "common.authenticate(db, login, key, {}) gives the user's id; an API key stands for the password",
    "wrong-login": "a wrong login is answered with false by authenticate",
    "wrong-key": "a wrong key: odoo.exceptions.AccessDenied by execute_kw",
    "wrong-database": "a database that is not there: psycopg2.OperationalError (memory)",
    "unknown-model": "an unknown model: an error, odoo.exceptions.UserError in 17 and 18",
    "unknown-method": "an unknown method: builtins.AttributeError",
    "private-method": "a method whose name begins with _: odoo.exceptions.AccessError",
    "ids-first": "a method that is not one of the model takes ids before its other arguments",
    "unknown-field": "an unknown field: builtins.ValueError",
    "rollback": "a call is one transaction: an error undoes all of it",
    "links": "a link is shown as [id, name], or false; several as a list of ids",
    "archived": "archived records are not found unless active_test is false or the domain names active",
    "companies": "allowed_company_ids limits what is seen, its first is the company of defaults; one that the user has "
    "not, or that is archived: odoo.exceptions.AccessError",
}
_RECORDS = {
    "load": "load(columns, rows) with a column `id` makes a record and its external identifier in one transaction",
    "load-again": "load of an external identifier that is there changes its record, and makes none",
    "load-refuses": "what load refuses is told by ids false and messages, without an error, and nothing is kept",
    "load-links": "columns `x/.id` are links by database id, several with commas between",
    "external-id": "ir.model.data (module, name) is unique, has no blanks, and needs no module that is installed",
    "external-id-goes": "deleting a record deletes its external identifiers",
    "mandatory": "a mandatory field without a value: odoo.exceptions.ValidationError",
    "unique": "a value that has to be unique: odoo.exceptions.ValidationError",
    "missing": "writing to a record that is not there: odoo.exceptions.MissingError",
    "restrict": "deleting what a mandatory link names: odoo.exceptions.ValidationError; an optional link is emptied",
}
_COMPANY = {
    "company-name": "two companies cannot have one name",
    "company-partner": "a company comes with a partner of its name, which stays when it is deleted",
    "company-user": "who makes a company may use it from then on",
    "company-country": "country_code is the code of its country, and cannot be written",
    "company-warehouse": "in 17 a company comes with a warehouse of its name (memory)",
    "chart-offered": "res.company.fields_get says the charts: codes and names, ke and ug among them, and always "
    "generic_coa",
    "chart-load": "account.chart.template.try_loading([], code, company) makes accounts, journals and taxes, and "
    "returns nothing; it sets chart_template",
    "chart-module": "it installs the module of the chart where that is not installed",
    "chart-admin": "only who has the right Settings may load one: odoo.exceptions.AccessError",
    "account-companies": "from 18 on an account has company_ids, before company_id",
}
_TILL = {
    "warehouse-code": "a warehouse needs a code of up to 5 letters; name and code are unique in its company",
    "warehouse-till": "a warehouse comes with an operation type for tills, pos_type_id",
    "journal-code": "a journal's code has up to 5 letters and is unique in its company",
    "char-size": "of a text that is longer than its field, the beginning is kept (memory)",
    "journal-account": "a cash or bank journal gets an account of its own (memory)",
    "cash-once": "a cash payment method is of one till only, and its journal of one method only",
    "method-company": "a till's payment methods are of its company",
    "config-operation": "a till needs an operation type; its default is that of its company's first warehouse",
    "config-locked": "while a session is open, a till's payment methods cannot be changed: odoo.exceptions.UserError",
    "session-name": "a session gets a name by itself, and begins in opening_control",
    "session-cash": "a till with a cash method waits in opening_control until it is counted; one without opens at once",
    "session-open": "set_opening_control (from 18 on; before set_cashbox_pos) opens a session, and returns nothing",
    "session-second": "a second session of a till that is not closed: odoo.exceptions.ValidationError",
    "session-delete": "a session without orders can be deleted, whatever its state (inferred)",
    "product-open": "a product for sale at tills is not deleted while any session of the database is open: "
    "odoo.exceptions.UserError; one that is not for sale there is",
}
_BESIDE = {
    "modules": "ir.module.module says by name and state which modules are installed",
    "too-many": "a proxy's 429, 502 and 503 come as pages, before Odoo (inferred)",
    "busy": "a conflict of transactions that Odoo's own five tries do not solve: psycopg2.errors.SerializationFailure",
    "old-rpc": "newest versions answer 404 in an error unless rpc.use_deprecated_services is set",
}
ROWS: Mapping[str, str] = _PROTOCOL | _RECORDS | _COMPANY | _TILL | _BESIDE


def sureness(key: str) -> Sure:
    """How the row is known. Raises KeyError for none of ours."""
    words = ROWS[key]
    return next((sure for sure in (Sure.MEMORY, Sure.INFERRED) if f"({sure})" in words), Sure.READ)

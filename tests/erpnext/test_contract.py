"""What holds on every ERPNext, simulated or real: its protocol, and each of its errors."""

from __future__ import annotations

import json
from typing import Any

from sandbox.erpnext.api import CHARTS_METHOD
from tests.erpnext.conftest import Erp, Shop, refusal, row


@row("ping", "envelope")
def test_ping(erp: Erp) -> None:
    answer = erp.client.get(f"{erp.url}/api/method/ping")
    assert (answer.status_code, answer.json()) == (200, {"message": "pong"})


@row("token", "logged-user")
def test_a_token_says_who_asks(erp: Erp) -> None:
    answer = erp.call("GET", "/api/method/frappe.auth.get_logged_user")
    assert answer.status_code == 200
    assert answer.json()["message"] not in {"", "Guest"}


@row("wrong-key")
def test_a_wrong_secret_or_key_is_401(erp: Erp) -> None:
    for pair in (f"{erp.key}:wrong", "wrong:wrong"):
        headers = {"Authorization": f"token {pair}", "Accept": "application/json"}
        answer = erp.client.get(f"{erp.url}/api/resource/Company", headers=headers)
        assert refusal(answer) == (401, "AuthenticationError")


@row("no-key")
def test_without_a_key_nothing_is_shown(erp: Erp) -> None:
    answer = erp.client.get(f"{erp.url}/api/resource/Company", headers={"Accept": "application/json"})
    assert refusal(answer) == (403, "PermissionError")


@row("accept")
def test_errors_are_json_where_json_is_accepted(erp: Erp) -> None:
    assert erp.doc("GET", "Company", "no such").headers["Content-Type"].startswith("application/json")


@row("error-form", "field-missing")
def test_an_error_says_its_type_and_messages(erp: Erp, unique: str) -> None:
    answer = erp.doc("POST", "Mode of Payment", body={"type": "Cash"})
    assert answer.status_code == 417
    body = answer.json()
    assert isinstance(body["exc_type"], str)
    answer = erp.doc("POST", "Price List", body={"price_list_name": unique, "currency": "KES"})
    messages = json.loads(answer.json()["_server_messages"])
    assert all(isinstance(json.loads(each)["message"], str) for each in messages)
    assert messages


@row("traceback")
def test_what_is_not_there_has_no_traceback(erp: Erp) -> None:
    body = erp.doc("GET", "Company", "no such").json()
    assert not {"exc", "exception"} & body.keys()


@row("unknown-method")
def test_an_unknown_method(erp: Erp) -> None:
    assert refusal(erp.call("GET", "/api/method/no.such.method")) == (417, "ValidationError")


@row("unknown-doctype")
def test_an_unknown_doctype(erp: Erp) -> None:
    assert refusal(erp.doc("POST", "No Such Thing", body={})) == (500, "ImportError")
    assert refusal(erp.doc("GET", "No Such Thing", "one")) == (500, "ImportError")


@row("unknown-doctype-list")
def test_an_unknown_doctype_as_a_list(erp: Erp) -> None:
    assert erp.doc("GET", "No Such Thing").status_code == 404


@row("unknown-name")
def test_an_unknown_name(erp: Erp) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert refusal(erp.doc(method, "Company", "no such", {})) == (404, "DoesNotExistError"), method


@row("name-taken")
def test_a_name_that_is_taken(erp: Erp, unique: str) -> None:
    erp.make("Mode of Payment", mode_of_payment=unique, type="Cash")
    again = erp.doc("POST", "Mode of Payment", body={"mode_of_payment": unique, "type": "Cash"})
    assert refusal(again) == (409, "DuplicateEntryError")


@row("unique-field")
def test_another_unique_field_that_is_taken(erp: Erp, unique: str) -> None:
    phone = str(int(unique[1:], 16))
    user = {"first_name": unique, "mobile_no": phone, "send_welcome_email": 0}
    erp.make("User", email=f"{unique}.one@tenantry.invalid", **user)
    again = erp.doc("POST", "User", body=user | {"email": f"{unique}.two@tenantry.invalid"})
    assert refusal(again) == (417, "UniqueValidationError")


@row("field-missing")
def test_a_missing_field(erp: Erp, unique: str) -> None:
    assert refusal(erp.doc("POST", "Warehouse", body={"warehouse_name": unique})) == (417, "MandatoryError")


@row("link-to-nothing")
def test_a_link_to_nothing_is_seen_before_a_missing_field(erp: Erp, unique: str) -> None:
    item: dict[str, Any] = {"item_code": unique, "item_group": "no such group"}
    assert refusal(erp.doc("POST", "Item", body=item)) == (417, "LinkValidationError")
    item["item_group"] = "All Item Groups"
    assert refusal(erp.doc("POST", "Item", body=item)) == (417, "MandatoryError")


@row("linked-from-elsewhere")
def test_what_is_linked_is_not_deleted(erp: Erp, shop: Shop, unique: str) -> None:
    group = erp.make("Customer Group", customer_group_name=unique, parent_customer_group="All Customer Groups")["name"]
    customer = erp.make("Customer", customer_name=unique, customer_group=group, territory="All Territories")["name"]
    assert refusal(erp.doc("DELETE", "Customer Group", group)) == (417, "LinkExistsError")
    assert erp.doc("DELETE", "Customer", customer).status_code == 202
    assert erp.doc("DELETE", "Customer Group", group).status_code == 202


@row("stale-modified")
def test_a_stale_modified_is_refused_if_it_is_sent(erp: Erp, unique: str) -> None:
    first = erp.make("Mode of Payment", mode_of_payment=unique, type="Cash")
    second = erp.change("Mode of Payment", unique, type="Bank", modified=first["modified"])
    stale = erp.doc("PUT", "Mode of Payment", unique, {"type": "Cash", "modified": first["modified"]})
    assert refusal(stale) == (417, "TimestampMismatchError")
    assert erp.read("Mode of Payment", unique)["type"] == "Bank"
    assert erp.change("Mode of Payment", unique, type="Cash")["modified"] > second["modified"]


@row("stale-modified")
def test_of_singles_too(erp: Erp) -> None:
    before = erp.read("Selling Settings", "Selling Settings")
    erp.change("Selling Settings", "Selling Settings", so_required=before["so_required"])
    sent = {"so_required": before["so_required"], "modified": before["modified"]}
    assert refusal(erp.doc("PUT", "Selling Settings", "Selling Settings", sent)) == (417, "TimestampMismatchError")


@row("deleted")
def test_a_delete_is_answered_with_202(erp: Erp, unique: str) -> None:
    erp.make("Mode of Payment", mode_of_payment=unique, type="Cash")
    answer = erp.doc("DELETE", "Mode of Payment", unique)
    assert answer.status_code == 202
    assert answer.json() in ({"data": "ok"}, {"message": "ok"})


@row("page-of-20", "company-accounts", "envelope")
def test_a_list_is_a_page_of_20(erp: Erp, shop: Shop) -> None:
    of_company = json.dumps([["company", "=", shop.company]])
    assert len(erp.doc("GET", "Account", filters=of_company).json()["data"]) == 20
    rows = erp.doc("GET", "Account", filters=of_company, limit_page_length="500").json()["data"]
    assert 40 < len(rows) < 200
    assert all(set(each) == {"name"} for each in rows)
    assert len(erp.doc("GET", "Account", filters=of_company, limit_page_length="5").json()["data"]) == 5


@row("page-of-20")
def test_a_list_has_the_fields_asked_for_of_those_that_fit(erp: Erp, shop: Shop) -> None:
    filters = json.dumps({"company": shop.company, "warehouse_name": ["like", "%oods%"]})
    fields = json.dumps(["name", "warehouse_name", "is_group"])
    rows = erp.doc("GET", "Warehouse", filters=filters, fields=fields, order_by="name asc").json()["data"]
    assert [each["warehouse_name"] for each in rows] == ["Finished Goods", "Goods In Transit"]
    assert rows[0] == {"name": f"Finished Goods - {shop.abbr}", "warehouse_name": "Finished Goods", "is_group": 0}


@row("rollback", "chart-unknown")
def test_a_request_that_fails_leaves_nothing(erp: Erp, unique: str) -> None:
    company = {"company_name": unique, "abbr": unique, "default_currency": "KES", "country": "Kenya"}
    answer = erp.doc("POST", "Company", body=company | {"chart_of_accounts": "No Such Chart"})
    assert answer.status_code == 500
    assert refusal(erp.doc("GET", "Company", unique)) == (404, "DoesNotExistError")
    of_company = json.dumps([["company", "=", unique]])
    assert erp.doc("GET", "Account", filters=of_company).json() == {"data": []}


@row("chart-offered", "charts-method")
def test_charts_are_offered_by_country(erp: Erp) -> None:
    for country in ("Kenya", "Uganda"):
        answer = erp.call("GET", f"/api/method/{CHARTS_METHOD}", country=country, with_standard="1")
        assert answer.json() == {"message": ["Standard", "Standard with Numbers"]}


@row("setup-complete")
def test_the_wizard_says_whether_it_was_finished(erp: Erp) -> None:
    assert erp.read("System Settings", "System Settings")["setup_complete"] in {1, "1"}

"""What holds on every Odoo, simulated or real: its protocol, its records and external identifiers."""

from __future__ import annotations

import pytest

from tests.odoo.contract import Odoo, Refused, row

ACCESS, INVALID = "odoo.exceptions.AccessError", "odoo.exceptions.ValidationError"
DENIED, MISSING = "odoo.exceptions.AccessDenied", "odoo.exceptions.MissingError"


@row("envelope")
def test_an_answer_is_200_and_has_a_result(odoo: Odoo) -> None:
    told = odoo.told("common", "version")
    assert told["jsonrpc"] == "2.0"
    assert told["id"] == 7
    assert "result" in told


@row("version")
def test_the_version_is_told_to_anybody(odoo: Odoo) -> None:
    told = odoo.told("common", "version")["result"]
    assert {"server_version", "server_version_info", "server_serie"} <= told.keys()
    assert odoo.major >= 17


@row("authenticate")
def test_a_key_stands_for_the_password(odoo: Odoo) -> None:
    assert isinstance(odoo.uid, int)
    assert odoo.read("res.users", odoo.uid, "login")["login"] == odoo.user


@row("wrong-login")
def test_a_wrong_login_is_false(odoo: Odoo) -> None:
    for user, key in ((odoo.user, "wrong"), ("nobody-at-all", odoo.key)):
        assert odoo.told("common", "authenticate", odoo.database, user, key, {}).get("result") is False


@row("wrong-key", "error-form")
def test_a_wrong_key_is_denied(odoo: Odoo) -> None:
    given = [odoo.database, odoo.uid, "wrong", "res.country", "search_count", [[]]]
    error = odoo.told("object", "execute_kw", *given)["error"]
    assert error["data"]["name"] == DENIED
    assert {"code", "message", "data"} <= error.keys()
    assert {"name", "message", "arguments", "debug"} <= error["data"].keys()


@row("wrong-database")
def test_a_database_that_is_not_there(odoo: Odoo) -> None:
    told = odoo.told("common", "authenticate", "no-such-database", odoo.user, odoo.key, {})
    assert told["error"]["data"]["name"] == "psycopg2.OperationalError"


@row("unknown-model")
def test_an_unknown_model(odoo: Odoo) -> None:
    assert odoo.refusal("no.such.model", "search_count", []) == "odoo.exceptions.UserError"


@row("unknown-method")
def test_an_unknown_method(odoo: Odoo) -> None:
    assert odoo.refusal("res.country", "no_such_method", []) == "builtins.AttributeError"


@row("private-method")
def test_a_private_method(odoo: Odoo) -> None:
    assert odoo.refusal("res.country", "_compute_display_name", []) == ACCESS


@row("unknown-field")
def test_an_unknown_field(odoo: Odoo) -> None:
    assert odoo.refusal("res.country", "search_read", [["no_such_field", "=", 1]]) == "builtins.ValueError"


@row("ids-first", "links", "mandatory", "missing")
def test_records_are_written_by_their_ids(odoo: Odoo, unique: str) -> None:
    kenya = odoo.find("res.country", [["code", "=", "KE"]])[0]["id"]
    made = odoo.make("res.partner", name=unique)
    assert odoo.read("res.partner", made, "country_id")["country_id"] is False
    assert odoo.call("res.partner", "write", [made], {"country_id": kenya}) is True
    assert odoo.read("res.partner", made, "country_id")["country_id"] == [kenya, "Kenya"]
    assert odoo.refusal("account.journal", "create", {"code": "T9"}) == INVALID
    odoo.call("res.partner", "unlink", [made])
    assert odoo.refusal("res.partner", "write", [made], {"name": unique}) == MISSING


@row("archived")
def test_archived_records_are_asked_for(odoo: Odoo, unique: str) -> None:
    odoo.make("res.partner", name=unique, active=False)
    domain = [["name", "=", unique]]
    assert odoo.find("res.partner", domain) == []
    assert len(odoo.find("res.partner", domain, active_test=False)) == 1
    assert len(odoo.find("res.partner", [*domain, ["active", "=", False]])) == 1


@row("companies", "company-user")
def test_what_is_seen_is_by_company(odoo: Odoo, owner: int, unique: str) -> None:
    made = odoo.make("res.partner", name=unique, company_id=owner)
    domain = [["name", "=", unique]]
    assert [each["id"] for each in odoo.find("res.partner", domain, allowed_company_ids=[owner])] == [made]
    others = [each["id"] for each in odoo.find("res.company", [["id", "!=", owner]])]
    assert odoo.find("res.partner", domain, allowed_company_ids=others[:1]) == []
    with pytest.raises(Refused) as caught:
        odoo.find("res.partner", domain, allowed_company_ids=[999_999_999])
    assert caught.value.name == ACCESS


@row("load", "load-again", "load-links", "external-id", "external-id-goes")
def test_a_record_is_loaded_once_with_its_identifier(odoo: Odoo, owner: int, unique: str) -> None:
    name = f"contract_2f{unique}"
    columns = ["id", "name", "company_id/.id", "active"]
    context = {"allowed_company_ids": [owner]}
    first = odoo.call("res.partner", "load", columns, [[f"tenantry.{name}", unique, str(owner), "1"]], context=context)
    [made] = first["ids"]
    odoo.made.append(("res.partner", made))
    assert odoo.read("res.partner", made, "company_id")["company_id"][0] == owner
    marks = [["module", "=", "tenantry"], ["name", "=", name]]
    assert odoo.find("ir.model.data", marks, "model", "res_id")[0]["res_id"] == made
    again = odoo.call("res.partner", "load", ["id", "name"], [[f"tenantry.{name}", f"{unique} B"]], context=context)
    assert again["ids"] == [made]
    assert odoo.read("res.partner", made, "name")["name"] == f"{unique} B"
    taken = {"module": "tenantry", "name": name, "model": "res.partner", "res_id": made}
    assert odoo.refusal("ir.model.data", "create", taken) == INVALID
    odoo.call("res.partner", "unlink", [made])
    assert odoo.find("ir.model.data", marks) == []


@row("load-refuses", "rollback")
def test_what_load_refuses_is_no_error_and_leaves_nothing(odoo: Odoo, owner: int, unique: str) -> None:
    given = ["id", "name", "company_id/.id"], [[f"tenantry.{unique}", unique, str(owner)]]
    told = odoo.call("stock.warehouse", "load", *given, context={"allowed_company_ids": [owner]})
    assert told["ids"] is False
    assert any(each["type"] == "error" and each["message"] for each in told["messages"])
    assert odoo.find("stock.warehouse", [["name", "=", unique]], active_test=False) == []
    assert odoo.find("ir.model.data", [["module", "=", "tenantry"], ["name", "=", unique]]) == []


@row("modules")
def test_which_modules_are_installed(odoo: Odoo) -> None:
    wanted = {"account", "point_of_sale", "stock"}
    rows = odoo.find("ir.module.module", [["name", "in", sorted(wanted)], ["state", "=", "installed"]], "name")
    assert {each["name"] for each in rows} == wanted

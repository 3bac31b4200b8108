"""What holds on every Odoo of a company, its chart, its warehouse, its till, and of taking them away."""

from __future__ import annotations

import pytest

from tests.odoo.contract import Odoo, Refused, row

INVALID, USER = "odoo.exceptions.ValidationError", "odoo.exceptions.UserError"


@row("company-name", "unique", "company-partner", "company-country")
def test_a_company(odoo: Odoo, unique: str) -> None:
    kenya = odoo.find("res.country", [["code", "=", "KE"]])[0]["id"]
    made = odoo.make("res.company", name=unique, country_id=kenya)
    found = odoo.read("res.company", made, "partner_id", "country_code", "chart_template")
    assert found["country_code"] == "KE"
    assert found["partner_id"][1] == unique
    assert odoo.refusal("res.company", "create", {"name": unique}) == INVALID


@row("company-warehouse")
def test_a_company_of_17_has_a_warehouse(odoo: Odoo, unique: str) -> None:
    made = odoo.make("res.company", name=unique)
    there = odoo.find("stock.warehouse", [["company_id", "=", made]], allowed_company_ids=[made])
    assert len(there) == (1 if odoo.major < 18 else 0)


@row("chart-offered")
def test_charts_are_offered(odoo: Odoo) -> None:
    told = odoo.call("res.company", "fields_get", ["chart_template"], ["selection"])
    offered = dict(told["chart_template"]["selection"])
    assert {"generic_coa", "ke", "ug"} <= offered.keys()
    assert offered["ke"].endswith("Kenya")


@row("chart-load", "no-result", "account-companies", "chart-module")
def test_a_chart_is_loaded_and_answers_nothing(odoo: Odoo, unique: str) -> None:
    kenya = odoo.find("res.country", [["code", "=", "KE"]])[0]["id"]
    made = odoo.make("res.company", name=unique, country_id=kenya)
    given = [odoo.database, odoo.uid, odoo.key, "account.chart.template", "try_loading", [[], "ke", made]]
    told = odoo.told("object", "execute_kw", *given)
    assert "result" not in told
    assert "error" not in told
    assert odoo.read("res.company", made, "chart_template")["chart_template"] == "ke"
    accounts = odoo.find("account.account", [[odoo.accounts_of, "=", made]], allowed_company_ids=[made])
    assert len(accounts) >= 5
    kinds = odoo.find("account.journal", [["company_id", "=", made]], "type", allowed_company_ids=[made])
    assert {"sale", "purchase", "bank"} <= {each["type"] for each in kinds}
    [module] = odoo.find("ir.module.module", [["name", "=", "l10n_ke"]], "state")
    assert module["state"] == "installed"


@row("warehouse-code", "warehouse-till")
def test_a_warehouse(odoo: Odoo, owner: int, unique: str) -> None:
    made = odoo.make("stock.warehouse", name=unique, code=unique[-5:], company_id=owner)
    assert odoo.read("stock.warehouse", made, "pos_type_id")["pos_type_id"]
    for values in ({"name": unique, "code": "OTHER"}, {"name": f"{unique} B", "code": unique[-5:]}):
        assert odoo.refusal("stock.warehouse", "create", {**values, "company_id": owner}) == INVALID


@row("journal-code", "journal-account", "char-size")
def test_a_journal(odoo: Odoo, owner: int, unique: str) -> None:
    given = {"name": unique, "code": unique[-5:], "type": "cash", "company_id": owner}
    made = odoo.make("account.journal", **given)
    assert odoo.read("account.journal", made, "default_account_id")["default_account_id"]
    assert odoo.refusal("account.journal", "create", given) == INVALID
    assert odoo.refusal("account.journal", "create", {**given, "code": f"{unique[-5:]}0"}) == INVALID


def method_of(odoo: Odoo, owner: int, unique: str, kind: str = "cash") -> int:
    code = f"{kind[0].upper()}{unique[-4:]}"
    journal = odoo.make("account.journal", name=f"{unique} {kind}", code=code, type=kind, company_id=owner)
    return odoo.make("pos.payment.method", name=f"{unique} {kind}", journal_id=journal, company_id=owner)


def till_of(odoo: Odoo, owner: int, unique: str, kind: str = "cash") -> tuple[int, int]:
    """(till, its method)."""
    warehouse = odoo.make("stock.warehouse", name=unique, code=unique[-5:], company_id=owner)
    operation = odoo.read("stock.warehouse", warehouse, "pos_type_id")["pos_type_id"][0]
    method = method_of(odoo, owner, unique, kind)
    methods = [[6, 0, [method]]]
    till = odoo.make("pos.config", name=unique, company_id=owner, picking_type_id=operation, payment_method_ids=methods)
    return till, method


@row("method-company", "cash-once", "config-operation")
def test_a_tills_methods(odoo: Odoo, owner: int, unique: str) -> None:
    till, method = till_of(odoo, owner, unique)
    assert odoo.read("pos.config", till, "picking_type_id")["picking_type_id"]
    again = {"name": f"{unique} B", "company_id": owner, "payment_method_ids": [[6, 0, [method]]]}
    context = {"allowed_company_ids": [owner]}
    assert odoo.refusal("pos.config", "create", again, context=context) == INVALID
    other = odoo.make("res.company", name=f"{unique} other")
    elsewhere = odoo.make("pos.payment.method", name=unique, company_id=other)
    foreign = {"payment_method_ids": [[6, 0, [elsewhere]]]}
    assert odoo.refusal("pos.config", "write", [till], foreign) in {INVALID, USER}


@row("session-name", "session-cash", "session-open", "session-second", "session-delete", "config-locked")
def test_a_session_of_a_till_with_cash(odoo: Odoo, owner: int, unique: str) -> None:
    till, _ = till_of(odoo, owner, unique)
    context = {"allowed_company_ids": [owner]}
    made = odoo.call("pos.session", "create", {"config_id": till}, context=context)
    odoo.made.append(("pos.session", made))
    found = odoo.read("pos.session", made, "name", "state", "rescue")
    assert (found["state"], found["rescue"]) == ("opening_control", False)
    assert found["name"]
    assert odoo.refusal("pos.session", "create", {"config_id": till}, context=context) == INVALID
    opening = "set_opening_control" if odoo.major >= 18 else "set_cashbox_pos"
    assert odoo.call("pos.session", opening, [made], 0, "", context=context) is None
    assert odoo.read("pos.session", made, "state")["state"] == "opened"
    assert odoo.refusal("pos.config", "write", [till], {"payment_method_ids": [[6, 0, []]]}) == USER
    assert odoo.refusal("pos.config", "unlink", [till]) in {INVALID, USER}
    odoo.call("pos.session", "unlink", [made])
    assert odoo.find("pos.session", [["config_id", "=", till]]) == []


@row("session-cash")
def test_a_session_of_a_till_without_cash_is_open_at_once(odoo: Odoo, owner: int, unique: str) -> None:
    till, _ = till_of(odoo, owner, unique, "bank")
    made = odoo.call("pos.session", "create", {"config_id": till}, context={"allowed_company_ids": [owner]})
    odoo.made.append(("pos.session", made))
    assert odoo.read("pos.session", made, "state")["state"] == "opened"


@row("product-open")
def test_a_product_for_sale_stays_while_any_till_is_open(odoo: Odoo, owner: int, unique: str) -> None:
    till, _ = till_of(odoo, owner, unique, "bank")
    made = odoo.call("pos.session", "create", {"config_id": till}, context={"allowed_company_ids": [owner]})
    odoo.made.append(("pos.session", made))
    tea = odoo.make("product.template", name=unique, list_price=5, available_in_pos=True)
    assert odoo.refusal("product.template", "unlink", [tea]) == USER
    odoo.call("product.template", "write", [tea], {"available_in_pos": False})
    assert odoo.call("product.template", "unlink", [tea]) is True


@row("restrict")
def test_what_is_needed_is_not_deleted(odoo: Odoo, owner: int, unique: str) -> None:
    odoo.make("stock.warehouse", name=unique, code=unique[-5:], company_id=owner)
    with pytest.raises(Refused) as caught:
        odoo.call("res.company", "unlink", [owner])
    assert caught.value.name in {INVALID, USER}
    method = method_of(odoo, owner, unique)
    journal = odoo.read("pos.payment.method", method, "journal_id")["journal_id"][0]
    assert odoo.refusal("account.journal", "unlink", [journal]) == INVALID

"""What a till needs: warehouse, payment method, point of sale, session, and what is for sale there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.odoo.orm import Env, Row, Rules
from sandbox.odoo.refusals import invalid, user_error

_LOCKED = ("payment_method_ids",)


class Warehouse(Rules):
    """[warehouse-till], [warehouse-code]."""

    def prepare(self, env: Env, values: Row) -> None:
        values.setdefault("company_id", env.company)
        if len(str(values.get("code") or "")) > 5:
            raise ValueError("value too long for type character varying(5)")

    def after_create(self, env: Env, record: Row) -> None:
        operation = {"name": "PoS Orders", "warehouse_id": record["id"], "company_id": record["company_id"]}
        env.set("stock.warehouse", record["id"], pos_type_id=env.sudo().create("stock.picking.type", operation)["id"])


class PaymentMethod(Rules):
    def prepare(self, env: Env, values: Row) -> None:
        values.setdefault("company_id", env.company)

    def validate(self, env: Env, record: Row) -> None:
        journal = env.one("account.journal", record["journal_id"]) if record["journal_id"] else None
        env.set("pos.payment.method", record["id"], is_cash_count=bool(journal and journal["type"] == "cash"))


class PosConfig(Rules):
    """[method-company], [cash-once], [config-operation], [config-locked]."""

    def prepare(self, env: Env, values: Row) -> None:
        values.setdefault("company_id", env.company)
        if not values.get("picking_type_id"):
            first = next(env.sudo().each("stock.warehouse", [["company_id", "=", values["company_id"]]]), None)
            values["picking_type_id"] = first["pos_type_id"] if first else False

    def before_write(self, env: Env, record: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        if set(_LOCKED) & values.keys() and opened(env, record["id"]):
            raise user_error(
                "Unable to modify this PoS Configuration because you can't modify Payment Methods "
                "while a session is open."
            )

    def validate(self, env: Env, record: Row) -> None:
        every = env.sudo()
        methods = [env.one("pos.payment.method", each) for each in record["payment_method_ids"]]
        if any(method["company_id"] != record["company_id"] for method in methods):
            raise invalid(f"The payment methods for the point of sale {record['name']} must belong to its company.")
        for method in methods:
            if not method["is_cash_count"]:
                continue
            others = every.each("pos.config", [["payment_method_ids", "=", method["id"]], ["id", "!=", record["id"]]])
            if next(others, None) is not None:
                raise invalid("This cash payment method is already used in another Point of Sale.")
            if len(list(every.each("pos.payment.method", [["journal_id", "=", method["journal_id"]]]))) > 1:
                raise invalid("You cannot use the same journal on multiples cash payment methods.")
        env.set("pos.config", record["id"], cash_control=any(method["is_cash_count"] for method in methods))


class PosSession(Rules):
    """[session-name], [session-second], [session-cash], [session-delete]."""

    def prepare(self, env: Env, values: Row) -> None:
        if not values.get("config_id"):
            raise user_error("You should assign a Point of Sale to your session.")
        config = env.one("pos.config", values["config_id"])
        values["company_id"] = config["company_id"]
        values["name"] = f"{config['name']}/{env.db.records.next_of('#pos.session'):05d}"
        values.setdefault("user_id", env.user["id"])

    def validate(self, env: Env, record: Row) -> None:
        if record["state"] != "closed" and len(opened(env, record["config_id"])) > 1:
            raise invalid("Another session is already opened for this point of sale.")

    def after_create(self, env: Env, record: Row) -> None:
        config = env.one("pos.config", record["config_id"])
        state = "opening_control" if config["cash_control"] else "opened"
        env.set("pos.session", record["id"], state=state, start_at=env.db.records.now()[:19])


class Product(Rules):
    """[product-open]: of the whole database."""

    def before_unlink(self, env: Env, record: Mapping[str, Any]) -> None:
        if record["available_in_pos"] and next(env.sudo().each("pos.session", [["state", "!=", "closed"]]), None):
            raise user_error("You cannot delete a product saleable in point of sale while a session is still opened.")


def opened(env: Env, config: int) -> list[Row]:
    domain = [["config_id", "=", config], ["state", "!=", "closed"], ["rescue", "=", False]]
    return list(env.sudo().each("pos.session", domain))


def open_counted(env: Env, number: int, cash: float, notes: str) -> None:
    """[session-open]."""
    if f"{cash:g}" and not hasattr(notes, "strip"):
        raise TypeError(f"the notes are a text, and not {notes!r}")
    if env.one("pos.session", number)["state"] == "opening_control":
        env.set("pos.session", number, state="opened")

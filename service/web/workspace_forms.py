"""The form of a workspace (POS-7): which fields it has, in which order, and where a problem stands. Pure.

Decides nothing about values: the request's own model does (`service.workspace_requests`). A password is never shown.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from service.web.fields import Choice, Field, fields_of, words
from service.web.filled import Placed, Problem, placed, read
from service.web.tenant_forms import problems_of
from service.workspace_requests import request_schema
from stacks.pos.engine import DEFAULT, NAMES
from stacks.pos.manifest import BUSINESSES
from stacks.problems import InputError

KEY = "_key"
"""The form's own idempotency key: however often it is sent, it makes one workspace."""
_SHOP = ("name", "category", "country_code", "engine")
_ADMIN = ("admin_name", "admin_email", "admin_password")
_MORE = ("provisioning_type", "include_demo_data", "pos_store_enabled", "country_template", "region")
_TYPES = {
    "FULL_POS": "Full: a second warehouse, settings, an open session",
    "BASIC": "Basic: what a till cannot do without",
    "CUSTOM": "Custom: what is asked for, and nothing else",
}
KINDS = {
    "res.company": "Company",
    "stock.warehouse": "Warehouse",
    "product.template": "Product",
    "res.partner": "Customer",
    "account.journal": "Journal",
    "pos.payment.method": "Payment method",
    "pos.config": "Point of sale",
    "OdooPosSession": "Session",
}
"""What Odoo's models are to people. ERPNext has such words of its own."""
_SECRET = frozenset({"admin_password"})
_HELP = {
    "name": "As customers know it. The workspace's id follows from it.",
    "engine": "Where its books are kept.",
    "admin_name": "Who is responsible for it.",
    "category": "Retail, restaurant and pharmacy have templates of their own.",
    "country_code": "Two letters, such as KE. Currency and chart of accounts follow from it.",
    "admin_email": "They sign in with it, and own the workspace.",
    "admin_password": "At least 10 characters.",
    "include_demo_data": "Items to try it with.",
    "pos_store_enabled": "A second warehouse, for the till.",
    "country_template": "Which one is wished. Empty: that of the country, or else a standard one.",
    "region": "Where it runs. Empty: the only region that has the engine.",
}
_LABELS = {
    "name": "Name of the business",
    "category": "Type of business",
    "country_code": "Country",
    "admin_name": "Name",
    "admin_email": "E-mail address",
    "admin_password": "Password",
    "include_demo_data": "Demo items",
    "pos_store_enabled": "POS store",
    "country_template": "Chart of accounts",
}


@functools.cache
def groups(engines: tuple[str, ...] = tuple(NAMES)) -> tuple[tuple[str, tuple[Field, ...]], ...]:
    """The fields, by the heading that they stand under; those under the last one may all be left as they are.

    `engines` are those to choose from.
    """
    schema = request_schema()
    properties = schema["properties"]
    known = {
        name: {**properties[name], "title": _LABELS.get(name, words(name)), **_help(name)}
        for name in (*_SHOP, *_ADMIN, *_MORE)
    }
    choices = {
        "category": [Choice(value=one, label=words(one)) for one in (*BUSINESSES, "other")],
        "engine": [Choice(value=one, label=NAMES[one]) for one in engines],
        "provisioning_type": [Choice(value=one, label=text) for one, text in _TYPES.items()],
    }
    required = [*schema["required"], "engine"]
    fields = {one.path: one for one in fields_of({"properties": known, "required": required}, choices=choices)}
    named = (("The business", _SHOP), ("Who runs it", _ADMIN), ("More", _MORE))
    return tuple((heading, tuple(fields[name] for name in names)) for heading, names in named)


def _help(name: str) -> dict[str, str]:
    return {"description": _HELP[name]} if name in _HELP else {}


def all_fields() -> tuple[Field, ...]:
    """All fields, in the order of the form."""
    return tuple(field for _, fields in groups() for field in fields)


def empty() -> dict[str, str]:
    """The texts of a form that nobody has filled."""
    return {"engine": DEFAULT, KEY: uuid.uuid4().hex}


def body_of(values: Mapping[str, str]) -> tuple[dict[str, Any], Sequence[Problem]]:
    """The request that a form makes, and what of it could not be read."""
    reading = read(all_fields(), values)
    return reading.manifest, reading.problems


def shown(values: Mapping[str, str]) -> dict[str, str]:
    """The texts of a form that is shown again."""
    known = {field.path for field in all_fields()} - _SECRET | {KEY}
    return {KEY: uuid.uuid4().hex} | {name: text for name, text in values.items() if text and name in known}


def placed_problems(error: InputError | None, unread: Sequence[Problem]) -> Placed:
    """Where the problems stand."""
    return placed(all_fields(), [*unread, *(problems_of(error) if error is not None else ())])

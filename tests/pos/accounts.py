"""Everything that an ERPNext holds, to be compared with another: without names and times that differ by nature."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.erpnext.running import Erp

Account = Mapping[str, Counter[str]]
"""How often each document is there, by DocType."""
_BY_NATURE = frozenset({"creation", "modified", "modified_by", "period_start_date", "posting_date", "parent"})
_NUMBERED = frozenset({"POS Opening Entry", "Item Price"})
"""Called by a number, or by nothing that means anything."""


def account(here: Erp) -> Account:
    return {
        doctype: Counter(_said(doc) for doc in docs.values())
        for doctype, docs in here.site.records._kept.items()
        if docs and not doctype.startswith("#")
    }


def differing(one: Account, other: Account) -> dict[str, tuple[list[str], list[str]]]:
    """What the first has and the other has not, and the other way round, by DocType."""
    none: Counter[str] = Counter()
    both = {each: (one.get(each, none), other.get(each, none)) for each in {*one, *other}}
    found = {each: (sorted((a - b).elements()), sorted((b - a).elements())) for each, (a, b) in both.items()}
    return {each: lists for each, lists in found.items() if any(lists)}


def _said(doc: Mapping[str, Any]) -> str:
    return json.dumps(_plain(doc, row=False), sort_keys=True)


def _plain(doc: Mapping[str, Any], *, row: bool) -> dict[str, Any]:
    unnamed = {"name"} if row or doc.get("doctype") in _NUMBERED else set()
    kept = {key: value for key, value in doc.items() if key not in _BY_NATURE | unnamed}
    return {
        key: [_plain(each, row=True) for each in value] if isinstance(value, list) else value
        for key, value in kept.items()
    }


_furnished: dict[str, Any] = {}


def with_others(here: Erp) -> None:
    """A site on which somebody else works: a shop, which nobody may touch. Made once, and copied."""
    if not _furnished:
        here.put("Company", company_name="Other", abbr="OT", default_currency="KES", country="Kenya")
        here.put("Item", item_code="OT-TEA", item_group="Products", stock_uom="Nos")
        here.put("Item Price", item_code="OT-TEA", price_list="Standard Selling", price_list_rate=70)
        here.put("Customer", customer_name="Regular Customer")
        cash = [{"mode_of_payment": "Cash", "default": 1}]
        till = {"currency": "KES", "warehouse": "Stores - OT", "write_off_account": "Write Off - OT"}
        centre = {"write_off_cost_center": "Main - OT", "payments": cash}
        here.put("POS Profile", name="Other POS", company="Other", **till, **centre)
        opened = {"period_start_date": "2026-01-01 08:00:00", "posting_date": "2026-01-01", "docstatus": 1}
        balance = {"balance_details": [{"mode_of_payment": "Cash", "opening_amount": 70}]}
        here.put("POS Opening Entry", company="Other", pos_profile="Other POS", user=here.user, **opened, **balance)
        _furnished.update(copy.deepcopy(here.site.records._kept))
    here.site.records._kept = copy.deepcopy(_furnished)

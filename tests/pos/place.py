"""A simulated engine with a point of sale of the rows: what runs there, what it has, and what somebody else changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.faults import Kind
from tests.pos.rows import CASHIER, TABLE, Row
from tests.pos.stand_in import TEA, Made, Resource, in_place_of_the_sdks, up

COMPANY = "Shop"
ARGS: Mapping[str, Mapping[str, Any]] = {
    "erpnext": {"items": (TEA,), "cashier": CASHIER, "stock": {"allow_negative_stock": 1}},
    "odoo": {
        "engine": "odoo",
        "items": (TEA,),
        "selling": {"annual_inventory_day": 30},
        "stock": {},
    },
}
"""Of a point of sale that has all of its rows."""
WRITES = ("POST", "PUT", "DELETE", "load", "create", "write", "unlink", "try_loading", "set_opening_control")
SHARED = ("Price List", "Item", "Item Price", "Customer", "User", "Mode of Payment", "res.partner")
"""Kinds of which some are everybody's: of Odoo's partners those that are in no company."""
CHANGING = {"modified", "modified_by", "uoms"}


class Place:
    """An engine's site, and what runs there. `name` is that of the engine."""

    def __init__(self, name: str, site: Any) -> None:
        self.name = name
        self.site = site
        self.rows = TABLE[name]
        self.before = self.counts()

    def run(self, state: Mapping[str, Resource] | None = None, **changes: Any) -> tuple[Made, dict[str, Any]]:
        """An up over a state: what it has made, and the stack's outputs, none where it failed."""
        made = in_place_of_the_sdks(Made(state))
        made.refreshes = False
        try:
            return made, up(made, **{**ARGS[self.name], **changes})
        except Exception as error:  # noqa: BLE001 - the SDK wraps what a provider raises in one of its own
            self.error = str(error)
            return made, {}

    def counts(self) -> dict[str, int]:
        """Of ERPNext without the site's own root of departments, which comes with the first company."""
        kept = self.site.site.records._kept
        return {kind: len(rows) for kind, rows in kept.items() if rows and not kind.startswith(("#", "Department"))}

    def stop(self, row: Row) -> None:
        method, where = row.stop
        self.site.fault(Kind.ERROR, status=403, method=method, where=where)

    def heal(self) -> None:
        self.site.site.faults.heal()

    def written(self) -> int:
        return len(self.site.asked(*WRITES))

    def everybodys(self) -> list[dict[str, Any]]:
        """What is in no company, without what the tenant's own company has in it, and without when it was changed."""
        found = [each for kind in SHARED for each in self.site.site.records.each(kind) if not each.get("company_id")]
        bared = [bare(each, sorted(each.keys() - CHANGING)) for each in found if each["name"] != COMPANY]
        return [{name: _of_others(value) for name, value in each.items()} for each in bared]

    def doc(self, row: Row) -> dict[str, Any]:
        """The only one that there is, of Odoo in a company: what is in none is everybody's."""
        [found] = [each for each in self.site.site.records.each(row.kind, **row.having) if each.get("company_id", True)]
        return dict(found)

    def found(self) -> dict[str, str]:
        """What is there of each row: its name, or its id."""
        return {row.made: self._key(row) for row in self.rows if row.kind}

    def _key(self, row: Row) -> str:
        doc = self.doc(row)
        return str(doc["id"] if self.name == "odoo" else doc["name"])

    def set(self, row: Row, **fields: Any) -> None:
        """As somebody does who works there."""
        with self.site.alone():
            self.site.site.records.put(row.kind, self._key(row), self.doc(row) | fields)


def known(made: Resource) -> Any:
    """What it is in the engine."""
    return made.outs.get("docname", made.outs.get("reference", made.id))


def undone(made: Made) -> None:
    """As a destroy, or a rollback."""
    made.made = made.state
    made.destroy()


def bare(doc: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """These fields of it; of a child table each row without what the site adds to it."""
    given = ("company", "default_account", "default_warehouse")
    return {
        name: [{key: row[key] for key in given if key in row} for row in doc[name]]
        if isinstance(doc[name], list)
        else doc[name]
        for name in names
    }


def _of_others(value: Any) -> Any:
    return [row for row in value if row.get("company") != COMPANY] if isinstance(value, list) else value

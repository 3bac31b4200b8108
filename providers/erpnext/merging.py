"""How a document that is there differs from the one that is wanted, and what of it has to be written. Pure.

Only fields that we own are looked at. A child table is either wholly ours, or, where others have rows in it as well,
merged: ours is the row whose field has our value, and the others are sent back as they were found, since ERPNext
replaces a table by what it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from providers.erpnext.wanted import Wanted, Whose, mark_text, plain, same

Row = Mapping[str, Any]


def seen(found: Mapping[str, Any], wanted: Wanted, *, mine: bool) -> dict[str, Any]:
    """The owned fields as they are: those that differ from `wanted` have drifted."""
    looked = _looked_at(wanted, mine)
    return {
        name: value
        if name not in looked or _fits(found.get(name), value, wanted.tables.get(name))
        else _shown(found, name, value)
        for name, value in wanted.fields.items()
    }


def changes(found: Mapping[str, Any], wanted: Wanted, *, mine: bool) -> dict[str, Any]:
    """What has to be written for the document to be as wanted; empty where it is."""
    return {
        name: _merged(_rows(found.get(name)), value, wanted.tables[name]) if name in wanted.tables else plain(value)
        for name, value in wanted.fields.items()
        if name in _looked_at(wanted, mine) and not _fits(found.get(name), value, wanted.tables.get(name))
    }


def without_ours(found: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """The shared tables without our rows, as far as any are in them; empty where there are none."""
    left: dict[str, Any] = {}
    for table, by in wanted.tables.items():
        ours = [row[by] for row in wanted.fields.get(table) or ()]
        rows = _rows(found.get(table))
        others = [row for row in rows if not any(same(row.get(by), value) for value in ours)]
        if len(others) != len(rows):
            left[table] = others
    return left


def without_mark(found: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """The field of the tenant's mark without it; empty where it is not there."""
    text, mark = str(found.get(wanted.mark_field or "") or ""), mark_text(wanted.tenant_mark)
    return {wanted.mark_field: text.replace(mark, "").strip()} if wanted.mark_field and mark in text else {}


def of_others(found: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether others have rows in a shared table."""
    left = without_ours(found, wanted)
    return any(left.get(table, _rows(found.get(table))) for table in wanted.tables)


def _looked_at(wanted: Wanted, mine: bool) -> set[str]:
    """What is kept as it is here: of a document of the site only our rows."""
    whole = mine or wanted.whose is not Whose.SHARED
    return set(wanted.fields) if whole else set(wanted.fields) & set(wanted.tables)


def _fits(found: Any, value: Any, by: str | None) -> bool:
    if not isinstance(value, (list, tuple)):
        return same(found, value)
    rows = _rows(found)
    if by is not None:
        return all((row := _row(rows, by, each)) is not None and _row_fits(row, each) for each in value)
    return len(rows) == len(value) and all(_row_fits(row, each) for row, each in zip(rows, value, strict=True))


def _row_fits(row: Row, wanted: Row) -> bool:
    return all(same(row.get(name), value) for name, value in wanted.items())


def _row(rows: Sequence[Row], by: str, wanted: Row) -> Row | None:
    return next((row for row in rows if same(row.get(by), wanted[by])), None)


def _merged(rows: Sequence[Row], value: Sequence[Row], by: str) -> list[dict[str, Any]]:
    ours = {str(each[by]): each for each in value}
    there = [{**row, **plain(ours.pop(str(row.get(by)), {}))} for row in rows]
    return [*there, *(plain(each) for each in ours.values())]


def _shown(found: Mapping[str, Any], name: str, value: Any) -> Any:
    """What is there, in the form in which it is wanted: of rows only the fields that we give."""
    if not isinstance(value, (list, tuple)):
        return found.get(name)
    fields = sorted({field for row in value for field in row})
    return [{field: row.get(field) for field in fields} for row in _rows(found.get(name))]


def _rows(value: Any) -> list[Row]:
    return list(value) if isinstance(value, (list, tuple)) else []

"""Lists: which documents of a DocType are asked for, in which order, with which fields, and how many: [page-of-20].

Decides also what a filter means. A field that the DocType does not have is refused, as a column that is not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox.erpnext.doctypes import STANDARD, Catalogue, DocType
from sandbox.erpnext.refusals import Refusal, invalid
from sandbox.records import Doc, Records

PAGE = 20
Test = Callable[[Mapping[str, Any]], bool]


def listed(records: Records, kinds: Catalogue, kind: DocType, query: Mapping[str, str]) -> list[Doc]:
    """The rows that are asked for. Raises Refusal for a query that is none."""
    tests = _tests(kinds, kind, _told(query, "filters"))
    either = _tests(kinds, kind, _told(query, "or_filters"))
    fields = _fields(kind, _told(query, "fields") or ["name"])
    rows = [
        doc
        for doc in records.each(kind.name)
        if all(test(doc) for test in tests) and (not either or any(test(doc) for test in either))
    ]
    for field, descending in reversed(_order(kind, query.get("order_by", "modified desc"))):
        rows.sort(key=lambda doc: _key(doc.get(field)), reverse=descending)
    start = _number(query.get("limit_start", "0"))
    length = _number(query.get("limit_page_length") or query.get("limit") or str(PAGE))
    chosen = rows[start : start + length] if length else rows[start:]
    return [{field: doc.get(field) for field in fields} for doc in chosen]


def _told(query: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(query.get(key) or "null")
    except ValueError:
        raise invalid(f"{key} must be JSON") from None


def _number(text: str) -> int:
    if not text.isdigit():
        raise invalid(f"{text} is not a valid number")
    return int(text)


def _column(kind: DocType, field: Any) -> str:
    if not isinstance(field, str) or field not in {*STANDARD, *kind.columns}:
        raise Refusal("DataError", f"Field not permitted in query: {field}")
    return field


def _fields(kind: DocType, told: Any) -> list[str]:
    names = [name for one in told for name in ([*STANDARD, *kind.columns] if one == "*" else [one])]
    return [_column(kind, str(name).strip("`")) for name in names]


def _order(kind: DocType, told: str) -> list[tuple[str, bool]]:
    parts = [part.split() for part in told.split(",") if part.strip()]
    return [(_column(kind, part[0].strip("`")), part[-1].lower() == "desc") for part in parts]


def _tests(kinds: Catalogue, kind: DocType, told: Any) -> list[Test]:
    """From {field: value}, {field: [operator, value]}, [[field, operator, value]] or [[DocType, field, operator,
    value]].
    """
    if isinstance(told, dict):
        told = [[field, *(value if isinstance(value, list) else ["=", value])] for field, value in told.items()]
    return [_test(kinds, kind, one) for one in told or []]


def _test(kinds: Catalogue, kind: DocType, told: Any) -> Test:
    doctype, (field, operator, value) = (told[0], told[1:4]) if len(told) >= 4 else (kind.name, told)
    holds = _OPERATORS.get(str(operator).lower())
    if holds is None:
        raise invalid(f"Operator {operator} is not permitted")
    if doctype == kind.name:
        column = _column(kind, field)
        return lambda doc: holds(doc.get(column), value)
    table = next((table for table, child in kind.tables.items() if child == doctype), None)
    if table is None:
        raise invalid(f"{doctype} is no child table of {kind.name}")
    column = _column(kinds[doctype], field)
    return lambda doc: any(holds(row.get(column), value) for row in doc[table])


def _same(there: Any, asked: Any) -> bool:
    return _key(there) == _key(_like_type(asked, there))


def _like_type(asked: Any, there: Any) -> Any:
    if isinstance(there, int | float):
        try:
            return float(asked or 0)
        except (TypeError, ValueError):
            return 0.0  # as MariaDB reads words as a number
    return "" if asked is None else str(asked)


def _key(value: Any) -> tuple[int, float, str]:
    """Null is as nothing, and is before all else."""
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (0, 0.0, str(value).casefold()) if value else (0, 0.0, "")


def _matches(there: Any, asked: Any) -> bool:
    pattern = re.escape(str(asked)).replace("%", ".*").replace("_", ".")
    return re.fullmatch(pattern, str(there or ""), re.IGNORECASE | re.DOTALL) is not None


def _among(there: Any, asked: Any) -> bool:
    values: Iterable[Any] = asked if isinstance(asked, list) else str(asked).split(",")
    return any(_same(there, value) for value in values)


def _set(there: Any, asked: Any) -> bool:
    return (there not in {None, "", 0}) == (str(asked).lower() == "set")


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": _same,
    "!=": lambda there, asked: not _same(there, asked),
    ">": lambda there, asked: _key(there) > _key(_like_type(asked, there)),
    ">=": lambda there, asked: _key(there) >= _key(_like_type(asked, there)),
    "<": lambda there, asked: _key(there) < _key(_like_type(asked, there)),
    "<=": lambda there, asked: _key(there) <= _key(_like_type(asked, there)),
    "like": _matches,
    "not like": lambda there, asked: not _matches(there, asked),
    "in": _among,
    "not in": lambda there, asked: not _among(there, asked),
    "between": lambda there, asked: _key(asked[0]) <= _key(there) <= _key(asked[1]),
    "is": _set,
}

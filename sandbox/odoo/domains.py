"""Which records a domain finds: terms in prefix notation, joined by & where nothing else is said. Pure.

Decides that a field which the model does not have is a ValueError, as Odoo does [unknown-field].
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

Test = Callable[[Mapping[str, Any]], bool]


def test_of(domain: Sequence[Any], fields: Collection[str]) -> Test:
    """Whether a record fits. Raises ValueError for a domain that says nothing sensible."""
    stack: list[Test] = []
    for term in reversed(domain):
        if term == "!":
            stack.append(_not(stack.pop()))
        elif term in ("&", "|"):
            stack.append(_joined(term, stack.pop(), stack.pop()))
        else:
            stack.append(_term(term, fields))
    return lambda record: all(test(record) for test in stack)


def names_of(domain: Sequence[Any]) -> set[str]:
    """The fields that a domain names."""
    return {str(term[0]) for term in domain if not isinstance(term, str)}


def _not(test: Test) -> Test:
    return lambda record: not test(record)


def _joined(how: str, one: Test, other: Test) -> Test:
    if how == "&":
        return lambda record: one(record) and other(record)
    return lambda record: one(record) or other(record)


def _term(term: Any, fields: Collection[str]) -> Test:
    name, operator, asked = term
    if name not in fields and name != "id":
        raise ValueError(f"Invalid field {name!r}")
    compare = _OPERATORS.get(operator)
    if compare is None:
        raise ValueError(f"Invalid operator {operator!r}")
    return lambda record: compare(record.get(name), asked)


def _equal(there: Any, asked: Any) -> bool:
    if isinstance(there, list):
        wanted = asked if isinstance(asked, list) else [asked]
        return bool(set(there) & set(wanted)) if wanted != [False] else not there
    return bool(there == asked) or (there in (False, None, "") and asked in (False, None, ""))


def _among(there: Any, asked: Any) -> bool:
    return any(_equal(there, each) for each in asked)


def _like(there: Any, asked: Any) -> bool:
    return str(asked).strip("%").casefold() in str(there or "").casefold()


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": _equal,
    "!=": lambda there, asked: not _equal(there, asked),
    "in": _among,
    "not in": lambda there, asked: not _among(there, asked),
    "like": _like,
    "ilike": _like,
    ">": lambda there, asked: (there or 0) > asked,
    "<": lambda there, asked: (there or 0) < asked,
}

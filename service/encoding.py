"""JSON in and out. Decides what is accepted as JSON: strict, of limited size, depth and numbers, storable as text.

Python's own decoder takes NaN, duplicate keys, lone surrogates, numbers without end; PostgreSQL's jsonb takes no NUL.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Sequence
from typing import Any

MAX_DEPTH = 40
MAX_VALUES = 20_000
_MAX_DIGITS = 19
_BIGGEST = 2**63


class MalformedError(Exception):
    """Bytes that are no JSON. The message says where, without the bytes themselves."""


class UnusableError(Exception):
    """JSON that cannot be kept: `field` says where, `given` what it is, `valid` what it may be."""

    def __init__(self, field: str, given: str, valid: str) -> None:
        super().__init__(f"{field}: given {given}; valid: {valid}")
        self.field = field
        self.given = given
        self.valid = valid


def dumps(value: Any) -> bytes:
    """`value` as compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def loads(data: bytes) -> Any:
    """The JSON value in `data`. Raises MalformedError or UnusableError."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"byte {error.start} is not UTF-8") from None
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_int, parse_float=_float
        )
    except json.JSONDecodeError as error:
        raise MalformedError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise MalformedError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    _check(value)
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedError(f"the key {json.dumps(twice)[:80]} is there twice")
    return found


def _constant(word: str) -> Any:
    raise MalformedError(f"{word} is no JSON number")


def _int(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_DIGITS:
        raise MalformedError(f"a whole number of {len(digits)} digits is too long")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise MalformedError("a number is too large")
    return value


def _check(value: Any) -> None:
    left = MAX_VALUES
    stack: list[tuple[Any, str, int]] = [(value, "", 0)]
    while stack:
        node, path, depth = stack.pop()
        left -= 1
        where = path or "body"
        if left < 0:
            raise UnusableError("body", f"more than {MAX_VALUES} values", f"at most {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise UnusableError(where[:200], f"more than {MAX_DEPTH} levels", f"at most {MAX_DEPTH} levels")
        if isinstance(node, dict):
            for key, child in node.items():
                _check_text(key, f"{where} (a key)")
                stack.append((child, f"{path}.{key}" if path else key, depth + 1))
        elif isinstance(node, list):
            stack.extend((child, f"{path}[{index}]", depth + 1) for index, child in enumerate(node))
        elif isinstance(node, str):
            _check_text(node, where)
        elif isinstance(node, int) and not -_BIGGEST <= node < _BIGGEST:
            raise UnusableError(where, "a whole number of more than 64 bits", "a smaller number")


def _check_text(text: str, where: str) -> None:
    if problem := unstorable(text):
        raise UnusableError(where, problem, "text without it")


def unstorable(text: str) -> str | None:
    """What keeps `text` from being stored, in words; None where nothing does."""
    if "\x00" in text:
        return "text with the character U+0000"
    if any(unicodedata.category(character) == "Cs" for character in text if character >= "\ud800"):
        return "text with half of a surrogate pair"
    return None

"""Whether a value keeps to a JSON schema, as far as configuration of policies needs it. Pure.

Served are types, enumerations, bounds, patterns, lists, maps and combinations of these. `format` is a note to the
reader, as the standard has it. A keyword that would say more and is not served is refused, never passed over.
Messages are worded as the stock engine's validator words them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from typing import Any, Final, cast

from engine.errors import UsageError
from engine.resource import same_values

Schema = Mapping[str, Any]
#: (value, the keyword's argument, the whole schema, where) -> what is wrong.
Check = Callable[[Any, Any, Schema, str], Iterator[str]]
_NOTES: Final = frozenset(
    {
        *("title", "description", "default", "examples", "example", "$comment", "$schema", "$id", "id", "format"),
        *("deprecated", "readOnly", "writeOnly"),
    }
)


def schema_errors(value: Any, schema: Schema, at: str = "") -> Iterator[str]:
    """What is wrong with a value, as `path: what`. Raises UsageError for a keyword that is not served."""
    for keyword, argument in schema.items():
        if keyword in _NOTES:
            continue
        check = _CHECKS.get(keyword)
        if check is None:
            raise UsageError(f"a policy's configuration schema uses '{keyword}', which is not served")
        yield from check(value, argument, schema, at)


def _said(at: str, what: str) -> str:
    return f"{at}: {what}" if at else what


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    names = {float: "number", str: "string", dict: "object", list: "array", type(None): "null"}
    return names.get(type(value), "unknown")


def _has_type(value: Any, name: str) -> bool:
    found = _type_of(value)
    return found == name or (name == "number" and found == "integer")


def _type(value: Any, names: Any, _: Schema, at: str) -> Iterator[str]:
    allowed = [names] if isinstance(names, str) else list(names)
    if not any(_has_type(value, name) for name in allowed):
        yield _said(at, f"Invalid type. Expected: {'/'.join(allowed)}, given: {_type_of(value)}")


def _enum(value: Any, options: Sequence[Any], _: Schema, at: str) -> Iterator[str]:
    if not any(same_values(value, option) for option in options):
        name = at.rpartition(".")[2] or "the value"
        yield _said(at, f"{name} must be one of the following: {', '.join(map(_shown, options))}")


def _const(value: Any, wanted: Any, _: Schema, at: str) -> Iterator[str]:
    if not same_values(value, wanted):
        yield _said(at, f"{at.rpartition('.')[2] or 'the value'} does not match: {_shown(wanted)}")


# ------------------------------------------------------------------ numbers and texts


def _bound(fits: Callable[[Any, Any], bool], words: str) -> Check:
    def check(value: Any, limit: Any, _: Schema, at: str) -> Iterator[str]:
        if isinstance(limit, bool):
            raise UsageError(
                "a policy's configuration schema has a truth value for a bound, as in JSON schema draft 4, which is "
                "not served: give the number itself"
            )
        if _has_type(value, "number") and not fits(value, limit):
            yield _said(at, f"Must be {words} {limit}")

    return check


def _length(kind: type, fits: Callable[[Any, Any], bool], words: str) -> Check:
    def check(value: Any, limit: Any, _: Schema, at: str) -> Iterator[str]:
        if isinstance(value, kind) and not fits(len(cast("Sized", value)), limit):
            yield _said(at, words.format(limit))

    return check


def _pattern(value: Any, pattern: str, _: Schema, at: str) -> Iterator[str]:
    if isinstance(value, str) and not re.search(pattern, value):
        yield _said(at, f"Does not match pattern '{pattern}'")


# ------------------------------------------------------------------ lists and maps


def _items(value: Any, items: Any, _: Schema, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        return
    for index, item in enumerate(value):
        yield from _nested(item, items, f"{at}.{index}" if at else str(index))


def _unique(value: Any, wanted: Any, _: Schema, at: str) -> Iterator[str]:
    if wanted and isinstance(value, list):
        twice = any(same_values(a, b) for i, a in enumerate(value) for b in value[i + 1 :])
        if twice:
            yield _said(at, "array items must be unique")


def _properties(value: Any, properties: Mapping[str, Any], _: Schema, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for name in sorted(properties.keys() & value.keys()):
        yield from _nested(value[name], properties[name], f"{at}.{name}" if at else name)


def _additional(value: Any, rule: Any, schema: Schema, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for name in sorted(value.keys() - (schema.get("properties") or {}).keys()):
        if rule is False:
            yield _said(at, f"Additional property {name} is not allowed")
        elif isinstance(rule, Mapping):
            yield from _nested(value[name], rule, f"{at}.{name}" if at else name)


def _required(value: Any, names: Sequence[str], _: Schema, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (_said(at, f"{name} is required") for name in names if name not in value)


# ------------------------------------------------------------------ combinations


def _nested(value: Any, schema: Any, at: str) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield _said(at, "False always fails validation")
        return
    yield from schema_errors(value, schema, at)


def _all_of(value: Any, schemas: Sequence[Any], _: Schema, at: str) -> Iterator[str]:
    for schema in schemas:
        yield from _nested(value, schema, at)


def _fitting(value: Any, schemas: Sequence[Any], at: str) -> int:
    return sum(not any(True for _ in _nested(value, schema, at)) for schema in schemas)


def _any_of(value: Any, schemas: Sequence[Any], _: Schema, at: str) -> Iterator[str]:
    if not _fitting(value, schemas, at):
        yield _said(at, "Must validate at least one schema (anyOf)")


def _one_of(value: Any, schemas: Sequence[Any], _: Schema, at: str) -> Iterator[str]:
    if _fitting(value, schemas, at) != 1:
        yield _said(at, "Must validate one and only one schema (oneOf)")


def _not(value: Any, schema: Any, _: Schema, at: str) -> Iterator[str]:
    if _fitting(value, [schema], at):
        yield _said(at, "Must not validate the schema (not)")


_CHECKS: Final[Mapping[str, Check]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "minimum": _bound(lambda a, b: a >= b, "greater than or equal to"),
    "maximum": _bound(lambda a, b: a <= b, "less than or equal to"),
    "exclusiveMinimum": _bound(lambda a, b: a > b, "greater than"),
    "exclusiveMaximum": _bound(lambda a, b: a < b, "less than"),
    "multipleOf": _bound(lambda a, b: a % b == 0, "a multiple of"),
    "minLength": _length(str, lambda a, b: a >= b, "String length must be greater than or equal to {}"),
    "maxLength": _length(str, lambda a, b: a <= b, "String length must be less than or equal to {}"),
    "pattern": _pattern,
    "items": _items,
    "minItems": _length(list, lambda a, b: a >= b, "Array must have at least {} items"),
    "maxItems": _length(list, lambda a, b: a <= b, "Array must have at most {} items"),
    "uniqueItems": _unique,
    "properties": _properties,
    "additionalProperties": _additional,
    "minProperties": _length(dict, lambda a, b: a >= b, "Must have at least {} properties"),
    "maxProperties": _length(dict, lambda a, b: a <= b, "Must have at most {} properties"),
    "required": _required,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
}

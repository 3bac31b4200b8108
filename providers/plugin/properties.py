"""What a type's properties are, and from that: which inputs are right, and what changed. Pure: no I/O, no clock.

The rules are those of the stock providers (Terraform's, behind Pulumi's bridge): their defaults, their auto-naming
(logical name, dash, seven hexadecimal digits), `__defaults` naming the inputs that were filled in, their replacements.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from providers.plugin.wire import UNKNOWN, Bag, Plain, has_unknown

DEFAULTS_KEY = "__defaults"
MAX_NAME_BYTES = 63  # NAMEDATALEN - 1 in PostgreSQL, which silently cuts what is longer; also the longest DNS label


class Kind(StrEnum):
    STRING = "string"
    BOOL = "boolean"
    INTEGER = "integer"
    LIST = "list of strings"
    SET = "set of strings"
    MAP = "map of strings"
    OBJECT = "object"
    OBJECTS = "list of objects"
    OBJECT_SET = "set of objects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property. `computed`: the server's value stands where none is given. `refused`: why it is not served.

    `output`: it is told, and never given. `max_bytes` is of an identifier. `keeps`: the server can change it, but not
    take it back, so that leaving it out is a replacement. `volatile`: each update gives it another value.
    """

    name: str
    kind: Kind = Kind.STRING
    required: bool = False
    default: Any = None
    computed: bool = False
    replaces: bool = False
    keeps: bool = False
    volatile: bool = False
    secret: bool = False
    identifier: bool = False
    autonamed: bool = False
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    output: bool = False
    max_bytes: int = MAX_NAME_BYTES
    refused: str | None = None
    fields: tuple["Property", ...] = ()
    canonical: Callable[[str], str] = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    property: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How to name an object whose name is not given. `fixed` is a name that the engine proposed."""

    logical_name: str
    seed: bytes = b""
    fixed: str | None = None
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    inputs: Bag
    failures: tuple[Failure, ...] = ()


class Change(StrEnum):
    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs, by property, and which of these need a replacement."""

    by_name: Mapping[str, Change]
    replaces: frozenset[str] = frozenset()


def check(type_name: str, spec: Iterable[Property], news: Bag, olds: Bag, naming: Naming | None) -> Checked:
    """Inputs with defaults and a name filled in, and what is wrong with them, property by property."""
    known = {prop.name: prop for prop in spec}
    failures: list[Failure] = []
    values: Plain = {}
    for name, value in news.values.items():
        if name == DEFAULTS_KEY:
            continue
        prop = known.get(name)
        if prop is None or prop.output:
            failures.append(Failure(property=name, reason=f"{type_name} has no property {name!r} here"))
        elif prop.refused:
            failures.append(Failure(property=name, reason=f"property {name!r} is not served: {prop.refused}"))
        else:
            values[name], wrong = coerce(prop, value)
            failures.extend(wrong)
    defaults: list[str] = []
    for prop in known.values():
        if prop.name in values or prop.refused or prop.output:
            continue
        if prop.autonamed and naming is not None:
            filled, wrong = _auto_name(prop, olds, naming)
            failures.extend(wrong)
        else:
            filled = prop.default
        if filled is not None:
            values[prop.name] = filled
            defaults.append(prop.name)
        elif prop.required:
            failures.append(Failure(property=prop.name, reason=f"property {prop.name!r} is missing"))
    values[DEFAULTS_KEY] = sorted(defaults)
    hidden = {prop.name for prop in known.values() if prop.secret}
    secret = frozenset(name for name in values if name in news.secret or name in hidden)
    return Checked(inputs=Bag(values=values, secret=secret), failures=tuple(failures))


def coerce(prop: Property, value: Any, path: str = "") -> tuple[Any, list[Failure]]:
    """The value as the property's kind. Numbers and truth values may come as text, as the bridge accepts them."""
    path = path or prop.name
    if value is UNKNOWN:
        return value, []
    match prop.kind:
        case Kind.STRING:
            return _string(prop, value, path)
        case Kind.BOOL:
            if isinstance(value, str) and value.lower() in {"true", "false"}:
                value = value.lower() == "true"
            return (value, []) if isinstance(value, bool) else (value, [_wrong(path, "true or false")])
        case Kind.INTEGER:
            return _integer(prop, value, path)
        case Kind.LIST | Kind.SET:
            return _strings(prop, value, path)
        case Kind.MAP:
            return _map(value, path)
        case Kind.OBJECT:
            return _object(prop, value, path)
        case Kind.OBJECTS | Kind.OBJECT_SET:
            return _objects(prop, value, path)


def diff(spec: Iterable[Property], olds: Bag, news: Bag, ignored: Iterable[str] = ()) -> Changes:
    """What the new inputs change in the object as last seen (`olds`: its outputs)."""
    skipped = {path.replace("[", ".").partition(".")[0] for path in ignored}
    by_name: dict[str, Change] = {}
    replaces: set[str] = set()
    for prop in spec:
        if prop.refused or prop.output or prop.name in skipped:
            continue
        change = _change(prop, olds.values.get(prop.name), news.values.get(prop.name))
        if change is None:
            continue
        by_name[prop.name] = change
        if prop.replaces or (prop.keeps and _empty(news.values.get(prop.name))):
            replaces.add(prop.name)
    return Changes(by_name=by_name, replaces=frozenset(replaces))


def same(prop: Property, old: Any, new: Any) -> bool:
    """Whether two known values mean the same to the server."""
    match prop.kind:
        case Kind.SET:
            return {prop.canonical(item) for item in old or []} == {prop.canonical(item) for item in new or []}
        case Kind.LIST:
            return list(old or []) == list(new or [])
        case Kind.STRING:
            return prop.canonical(old or "") == prop.canonical(new or "")
        case Kind.MAP:
            return dict(old or {}) == dict(new or {})
        case Kind.OBJECT:
            return _same_object(prop.fields, old or {}, new or {})
        case Kind.OBJECTS:
            pairs = zip(old or [], new or [], strict=False)
            return len(old or []) == len(new or []) and all(_same_object(prop.fields, *pair) for pair in pairs)
        case Kind.OBJECT_SET:
            return _same_objects(prop.fields, old or [], new or [])
        case Kind.BOOL | Kind.INTEGER:
            absent = prop.default or 0
            return bool((absent if old is None else old) == (absent if new is None else new))


def _same_object(fields: Iterable[Property], old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    for field in fields:
        wanted = new.get(field.name, field.default)
        if wanted is None and field.computed:
            continue
        if not same(field, old.get(field.name, field.default), wanted):
            return False
    return True


def _same_objects(fields: tuple[Property, ...], old: list[Plain], new: list[Plain]) -> bool:
    left = list(old)
    for item in new:
        index = next((i for i, each in enumerate(left) if _same_object(fields, each, item)), None)
        if index is None:
            return False
        del left[index]
    return not left


def _change(prop: Property, old: Any, new: Any) -> Change | None:
    if has_unknown(new):
        return Change.UPDATE if old is not None else Change.ADD
    if new is None:
        if prop.computed or _empty(old):
            return None
        return Change.DELETE
    # `DEFAULT` leaves the choice to the server, whose choice then is right.
    if prop.computed and isinstance(new, str) and new.upper() == "DEFAULT":
        return None
    if same(prop, old, new):
        return None
    return Change.ADD if old is None else Change.UPDATE


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], {}, 0, False)


def _auto_name(prop: Property, olds: Bag, naming: Naming) -> tuple[str | None, list[Failure]]:
    old = olds.values.get(prop.name)
    if old is not None and prop.name in (olds.values.get(DEFAULTS_KEY) or []):
        return str(old), []
    if naming.disabled:
        return None, [Failure(property=prop.name, reason="no name is given, and automatic naming is switched off")]
    if naming.fixed is not None:
        name, wrong = _string(prop, naming.fixed, prop.name)
        return str(name), wrong
    return automatic_name(f"{naming.logical_name}-", naming.seed), []


def automatic_name(stem: str, seed: bytes, longest: int = MAX_NAME_BYTES) -> str:
    """The stem, cut to what is allowed, and seven hexadecimal digits: the same ones for the same seed."""
    digits = hashlib.sha256(seed).hexdigest()[:7]
    ending = "-" if stem.endswith("-") else ""
    return stem.removesuffix("-").encode()[: longest - 7 - len(ending)].decode(errors="ignore") + ending + digits


def _string(prop: Property, value: Any, path: str) -> tuple[Any, list[Failure]]:
    if isinstance(value, bool | int | float):
        value = str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str):
        return value, [_wrong(path, "a string")]
    if "\0" in value:
        return value, [Failure(property=path, reason=f"property {path!r} holds a zero byte, which cannot be kept")]
    if prop.identifier and not value:
        return value, [Failure(property=path, reason=f"property {path!r} is empty: give a name")]
    if prop.identifier and len(value.encode()) > prop.max_bytes:
        size = len(value.encode())
        reason = f"property {path!r} is {size} bytes long; {prop.max_bytes} are allowed: give a shorter name"
        return value, [Failure(property=path, reason=reason)]
    if prop.choices and value not in prop.choices:
        return value, [_wrong(path, f"one of {', '.join(prop.choices)}, not {value!r}")]
    return value, []


def _integer(prop: Property, value: Any, path: str) -> tuple[Any, list[Failure]]:
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return value, [_wrong(path, "a whole number")]
    if prop.minimum is not None and value < prop.minimum:
        return value, [_wrong(path, f"at least {prop.minimum}, not {value}")]
    return value, []


def _strings(prop: Property, value: Any, path: str) -> tuple[Any, list[Failure]]:
    if not isinstance(value, list):
        return value, [_wrong(path, "a list of strings")]
    failures: list[Failure] = []
    items = []
    item_prop = Property(name=prop.name, identifier=prop.identifier, choices=prop.choices)
    for index, item in enumerate(value):
        if item is UNKNOWN:
            items.append(item)
            continue
        coerced, wrong = _string(item_prop, item, f"{path}[{index}]")
        items.append(coerced)
        failures.extend(wrong)
    return items, failures


def _map(value: Any, path: str) -> tuple[Any, list[Failure]]:
    if not isinstance(value, dict):
        return value, [_wrong(path, "a map of strings")]
    failures: list[Failure] = []
    items: Plain = {}
    for name, given in value.items():
        if name == DEFAULTS_KEY or given is None:
            continue
        items[name], wrong = coerce(Property(name=name), given, f"{path}.{name}")
        failures.extend(wrong)
    return items, failures


def _objects(prop: Property, value: Any, path: str) -> tuple[Any, list[Failure]]:
    if not isinstance(value, list) or not all(item is UNKNOWN or isinstance(item, dict) for item in value):
        return value, [_wrong(path, "a list of objects")]
    failures: list[Failure] = []
    items: list[Any] = []
    for index, item in enumerate(value):
        if item is UNKNOWN:
            items.append(item)
            continue
        result, wrong = _object(prop, item, f"{path}[{index}]")
        failures.extend(wrong)
        items.append(result)
    return items, failures


def _object(prop: Property, value: Any, path: str) -> tuple[Any, list[Failure]]:
    if not isinstance(value, dict):
        return value, [_wrong(path, "an object")]
    known = {field.name: field for field in prop.fields}
    failures: list[Failure] = []
    result = {field.name: field.default for field in prop.fields if field.default is not None}
    for name, given in value.items():
        where = f"{path}.{name}"
        if name == DEFAULTS_KEY or given is None:
            continue
        field = known.get(name)
        if field is None or field.output:
            failures.append(Failure(property=where, reason=f"there is no property {where!r}"))
        elif field.refused:
            failures.append(Failure(property=where, reason=f"property {where!r} is not served: {field.refused}"))
        else:
            result[name], wrong = coerce(field, given, where)
            failures.extend(wrong)
    failures.extend(
        Failure(property=f"{path}.{field.name}", reason=f"property '{path}.{field.name}' is missing")
        for field in prop.fields
        if field.required and field.name not in result
    )
    return result, failures


def _wrong(path: str, wanted: str) -> Failure:
    return Failure(property=path, reason=f"property {path!r} must be {wanted}")

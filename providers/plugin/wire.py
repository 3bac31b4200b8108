"""Pulumi's property values, from and to the wire: plain Python values, secrets and unknowns. Decides nothing.

The signatures and the unknown sentinels are Pulumi's own (sdk/go/common/resource). Assets, archives and resource
references occur in no type served here, and are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from google.protobuf.struct_pb2 import ListValue, Struct
from google.protobuf.struct_pb2 import Value as WireValue

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a protocol constant
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWNS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string, and anything of no known kind
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Unknown(Enum):
    """The type of UNKNOWN, a value that is only known once something else is made (previews only)."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown.UNKNOWN

Plain = dict[str, Any]

Path = tuple[str, ...]
"""The keys that lead to a value. What lies in a list is told of by the path of the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bag:
    """The properties of one resource: plain values, and which of them hold a secret.

    `places` says where in a secret property the secret lies. A property of which it says nothing is secret as a whole.
    """

    values: Plain
    secret: frozenset[str] = frozenset()
    places: frozenset[Path] = frozenset()


class WireError(ValueError):
    """A value that no type served here can have."""


def decode(struct: Struct) -> Bag:
    """Properties from the wire. A property is secret when a secret lies anywhere in it. Nulls count as absent."""
    values: Plain = {}
    places: set[Path] = set()
    for name, wire in struct.fields.items():
        value, hidden = _reveal(wire, name)
        if value is None:
            continue
        values[name] = value
        if hidden:
            places.update(_places(wire, (name,)))
    inside = frozenset(path for path in places if len(path) > 1)
    return Bag(values=values, secret=frozenset(path[0] for path in places), places=inside)


def encode(bag: Bag) -> Struct:
    """Properties to the wire; secret ones in an envelope, absent ones left out."""
    struct = Struct()
    for name, value in bag.values.items():
        if value is None:
            continue
        plain = _to_wire(value)
        if name in bag.secret:
            inside = [path[1:] for path in bag.places if path[0] == name]
            plain = _hidden(plain, inside or [()])
        struct.fields[name].CopyFrom(plain)
    return struct


def has_unknown(value: object) -> bool:
    """Whether the value, or anything in it, is unknown."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def _hidden(wire: WireValue, places: list[Path]) -> WireValue:
    """The value with what lies at these paths in an envelope. What a path does not lead to is not there."""
    if () in places or wire.WhichOneof("kind") != "struct_value":
        envelope = Struct(fields={_SIGNATURE: WireValue(string_value=_SECRET), "value": wire})
        return WireValue(struct_value=envelope)
    fields = dict(wire.struct_value.fields.items())
    for key in {path[0] for path in places} & fields.keys():
        fields[key] = _hidden(fields[key], [path[1:] for path in places if path[0] == key])
    return WireValue(struct_value=Struct(fields=fields))


def _places(wire: WireValue, path: Path) -> list[Path]:
    """Where the secrets of a value lie that has some."""
    fields = wire.struct_value.fields if wire.WhichOneof("kind") == "struct_value" else {}
    if not fields or _SIGNATURE in fields:
        return [path]
    found = []
    for key, item in fields.items():
        if _reveal(item, path[0])[1]:
            found += _places(item, (*path, key))
    return found


def _reveal(wire: WireValue, name: str) -> tuple[Any, bool]:
    kind = wire.WhichOneof("kind")
    if kind == "string_value":
        return (UNKNOWN if wire.string_value in _UNKNOWNS else wire.string_value), False
    if kind == "number_value":
        number = wire.number_value
        return (int(number) if number.is_integer() else number), False
    if kind == "bool_value":
        return wire.bool_value, False
    if kind == "list_value":
        items = [_reveal(item, name) for item in wire.list_value.values]
        return [value for value, _ in items], any(hidden for _, hidden in items)
    if kind == "struct_value":
        return _reveal_struct(wire.struct_value, name)
    return None, False


def _reveal_struct(struct: Struct, name: str) -> tuple[Any, bool]:
    fields = struct.fields
    signature = fields[_SIGNATURE].string_value if _SIGNATURE in fields else ""
    if signature == _SECRET:
        return _reveal(fields["value"], name)[0], True
    if signature == _OUTPUT:
        if "value" not in fields:
            return UNKNOWN, fields["secret"].bool_value
        value, hidden = _reveal(fields["value"], name)
        return value, hidden or fields["secret"].bool_value
    if signature:
        raise WireError(f"property {name!r} holds an asset, an archive or a resource: none is served here")
    items = {key: _reveal(item, name) for key, item in fields.items()}
    return {key: value for key, (value, _) in items.items()}, any(hidden for _, hidden in items.values())


def _to_wire(value: object) -> WireValue:
    if value is UNKNOWN:
        return WireValue(string_value=_UNKNOWN_STRING)
    if isinstance(value, bool):
        return WireValue(bool_value=value)
    if isinstance(value, int | float):
        return WireValue(number_value=value)
    if isinstance(value, str):
        return WireValue(string_value=value)
    if isinstance(value, list | tuple):
        return WireValue(list_value=ListValue(values=[_to_wire(item) for item in value]))
    if isinstance(value, Mapping):
        fields = {str(key): _to_wire(item) for key, item in value.items()}
        return WireValue(struct_value=Struct(fields=fields))
    return WireValue(null_value=0)  # type: ignore[arg-type]

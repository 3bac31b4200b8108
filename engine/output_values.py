"""Output values on the wire: values that know whether they are known, secret, and what they depend on. Pure."""

from __future__ import annotations

from google.protobuf import struct_pb2

from engine.resource import OUTPUT_SIG, SECRET_SIG, SIG_KEY, is_unknown_text


def upgrade(value: struct_pb2.Value) -> None:
    """Makes output values of the secrets and unknowns in a value, at any depth, in place."""
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        for item in value.list_value.values:
            upgrade(item)
    elif kind == "struct_value":
        _upgrade_struct(value)
    elif kind == "string_value" and is_unknown_text(value.string_value):
        value.struct_value.fields[SIG_KEY].string_value = OUTPUT_SIG


def _upgrade_struct(value: struct_pb2.Value) -> None:
    if signature_of(value) != SECRET_SIG:
        for field in value.struct_value.fields.values():
            upgrade(field)
        return
    inner = struct_pb2.Value()
    inner.CopyFrom(value.struct_value.fields["value"])
    upgrade(inner)
    value.CopyFrom(inner)
    if signature_of(inner) != OUTPUT_SIG:
        wrap(value)
    value.struct_value.fields["secret"].bool_value = True


def signature_of(value: struct_pb2.Value) -> str:
    """What kind of special object a value is; empty for one that is none."""
    fields = value.struct_value.fields
    return fields[SIG_KEY].string_value if SIG_KEY in fields else ""


def wrap(value: struct_pb2.Value) -> None:
    """Makes one known output value of a value, in place."""
    inner = struct_pb2.Value()
    inner.CopyFrom(value)
    value.struct_value.Clear()
    value.struct_value.fields[SIG_KEY].string_value = OUTPUT_SIG
    value.struct_value.fields["value"].CopyFrom(inner)

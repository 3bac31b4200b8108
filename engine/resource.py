"""Resources as the engine holds them: URN, Goal, State, StepOp, and property values with their wire form.

A property value is None, bool, int, float, str, list, dict, `Secret` (a value that must never be shown) or `UNKNOWN`
(known only after an apply). Assets, archives and resource references stay in their wire form: dicts with `SIG_KEY`.
Output values (a value with its dependencies) are flattened on arrival: the dependencies go to `propertyDependencies`.
This module decides nothing about operations and does no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from google.protobuf import struct_pb2

from engine.errors import ResourceError

SIG_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIG: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker, known to all
OUTPUT_SIG: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
RESOURCE_SIG: Final = "5cf8f73096256a8f31e491e813e4eb8e"
ASSET_SIG: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIG: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
CONTENT_SIGS: Final = frozenset({ASSET_SIG, ARCHIVE_SIG})
UNKNOWN_SENTINEL: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# The SDK knows seven sentinels, one per JSON type; programs only ever send this one, older SDKs the others.
_SENTINELS: Final = frozenset(
    {
        UNKNOWN_SENTINEL,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)

STACK_TYPE: Final = "pulumi:pulumi:Stack"
PROVIDER_PREFIX: Final = "pulumi:providers:"
STACK_REFERENCE_TYPE: Final = "pulumi:pulumi:StackReference"

PropertyMap = dict[str, Any]


class Unknown:
    """The one value that is not known before an apply."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is encrypted in state and masked wherever it would be shown."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(***)"


class StepOp(StrEnum):
    """What one step does, in the words of Pulumi's events."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"
    CREATE_REPLACEMENT = "create-replacement"
    DELETE_REPLACED = "delete-replaced"
    READ = "read"
    READ_REPLACEMENT = "read-replacement"
    REFRESH = "refresh"
    READ_DISCARD = "discard"
    DISCARD_REPLACED = "discard-replaced"
    REMOVE_PENDING_REPLACE = "remove-pending-replace"
    IMPORT = "import"
    IMPORT_REPLACEMENT = "import-replacement"


# ------------------------------------------------------------------ URNs


def make_urn(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """The URN of a resource; `parent` is a URN or empty. The root stack does not qualify its children's types."""
    parent_type = ""
    if parent and urn_type(parent) != STACK_TYPE:
        parent_type = qualified_type(parent) + "$"
    return f"urn:pulumi:{stack}::{project}::{parent_type}{type_}::{name}"


def qualified_type(urn: str) -> str:
    """The type with those of its parents, outermost first: `a:b:C$d:e:F`."""
    return urn.split("::", 3)[2]


def urn_type(urn: str) -> str:
    return qualified_type(urn).rsplit("$", 1)[-1]


def urn_name(urn: str) -> str:
    """The resource's own name, which may itself hold `::`."""
    return urn.split("::", 3)[3]


_NAME_PART = re.compile(r"[^:]*")


def package_of(type_: str) -> str:
    """The package that serves a type: `aws` of `aws:s3/bucket:Bucket`, and of `pulumi:providers:aws`."""
    if type_.startswith(PROVIDER_PREFIX):
        return type_[len(PROVIDER_PREFIX) :]
    match = _NAME_PART.match(type_)
    return match.group(0) if match else type_


def is_provider_type(type_: str) -> bool:
    return type_.startswith(PROVIDER_PREFIX)


def provider_ref(urn: str, id_: str) -> str:
    """How a resource names its provider: the provider's URN, then its id."""
    return f"{urn}::{id_}"


def split_provider_ref(ref: str) -> tuple[str, str]:
    """(urn, id) of a provider reference; raises ResourceError for anything else."""
    urn, separator, id_ = ref.rpartition("::")
    if not separator or not urn.startswith("urn:pulumi:"):
        raise ResourceError(ref, f"'{ref}' is not a provider reference (urn::id)")
    return urn, id_


# ------------------------------------------------------------------ state


@dataclass(slots=True, kw_only=True)
class Timeouts:
    """customTimeouts, in seconds; 0 is the provider's own default."""

    create: float = 0
    update: float = 0
    delete: float = 0
    read: float = 0

    def __bool__(self) -> bool:
        return bool(self.create or self.update or self.delete or self.read)


@dataclass(slots=True, kw_only=True, eq=False)
class State:
    """One resource in a checkpoint. Two states are the same one only by identity.

    `inputs` and `outputs` are property values; times are RFC 3339 texts; `provider` is a provider reference.
    """

    urn: str
    type: str
    custom: bool
    id: str = ""
    delete: bool = False
    taint: bool = False
    inputs: PropertyMap = field(default_factory=dict)
    outputs: PropertyMap = field(default_factory=dict)
    parent: str = ""
    protect: bool = False
    external: bool = False
    dependencies: list[str] = field(default_factory=list)
    init_errors: list[str] = field(default_factory=list)
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    pending_replacement: bool = False
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    custom_timeouts: Timeouts = field(default_factory=Timeouts)
    import_id: str = ""
    retain_on_delete: bool = False
    deleted_with: str = ""
    replace_with: list[str] = field(default_factory=list)
    created: str = ""
    modified: str = ""
    source_position: str = ""
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    hide_diff: list[str] = field(default_factory=list)
    refresh_before_update: bool = False
    replacement_trigger: Any = None
    resource_hooks: dict[str, list[str]] = field(default_factory=dict)
    view_of: str = ""

    @property
    def name(self) -> str:
        return urn_name(self.urn)


@dataclass(slots=True, kw_only=True, eq=False)
class Goal:
    """What a registration asks for. `None` for protect, retain_on_delete and delete_before_replace means not said."""

    type: str
    name: str
    custom: bool
    inputs: PropertyMap = field(default_factory=dict)
    parent: str = ""
    protect: bool | None = None
    dependencies: list[str] = field(default_factory=list)
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    delete_before_replace: bool | None = None
    ignore_changes: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    alias_urns: list[str] = field(default_factory=list)
    alias_specs: list[AliasSpec] = field(default_factory=list)
    import_id: str = ""
    custom_timeouts: Timeouts = field(default_factory=Timeouts)
    replace_on_changes: list[str] = field(default_factory=list)
    replacement_trigger: Any = None
    retain_on_delete: bool | None = None
    deleted_with: str = ""
    replace_with: list[str] = field(default_factory=list)
    hide_diff: list[str] = field(default_factory=list)
    resource_hooks: dict[str, list[str]] = field(default_factory=dict)
    source_position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasSpec:
    """An alias by parts; an empty part is the resource's own. `no_parent` says that it had none."""

    name: str = ""
    type: str = ""
    stack: str = ""
    project: str = ""
    parent_urn: str = ""
    no_parent: bool = False


# ------------------------------------------------------------------ values


def unsecret(value: Any) -> Any:
    """The value with every secret marker taken off, at any depth."""
    if isinstance(value, Secret):
        return unsecret(value.value)
    if isinstance(value, dict):
        return {k: unsecret(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unsecret(v) for v in value]
    return value


def contains_secret(value: Any) -> bool:
    if isinstance(value, Secret):
        return True
    if isinstance(value, dict):
        return any(map(contains_secret, value.values()))
    return isinstance(value, list) and any(map(contains_secret, value))


def contains_unknown(value: Any) -> bool:
    if value is UNKNOWN:
        return True
    if isinstance(value, Secret):
        return contains_unknown(value.value)
    if isinstance(value, dict):
        return any(map(contains_unknown, value.values()))
    return isinstance(value, list) and any(map(contains_unknown, value))


def masked(value: Any) -> Any:
    """The value as events show it: secrets as an envelope without content, unknowns as their sentinel."""
    if isinstance(value, Secret):
        return {SIG_KEY: SECRET_SIG, "ciphertext": "[secret]"}
    if value is UNKNOWN:
        return UNKNOWN_SENTINEL
    if isinstance(value, dict):
        return {k: masked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(v) for v in value]
    return value


def same_values(a: Any, b: Any) -> bool:
    """Whether two values are equal, secrets compared by what they hold. Unknown equals nothing, itself included."""
    if isinstance(a, Secret):
        a = a.value
    if isinstance(b, Secret):
        b = b.value
    if a is UNKNOWN or b is UNKNOWN:
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        if SIG_KEY in a and same_contents(a, b):
            return True
        return a.keys() == b.keys() and all(same_values(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_values, a, b))
    # bool is an int in Python, not in Pulumi.
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def is_content(value: Any) -> bool:
    """Whether a value is an asset or an archive."""
    return isinstance(value, dict) and value.get(SIG_KEY) in CONTENT_SIGS


def same_contents(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two assets, or two archives, have one hash: where their contents come from does not matter."""
    kind, found = a.get(SIG_KEY), a.get("hash")
    return kind in CONTENT_SIGS and kind == b.get(SIG_KEY) and bool(found) and found == b.get("hash")


def plain_references(value: Any) -> Any:
    """The value without resource references: an id stands for a resource that has one, its URN for a component."""
    if isinstance(value, dict):
        if value.get(SIG_KEY) == RESOURCE_SIG:
            # The id of what does not exist yet is there, and empty.
            return (value["id"] or UNKNOWN) if "id" in value else value.get("urn")
        return {k: plain_references(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain_references(v) for v in value]
    return Secret(plain_references(value.value)) if isinstance(value, Secret) else value


# ------------------------------------------------------------------ the wire


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def from_value(value: struct_pb2.Value, dependencies: set[str] | None = None) -> Any:
    """A property value from its wire form; dependencies of output values are added to `dependencies`."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if text in _SENTINELS else text
    if kind == "struct_value":
        return _from_fields(value.struct_value.fields, dependencies)
    if kind == "list_value":
        return [from_value(v, dependencies) for v in value.list_value.values]
    if kind == "number_value":
        return _number(value.number_value)
    return value.bool_value if kind == "bool_value" else None


def _from_fields(fields: Mapping[str, struct_pb2.Value], dependencies: set[str] | None) -> Any:
    signature = fields[SIG_KEY].string_value if SIG_KEY in fields else ""
    if signature == SECRET_SIG:
        return secret_of(from_value(fields["value"], dependencies))
    if signature == OUTPUT_SIG:
        return _from_output(fields, dependencies)
    return {k: from_value(v, dependencies) for k, v in fields.items()}


def _from_output(fields: Mapping[str, struct_pb2.Value], dependencies: set[str] | None) -> Any:
    inner: Any = from_value(fields["value"], dependencies) if "value" in fields else UNKNOWN
    if dependencies is not None and "dependencies" in fields:
        dependencies.update(v.string_value for v in fields["dependencies"].list_value.values)
    return secret_of(inner) if "secret" in fields and fields["secret"].bool_value else inner


def is_unknown_text(text: str) -> bool:
    """Whether a text on the wire stands for a value that is not known."""
    return text in _SENTINELS


def secret_of(value: Any) -> Secret:
    """A secret; a secret of a secret is one."""
    return value if isinstance(value, Secret) else Secret(value)


def from_struct(struct: struct_pb2.Struct) -> PropertyMap:
    """Properties from the wire; names that start with `__` are kept, as dynamic providers use them."""
    return {k: from_value(v) for k, v in struct.fields.items()}


def from_struct_with_dependencies(struct: struct_pb2.Struct) -> tuple[PropertyMap, dict[str, set[str]]]:
    """Properties, and for each the URNs that output values inside it named."""
    properties: PropertyMap = {}
    found: dict[str, set[str]] = {}
    for key, value in struct.fields.items():
        dependencies: set[str] = set()
        properties[key] = from_value(value, dependencies)
        if dependencies:
            found[key] = dependencies
    return properties, found


def to_struct(properties: Mapping[str, Any], *, secrets: bool = True) -> struct_pb2.Struct:
    """Properties for the wire; without `secrets`, what they hold goes plain (the receiver does not accept them)."""
    struct = struct_pb2.Struct()
    fill_struct(struct, properties, secrets=secrets)
    return struct


def fill_struct(struct: struct_pb2.Struct, properties: Mapping[str, Any], *, secrets: bool) -> None:
    for key, value in properties.items():
        set_value(struct.fields[key], value, secrets=secrets)


def set_value(target: struct_pb2.Value, value: Any, *, secrets: bool) -> None:
    """Writes a property value into a protobuf Value."""
    if isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, dict):
        target.struct_value.SetInParent()
        fill_struct(target.struct_value, value, secrets=secrets)
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, list):
        target.list_value.SetInParent()
        for item in value:
            set_value(target.list_value.values.add(), item, secrets=secrets)
    elif value is UNKNOWN:
        target.string_value = UNKNOWN_SENTINEL
    elif isinstance(value, Secret):
        if secrets:
            target.struct_value.fields[SIG_KEY].string_value = SECRET_SIG
            set_value(target.struct_value.fields["value"], value.value, secrets=secrets)
        else:
            set_value(target, value.value, secrets=secrets)
    else:
        raise TypeError(f"a {type(value).__name__} is not a property value")


def unique(items: Iterable[str]) -> list[str]:
    """The items in their first order, each once."""
    return list(dict.fromkeys(items))


def all_dependencies(state: State) -> Iterator[tuple[str, str]]:
    """(kind, urn) of all that a state refers to: provider, parent, dependencies, deletedWith and the others."""
    if state.provider:
        yield "provider", split_provider_ref(state.provider)[0]
    if state.parent:
        yield "parent", state.parent
    for urn in state.dependencies:
        yield "dependency", urn
    for urns in state.property_dependencies.values():
        for urn in urns:
            yield "property dependency", urn
    if state.deleted_with:
        yield "deletedWith", state.deleted_with
    for urn in state.replace_with:
        yield "replaceWith", urn

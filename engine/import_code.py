"""The program text of imported resources, in Python. Pure: states and names in, text out.

It has no schema to go by: argument names are the provider's with underscores, nested keys stay as the provider writes
them, which the SDK takes as well. A secret is never written out: it comes from the configuration, under a key that the
text names.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.resource import RESOURCE_SIG, SIG_KEY, STACK_TYPE, Secret, State, contains_secret, package_of, urn_name

_ASSET_SIG: Final = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE_SIG: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
_INDENT: Final = "    "
_WIDTH: Final = 80
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_INNER: Final = frozenset({"__provider", "__defaults", "__internal"})


@dataclass(slots=True)
class _Secrets:
    """Configuration keys for the secrets that were met; key -> whether it holds JSON."""

    keys: dict[str, bool] = field(default_factory=dict)

    def text(self, secret: Secret, name: str) -> str:
        key, number = name, 2
        while key in self.keys:
            key, number = f"{name}{number}", number + 1
        self.keys[key] = not isinstance(secret.value, str)
        getter = "require_secret_object" if self.keys[key] else "require_secret"
        return f"config.{getter}({literal(key)})"


def python_program(states: Sequence[State], names: Mapping[str, str]) -> str:
    """Declarations of `states`, in an order in which parents come first; `names` gives names in the program by URN."""
    secrets = _Secrets()
    variables = {urn: variable(name) for urn, name in names.items()}
    ordered = _parents_first(states)
    for state in ordered:
        variables.setdefault(state.urn, variable(urn_name(state.urn)))
    declarations = [_declaration(state, variables, secrets) for state in ordered]
    packages = sorted({package_of(s.type) for s in ordered if s.provider and package_of(s.type) != "pulumi"})
    head = ["import pulumi", *(f"import pulumi_{_module(p)} as {_module(p)}" for p in packages)]
    return "\n".join([*head, "", *_config(secrets), *declarations]) + ("\n" if declarations else "")


def _parents_first(states: Sequence[State]) -> list[State]:
    waiting, ordered = list(states), list[State]()
    while waiting:
        urns = {state.urn for state in waiting}
        ready = [s for s in waiting if s.parent not in urns or s.parent == s.urn] or waiting
        ordered.extend(ready)
        waiting = [s for s in waiting if s not in ready]
    return ordered


def _config(secrets: _Secrets) -> list[str]:
    if not secrets.keys:
        return []
    lines = ["# Secrets come from the configuration. Set them once, before the next `pulumi up`:"]
    for key, is_json in secrets.keys.items():
        lines.append(f"#   pulumi config set --secret {key}" + ("   (as JSON)" if is_json else ""))
    return [*lines, "config = pulumi.Config()", ""]


# ------------------------------------------------------------------ one resource


def _declaration(state: State, variables: Mapping[str, str], secrets: _Secrets) -> str:
    if not state.custom and not state.provider:
        return _component_note(state, variables)
    args = [literal(urn_name(state.urn))]
    for key, value in sorted(state.inputs.items()):
        if key not in _INNER:
            place = f"{variables[state.urn]}-{key}"
            args.append(f"{argument(key)}={expression(value, secrets, place, depth=1)}")
    options = _options(state, variables)
    if options:
        args.append(f"opts=pulumi.ResourceOptions({', '.join(options)})")
    head = f"{variables[state.urn]} = {class_path(state.type)}("
    return head + f",\n{_INDENT}".join(args) + ")"


def _component_note(state: State, variables: Mapping[str, str]) -> str:
    return (
        f"# {variables[state.urn]}: a component of type {state.type}, which only your program can define.\n"
        f"# Keep its name {literal(urn_name(state.urn))} when you write it."
    )


def _options(state: State, variables: Mapping[str, str]) -> list[str]:
    options = []
    if state.parent and f"::{STACK_TYPE}::" not in state.parent:
        options.append(f"parent={variables.get(state.parent) or variable(urn_name(state.parent))}")
    provider = state.provider.rpartition("::")[0]
    if provider and provider in variables:
        options.append(f"provider={variables[provider]}")
    if state.protect:
        options.append("protect=True")
    return options


def class_path(type_: str) -> str:
    """`aws.s3.Bucket` for `aws:s3/bucket:Bucket`, `random.RandomId` for `random:index/randomId:RandomId`."""
    package, module, name = type_.split(":", 2)
    parts = module.split("/")
    if len(parts) > 1 and parts[-1].lower() == name.lower():
        parts.pop()  # the file that the class is in, not a module
    return ".".join([_module(package), *(_module(part) for part in parts if part not in ("", "index")), name])


def _module(name: str) -> str:
    return re.sub(r"\W", "_", name)


# ------------------------------------------------------------------ names


def variable(name: str) -> str:
    """A Python name for a resource's name."""
    text = re.sub(r"\W+", "_", _snake(name)).strip("_") or "resource"
    return _unreserved(text if not text[0].isdigit() else f"_{text}")


def argument(key: str) -> str:
    """The SDK's argument for a property: `cidr_block` for `cidrBlock`."""
    return _unreserved(_snake(key))


def _snake(name: str) -> str:
    return _WORDS.sub("_", name).lower()


def _unreserved(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or name in ("pulumi", "config") else name


# ------------------------------------------------------------------ values


def literal(text: str) -> str:
    """A string in double quotes. JSON's escapes are Python's, but for what is beyond the first 65,536 characters."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f")


def expression(value: Any, secrets: _Secrets, place: str, *, depth: int) -> str:
    """A value as Python text; what lies deeper than one line is indented by `depth`."""
    if isinstance(value, Secret):
        return secrets.text(value, variable_key(place))
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, dict):
        return _asset(value, secrets, place, depth) or _mapping(value, secrets, place, depth)
    if isinstance(value, list):
        items = [expression(v, secrets, f"{place}-{n}", depth=depth + 1) for n, v in enumerate(value)]
        return _block("[", items, "]", depth)
    return repr(value)


def _mapping(value: Mapping[str, Any], secrets: _Secrets, place: str, depth: int) -> str:
    items = [f"{literal(k)}: {expression(v, secrets, f'{place}-{k}', depth=depth + 1)}" for k, v in value.items()]
    return _block("{", items, "}", depth)


def _block(begin: str, items: Sequence[str], end: str, depth: int) -> str:
    line = begin + ", ".join(items) + end
    if len(line) + depth * len(_INDENT) <= _WIDTH and "\n" not in line:
        return line
    inner = "\n" + _INDENT * (depth + 1)
    return begin + inner + f",{inner}".join(items) + ",\n" + _INDENT * depth + end


def variable_key(place: str) -> str:
    """A configuration key for a place: letters, digits, dashes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", place).strip("-")


def _asset(value: Mapping[str, Any], secrets: _Secrets, place: str, depth: int) -> str:
    """The text of an asset, an archive or a resource reference; empty for any other value."""
    kind = value.get(SIG_KEY)
    if kind == RESOURCE_SIG:
        return literal(str(value.get("id") or value.get("urn") or ""))
    if kind not in (_ASSET_SIG, _ARCHIVE_SIG) or contains_secret(dict(value)):
        return ""
    if kind == _ARCHIVE_SIG and isinstance(value.get("assets"), dict):
        return f"pulumi.AssetArchive({_mapping(value['assets'], secrets, place, depth)})"
    what = "Asset" if kind == _ASSET_SIG else "Archive"
    for key, prefix in (("path", "File"), ("uri", "Remote"), ("text", "String")):
        if value.get(key):
            return f"pulumi.{prefix}{what}({literal(str(value[key]))})"
    return f"pulumi.StringAsset({literal('')})" if kind == _ASSET_SIG else ""

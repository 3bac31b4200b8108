"""Policies: how they are configured, and what a violation means. Pure; `analyzer` talks to the packs that hold them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from engine.errors import UsageError
from engine.json_schema import schema_errors
from engine.resource import Secret

#: Shorter texts are not hidden in messages: they would be hidden in every other word.
_SHORTEST_HIDDEN: Final = 3
_ALL: Final = "all"


class Level(StrEnum):
    """What a violation does: warn, stop, be corrected first, or nothing."""

    ADVISORY = "advisory"
    MANDATORY = "mandatory"
    REMEDIATE = "remediate"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInfo:
    """One policy of a pack. `properties` and `required` are its configuration's JSON schema."""

    name: str
    level: Level
    properties: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """What is set for one policy; no level means that it is not said."""

    level: Level | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSource:
    """A policy pack in a folder, as the command line names it. `python` runs it; `config` is by policy's name."""

    name: str
    path: Path
    main: str
    python: str
    version: str = ""
    config: Mapping[str, PolicyConfig] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A policy's word on a resource, or on the stack where it names none. `message` has its description first."""

    policy: str
    pack: str
    version: str
    message: str
    level: Level
    urn: str = ""

    @property
    def stops(self) -> bool:
        """Whether the resource may not be; one that could not be corrected may not, either."""
        return self.level in (Level.MANDATORY, Level.REMEDIATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remediation:
    """A policy's correction of a resource's inputs, or in `diagnostic` why it could not make one."""

    policy: str
    pack: str
    version: str
    description: str = ""
    properties: dict[str, Any] | None = None
    diagnostic: str = ""


# ------------------------------------------------------------------ configuration


def parse_config(text: str, name: str) -> dict[str, PolicyConfig]:
    """The configuration in a JSON file: by policy's name, or `all`, a level or properties. Raises UsageError."""
    if not text.strip():
        return {}
    try:
        body = json.loads(text)
    except ValueError as error:
        raise UsageError(f"the policy configuration {name} is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise UsageError(f"the policy configuration {name} should be an object by policy's name")
    return {policy: _config_of(policy, value, name) for policy, value in body.items()}


def _config_of(policy: str, value: Any, name: str) -> PolicyConfig:
    if isinstance(value, str):
        return PolicyConfig(level=_level(policy, value, name))
    if not isinstance(value, dict):
        raise UsageError(f"{name}: parsing {policy!r}: {value!r} is not a valid value; must be a string or object")
    properties = dict(value)
    level = properties.pop("enforcementLevel", None)
    return PolicyConfig(level=_level(policy, level, name) if level is not None else None, properties=properties)


def _level(policy: str, value: object, name: str) -> Level:
    try:
        return Level(str(value))
    except ValueError:
        raise UsageError(
            f'{name}: parsing enforcement level for "{policy}": "{value}" is not a valid enforcement level (one of '
            f"{', '.join(Level)})"
        ) from None


def reconciled(
    policies: Iterable[PolicyInfo], initial: Mapping[str, PolicyConfig], given: Mapping[str, PolicyConfig]
) -> dict[str, PolicyConfig]:
    """What each policy is configured with: its defaults, then what the pack says, then what the user says."""
    result = {
        policy.name: PolicyConfig(
            level=policy.level,
            properties={
                k: v["default"] for k, v in policy.properties.items() if isinstance(v, Mapping) and "default" in v
            },
        )
        for policy in policies
    }
    for layer in (initial, given):
        everywhere = layer.get(_ALL)
        if everywhere is not None and everywhere.level is not None:
            result = {k: PolicyConfig(level=everywhere.level, properties=v.properties) for k, v in result.items()}
        for name, config in layer.items():
            if name == _ALL:
                continue
            before = result.get(name, PolicyConfig())
            result[name] = PolicyConfig(
                level=config.level or before.level, properties={**before.properties, **config.properties}
            )
    return result


def config_errors(policies: Iterable[PolicyInfo], config: Mapping[str, PolicyConfig]) -> Iterator[str]:
    """What is wrong with a configuration, as `policy: path: what`. Raises UsageError for an odd schema."""
    for policy in policies:
        schema: dict[str, Any] = {"type": "object"}
        if policy.properties:
            schema["properties"] = dict(policy.properties)
        if policy.required:
            schema["required"] = list(policy.required)
        found = schema_errors(dict(config[policy.name].properties), schema)
        yield from (f"{policy.name}: {error}" for error in found)


def unknown_policies(policies: Iterable[PolicyInfo], given: Mapping[str, PolicyConfig]) -> list[str]:
    """Names in a configuration that no policy of the pack has."""
    return sorted(set(given) - {policy.name for policy in policies} - {_ALL})


# ------------------------------------------------------------------ what is shown


def secret_texts(value: Any, *, inside: bool = False) -> Iterator[str]:
    """The texts that a value keeps secret, at any depth."""
    if isinstance(value, Secret):
        yield from secret_texts(value.value, inside=True)
    elif isinstance(value, dict):
        for item in value.values():
            yield from secret_texts(item, inside=inside)
    elif isinstance(value, list):
        for item in value:
            yield from secret_texts(item, inside=inside)
    elif inside and isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def without(message: str, secrets: Iterable[str]) -> str:
    """A pack's message with every secret in it hidden: policies see plain values, and may put them in words."""
    for text in sorted({s for s in secrets if len(s) >= _SHORTEST_HIDDEN}, key=len, reverse=True):
        message = message.replace(text, "[secret]")
    return message

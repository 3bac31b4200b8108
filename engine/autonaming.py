"""Names that the stack's config asks of providers for objects that the program gives none: `pulumi:autonaming`.

The setting of a resource's type counts before that of its package, and that before the stack's. A pattern may hold
`${name}`, `${project}`, `${stack}`, `${org}`, `${config.KEY}`, and random parts: `${hex(4)}`, `${alphanum(4)}`,
`${string(4)}`, `${num(4)}`, `${uuid}`. A name without random parts cannot be had twice, so the old object goes first.
Pure: what is random comes from the seed that Check gets.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from engine.errors import PluginError
from engine.resource import package_of, urn_name, urn_type

CONFIG_KEY: Final = "pulumi:autonaming"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = "0123456789"
_RANDOM = re.compile(r"\$\{(?:(?P<kind>hex|alphanum|string|num)\((?P<count>\d+)\)|uuid)\}")
_CONFIG = re.compile(r"\$\{config\.([^}]+)\}")
_ALPHABETS: Final = {"hex": _DIGITS + "abcdef", "alphanum": _LETTERS + _DIGITS, "string": _LETTERS, "num": _DIGITS}


class Mode(IntEnum):
    """What a provider is to do with the name, in the protocol's numbers."""

    PROPOSE = 0
    ENFORCE = 1
    DISABLE = 2


@dataclass(frozen=True, slots=True)
class Strategy:
    """How objects are named. An empty pattern with PROPOSE leaves it to the provider."""

    pattern: str = ""
    mode: Mode = Mode.PROPOSE

    @property
    def says_nothing(self) -> bool:
        return not self.pattern and self.mode is Mode.PROPOSE

    @property
    def has_random(self) -> bool:
        return _RANDOM.search(self.pattern) is not None

    def name(self, urn: str, seed: bytes) -> str:
        """The proposed name: the same one for the same seed."""
        # Uniqueness is wanted here, not secrecy: names are public.
        source = random.Random(hashlib.sha256(seed).digest())  # noqa: S311

        def part(match: re.Match[str]) -> str:
            kind = match["kind"]
            if kind is None:
                return str(uuid.UUID(bytes=source.randbytes(16)))
            return "".join(source.choice(_ALPHABETS[kind]) for _ in range(int(match["count"])))

        return _RANDOM.sub(part, self.pattern).replace("${name}", urn_name(urn))


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What Check is told for one resource; `particular`: a provider that cannot heed it is worth a warning."""

    strategy: Strategy
    particular: bool


@dataclass(frozen=True, slots=True)
class Autonamer:
    """The stack's naming. `by_package` and `by_type` are of package names and type tokens."""

    default: Strategy
    by_package: Mapping[str, Strategy]
    by_type: Mapping[str, Strategy]

    def naming(self, urn: str) -> Naming | None:
        """What a resource's provider is told of names; None where it names objects as it likes."""
        type_ = urn_type(urn)
        found = self.by_type.get(type_) or self.by_package.get(package_of(type_))
        strategy = found or self.default
        return None if strategy.says_nothing else Naming(strategy=strategy, particular=found is not None)

    def needs_the_old_one_gone(self, urn: str) -> bool:
        """Whether a replacement would have the name of what it replaces."""
        naming = self.naming(urn)
        return naming is not None and not naming.strategy.has_random


def autonamer_of(config: Mapping[str, str], *, organization: str, project: str, stack: str) -> Autonamer | None:
    """The naming that a stack's config asks for, None without any. Raises PluginError for a setting that is none."""
    text = config.get(CONFIG_KEY)
    if not text:
        return None
    try:
        section = json.loads(text)
    except ValueError as error:
        raise PluginError(f"failed to parse autonaming config: {CONFIG_KEY} must be an object") from error
    known = {"${org}": organization, "${project}": project, "${stack}": stack}

    def resolve(pattern: str) -> str:
        for expression, value in known.items():
            pattern = pattern.replace(expression, value)
        return _CONFIG.sub(lambda match: _value(config, project, match[1]), pattern)

    default = _strategy(_section(section, "providers", "the stack"), resolve)
    by_package: dict[str, Strategy] = {}
    by_type: dict[str, Strategy] = {}
    for package, settings in (section.get("providers") or {}).items():
        own = _section(settings, "resources", f"provider '{package}'")
        if own:
            by_package[package] = _strategy(own, resolve)
        for type_, particular in (settings.get("resources") or {}).items():
            by_type[type_] = _strategy(_section(particular, "", f"resource '{type_}'"), resolve)
    return Autonamer(default, by_package, by_type)


def _value(config: Mapping[str, str], project: str, key: str) -> str:
    found = config.get(key if ":" in key else f"{project}:{key}")
    if found is None:
        raise PluginError(f"failed to resolve autonaming config: no value found for key '{key}'")
    return found


def _section(value: Any, nested: str, where: str) -> dict[str, Any]:
    """The settings of one place, without those of narrower ones."""
    if not isinstance(value, dict):
        raise PluginError(f"invalid autonaming config structure: the setting of {where} must be an object")
    unknown = value.keys() - {"mode", "pattern", "enforce", nested}
    if unknown:
        raise PluginError(f"invalid autonaming config structure: unknown field '{min(unknown)}' for {where}")
    return {key: item for key, item in value.items() if key != nested}


def _strategy(settings: Mapping[str, Any], resolve: Callable[[str], str]) -> Strategy:
    mode, pattern = settings.get("mode"), settings.get("pattern")
    if mode is not None and ("pattern" in settings or "enforce" in settings):
        raise PluginError("invalid autonaming config: cannot specify both mode and pattern/enforce")
    if pattern is not None:
        return Strategy(resolve(str(pattern)), Mode.ENFORCE if settings.get("enforce") else Mode.PROPOSE)
    strategies = {
        None: Strategy(),
        "default": Strategy(),
        "verbatim": Strategy("${name}", Mode.ENFORCE),
        "disabled": Strategy("", Mode.DISABLE),
    }
    if mode not in strategies:
        raise PluginError(f"invalid autonaming config: invalid naming mode: {mode}")
    return strategies[mode]

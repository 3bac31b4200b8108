"""Paths into configuration values, `a.b[0]["c.d"]`: parsing, reading, setting and removing. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from engine.errors import UsageError

Part = str | int
_TOKEN: Final = re.compile(r"""\.?(?P<name>[^.\[\]"]+)|\.?\[(?P<index>\d+)\]|\.?\[(?P<quoted>"(?:[^"\\]|\\.)*")\]""")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")


def parse_path(text: str) -> list[Part]:
    """The parts: names as str, list positions as int. Raises UsageError for what is not a path."""
    parts: list[Part] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise UsageError(
                f"invalid configuration path '{text}' at position {position}: expected NAME, [N] or [\"NAME\"]"
            )
        if match["name"] is not None:
            parts.append(match["name"])
        elif match["index"] is not None:
            parts.append(int(match["index"]))
        else:
            parts.append(str(json.loads(match["quoted"])))
        position = match.end()
    if not parts or isinstance(parts[0], int):
        raise UsageError(f"invalid configuration path '{text}': it must begin with a name")
    return parts


def get_path(value: Any, parts: list[Part]) -> tuple[bool, Any]:
    """(found, what is there)."""
    for part in parts:
        if isinstance(part, str):
            if not isinstance(value, dict) or part not in value:
                return False, None
            value = value[part]
        else:
            if not isinstance(value, list) or part >= len(value):
                return False, None
            value = value[part]
    return True, value


def set_path(value: Any, parts: list[Part], new: Any, where: str) -> Any:
    """The value with `new` at the path; containers are made as needed. Raises UsageError where it does not fit."""
    if not parts:
        return new
    part, rest = parts[0], parts[1:]
    if isinstance(part, int):
        items = [] if value is None else value
        if not isinstance(items, list):
            raise UsageError(f"cannot set '{where}': [{part}] is a position, but there is no list at that place")
        if part > len(items):
            raise UsageError(
                f"cannot set '{where}': the list has {len(items)} items, so the next position is {len(items)}"
            )
        old = items[part] if part < len(items) else None
        return [*items[:part], set_path(old, rest, new, where), *items[part + 1 :]]
    table = {} if value is None else value
    if not isinstance(table, dict) or is_secure(table):
        raise UsageError(f"cannot set '{where}': '{part}' is a name, but there is no map at that place")
    return {**table, part: set_path(table.get(part), rest, new, where)}


def remove_path(value: Any, parts: list[Part]) -> Any:
    """The value without what is at the path; unchanged where there is nothing."""
    part, rest = parts[0], parts[1:]
    found, inner = get_path(value, [part])
    if not found:
        return value
    if rest:
        replaced = remove_path(inner, rest)
        if isinstance(value, list):
            return [replaced if i == part else v for i, v in enumerate(value)]
        return {k: replaced if k == part else v for k, v in value.items()}
    if isinstance(value, list):
        return [v for i, v in enumerate(value) if i != part]
    return {k: v for k, v in value.items() if k != part}


def typed(text: str) -> Any:
    """What a text set by path is stored as: true and false, whole numbers, else itself."""
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if _INTEGER.fullmatch(text) else text


def is_secure(value: Any) -> bool:
    """Whether a stored value is an encrypted one: `{secure: v1:...}`."""
    return isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str)


def contains_secure(value: Any) -> bool:
    if is_secure(value):
        return True
    if isinstance(value, dict):
        return any(map(contains_secure, value.values()))
    return isinstance(value, list) and any(map(contains_secure, value))

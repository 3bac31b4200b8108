"""Where two documents differ, and which of a document's values lie at a path. Pure.

A path is written as Pulumi does: `spec.template.spec.containers[0].image`, `metadata.labels["app.kubernetes.io/name"]`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from providers.plugin.properties import Change
from providers.plugin.wire import UNKNOWN, Path

Step = str | int
Steps = tuple[Step, ...]


def differences(old: Any, new: Any, at: Steps = ()) -> dict[Steps, Change]:
    """The deepest places at which they differ; what is unknown differs from everything."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: dict[Steps, Change] = {}
        for key in [*old, *(key for key in new if key not in old)]:
            here = (*at, str(key))
            if key not in new:
                found[here] = Change.DELETE
            elif key not in old:
                found[here] = Change.ADD
            else:
                found |= differences(old[key], new[key], here)
        return found
    if isinstance(old, list) and isinstance(new, list):
        found = {}
        for index in range(max(len(old), len(new))):
            here = (*at, index)
            if index >= len(new):
                found[here] = Change.DELETE
            elif index >= len(old):
                found[here] = Change.ADD
            else:
                found |= differences(old[index], new[index], here)
        return found
    return {} if _same(old, new) else {at: Change.UPDATE}


def _same(old: Any, new: Any) -> bool:
    if old is UNKNOWN or new is UNKNOWN:
        return False
    # True is 1 to Python, and not to the server.
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def written(steps: Steps) -> str:
    """The path as the engine reads it."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and not set(step) & set('.[]"'):
            text += f".{step}" if text else step
        else:
            quoted = step.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{quoted}"]'
    return text


_PIECE = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]|([^.\[\]]+)')


def steps_of(path: str) -> Steps:
    """The steps that a path names; `*` stands for any."""
    found: list[Step] = []
    for quoted, index, plain in _PIECE.findall(path):
        if index.isdecimal():
            found.append(int(index))
        else:
            found.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else index or plain)
    return tuple(found)


def lies_under(steps: Steps, prefix: Steps) -> bool:
    """Whether a place is that of the prefix, or inside it."""
    return len(steps) >= len(prefix) and all(wanted in ("*", step) for step, wanted in zip(steps, prefix, strict=False))


def taken_from(value: Any, other: Any, steps: Steps) -> Any:
    """The value with what lies at those steps as `other` has it: changed, or left out."""
    if not steps:
        return other
    step, rest = steps[0], steps[1:]
    if isinstance(value, Mapping) and isinstance(other, Mapping) and isinstance(step, str):
        found = dict(value)
        for key in found.keys() | other.keys() if step == "*" else {step}:
            if not rest and key not in other:
                found.pop(key, None)
            elif key in other and (not rest or key in found):
                found[key] = taken_from(found.get(key), other[key], rest)
        return found
    if isinstance(value, list) and isinstance(other, list):
        return [
            taken_from(item, other[index], rest) if step in ("*", index) and index < len(other) else item
            for index, item in enumerate(value)
        ]
    return value


def without(document: Mapping[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """The document without what lies there."""
    found = dict(document)
    for path in paths:
        head, rest = path[0], path[1:]
        if not rest:
            found.pop(head, None)
        elif isinstance(found.get(head), Mapping):
            found[head] = without(found[head], [rest])
    return found


def pruned(value: Any) -> Any:
    """The value without nulls, which ask for nothing."""
    if isinstance(value, Mapping):
        return {str(key): pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [pruned(item) for item in value]
    return value


def leaves(value: Any) -> list[str]:
    """The texts in a value."""
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in leaves(item)]
    if isinstance(value, list):
        return [text for item in value for text in leaves(item)]
    return [value] if isinstance(value, str) else []


def at_path(value: Any, path: Path) -> Any:
    """What lies there, or None."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def with_known_parts(value: Any, known: Any) -> Any:
    """What `value` asks for, as `known` has it: drift is told without what others have added.

    Lists of the same length are compared item by item, named items by their name; any other list is taken as it is.
    """
    if isinstance(value, Mapping) and isinstance(known, Mapping):
        return {key: with_known_parts(item, known[key]) for key, item in value.items() if key in known}
    if isinstance(value, list) and isinstance(known, list):
        named = {item.get("name"): item for item in known if isinstance(item, Mapping) and item.get("name")}
        if named and all(isinstance(item, Mapping) and item.get("name") for item in value):
            return [with_known_parts(item, named[item["name"]]) for item in value if item["name"] in named]
        if len(value) == len(known):
            return [with_known_parts(*pair) for pair in zip(value, known, strict=True)]
    return known

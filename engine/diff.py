"""What changed between two sets of properties, and what a change means for the resource. Pure.

Property paths are written as Pulumi writes them: `tags.x`, `items[0].name`, `tags["a.b"]`, `items[*]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import Any, Final

from engine.resource import PropertyMap, Secret, is_content, same_values

Path = tuple[str | int, ...]
_ABSENT: Final = object()
_SIMPLE_KEY = re.compile(r"[A-Za-z_$][\w$\-]*")
_PATH_PART = re.compile(r'\.?(?P<key>[^.\["]+)|\[(?P<index>\d+)\]|\[(?P<any>\*)\]|\["(?P<quoted>(?:[^"\\]|\\.)*)"\]')


class DiffKind(StrEnum):
    """What happened to one property, in the words of the events."""

    ADD = "add"
    ADD_REPLACE = "add-replace"
    DELETE = "delete"
    DELETE_REPLACE = "delete-replace"
    UPDATE = "update"
    UPDATE_REPLACE = "update-replace"

    @property
    def replaces(self) -> bool:
        return self.value.endswith("-replace")

    def as_replace(self) -> DiffKind:
        return self if self.replaces else DiffKind(f"{self.value}-replace")


@dataclass(frozen=True, slots=True)
class PropertyDiff:
    """One changed property; `input_diff` says that inputs were compared, not outputs with inputs."""

    kind: DiffKind
    input_diff: bool = False


class Changes(Enum):
    """A provider's word on whether anything changed."""

    UNKNOWN = 0
    NONE = 1
    SOME = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffResult:
    """A diff of one resource. `replace_keys` non-empty means that it has to be replaced."""

    changes: Changes = Changes.UNKNOWN
    replace_keys: tuple[str, ...] = ()
    stable_keys: tuple[str, ...] = ()
    changed_keys: tuple[str, ...] = ()
    delete_before_replace: bool = False
    detailed: Mapping[str, PropertyDiff] | None = field(default=None)
    warning: str = ""
    """Why the provider could not really tell, where it could not."""

    @property
    def some(self) -> bool:
        return self.changes is Changes.SOME

    @property
    def replace(self) -> bool:
        return bool(self.replace_keys) or any(d.kind.replaces for d in (self.detailed or {}).values())


# ------------------------------------------------------------------ paths


def parse_path(text: str) -> Path:
    """The parts of a property path, `*` being any key or index. What is none is one key, which nothing matches."""
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        match = _PATH_PART.match(text, position)
        if match is None:
            return (text,)
        parts.append(_path_part(match))
        position = match.end()
    return tuple(parts)


def _path_part(match: re.Match[str]) -> str | int:
    if match["index"] is not None:
        return int(match["index"])
    if match["quoted"] is not None:
        return match["quoted"].replace('\\"', '"').replace("\\\\", "\\")
    return "*" if match["any"] else match["key"]


def format_path(path: Iterable[str | int]) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _SIMPLE_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += '["' + part.replace("\\", "\\\\").replace('"', '\\"') + '"]'
    return text


def path_contains(pattern: Path, path: Path) -> bool:
    """Whether `path` is at or under `pattern`."""
    return len(pattern) <= len(path) and all(a in ("*", b) for a, b in zip(pattern, path, strict=False))


# ------------------------------------------------------------------ comparing


def changed_paths(old: Any, new: Any, at: Path = ()) -> dict[Path, DiffKind]:
    """Every path at which two values differ, at the deepest place where they are comparable."""
    if isinstance(old, Secret):
        old = old.value
    if isinstance(new, Secret):
        new = new.value
    if is_content(old) and is_content(new):
        return {} if same_values(old, new) else {at: DiffKind.UPDATE}
    if isinstance(old, dict) and isinstance(new, dict):
        return _changed_keys(old, new, at)
    if isinstance(old, list) and isinstance(new, list):
        return _changed_items(old, new, at)
    return {} if same_values(old, new) else {at: DiffKind.UPDATE}


def _changed_keys(old: Mapping[str, Any], new: Mapping[str, Any], at: Path) -> dict[Path, DiffKind]:
    found: dict[Path, DiffKind] = {}
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            found[(*at, key)] = DiffKind.DELETE
        elif key not in old:
            found[(*at, key)] = DiffKind.ADD
        else:
            found.update(changed_paths(old[key], new[key], (*at, key)))
    return found


def _changed_items(old: Sequence[Any], new: Sequence[Any], at: Path) -> dict[Path, DiffKind]:
    found: dict[Path, DiffKind] = {}
    for index in range(max(len(old), len(new))):
        if index >= len(new):
            found[(*at, index)] = DiffKind.DELETE
        elif index >= len(old):
            found[(*at, index)] = DiffKind.ADD
        else:
            found.update(changed_paths(old[index], new[index], (*at, index)))
    return found


def compare_inputs(old: PropertyMap, new: PropertyMap, ignored: Iterable[str] = ()) -> DiffResult:
    """The engine's own diff, for components and for providers that cannot tell. `__` names do not count."""
    patterns = [parse_path(path) for path in ignored]
    paths = {
        path: kind
        for path, kind in changed_paths(old, new).items()
        if not str(path[0]).startswith("__") and not any(path_contains(p, path) for p in patterns)
    }
    return DiffResult(
        changes=Changes.SOME if paths else Changes.NONE,
        changed_keys=tuple(dict.fromkeys(str(path[0]) for path in paths)),
        detailed={format_path(path): PropertyDiff(kind, True) for path, kind in paths.items()},
    )


# ------------------------------------------------------------------ ignoreChanges


def reset_ignored(old: PropertyMap, new: PropertyMap, ignored: Iterable[str]) -> PropertyMap:
    """The new inputs with the old values put back at every ignored path that exists on both sides."""
    result: PropertyMap = _copy(new)
    for text in ignored:
        _reset(old, result, parse_path(text))
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _reset(old: Any, new: Any, path: Path) -> bool:
    """Puts the old value at `path` into `new`, in place. False where the place cannot be reached."""
    head, rest = path[0], path[1:]
    if isinstance(old, Secret):
        old = old.value
    if isinstance(new, Secret):
        new = new.value
    if head == "*":
        return _reset_all(old, new, rest)
    if not _has_kind(old, head) and not _has_kind(new, head):
        return old is _ABSENT and new is _ABSENT
    before, after = _get(old, head), _get(new, head)
    if not rest:
        return _put(new, head, before)
    if before is _ABSENT and after is _ABSENT:
        return True
    if before is _ABSENT or after is _ABSENT:
        return False
    return _reset(before, after, rest)


def _reset_all(old: Any, new: Any, rest: Path) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        return all([_reset(old, new, (key, *rest)) for key in sorted(old.keys() | new.keys())])  # noqa: C419 - each is reset
    if isinstance(old, list) and isinstance(new, list):
        return all([_reset(old, new, (index, *rest)) for index in range(min(len(old), len(new)))])  # noqa: C419 - each is reset
    return True


def _has_kind(value: Any, part: str | int) -> bool:
    return isinstance(value, list) if isinstance(part, int) else isinstance(value, dict)


def _get(value: Any, part: str | int) -> Any:
    if isinstance(part, int):
        return value[part] if isinstance(value, list) and part < len(value) else _ABSENT
    return value.get(part, _ABSENT) if isinstance(value, dict) else _ABSENT


def _put(container: Any, part: str | int, value: Any) -> bool:
    if isinstance(part, int):
        if not isinstance(container, list) or part >= len(container) or value is _ABSENT:
            return False
        container[part] = value
        return True
    if not isinstance(container, dict):
        return False
    if value is _ABSENT:
        container.pop(part, None)
    else:
        container[part] = value
    return True


# ------------------------------------------------------------------ replaceOnChanges


def apply_replace_on_changes(diff: DiffResult, patterns: Sequence[str], *, has_init_errors: bool) -> DiffResult:
    """Turns changes at the given paths into replacements.

    Without names of what changed (a dynamic provider's DIFF_SOME) there is nothing to match, and nothing happens.
    """
    if not diff.some or not patterns:
        return diff
    parsed = [parse_path(text) for text in patterns]
    keys = list(diff.replace_keys)
    if diff.detailed is not None:
        detailed = dict(diff.detailed)
        for text, change in diff.detailed.items():
            if any(path_contains(p, parse_path(text)) for p in parsed):
                detailed[text] = replace(change, kind=change.kind.as_replace())
        diff = replace(diff, detailed=detailed)
    keys.extend(key for key in diff.changed_keys if any(path_contains(p, (key,)) for p in parsed))
    if has_init_errors and "#initerror" in patterns:
        keys.append("#initerror")
    return replace(diff, replace_keys=tuple(dict.fromkeys(keys)))

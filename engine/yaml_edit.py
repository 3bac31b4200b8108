"""Changes to a YAML text that leave the rest of it as it was written: comments, order, quotes and empty lines.

What is edited are the entries of the top level and of the maps named in `INSIDE`, where these are written as blocks.
The result is read again: where it does not say exactly what it should, the caller gets None and writes a text anew.
Pure: no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

INSIDE: Final = frozenset({"config"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """Lines from `first` to before `end`, to be replaced by `lines`."""

    first: int
    end: int
    lines: tuple[str, ...]


def edited(text: str, wanted: Mapping[str, Any]) -> str | None:
    """The text, changed so that it says what is wanted; None where that cannot be done without writing it anew."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        current = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if not isinstance(root, yaml.MappingNode) or root.flow_style or not isinstance(current, dict):
        return None
    lines = text.splitlines()
    changes = _changes(root, current, wanted, lines, indent=0)
    if changes is None:
        return None
    for change in sorted(changes, key=lambda c: (c.first, c.end), reverse=True):
        lines[change.first : change.end] = change.lines
    result = "\n".join(lines) + "\n"
    return result if _says(result, wanted) else None


def _says(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return _same(yaml.safe_load(text), dict(wanted))
    except yaml.YAMLError:
        return False


def _same(a: Any, b: Any) -> bool:
    """Whether two values are written the same: 1, 1.0 and true are equal in Python, and three things in a file."""
    return bool(yaml.safe_dump(a) == yaml.safe_dump(b))


def _changes(
    node: yaml.MappingNode, current: Mapping[str, Any], wanted: Mapping[str, Any], lines: list[str], *, indent: int
) -> list[_Change] | None:
    """What to do to the lines of a map; None for a map that is written in a way that is not edited."""
    changes: list[_Change] = []
    for key_node, value_node in node.value:
        key = key_node.value
        first, end = key_node.start_mark.line, _end(value_node) + 1
        if key_node.start_mark.column != indent or not isinstance(key, str):
            return None
        if key not in wanted:
            changes.append(_Change(first=first, end=end, lines=()))
        elif not _same(current.get(key), wanted[key]):
            inner = _inner(key, value_node, current[key], wanted[key], lines)
            comment = _comment(value_node, lines)
            written = _written({key: wanted[key]}, indent, comment)
            changes.extend([_Change(first=first, end=end, lines=written)] if inner is None else inner)
    added = {key: value for key, value in wanted.items() if key not in current}
    if added:
        last = _end(node) + 1
        changes.append(_Change(first=last, end=last, lines=_written(added, indent, "")))
    return changes


def _inner(key: str, node: yaml.Node, current: Any, wanted: Any, lines: list[str]) -> list[_Change] | None:
    """The changes inside of a map that is edited entry by entry, None where it is written anew."""
    if key not in INSIDE or not isinstance(node, yaml.MappingNode) or node.flow_style:
        return None
    if not isinstance(current, dict) or not isinstance(wanted, Mapping) or not wanted:
        return None
    return _changes(node, current, wanted, lines, indent=node.start_mark.column)


def _end(node: yaml.Node) -> int:
    """The last line of a value. A block's own end mark is where the next thing begins, past all comments."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    line: int = node.end_mark.line
    # A text in `|` or `>` style ends before the line that follows it.
    if node.end_mark.column == 0 and line > node.start_mark.line:
        return line - 1
    return line


def _comment(node: yaml.Node, lines: list[str]) -> str:
    """The comment behind a value on one line."""
    if not isinstance(node, yaml.ScalarNode) or node.start_mark.line != node.end_mark.line:
        return ""
    rest = lines[node.end_mark.line][node.end_mark.column :]
    return rest.rstrip() if rest.lstrip().startswith("#") else ""


def _written(entries: Mapping[str, Any], indent: int, comment: str) -> tuple[str, ...]:
    text = yaml.safe_dump(dict(entries), sort_keys=False, allow_unicode=True, width=2**31)
    found = [" " * indent + line if line else line for line in text.splitlines()]
    if comment and len(found) == 1:
        found[0] += comment
    return tuple(found)

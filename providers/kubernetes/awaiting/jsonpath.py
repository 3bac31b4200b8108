"""The JSONPath of kubectl, as far as one place is named by it. Pure.

Fields (`.a`, `['a']`, `.a\\.b`), places in a list (`[0]`, `[-1]`, `[1:3]`), all (`[*]`, `.*`), whatever lies below
(`..a`) and filters (`[?(@.type=="Ready")]`, with ==, !=, <, <=, >, >=, or only that it is there). What kubectl also
has for printing (`range`, several places in one pair of brackets, several paths) is refused.
"""

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Step = Callable[[Any], Iterator[Any]]

_FIELD = re.compile(r"(?:[^.\[\]\\'\"{}\s()]|\\.)+")
_QUOTED = re.compile(r"\[\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\s*\]")
_INDEX = re.compile(r"\[\s*(-?\d+)\s*\]")
_SLICE = re.compile(r"\[\s*(-?\d*)\s*:\s*(-?\d*)\s*\]")
_ALL = re.compile(r"\[\s*\*\s*\]|\.\*")
_FILTER = re.compile(r"\[\?\(\s*@((?:[^=!<>()'\"]|'[^']*'|\"[^\"]*\")*?)\s*(?:(==|!=|<=|>=|<|>)\s*([^)]+?)\s*)?\)\]")
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    steps: tuple[Step, ...]

    def find(self, doc: Any) -> list[Any]:
        """All that lies there; nothing where it does not exist."""
        found = [doc]
        for step in self.steps:
            found = [each for value in found for each in step(value)]
        return found


def parse(written: str) -> Path:
    """`written` is what stands between the braces. Raises ValueError, which says where it is not understood."""
    rest = written.strip().removeprefix("$")
    if rest and rest[0] not in ".[":
        rest = f".{rest}"
    steps: list[Step] = []
    while rest not in {"", "."}:
        step, length = _next(rest)
        steps.append(step)
        rest = rest[length:]
    if not steps:
        raise ValueError("the path is empty")
    return Path(steps=tuple(steps))


def _next(rest: str) -> tuple[Step, int]:
    """The first step of `rest`, and how long it is."""
    if found := _ALL.match(rest):
        return _children, found.end()
    if rest.startswith(".."):
        if found := _FIELD.match(rest, 2):
            return _below(_unescaped(found[0])), found.end()
    elif rest.startswith(".") and (found := _FIELD.match(rest, 1)):
        return _field(_unescaped(found[0])), found.end()
    elif rest.startswith(".["):
        step, length = _next(rest[1:])
        return step, length + 1
    if found := _QUOTED.match(rest):
        return _field(_unescaped(found[1] if found[1] is not None else found[2])), found.end()
    if found := _INDEX.match(rest):
        return _at(int(found[1])), found.end()
    if found := _SLICE.match(rest):
        return _between(*(int(each) if each else None for each in found.groups())), found.end()
    if found := _FILTER.match(rest):
        return _filter(found[1], found[2], found[3]), found.end()
    raise ValueError(f"the path is not understood at {rest!r}")


def _unescaped(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _below(name: str) -> Step:
    field = _field(name)

    def step(value: Any) -> Iterator[Any]:
        yield from field(value)
        for child in _children(value):
            yield from step(child)

    return step


def _at(index: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _between(begin: int | None, end: int | None) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[begin:end]

    return step


def _filter(path: str, sign: str | None, written: str | None) -> Step:
    inner = parse(path) if path.strip() else Path(steps=())
    wanted = _literal(written) if written is not None else None

    def holds(value: Any) -> bool:
        found = inner.find(value)
        if sign is None:
            return bool(found)
        return any(_compares(sign, each, wanted) for each in found)

    def step(value: Any) -> Iterator[Any]:
        yield from (each for each in _children(value) if holds(each))

    return step


def _literal(written: str) -> Any:
    if written[0] == written[-1] and written[0] in "'\"" and len(written) > 1:
        return _unescaped(written[1:-1])
    if written in {"true", "false"}:
        return written == "true"
    try:
        return float(written)
    except ValueError:
        raise ValueError(f"{written!r} in a filter is no number, no truth and in no quotes") from None


def _compares(sign: str, left: Any, right: Any) -> bool:
    try:
        return bool(_COMPARE[sign](left, right))
    except TypeError:  # a text is neither more nor less than a number
        return False

"""Reading YAML that people write by hand, with errors that name line and column.

Decides how plain words become values: `true`/`false` are booleans, numbers without a leading zero are numbers, all else
is text. So `country: NO` stays Norway, `postalCode: 01067` keeps its zero and `close: 18:00` is no sexagesimal number.
It never decides which keys or values are valid, and never builds Python objects.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from stacks.problems import FieldProblem, InputError

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000
MAX_DEPTH = 40


class _Loader(yaml.SafeLoader):
    """SafeLoader with the plain words above, without duplicate keys."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be one word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]{0,17})$"), list("-0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$"), list("-0123456789")
)


def read_yaml(path: Path, error: type[InputError]) -> dict[str, Any]:
    """The mapping in a file. Raises `error` when it cannot be read, is too large, or is no YAML mapping."""
    source = str(path)
    try:
        data = path.read_bytes()
    except OSError as cause:
        reason = cause.strerror or type(cause).__name__
        raise error(source, [_problem("file", f"unreadable: {reason}", "a readable YAML file")]) from cause
    if len(data) > MAX_BYTES:
        raise error(source, [_problem("file", f"{len(data)} bytes", f"at most {MAX_BYTES} bytes")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise error(
            source, [_problem(f"byte {cause.start}", "a byte that is not UTF-8", "a file saved as UTF-8")]
        ) from cause
    return parse_yaml(text, source, error)


def parse_yaml(text: str, source: str, error: type[InputError]) -> dict[str, Any]:
    """The mapping in `text`. Raises `error` with line and column when it is not YAML."""
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "file"
        given = " ".join(part for part in (cause.problem, cause.context) if part) or "something unreadable"
        raise error(source, [_problem(where, given, "YAML")]) from cause
    except yaml.reader.ReaderError as cause:
        where = _position(text, cause.position)
        raise error(
            source, [_problem(where, f"the character #x{ord_of(cause):04x}", "text without control characters")]
        ) from cause
    except (RecursionError, ValueError) as cause:
        raise error(
            source, [_problem("file", "YAML that cannot be built", "a plain mapping of keys to values")]
        ) from cause
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(value, dict):
        given = "an empty file" if value is None else f"a {type(value).__name__}"
        raise error(source, [_problem("file", given, "a mapping of keys to values")])
    _refuse_huge(value, source, error)
    return value


def ord_of(cause: yaml.reader.ReaderError) -> int:
    """The code point a reader stumbled over: PyYAML gives an int for text and bytes for byte streams."""
    character: Any = cause.character
    return character if isinstance(character, int) else ord(character[:1])


def _position(text: str, index: int) -> str:
    before = text[:index]
    return f"line {before.count(chr(10)) + 1}, column {index - before.rfind(chr(10))}"


def _refuse_huge(value: object, source: str, error: type[InputError]) -> None:
    # Aliases make a small file expand to a huge tree, so what counts is the tree after expansion.
    left = MAX_NODES
    stack: list[tuple[object, int]] = [(value, 0)]
    while stack:
        node, depth = stack.pop()
        left -= 1
        if left < 0 or depth > MAX_DEPTH:
            given = f"more than {MAX_NODES} values" if left < 0 else f"more than {MAX_DEPTH} levels"
            raise error(source, [_problem("file", given, f"at most {MAX_NODES} values in {MAX_DEPTH} levels")])
        if isinstance(node, float) and not math.isfinite(node):
            raise error(source, [_problem("file", str(node), "finite numbers")])
        if isinstance(node, dict):
            stack.extend((child, depth + 1) for child in node.values())
        elif isinstance(node, list):
            stack.extend((child, depth + 1) for child in node)


def _problem(field: str, given: str, valid: str) -> FieldProblem:
    return FieldProblem(field=field, given=given, valid=valid)

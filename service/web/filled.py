"""Between a form's texts and a manifest: reads the one, shows the other, and puts each problem beside its field. Pure.

What cannot be read as its kind is passed on as it was written, so that the manifest's own words say what is valid;
only YAML that is no YAML is a problem found here. It never decides whether a value is valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.web.fields import Field, Widget
from service.web.yaml_text import NO, YES, text_of
from stacks.manifest import ManifestError
from stacks.problems import FieldProblem
from stacks.yaml_source import MAX_BYTES, parse_yaml

NULL = "null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One wrong field: its path in the manifest, and what to say beside it."""

    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a form says: the manifest, which nobody has checked yet, and what could not be read at all."""

    manifest: dict[str, Any]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Problems by the field that they stand beside, and those that belong to none."""

    beside: Mapping[str, tuple[str, ...]]
    others: tuple[Problem, ...]
    links: tuple[tuple[str, str, str], ...]
    """For the summary: (element id or "", label, message)."""


def read(fields: Sequence[Field], form: Mapping[str, str]) -> Reading:
    """The manifest that a form's texts make. What is empty is left out."""
    manifest: dict[str, Any] = {}
    problems: list[Problem] = []
    for field in fields:
        if field.widget is Widget.GROUP and field.required:
            # Each of its fields that is missing is then told by itself.
            _put(manifest, field.path, {})
        for leaf in field.leaves:
            try:
                given, value = _value(leaf, form.get(leaf.path, ""))
            except ManifestError as error:
                first = error.problems[0]
                problems.append(
                    Problem(field=leaf.path, message=f"this is not valid YAML: {first.field}: {first.given}")
                )
            else:
                if given:
                    _put(manifest, leaf.path, value)
    return Reading(manifest=manifest, problems=tuple(problems))


def _value(field: Field, text: str) -> tuple[bool, Any]:
    """(whether it is given, the value)."""
    text = text.replace("\r\n", "\n")
    if field.widget is Widget.HIDDEN:
        return True, field.default
    if field.widget is Widget.SWITCH:
        return True, text == YES
    if not text.strip():
        return False, None
    if field.nullable and text.strip() == NULL:
        return True, None
    match field.widget:
        case Widget.ANSWER:
            return True, {YES: True, NO: False}.get(text, text)
        case Widget.NUMBER:
            return True, _number(text.strip())
        case Widget.YAML:
            return True, read_value(text)
        case _:
            return True, text


def _number(text: str) -> int | float | str:
    """Whole numbers of up to 18 digits as such; anything that is no number stays text."""
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"[+-]?[0-9]{1,18}[.][0-9]{1,18}", text, re.ASCII):
        return float(text)
    return text


def read_value(text: str) -> Any:
    """Any YAML value, by the rules of manifests. Raises ManifestError whose problem has the line in `text`."""
    indented = "value:\n" + "\n".join(f"  {line}" for line in text.expandtabs().split("\n"))
    try:
        return read_manifest(indented)["value"]
    except ManifestError as error:
        moved = [
            FieldProblem(field=_moved(problem.field), given=problem.given, valid=problem.valid)
            for problem in error.problems
        ]
        raise ManifestError(error.source, moved) from None


def read_manifest(text: str) -> dict[str, Any]:
    """A whole manifest written as YAML. Raises ManifestError with line and column."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        problem = FieldProblem(field="manifest", given=f"{size} bytes", valid=f"at most {MAX_BYTES} bytes")
        raise ManifestError("manifest", [problem])
    return parse_yaml(text.replace("\r\n", "\n"), "manifest", ManifestError)


def _moved(where: str) -> str:
    match = re.fullmatch(r"line ([0-9]+), column ([0-9]+)", where)
    if match is None:
        return where
    return f"line {max(1, int(match[1]) - 1)}, column {max(1, int(match[2]) - 2)}"


def shown(fields: Sequence[Field], manifest: Mapping[str, Any]) -> dict[str, str]:
    """The texts that a form with this manifest has, by path. A switch that is on is `true`."""
    texts: dict[str, str] = {}
    for field in fields:
        for leaf in field.leaves:
            given, value = _get(manifest, leaf.path)
            if not given:
                if leaf.widget is Widget.SWITCH and leaf.default is True:
                    texts[leaf.path] = YES
                elif leaf.widget is Widget.CHOICE and leaf.default is not None:
                    texts[leaf.path] = str(leaf.default)
            elif value is None:
                # An empty mapping's null and one that was written look alike only where null is the default.
                texts[leaf.path] = "" if leaf.default is None and not leaf.inherited else NULL
            else:
                texts[leaf.path] = text_of(value) if value != {} else ""
    return texts


def placed(fields: Sequence[Field], problems: Iterable[Problem]) -> Placed:
    """Each problem beside the field whose path is the longest beginning of its own."""
    known = {one.path: one for field in fields for one in _all(field)}
    order = list(known)
    beside: dict[str, list[str]] = {}
    others: list[Problem] = []
    links: list[tuple[int, tuple[str, str, str]]] = []
    for problem in problems:
        owner = _owner(problem.field, known)
        if owner is None:
            others.append(problem)
            links.append((-1, ("", problem.field, problem.message)))
            continue
        rest = problem.field[len(owner.path) :].lstrip(".")
        message = f"{rest}: {problem.message}" if rest else problem.message
        if message not in beside.setdefault(owner.path, []):
            beside[owner.path].append(message)
            links.append((order.index(owner.path), (owner.id, owner.label, message)))
    links.sort(key=lambda item: item[0])
    return Placed(
        beside={path: tuple(messages) for path, messages in beside.items()},
        others=tuple(others),
        links=tuple(link for _, link in links),
    )


def _owner(path: str, known: Mapping[str, Field]) -> Field | None:
    while path:
        if path in known and known[path].widget is not Widget.HIDDEN:
            return known[path]
        cut = max(path.rfind("."), path.rfind("["))
        path = path[:cut] if cut > 0 else ""
    return None


def _all(field: Field) -> Iterable[Field]:
    yield field
    for child in field.children:
        yield from _all(child)


def _put(target: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        target = target.setdefault(key, {})
    target[last] = value


def _get(source: Mapping[str, Any], path: str) -> tuple[bool, Any]:
    found: Any = source
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return False, None
        found = found[key]
    return True, found

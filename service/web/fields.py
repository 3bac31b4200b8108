"""A form from a JSON schema: which fields there are, what they are called and how each is entered. Pure.

Serves any product line's schema: texts, numbers, choices, switches, and objects of these as groups. What has no shape
of its own (lists, free mappings) is entered as YAML. It never checks a value: the manifest's own model does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.web.yaml_text import text_of

MAX_DEPTH = 6
"""Deeper objects, and schemas that contain themselves, are entered as YAML."""


class Widget(StrEnum):
    """How a field is entered. SWITCH is a checkbox; ANSWER is yes, no, or neither: as it would be without an answer."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    SWITCH = "switch"
    ANSWER = "answer"
    YAML = "yaml"
    HIDDEN = "hidden"
    GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One choice of a list."""

    value: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `path` is the place in the manifest (`address.city`) and the name in the form.

    `inherited` is what holds where the field is left empty, as text. `input_type` is HTML's.
    """

    path: str
    label: str
    widget: Widget
    required: bool = False
    help: str = ""
    kind: str = "string"
    nullable: bool = False
    default: Any = None
    choices: tuple[Choice, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    input_type: str = "text"
    inherited: str = ""
    children: tuple[Field, ...] = ()

    @property
    def id(self) -> str:
        """The element's id."""
        return "f-" + re.sub(r"[^A-Za-z0-9]+", "-", self.path)

    @property
    def leaves(self) -> Iterator[Field]:
        """This field, or those within it, at any depth."""
        if self.widget is not Widget.GROUP:
            yield self
        for child in self.children:
            yield from child.leaves


def fields_of(
    schema: Mapping[str, Any],
    *,
    choices: Mapping[str, Sequence[Choice]] = {},
    inherited: Mapping[str, Any] = {},
) -> tuple[Field, ...]:
    """The fields of an object's schema, in its order. `choices` lists the choices of a path that the schema does not;
    `inherited` is shaped like the manifest and has what holds where a field is left empty."""
    return _Builder(schema, choices).children(schema, "", inherited, 0)


class _Builder:
    def __init__(self, root: Mapping[str, Any], choices: Mapping[str, Sequence[Choice]]) -> None:
        self._root = root
        self._choices = choices

    def children(self, schema: Mapping[str, Any], path: str, inherited: Any, depth: int) -> tuple[Field, ...]:
        required = set(schema.get("required", ()))
        below = inherited if isinstance(inherited, Mapping) else {}
        return tuple(
            self._field(f"{path}.{key}" if path else key, key, one, key in required, below.get(key), depth)
            for key, one in schema.get("properties", {}).items()
        )

    def _field(self, path: str, key: str, raw: Any, required: bool, inherited: Any, depth: int) -> Field:
        schema, nullable = self._resolved(raw)
        common: dict[str, Any] = {
            "path": path,
            "label": label_of(key, schema.get("title")),
            "required": required,
            "help": _sentence(schema.get("description", "")),
            "nullable": nullable,
            "default": schema.get("default"),
            "inherited": _as_text(inherited),
        }
        kind = schema.get("type")
        if path in self._choices:
            return Field(**common, widget=Widget.CHOICE, choices=tuple(self._choices[path]))
        if "const" in schema:
            return Field(**{**common, "default": schema["const"]}, widget=Widget.HIDDEN)
        if "enum" in schema:
            listed = tuple(Choice(value=str(one), label=words(str(one))) for one in schema["enum"] if one is not None)
            return Field(**common, widget=Widget.CHOICE, choices=listed)
        if kind == "object" and schema.get("properties") and depth < MAX_DEPTH:
            children = self.children(schema, path, inherited, depth + 1)
            return Field(**{**common, "inherited": ""}, widget=Widget.GROUP, children=children)
        return _simple(schema, kind, key, common)

    def _resolved(self, raw: Any) -> tuple[Mapping[str, Any], bool]:
        """The schema without references and without the `null` it may also be; and whether it may be null."""
        schema = dict(raw) if isinstance(raw, Mapping) else {}
        nullable = False
        for _ in range(MAX_DEPTH):
            own = {key: value for key, value in schema.items() if key not in {"$ref", "anyOf"}}
            if isinstance(schema.get("$ref"), str):
                # The title of what is referred to is a class's name, and no name of this field.
                target = {key: value for key, value in self._target(schema["$ref"]).items() if key != "title"}
                schema = {**target, **own}
            elif isinstance(schema.get("anyOf"), list):
                options = [one for one in schema["anyOf"] if one.get("type") != "null"]
                nullable = nullable or len(options) < len(schema["anyOf"])
                if len(options) != 1:
                    return own, nullable
                schema = {**options[0], **own}
            else:
                break
        return schema, nullable

    def _target(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._root
        for part in reference.removeprefix("#/").split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}


def _simple(schema: Mapping[str, Any], kind: Any, key: str, common: Mapping[str, Any]) -> Field:
    match kind:
        case "boolean":
            decided = common["default"] is not None or common["required"]
            return Field(**common, kind="boolean", widget=Widget.SWITCH if decided else Widget.ANSWER)
        case "integer" | "number":
            limits: dict[str, Any] = {"minimum": schema.get("minimum"), "maximum": schema.get("maximum")}
            help_text = common["help"] or _range(limits["minimum"], limits["maximum"])
            return Field(**{**common, "help": help_text}, kind=kind, widget=Widget.NUMBER, **limits)
        case "string":
            longest = schema.get("maxLength")
            return Field(**common, widget=Widget.TEXT, max_length=longest, input_type=_input_type(key, schema))
        case _:
            help_text = common["help"] or ("A list, as YAML." if kind == "array" else "As YAML.")
            return Field(**{**common, "help": help_text}, kind=str(kind or "any"), widget=Widget.YAML)


def _input_type(key: str, schema: Mapping[str, Any]) -> str:
    """Which keyboard a phone offers; by the schema's format, else by the key's last word."""
    formats = {"email": "email", "uri": "url", "tel": "tel", "date": "date", "password": "password"}
    if (found := formats.get(schema.get("format", ""))) is not None:
        return found
    last = _split(key)[-1] if key else ""
    return {"email": "email", "phone": "tel", "url": "url"}.get(last, "text")


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"From {low:.10g} to {high:.10g}."
    if low is not None:
        return f"{low:.10g} or more."
    return f"{high:.10g} or less." if high is not None else ""


def label_of(key: str, title: str | None = None) -> str:
    """The schema's title where a person wrote it; else the key as words: pydantic's own `Postalcode` reads badly."""
    if title and re.sub(r"[^a-z0-9]", "", title.lower()) != re.sub(r"[^a-z0-9]", "", key.lower()):
        return title
    return words(key)


def words(key: str) -> str:
    """`postalCode`, `postal_code` -> `Postal code`; `templateId` -> `Template`; `logoUrl` -> `Logo URL`."""
    parts = _split(key)
    if len(parts) > 1 and parts[-1] == "id":
        parts = parts[:-1]
    text = " ".join({"url": "URL", "sms": "SMS", "id": "ID"}.get(part, part) for part in parts)
    return text[:1].upper() + text[1:]


def _split(key: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key)
    return [part.lower() for part in re.split(r"[\s_.-]+", spaced) if part] or [key]


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        return ""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _as_text(value: Any) -> str:
    return "" if value is None else text_of(value)

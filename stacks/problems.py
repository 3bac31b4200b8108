"""How wrong input is reported: every problem at once, each with its field, what was given and what is valid.

Decides the wording of input errors. It never decides what is valid: that is `manifest`, `settings` and `templates`.

Error tree: InputError > ManifestError, TemplateError.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from providers.masking import MASK, SECRET_NAME, without_url_passwords

MISSING = "nothing"
_SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """One wrong field. `field` is a dotted path (`address.postalCode`), or `line 3, column 7` for unreadable YAML."""

    field: str
    given: str
    valid: str
    suggestion: str | None = None

    @property
    def message(self) -> str:
        hint = f" Did you mean {self.suggestion}?" if self.suggestion else ""
        return f"given {self.given}; valid: {self.valid}.{hint}"

    def to_dict(self) -> dict[str, str | None]:
        return {"field": self.field, "given": self.given, "valid": self.valid, "suggestion": self.suggestion}

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class InputError(Exception):
    """Input that was refused before anything was touched."""

    noun = "input"

    def __init__(self, source: str, problems: Iterable[FieldProblem]) -> None:
        self.source = source
        self.problems: tuple[FieldProblem, ...] = tuple(problems)
        super().__init__(source, self.problems)

    def to_dict(self) -> dict[str, Any]:
        return {"source": self.source, "problems": [problem.to_dict() for problem in self.problems]}

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self.source}: this {self.noun} has {count} problem{'' if count == 1 else 's'}:"
        return "\n".join([head, *(f"  {problem}" for problem in self.problems)])


class ManifestError(InputError):
    """A tenant manifest that cannot be used."""

    noun = "manifest"


class TemplateError(InputError):
    """A template that cannot be read, found or added."""

    noun = "template"


def shown(value: object, name: str = "") -> str:
    """`value` as a reader would write it, shortened; safe for a terminal (control characters are escaped).

    What is called as secrets are, by `name` or by a key in it, and a URL's password are masked: messages end in logs.
    """
    if value is None:
        return "null"
    try:
        text = json.dumps(_without_secrets(value, name), ensure_ascii=False)
    except RecursionError:
        text = "something that holds itself"
    except (TypeError, ValueError):
        text = repr(_without_secrets(value, name))
    text = without_url_passwords(text)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _without_secrets(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        return {key: _without_secrets(child, str(key)) for key, child in value.items()}
    if isinstance(value, list):
        return [_without_secrets(child, name) for child in value]
    says = value not in (None, "") and not isinstance(value, bool)
    return MASK if says and SECRET_NAME.search(name) else value


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is most likely a misspelling of, if any. Case does not count."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(word.casefold(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def problems_of(error: ValidationError, model: type[BaseModel], *, prefix: str = "") -> tuple[FieldProblem, ...]:
    """pydantic's errors in the words of `FieldProblem`. `prefix` is put before each path, such as `customSettings`."""
    return tuple(_problem(detail, model, prefix) for detail in error.errors(include_url=False))


def _problem(detail: ErrorDetails, model: type[BaseModel], prefix: str) -> FieldProblem:
    loc = detail["loc"]
    field = path_of(loc, prefix)
    kind = detail["type"]
    if kind == "extra_forbidden":
        known = keys_at(model, loc[:-1])
        valid = f"one of the keys {', '.join(known)}" if known else "no key here"
        return FieldProblem(
            field=field,
            given=f"an unknown key with the value {shown(detail['input'], str(loc[-1]))}",
            valid=valid,
            suggestion=closest(str(loc[-1]), known),
        )
    if kind == "missing":
        return FieldProblem(field=field, given=MISSING, valid=f"this is required: {_described(model, loc)}")
    return FieldProblem(
        field=field,
        given=shown(detail["input"], str(loc[-1]) if loc else ""),
        valid=_valid(kind, detail),
        suggestion=_suggested(kind, detail),
    )


def path_of(loc: Sequence[int | str], prefix: str = "") -> str:
    """`("breaks", 0, "open")` as `breaks[0].open`."""
    path = prefix
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else str(part)
    return path or "manifest"


def _valid(kind: str, detail: ErrorDetails) -> str:
    context: Mapping[str, Any] = detail.get("ctx", {})
    match kind:
        case "literal_error" | "enum":
            return str(context.get("expected", detail["msg"]))
        case "string_type":
            return "text (in YAML, put it in quotes)"
        case "bool_type" | "bool_parsing":
            return "true or false"
        case "int_type" | "int_parsing" | "int_from_float":
            return "a whole number"
        case "greater_than_equal":
            return f"{context['ge']} or more"
        case "less_than_equal":
            return f"{context['le']} or less"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "a mapping of keys to values"
        case "list_type" | "tuple_type":
            return "a list"
        case "string_too_short" | "string_too_long":
            return detail["msg"].removeprefix("String should have ")
        case _:
            return detail["msg"].removeprefix("Value error, ").removesuffix(".")


def _suggested(kind: str, detail: ErrorDetails) -> str | None:
    given = detail["input"]
    if not isinstance(given, str):
        return None
    if kind == "literal_error":
        expected = str(detail.get("ctx", {}).get("expected", ""))
        return closest(given, [word.strip(" '") for word in expected.replace(" or ", ",").split(",")])
    suggestion = detail.get("ctx", {}).get("suggestion")
    return str(suggestion) if suggestion else None


def keys_at(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[str, ...]:
    """The keys, as written in YAML, that the model reached by `loc` knows."""
    found = _model_at(model, loc)
    if found is None:
        return ()
    return tuple(field.alias or name for name, field in found.model_fields.items())


def _described(model: type[BaseModel], loc: Sequence[int | str]) -> str:
    parent = _model_at(model, loc[:-1])
    for name, field in (parent.model_fields if parent else {}).items():
        if (field.alias or name) == loc[-1] and field.description:
            return field.description
    return f"a value for {loc[-1]}"


def _model_at(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, int):
            continue  # an index into a list: the element's model was already found with the list
        fields = current.model_fields if current else {}
        annotations = [field.annotation for name, field in fields.items() if (field.alias or name) == part]
        current = _model_in(annotations[0]) if annotations else None
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)

"""The models and their fields, from models.yaml: what is mandatory, what links to what. Decides nothing of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

RESTRICT, CASCADE, EMPTY = "restrict", "cascade", "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    kind: str
    mandatory: bool = False
    to: str = ""
    on_delete: str = EMPTY

    def empty(self) -> Any:
        return {"integer": 0, "float": 0.0, "many2many": []}.get(self.kind, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    fields: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    name: str
    fields: Mapping[str, Field]
    unique: tuple[Unique, ...] = ()
    company: str = ""
    system: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


class Catalogue:
    def __init__(self) -> None:
        import yaml

        told = yaml.safe_load((Path(__file__).parent / "models.yaml").read_text())
        self._models = {name: _model(name, body) for name, body in told.items()}

    def find(self, name: str) -> Model | None:
        return self._models.get(name)

    @cached_property
    def links(self) -> Mapping[str, list[tuple[str, str, Field]]]:
        """By model, the fields that link to it: (model, field, how)."""
        found: dict[str, list[tuple[str, str, Field]]] = {}
        for model, name, how in self._links():
            found.setdefault(how.to, []).append((model, name, how))
        return found

    def _links(self) -> Iterator[tuple[str, str, Field]]:
        for model in self._models.values():
            for name, how in model.fields.items():
                if how.to:
                    yield model.name, name, how


def _model(name: str, told: Mapping[str, Any]) -> Model:
    fields = {column: _field(str(how)) for column, how in told["fields"].items()}
    fields["create_date"] = Field(kind="char")
    unique = tuple(Unique(fields=tuple(each["fields"]), words=each["words"]) for each in told.get("unique", ()))
    return Model(
        name=name,
        fields=fields,
        unique=unique,
        company=told.get("company", ""),
        system=bool(told.get("system")),
        defaults=told.get("defaults", {}),
    )


def _field(told: str) -> Field:
    words = told.replace("!", "").split()
    mandatory = "!" in told
    to = words[1] if words[0].startswith("many2") else ""
    on_delete = words[2] if len(words) > 2 else RESTRICT if mandatory else EMPTY
    return Field(kind=words[0], mandatory=mandatory, to=to, on_delete=on_delete)

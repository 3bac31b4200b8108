"""What a DocType is: how its documents are named, which fields they have, and how a value that is sent is kept.

A field that a DocType does not have is dropped without a word, as Frappe does: what is sent is not always what is kept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

STANDARD = ("name", "owner", "creation", "modified", "modified_by", "docstatus", "idx")
ROW = ("parent", "parentfield", "parenttype")
_WORDS = {"need", "texts", "checks", "numbers", "unique", "late"}


@dataclass(frozen=True, kw_only=True)
class DocType:
    """`naming` is `field:X`, `abbr:X` (X with the company's suffix), `series:X`, `prompt` or `hash`.

    `links` is field -> DocType, `tables` field -> DocType of its rows, `late` fields may change once submitted.
    """

    name: str
    naming: str = "hash"
    need: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    unique: tuple[str, ...] = ()
    single: bool = False
    submittable: bool = False
    late: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return (*self.texts, *self.checks, *self.numbers, *self.links)

    def cast(self, name: str, value: Any) -> Any:
        """The value as a column of its type gives it back. A number that is none is 0, as Frappe's cint and flt say."""
        if value is None or (value == "" and name not in self.checks + self.numbers):
            return 0 if name in self.checks else None
        if name in self.checks:
            return 1 if value in {True, "1", "true", "True"} else 0
        if name in self.numbers:
            return _number(value)
        return str(value)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


class Catalogue:
    """The site's DocTypes, and who links to whom. A row's DocType is among them, and reached only through its
    parent.
    """

    def __init__(self) -> None:
        told = yaml.safe_load(Path(__file__).with_name("doctypes.yaml").read_text(encoding="utf-8"))
        self._known = {name: _doctype(name, more or {}) for name, more in told.items()}
        self.rows = {child for kind in self._known.values() for child in kind.tables.values()}

    def find(self, name: str) -> DocType | None:
        return self._known.get(name)

    def __getitem__(self, name: str) -> DocType:
        return self._known[name]

    def linking_to(self, target: str) -> Iterator[tuple[DocType, str | None, str]]:
        """(DocType, its table or None, field) of each link to the target."""
        for kind in self._known.values():
            if kind.name not in self.rows:
                yield from ((kind, None, name) for name, to in kind.links.items() if to == target)
            for table, child in kind.tables.items():
                yield from ((kind, table, name) for name, to in self._known[child].links.items() if to == target)


def _doctype(name: str, told: Mapping[str, Any]) -> DocType:
    words: dict[str, Any] = {key: tuple(value.split()) if key in _WORDS else value for key, value in told.items()}
    words["links"] = {one: target for target, names in told.get("links", {}).items() for one in names.split()}
    return DocType(name=name, **words)

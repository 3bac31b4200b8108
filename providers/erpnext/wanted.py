"""What a document of a tenant should be, as a resource's inputs say it, and whose one is that was found. Pure.

Most doctypes of ERPNext have no place for a tenant's mark. So it is said of each resource by what it is known:

- MARKED: by a text in a field of it (`mark_field`). One without it is someone else's, and refused.
- COMPANY: its key names the tenant's own company, or leads there, so that whatever has the key is the tenant's.
- SHARED: it is the site's, as a mode of payment is. One that is there is used as it is and never deleted; only our own
  rows in it are kept. One that was made here is ours, by the state, or by a mark where there is a field for one.
- SINGLE: settings, of which there is one. The fields that we own are kept, the others never touched.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from providers.erpnext.api import Filter

DRAFT, SUBMITTED, CANCELLED = 0, 1, 2
"""What a document's docstatus says."""


class Whose(StrEnum):
    MARKED = "marked"
    COMPANY = "company"
    SHARED = "shared"
    SINGLE = "single"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One document.

    `key` is what it is found by: field -> value. `named` is its name where that follows from the key; without one
    ERPNext lets two be of one key, and they are found by filter. `fields` are owned: kept as they are here. `initial`
    is sent when it is made, and never looked at again. `tables` are child tables that others have rows in as well:
    table -> the field by whose value a row is ours. `submit` says that it counts only once it is submitted. `ended`
    says of one that it is over, and none that could be adopted: field -> value. `needs` are the fields of the key: one
    that comes from an optional document which is not ready is not given. `apart` says that its key has the tenant's own
    company in it, so that nobody else makes one of that key. `within` is the tenant's own company, which it is in or
    has rows of: its name as `company`, and when it was made as `creation`.
    """

    doctype: str
    key: Mapping[str, Any]
    whose: Whose
    tenant_mark: str
    named: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    initial: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    mark_field: str | None = None
    submit: bool = False
    needs: tuple[str, ...] = ()
    ended: Mapping[str, Any] = field(default_factory=dict)
    apart: bool = False
    within: Mapping[str, Any] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """How errors call it."""
        named = self.named or ", ".join(str(value) for value in self.key.values())
        return f"{self.doctype} {named!r}" if self.whose is not Whose.SINGLE else self.doctype

    @property
    def lacking(self) -> list[str]:
        """The fields of the key that are not known yet."""
        return [name for name in self.needs if self.key.get(name) in (None, "")]

    @property
    def filters(self) -> list[Filter]:
        """What finds it, cancelled ones too. Of what has ended there is one for each day: too many for a list."""
        over = [(name, "!=", value) for name, value in self.ended.items()] if len(self.ended) == 1 else []
        return [*((name, "=", value) for name, value in sorted(self.key.items())), *over]

    def is_over(self, found: Mapping[str, Any]) -> bool:
        """Whether it has ended, or was cancelled: such a one stays for ever, and counts no more."""
        ended = bool(self.ended) and all(same(found.get(name), value) for name, value in self.ended.items())
        return ended or (self.submit and found.get("docstatus") == CANCELLED)

    @property
    def body(self) -> dict[str, Any]:
        """What it is made of."""
        mark = {self.mark_field: mark_text(self.tenant_mark)} if self.mark_field else {}
        name = {"name": self.named} if self.named else {}
        return {**name, **mark, **plain(self.initial), **plain(self.key), **plain(self.fields)}


def wanted_of(props: Mapping[str, Any]) -> Wanted:
    """From a resource's inputs. A value that is None is not given: Pulumi does not send those."""
    given = {name: props.get(name) or {} for name in ("key", "fields", "initial", "tables", "ended", "within")}
    return Wanted(
        doctype=str(props["doctype"]),
        whose=Whose(props["whose"]),
        tenant_mark=str(props["tenant_mark"]),
        named=props.get("named"),
        mark_field=props.get("mark_field"),
        submit=bool(props.get("submit")),
        apart=bool(props.get("apart")),
        needs=tuple(props.get("needs") or ()),
        **given,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the state knows of a document: its `name`, when it was made there, and whether it is ours.

    `asked`: a run asked for it when it was not there, and could not see what came of that.
    """

    name: str | None = None
    creation: str | None = None
    mine: bool = False
    asked: bool = False


UNKNOWN = Kept()
"""Of a document that is in no state."""


def kept_of(olds: Mapping[str, Any]) -> Kept:
    return Kept(
        name=olds.get("docname"),
        creation=olds.get("creation"),
        mine=bool(olds.get("mine")),
        asked=bool(olds.get("asked")),
    )


def is_mine(found: Mapping[str, Any], wanted: Wanted, kept: Kept = UNKNOWN) -> bool:
    """Whether what was found is the tenant's. One that was made anew under the name of ours is another."""
    if kept.mine and kept.creation is not None and found.get("creation") == kept.creation:
        return True
    return not strangers(found, wanted) if wanted.whose is Whose.COMPANY else bears_mark(found, wanted)


def bears_mark(found: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether the tenant's own mark is in it."""
    return wanted.mark_field is not None and marked(found, wanted.mark_field, wanted.tenant_mark)


def marked(found: Mapping[str, Any], mark_field: str, tenant_mark: str) -> bool:
    """Whether a document bears a tenant's mark in that field of it."""
    # A text in ERPNext may have come through its editor, as HTML.
    return mark_text(tenant_mark) in html.unescape(str(found.get(mark_field) or ""))


def strangers(found: Mapping[str, Any], wanted: Wanted) -> list[str]:
    """The fields of the key in which what has the name differs, as `company 'Other'`."""
    return [f"{name} {found.get(name)!r}" for name, value in wanted.key.items() if not same(found.get(name), value)]


def is_beside(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether both may be on one site at once, as the name or a value of the key is another. Not one that differs in
    case or accents alone: for ERPNext's database that is the same."""
    if any(olds.get(name) != news.get(name) for name in ("region", "doctype")):
        return False
    return any(_collated(olds.get(name)) != _collated(news.get(name)) for name in ("named", "key"))


def _collated(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _collated(child) for name, child in value.items()}
    parts = unicodedata.normalize("NFKD", str(value)).casefold()
    return "".join(part for part in parts if not unicodedata.combining(part)).strip()


def mark_text(tenant_mark: str) -> str:
    """Closed on both sides: a mark may be the beginning of another."""
    return f"Managed by Tenantry ({tenant_mark})"


def same(one: Any, other: Any) -> bool:
    """Whether ERPNext takes both for one value: it has no null, booleans are 0 and 1, and texts lose end blanks."""
    one, other = _bare(one), _bare(other)
    if isinstance(one, (int, float)) != isinstance(other, (int, float)):
        try:
            return float(one or 0) == float(other or 0)
        except (TypeError, ValueError):
            return False
    return bool(one == other)


def plain(value: Any) -> Any:
    """`value` as ERPNext is sent it. Pulumi makes each number a float."""
    if isinstance(value, Mapping):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(child) for child in value]
    if isinstance(value, bool):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _bare(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, str):
        value = value.strip()
    return None if value in ("", 0) else value

"""What a record of a tenant should be, as a resource's inputs say it, and how one that is there differs. Pure.

Whose a record is, its external identifier says (`marks`). One without any:

- MARKED: is someone else's, and refused.
- COMPANY: is in the tenant's own company, since its natural key names that, and so the tenant's: it is adopted.

Odoo's names say what a field links to: `x_id` is one record, `x_ids` are several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from providers.odoo.api import Term
from providers.odoo.marks import full_mark, mark_name


class Whose(StrEnum):
    MARKED = "marked"
    COMPANY = "company"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One record.

    `key` says which of the tenant's it is, for its mark. `named` is its natural key: field -> value. `fields` are
    owned: kept as they are here. `initial` is sent when it is made, and never looked at again. `codes` are links that
    are given by a code of what they link to: field -> [model, field of the code]. `company` is the tenant's company,
    None of the company itself. `needs` are what must be known first.
    """

    model: str
    key: str
    tenant_mark: str
    whose: Whose
    named: Mapping[str, Any]
    fields: Mapping[str, Any] = field(default_factory=dict)
    initial: Mapping[str, Any] = field(default_factory=dict)
    codes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    company: int | None = None
    needs: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """How errors call it."""
        name = next((str(value) for key, value in self.named.items() if key != "company_id"), self.key)
        return f"{self.model} {name!r}"

    @property
    def mark(self) -> str:
        """The name of its external identifier."""
        return mark_name(self.tenant_mark, self.key)

    @property
    def full_mark(self) -> str:
        return full_mark(self.tenant_mark, self.key)

    @property
    def lacking(self) -> list[str]:
        """What is not known yet."""
        known = {**self.initial, **self.fields, **self.named}
        return [name for name in self.needs if known.get(name) in (None, "")]

    @property
    def domain(self) -> list[Term]:
        """What finds it by its natural key."""
        return [(name, "=", plain(value)) for name, value in sorted(self.named.items())]

    @property
    def body(self) -> dict[str, Any]:
        """What it is made of."""
        return {**plain(self.initial), **plain(self.named), **plain(self.fields)}


def wanted_of(props: Mapping[str, Any]) -> Wanted:
    """From a resource's inputs. A value that is None is not given: Pulumi does not send those."""
    given = {name: props.get(name) or {} for name in ("named", "fields", "initial")}
    company = props.get("company")
    return Wanted(
        model=str(props["model"]),
        key=str(props["key"]),
        tenant_mark=str(props["tenant_mark"]),
        whose=Whose(props["whose"]),
        codes={name: (str(pair[0]), str(pair[1])) for name, pair in (props.get("codes") or {}).items()},
        company=None if company in (None, "") else int(company),
        needs=tuple(props.get("needs") or ()),
        **given,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the state knows of a record: its `id`, and when it was made there."""

    id: int | None = None
    created: str | None = None

    def is_it(self, found: Mapping[str, Any]) -> bool:
        """Whether this is the record that the state knows: an id alone may be another's after a restore."""
        return self.id is not None and found.get("id") == self.id and found.get("create_date") == self.created


UNKNOWN = Kept()
"""Of a record that is in no state."""


def kept_of(olds: Mapping[str, Any]) -> Kept:
    found = olds.get("record_id")
    return Kept(id=None if found is None else int(found), created=olds.get("created"))


def seen(found: Mapping[str, Any], fields: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The owned fields as they are: those that differ from `fields` have drifted. `known` are codes, by field."""
    return {
        name: value if same(found.get(name), known.get(name, value)) else shown(found.get(name))
        for name, value in fields.items()
    }


def changes(found: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be written for the record to be as wanted; empty where it is."""
    return {name: plain(value) for name, value in fields.items() if not same(found.get(name), value)}


def written(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as `create` and `write` take them: several links are set as a whole."""
    return {name: [[6, 0, list(value)]] if name.endswith("_ids") else value for name, value in values.items()}


def cells(values: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(columns, row) as `load` takes them: texts, and links by their database id."""
    columns = [f"{name}/.id" if name.endswith(("_id", "_ids")) else name for name in values]
    return columns, [_cell(value) for value in values.values()]


def same(one: Any, other: Any) -> bool:
    """Whether Odoo takes both for one value: it has no null, shows links as pairs, and several in any order."""
    one, other = _bare(one), _bare(other)
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return float(one) == float(other)
    return bool(one == other)


def plain(value: Any) -> Any:
    """`value` as Odoo is sent it. Pulumi makes each number a float."""
    if isinstance(value, Mapping):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(child) for child in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def shown(value: Any) -> Any:
    """What is there, for a reader of the plan: a link by its name."""
    return value[1] if _is_pair(value) else plain(value)


def id_of(value: Any) -> int | None:
    """The id of a link as Odoo shows it: [id, name], or false for none."""
    if isinstance(value, (list, tuple)):
        return int(value[0]) if value else None
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _bare(value: Any) -> Any:
    if _is_pair(value):
        value = id_of(value)
    if isinstance(value, (list, tuple)):
        return sorted(plain(value))
    return None if value in (False, "", 0, None) else plain(value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[1], str)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return ",".join(str(each) for each in value)
    return "" if value is None else str(value)

"""Tenants' own records: the row that each line keeps of its tenants in the main database, written by a provider.

Decides which tables there are, and what is read of a row whatever its line. It never writes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, Text, cast, literal, null, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from automation.models_lines import cabinets, departments, isps, points_of_sale, sites
from providers.names import workflow_versions

TABLES: Mapping[str, Table] = {
    "cabinet": cabinets,
    "department": departments,
    "isp": isps,
    "pos": points_of_sale,
    "site": sites,
}
"""By the line's kind. Each has slug, tenant_mark, template_id, template_version, activated_at; one also workflows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A tenant's record: of which `line`, whose (`mark`), built from which template, and whether it ever worked.

    `workflows` are, by id, the versions of its workflows' templates.
    """

    line: str
    mark: str
    template: tuple[str, str] | None
    active: bool
    workflows: Mapping[str, str] = field(default_factory=dict)


def find(connection: Connection, slug: str) -> Record | None:
    """The record of that slug, of whatever line."""
    wanted = ("tenant_mark", "template_id", "template_version", "activated_at")
    parts = [
        select(
            literal(kind, Text()).label("line"),
            *(table.c[name] for name in wanted),
            table.c.get("workflows", cast(null(), ARRAY(Text))).label("workflows"),
        ).where(table.c.slug == slug)
        for kind, table in TABLES.items()
    ]
    row = connection.execute(union_all(*parts).limit(1)).one_or_none()
    if row is None:
        return None
    template = (str(row.template_id), str(row.template_version)) if row.template_id and row.template_version else None
    return Record(
        line=row.line,
        mark=row.tenant_mark,
        template=template,
        active=row.activated_at is not None,
        workflows=workflow_versions(row.workflows),
    )


def owned(connection: Connection, slug: str, mark: str) -> Record | None:
    """The record of that slug, if it is this tenant's."""
    found = find(connection, slug)
    return found if found is not None and found.mark == mark else None

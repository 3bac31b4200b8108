"""A cabinet's row in the table `cabinets` of the main database.

Decides who owns a slug: the tenant mark in the row. It owns the cabinet's data, and never the status: that is
`providers.activation`'s. It never creates the table: `tenantry db upgrade` does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.errors import MissingTableError, OwnershipError, ProviderError
from providers.props import diff_of, required
from providers.session import run_in

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

IDENTITY = ("slug", "tenant_mark")
REQUIRED = ("name", "street", "city", "postal_code", "country", "phone", "email")
OWNED = (*REQUIRED, "template_id", "template_version", "database_name")
_COLUMNS = (*IDENTITY, *OWNED)


class CabinetRecordProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, *REQUIRED))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        outs = on_cabinets(props["slug"], lambda connection: _upsert(connection, props))
        return CreateResult(str(props["slug"]), outs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        outs = on_cabinets(id_, lambda connection: _select(connection, id_, props.get("tenant_mark")))
        return ReadResult(id_, outs) if outs else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(on_cabinets(_id, lambda connection: _update(connection, _news)))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        # A table that is gone took the row along.
        with contextlib.suppress(MissingTableError):
            on_cabinets(_id, lambda connection: _delete(connection, _id, _props["tenant_mark"]))


class CabinetRecord(Resource, module="tenantry", name="CabinetRecord"):
    """`record_id` is the row's uuid."""

    record_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(CabinetRecordProvider(), name, {**props, "record_id": None}, opts)


def recorded_template(slug: str, mark: str) -> tuple[str, str] | None:
    """(template id, version) in the tenant's row; None when there is no row of this tenant, or it names none."""
    row = on_cabinets(slug, lambda connection: _select(connection, slug, mark))
    if not row or not row.get("template_id") or not row.get("template_version"):
        return None
    return str(row["template_id"]), str(row["template_version"])


def on_cabinets(slug: str, work: Callable[[psycopg.Connection[Any]], T]) -> T:
    """`work(connection)` in a transaction on the main database. Raises MissingTableError without `cabinets`."""
    what = f"cabinet record {slug!r}"
    try:
        return run_in(None, what, work)
    except MissingTableError:
        raise MissingTableError(
            f"{what}: the main database has no table 'cabinets'. Run: tenantry db upgrade"
        ) from None


def _upsert(connection: psycopg.Connection[Any], props: Mapping[str, Any]) -> dict[str, Any]:
    from psycopg import sql

    # The condition makes another tenant's row win: then nothing is returned, and the owner can be named.
    statement = sql.SQL(
        "INSERT INTO cabinets ({columns}) VALUES ({values}) "
        "ON CONFLICT (slug) DO UPDATE SET {updates}, updated_at = now() "
        "WHERE cabinets.tenant_mark = excluded.tenant_mark RETURNING id"
    ).format(
        columns=_names(_COLUMNS),
        values=sql.SQL(", ").join(sql.Placeholder() for _ in _COLUMNS),
        updates=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in OWNED),
    )
    if connection.execute(statement, [props.get(name) for name in _COLUMNS]).fetchone() is None:
        raise _taken(connection, str(props["slug"]))
    return _selected(connection, props["slug"], props["tenant_mark"])


def _update(connection: psycopg.Connection[Any], news: Mapping[str, Any]) -> dict[str, Any]:
    from psycopg import sql

    slug, mark = news["slug"], news["tenant_mark"]
    updates = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in OWNED)
    statement = sql.SQL("UPDATE cabinets SET {}, updated_at = now() WHERE slug = %s AND tenant_mark = %s").format(
        updates
    )
    connection.execute(statement, [*(news.get(name) for name in OWNED), slug, mark])
    return _selected(connection, slug, mark)


def _selected(connection: psycopg.Connection[Any], slug: str, mark: str) -> dict[str, Any]:
    row = _select(connection, slug, mark)
    if row is None:
        raise ProviderError(
            f"cabinet record {slug!r}: its row is gone from the main database. Run refresh, then up, to make it again."
        )
    return row


def _select(connection: psycopg.Connection[Any], slug: str, mark: str | None) -> dict[str, Any] | None:
    """The row as a resource's outputs. Without a mark (an import), whoever's it is."""
    from psycopg import sql

    statement = sql.SQL("SELECT {}, id::text FROM cabinets WHERE slug = %s AND (%s::text IS NULL OR tenant_mark = %s)")
    row = connection.execute(statement.format(_names(_COLUMNS)), (slug, mark, mark)).fetchone()
    if row is None:
        return None
    found = dict(zip((*_COLUMNS, "record_id"), row, strict=True))
    return {name: value for name, value in found.items() if value is not None}


def _delete(connection: psycopg.Connection[Any], slug: str, mark: str) -> None:
    connection.execute("DELETE FROM cabinets WHERE slug = %s AND tenant_mark = %s", (slug, mark))


def _taken(connection: psycopg.Connection[Any], slug: str) -> OwnershipError:
    row = connection.execute("SELECT tenant_mark, name FROM cabinets WHERE slug = %s", (slug,)).fetchone()
    owner = f"{row[0]} ({row[1]!r})" if row else "another tenant"
    return OwnershipError(f"cabinet record {slug!r}: this slug is taken by {owner}. Choose another slug.")


def _names(columns: tuple[str, ...]) -> Any:
    from psycopg import sql

    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)

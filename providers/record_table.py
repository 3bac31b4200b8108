"""A tenant's row in its line's table of the main database.

Decides who owns a slug: the tenant mark in the row. It never creates a table: `tenantry db upgrade` does. A row's data
and its status are two resources, so each writes its own columns only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from providers.errors import MissingTableError, OwnershipError, ProviderError
from providers.session import run_in

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

IDENTITY = ("slug", "tenant_mark")
ACTIVE = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTable:
    """The table `table`, whose rows are called `noun`. `required` are columns without which there is no row."""

    table: str
    noun: str
    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def owned(self) -> tuple[str, ...]:
        """The columns that the record's resource writes."""
        return (*self.required, *self.optional)

    @property
    def columns(self) -> tuple[str, ...]:
        """These and those of its identity."""
        return (*IDENTITY, *self.owned)

    def put(self, props: Mapping[str, Any]) -> dict[str, Any]:
        """Makes the row, or adopts it. Returns it as a resource's outputs. Raises OwnershipError for another's."""
        return self._on(str(props["slug"]), lambda connection: self._upsert(connection, props))

    def change(self, props: Mapping[str, Any]) -> dict[str, Any]:
        """Brings the row to `props`. Raises ProviderError where it is gone."""
        return self._on(str(props["slug"]), lambda connection: self._update(connection, props))

    def get(self, slug: str, mark: str | None) -> dict[str, Any] | None:
        """The row as a resource's outputs. Without a mark (an import), whoever's it is."""
        return self._on(slug, lambda connection: self._select(connection, slug, mark))

    def remove(self, slug: str, mark: str) -> None:
        """Removes the row. A table that is gone took it along."""
        from psycopg import sql

        statement = sql.SQL("DELETE FROM {} WHERE slug = %s AND tenant_mark = %s").format(sql.Identifier(self.table))
        with contextlib.suppress(MissingTableError):
            self._on(slug, lambda connection: connection.execute(statement, (slug, mark)))

    def template(self, slug: str, mark: str) -> tuple[str, str] | None:
        """(template id, version) in the tenant's row; None when there is no row of this tenant, or it names none."""
        row = self.get(slug, mark)
        if not row or not row.get("template_id") or not row.get("template_version"):
            return None
        return str(row["template_id"]), str(row["template_version"])

    def activate(self, slug: str, mark: str) -> dict[str, Any]:
        """Makes the row active, if it is not. Returns what `status` does. Raises ProviderError where it is gone."""
        from psycopg import sql

        statement = sql.SQL(
            "UPDATE {} SET status = 'active', activated_at = coalesce(activated_at, now()), updated_at = now() "
            "WHERE slug = %s AND tenant_mark = %s AND (status <> 'active' OR activated_at IS NULL)"
        ).format(sql.Identifier(self.table))

        def work(connection: psycopg.Connection[Any]) -> dict[str, Any]:
            connection.execute(statement, (slug, mark))
            outs = self._status(connection, slug, mark)
            if outs is None:
                raise ProviderError(
                    f"activation of {slug!r}: its row is gone from the main database. "
                    "Run refresh, then up, to make it again."
                )
            return outs

        return self._on(slug, work)

    def status(self, slug: str, mark: str) -> dict[str, Any] | None:
        """slug, tenant_mark, status and activated_at (ISO 8601, UTC)."""
        return self._on(slug, lambda connection: self._status(connection, slug, mark))

    def deactivate(self, slug: str, mark: str) -> None:
        """Makes an active row inactive. A table that is gone took it along."""
        from psycopg import sql

        statement = sql.SQL(
            "UPDATE {} SET status = 'inactive', updated_at = now() "
            "WHERE slug = %s AND tenant_mark = %s AND status = 'active'"
        ).format(sql.Identifier(self.table))
        with contextlib.suppress(MissingTableError):
            self._on(slug, lambda connection: connection.execute(statement, (slug, mark)))

    def _on(self, slug: str, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        what = f"{self.noun} record {slug!r}"
        try:
            return run_in(None, what, work)
        except MissingTableError:
            raise MissingTableError(
                f"{what}: the main database has no table '{self.table}'. Run: tenantry db upgrade"
            ) from None

    def _upsert(self, connection: psycopg.Connection[Any], props: Mapping[str, Any]) -> dict[str, Any]:
        from psycopg import sql

        # The condition makes another tenant's row win: then nothing is returned, and the owner can be named.
        statement = sql.SQL(
            "INSERT INTO {table} ({columns}) VALUES ({values}) "
            "ON CONFLICT (slug) DO UPDATE SET {updates}, updated_at = now() "
            "WHERE {table}.tenant_mark = excluded.tenant_mark RETURNING id"
        ).format(
            table=sql.Identifier(self.table),
            columns=_names(self.columns),
            values=sql.SQL(", ").join(sql.Placeholder() for _ in self.columns),
            updates=sql.SQL(", ").join(
                sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in self.owned
            ),
        )
        if connection.execute(statement, [props.get(name) for name in self.columns]).fetchone() is None:
            raise self._taken(connection, str(props["slug"]))
        return self._selected(connection, props["slug"], props["tenant_mark"])

    def _update(self, connection: psycopg.Connection[Any], news: Mapping[str, Any]) -> dict[str, Any]:
        from psycopg import sql

        slug, mark = news["slug"], news["tenant_mark"]
        updates = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in self.owned)
        statement = sql.SQL("UPDATE {} SET {}, updated_at = now() WHERE slug = %s AND tenant_mark = %s").format(
            sql.Identifier(self.table), updates
        )
        connection.execute(statement, [*(news.get(name) for name in self.owned), slug, mark])
        return self._selected(connection, slug, mark)

    def _selected(self, connection: psycopg.Connection[Any], slug: str, mark: str) -> dict[str, Any]:
        row = self._select(connection, slug, mark)
        if row is None:
            raise ProviderError(
                f"{self.noun} record {slug!r}: its row is gone from the main database. "
                "Run refresh, then up, to make it again."
            )
        return row

    def _select(self, connection: psycopg.Connection[Any], slug: str, mark: str | None) -> dict[str, Any] | None:
        from psycopg import sql

        statement = sql.SQL("SELECT {}, id::text FROM {} WHERE slug = %s AND (%s::text IS NULL OR tenant_mark = %s)")
        made = statement.format(_names(self.columns), sql.Identifier(self.table))
        row = connection.execute(made, (slug, mark, mark)).fetchone()
        if row is None:
            return None
        found = dict(zip((*self.columns, "record_id"), row, strict=True))
        return {name: value for name, value in found.items() if value is not None}

    def _status(self, connection: psycopg.Connection[Any], slug: str, mark: str) -> dict[str, Any] | None:
        from psycopg import sql

        statement = sql.SQL(
            "SELECT status, to_char(activated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
            "FROM {} WHERE slug = %s AND tenant_mark = %s"
        ).format(sql.Identifier(self.table))
        row = connection.execute(statement, (slug, mark)).fetchone()
        if row is None:
            return None
        return {"slug": slug, "tenant_mark": mark, "status": row[0], **({"activated_at": row[1]} if row[1] else {})}

    def _taken(self, connection: psycopg.Connection[Any], slug: str) -> OwnershipError:
        from psycopg import sql

        statement = sql.SQL("SELECT tenant_mark, name FROM {} WHERE slug = %s").format(sql.Identifier(self.table))
        row = connection.execute(statement, (slug,)).fetchone()
        owner = f"{row[0]} ({row[1]!r})" if row else "another tenant"
        return OwnershipError(f"{self.noun} record {slug!r}: this slug is taken by {owner}. Choose another slug.")


def _names(columns: tuple[str, ...]) -> Any:
    from psycopg import sql

    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)

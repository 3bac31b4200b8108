"""Procrastinate's tables: made in a schema of their own in the main database, and brought up to date.

Decides which of the library's own scripts run. It writes no table definitions itself.
"""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
from procrastinate.schema import SchemaManager
from psycopg import sql

from automation.database import connect, ensure_ready, explain
from automation.queues.seam import QueueError
from automation.settings import Settings

SCHEMA = "tenantry_queue"
_LOCK = 0x74_6E_71_75_65_75_65
_VERSION = re.compile(r"procrastinate scripts up to (\S+)")


def scripts() -> list[str]:
    """Names of the library's migration scripts, in the order in which they run."""
    return sorted(path.name for path in Path(SchemaManager.get_migrations_path()).glob("*.sql"))


def missing(found: str | None, known: list[str]) -> list[str] | None:
    """Which of the `known` scripts are to run on tables that have all up to `found`; None: tables are to be made.

    Raises QueueError for tables of a newer library.
    """
    if found is None:
        return None
    if found > known[-1]:
        raise QueueError(
            f"the queue's tables are of a newer procrastinate: they have {found}",
            hint="install the newer Tenantry that made them",
        )
    return [name for name in known if name > found]


def ensure(settings: Settings) -> None:
    """Makes or updates the tables. Any number of processes may do this at once. Raises DatabaseError, QueueError."""
    ensure_ready(settings)
    try:
        with connect(settings, application="tenantry queue", autocommit=True) as connection:
            if missing(_found(connection), scripts()) == []:
                return
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            _upgrade(connection)
    except psycopg.Error as error:
        raise explain(settings, error) from None


def _found(connection: psycopg.Connection[tuple[object, ...]]) -> str | None:
    row = connection.execute(
        "SELECT obj_description(to_regclass(%s), 'pg_class'), to_regclass(%s) IS NOT NULL",
        (f"{SCHEMA}.procrastinate_jobs",) * 2,
    ).fetchone()
    if row is None or not row[1]:
        return None
    match = _VERSION.search(str(row[0] or ""))
    if match is None:
        raise QueueError(
            f"the schema '{SCHEMA}' holds procrastinate's tables, but does not say of which version",
            hint=f"drop the schema '{SCHEMA}' in the main database; jobs stay, and are queued again by the workers",
        )
    return match[1]


def _upgrade(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    known = scripts()
    todo = missing(_found(connection), known)
    folder = Path(SchemaManager.get_migrations_path())
    if todo is None:
        with connection.transaction():
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
            _use_schema(connection)
            connection.execute(SchemaManager.get_schema())
            _remember(connection, known[-1])
        return
    _use_schema(connection)
    for name in todo:
        # Each on its own: a new value of an enum cannot be used in the transaction that adds it.
        connection.execute((folder / name).read_bytes())
        _remember(connection, name)


def _use_schema(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(SCHEMA)))


def _remember(connection: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    connection.execute(
        sql.SQL("COMMENT ON TABLE procrastinate_jobs IS {}").format(sql.Literal(f"procrastinate scripts up to {name}"))
    )

"""Whose a schema is: the tenant mark in its comment. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


def mark_comment(mark: str) -> str:
    """The comment of a schema that belongs to the tenant with this mark."""
    return f"tenantry tenant: {mark}"


def mark_of(connection: psycopg.Connection[Any], schema: str) -> str:
    """The schema's comment, `no owner named` without one, empty without a schema."""
    row = connection.execute(
        "SELECT coalesce(obj_description(oid, 'pg_namespace'), 'no owner named') FROM pg_namespace WHERE nspname = %s",
        (schema,),
    ).fetchone()
    return str(row[0]) if row else ""

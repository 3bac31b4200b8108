"""What a region's PostgreSQL server still has of a tenant after its removal: databases, schemas, roles, by its marks.

Looks on the server itself, with the region's own settings. Removes nothing.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from providers.backends import database_of
from providers.errors import MissingDatabaseError
from providers.schema_mark import mark_comment
from providers.session import run_in

if TYPE_CHECKING:
    import psycopg

_ROLES = """
    SELECT rolname FROM pg_catalog.pg_roles
    WHERE rolname = ANY(%s) OR starts_with(pg_catalog.shobj_description(oid, 'pg_authid'), %s) ORDER BY 1
"""
_DATABASES = """
    SELECT datname FROM pg_catalog.pg_database
    WHERE datname = ANY(%s) OR starts_with(pg_catalog.shobj_description(oid, 'pg_database'), %s) ORDER BY 1
"""
_SCHEMAS = "SELECT nspname FROM pg_catalog.pg_namespace WHERE obj_description(oid, 'pg_namespace') = %s ORDER BY 1"


def left_in(region: str, *, tenant_mark: str, databases: list[str], roles: list[str], server_mark: str) -> list[str]:
    """Schemas that bear the tenant's mark; databases and roles of these names or whose mark begins with `server_mark`.

    Raises ProviderError, ConfigurationError among them.
    """
    where = database_of(region).settings()
    what = f"what is left of {tenant_mark} in region {region!r}"

    def names(database: str, statement: str, *values: object) -> list[str]:
        def read(connection: psycopg.Connection[Any]) -> list[str]:
            return [str(row[0]) for row in connection.execute(statement.encode(), values)]

        return run_in(database, what, read, settings=where)

    on_server = (("database", _DATABASES, databases), ("role", _ROLES, roles))
    found = [
        f"{kind} {name} in region {region}"
        for kind, statement, known in on_server
        for name in names(where.maintenance_database, statement, known, server_mark)
    ]
    # A database that is gone took its schemas along.
    with contextlib.suppress(MissingDatabaseError):
        schemas = names(where.main_database, _SCHEMAS, mark_comment(tenant_mark))
        found = [*(f"schema {name} in region {region}" for name in schemas), *found]
    return found

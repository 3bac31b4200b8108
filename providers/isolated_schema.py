"""A tenant's schema in its region's database, which it shares with other tenants' schemas, and its role's way in.

Decides who owns the name: the tenant mark in the schema's comment. It closes the database to those who are nobody's
tenant, and makes it where it is missing. What is in the schema is `providers.migrations`', the role the program's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.backends import database_of
from providers.connection import DatabaseSettings
from providers.errors import ConfigurationError, MissingDatabaseError, OwnershipError, ProviderError
from providers.props import diff_of, required
from providers.schema_mark import mark_comment, mark_of
from providers.session import connected, retried

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

IDENTITY = ("region", "schema", "tenant_mark", "role")
OWNED = ("connect",)
_TRIES = 12
_LONGEST_PAUSE = 1.0
_END_MS = 5000
# Tables that only Tenantry's own database has side by side.
_OWN_TABLES = ["alembic_version", "deployments", "tenants"]


class IsolatedSchemaProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, IDENTITY)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        where = database_of(str(props["region"])).settings()
        _refuse_main(where, _what(props))
        try:
            _on_region(props, where, lambda connection: _created(connection, props, where))
        except MissingDatabaseError:
            _make_database(where, _what(props))
            _on_region(props, where, lambda connection: _created(connection, props, where))
        return CreateResult(f"{props['region']}/{props['schema']}", _outputs(props, connect=True))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        where = database_of(str(props["region"])).settings()
        try:
            owner, connect = _on_region(props, where, lambda connection: _found(connection, props))
        except MissingDatabaseError:
            owner, connect = "", False
        if owner != mark_comment(str(props["tenant_mark"])):
            return ReadResult("", {})
        return ReadResult(id_, _outputs(props, connect=connect))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self.create(_news).outs)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        where = database_of(str(_props["region"])).settings()
        # A database that is gone took the schema along.
        with contextlib.suppress(MissingDatabaseError):
            _on_region(_props, where, lambda connection: _drop(connection, _props))


class IsolatedSchema(Resource, module="tenantry", name="IsolatedSchema"):
    """`schema` is its name; `role`, which is there already, may connect to the database that it is in."""

    schema: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        schema: str,
        tenant_mark: str,
        role: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"region": region, "schema": schema, "tenant_mark": tenant_mark, "role": role, "connect": True}
        super().__init__(IsolatedSchemaProvider(), name, props, opts)


def _outputs(props: dict[str, Any], *, connect: bool) -> dict[str, Any]:
    return {**{name: props[name] for name in IDENTITY}, "connect": connect}


def _what(props: dict[str, Any]) -> str:
    return f"schema {props['schema']!r} in region {props['region']!r}"


def _on_region(props: dict[str, Any], where: DatabaseSettings, work: Callable[[psycopg.Connection[Any]], T]) -> T:
    what = _what(props)

    def once() -> T:
        with connected(where, where.main_database, what) as connection:
            # Tenants are in this database: no name that one of them has made shall be taken for the server's.
            connection.execute("SET search_path TO pg_catalog")
            return work(connection)

    return retried(once, where, where.main_database, what)


def _created(connection: psycopg.Connection[Any], props: dict[str, Any], where: DatabaseSettings) -> None:
    import psycopg
    from psycopg import sql

    if _is_main(connection):
        raise _refusal(where, _what(props))
    _change_rights(lambda: _close_database(connection))
    schema, mark = str(props["schema"]), mark_comment(str(props["tenant_mark"]))
    if mark_of(connection, schema) == "":
        # Another process may make it at the same moment: then its mark says whose it is.
        with (
            contextlib.suppress(psycopg.errors.DuplicateSchema, psycopg.errors.UniqueViolation),
            connection.transaction(),
        ):
            name = sql.Identifier(schema)
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
            connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(name, sql.Literal(mark)))
    owner = mark_of(connection, schema)
    if owner != mark:
        raise OwnershipError(
            f"{_what(props)}: it is there and is not this tenant's ({owner}). Rename or remove it, then retry."
        )
    _change_rights(lambda: _let_in(connection, props))


def _found(connection: psycopg.Connection[Any], props: dict[str, Any]) -> tuple[str, bool]:
    """The schema's comment, and whether the role may connect."""
    return mark_of(connection, str(props["schema"])), _may_connect(connection, str(props["role"]))


def _may_connect(connection: psycopg.Connection[Any], role: str) -> bool:
    row = connection.execute(
        "SELECT has_database_privilege(oid, current_database(), 'CONNECT') FROM pg_roles WHERE rolname = %s", (role,)
    ).fetchone()
    return bool(row and row[0])


def _close_database(connection: psycopg.Connection[Any]) -> None:
    """Takes from PUBLIC what PostgreSQL gives it in a new database. Once per database, so nearly always for nothing."""
    from psycopg import sql

    row = connection.execute(
        "SELECT datname, has_database_privilege('public', oid, 'CONNECT, TEMPORARY'), "
        "(SELECT has_schema_privilege('public', oid, 'CREATE') FROM pg_namespace WHERE nspname = 'public') "
        "FROM pg_database WHERE datname = current_database() AND pg_has_role(datdba, 'USAGE')"
    ).fetchone()
    database, opened, writable = row or ("", False, False)
    if opened:
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
    if writable:
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


def _let_in(connection: psycopg.Connection[Any], props: dict[str, Any]) -> None:
    from psycopg import sql

    role = str(props["role"])
    if _may_connect(connection, role):
        return
    database = connection.info.dbname
    statement = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
    connection.execute(statement.format(sql.Identifier(database), sql.Identifier(role)))
    if not _may_connect(connection, role):
        raise ProviderError(
            f"{_what(props)}: {connection.info.user!r} may not let role {role!r} into database {database!r}. "
            f"Make {connection.info.user!r} that database's owner."
        )


def _shut_out(connection: psycopg.Connection[Any], role: str) -> None:
    from psycopg import sql

    if _may_connect(connection, role):
        statement = sql.SQL("REVOKE ALL ON DATABASE {} FROM {}")
        connection.execute(statement.format(sql.Identifier(connection.info.dbname), sql.Identifier(role)))


def _change_rights(change: Callable[[], None]) -> None:
    """`change()`, again while other tenants' runs change the same database's list of rights."""
    import psycopg
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

    def clash(error: BaseException) -> bool:
        return isinstance(error, psycopg.errors.InternalError_) and "concurrently" in str(error)

    again = Retrying(
        stop=stop_after_attempt(_TRIES),
        wait=wait_random(0, _LONGEST_PAUSE),
        retry=retry_if_exception(clash),
        reraise=True,
    )
    again(change)


def _refuse_main(where: DatabaseSettings, what: str) -> None:
    """Before anything is asked of a server. One server may have several names: `_is_main` looks at what is in it."""
    main = DatabaseSettings.from_env()
    if (main.host, main.port, main.main_database) == (where.host, where.port, where.main_database):
        raise _refusal(where, what)


def _is_main(connection: psycopg.Connection[Any]) -> bool:
    """Whether a schema of this database has Tenantry's own tables, of this installation or of another one."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_class WHERE relname = ANY (%(names)s) AND relkind IN ('r', 'p') "
        "GROUP BY relnamespace HAVING count(*) = cardinality(%(names)s::text[]))",
        {"names": _OWN_TABLES},
    ).fetchone()
    return bool(row and row[0])


def _refusal(where: DatabaseSettings, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{what}: its database is Tenantry's own, {where.main_database!r} at {where.address}, where no tenant may "
        "log in. Give the region a database of its own."
    )


def _make_database(where: DatabaseSettings, what: str) -> None:
    import psycopg
    from psycopg import sql

    name = where.main_database

    def once() -> None:
        there = contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation)
        with connected(where, where.maintenance_database, what) as connection, there:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    try:
        retried(once, where, where.maintenance_database, what)
    except ProviderError as error:
        raise MissingDatabaseError(
            f"{what}: there is no database {name!r} at {where.address}, and it cannot be made: {error}"
        ) from None


def _drop(connection: psycopg.Connection[Any], props: dict[str, Any]) -> None:
    from psycopg import sql

    schema, role = str(props["schema"]), str(props["role"])
    owner = mark_of(connection, schema)
    if owner not in {"", mark_comment(str(props["tenant_mark"]))}:
        return  # another tenant's: ours is gone already, and the role under this name may be that tenant's, too
    _change_rights(lambda: _shut_out(connection, role))
    if owner:
        _end_sessions(connection, role)
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


def _end_sessions(connection: psycopg.Connection[Any], role: str) -> None:
    """Ends the sessions of a role that is to go: one that idles in a transaction would hold the schema for ever."""
    from psycopg import sql

    facts = connection.execute(
        "SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), "
        "EXISTS (SELECT FROM pg_stat_activity WHERE usename = %s)",
        (role,),
    ).fetchone()
    superuser, busy = facts or (False, False)
    if not busy:
        return
    name = sql.Identifier(role)
    with connection.transaction():
        if not superuser:
            # Only who is a member of a role may end its sessions.
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
        connection.execute(
            "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE usename = %s", (_END_MS, role)
        )
        if not superuser:
            connection.execute(sql.SQL("REVOKE {} FROM CURRENT_USER").format(name))

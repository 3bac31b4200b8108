"""A tenant's schema, brought to a version by the SQL files of a bundle.

Decides which migrations are missing, applies each in a transaction of its own under an advisory lock, and gives the
application's role its rights. It refuses a database that is ahead, an applied file that has changed, and a schema of
someone else's. It never migrates downwards and never changes another schema.

With `region` the schema is one of many in that region's database: row security is closed around its tables, all in one
transaction, and the lock is one that no tenant can take (`providers.row_security`, `providers.isolated_schema`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers import row_security
from providers.connection import DatabaseSettings
from providers.errors import MissingDatabaseError, OwnershipError, ProviderError
from providers.migration_files import Migration, digest_of, load_bundle
from providers.props import diff_of, required
from providers.row_security import CLOSED, Fence
from providers.schema_mark import mark_comment, mark_of
from providers.session import connected, retried

if TYPE_CHECKING:
    import psycopg

IDENTITY = ("region", "tenant_mark", "database", "schema", "bundle")
REQUIRED = IDENTITY[1:]
OWNED = ("version", "digest", "app_role", "fence")
# Tables that the application reads, and may only add to, or may not change at all.
PROTECTED = {"schema_migrations": "INSERT, UPDATE, DELETE", "audit_log": "UPDATE, DELETE"}


class MigrationsProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        needed = (*REQUIRED, "version", "digest")
        return required(news, (*needed, "app_role") if news.get("region") else needed)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"{props['database']}/{props['schema']}", _migrated(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            outs = _on_schema(props, lambda connection: _state(connection, props), writes=False)
        except MissingDatabaseError:
            outs = None
        return ReadResult(id_, outs) if outs else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_migrated(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        if _props.get("region"):
            return  # the schema is `isolated_schema`'s, and goes with all that is in it
        # A database that is gone took the schema along.
        with contextlib.suppress(MissingDatabaseError):
            _on_schema(_props, lambda connection: _drop(connection, _props))


class SchemaMigrations(Resource, module="tenantry", name="SchemaMigrations"):
    """`version` is the number of the last migration applied; `fence` is `closed`, where there is one."""

    version: pulumi.Output[int]

    def __init__(
        self,
        name: str,
        *,
        tenant_mark: str,
        database: str,
        schema: str,
        bundle: str,
        app_role: str | None = None,
        region: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        migrations = load_bundle(bundle)
        props: dict[str, Any] = {
            "region": region,
            "tenant_mark": tenant_mark,
            "database": database,
            "schema": schema,
            "bundle": bundle,
            "app_role": app_role,
            # Both as inputs, so that a new migration file is a change that a preview shows.
            "version": migrations[-1].version,
            "digest": digest_of([migration.checksum for migration in migrations]),
            "fence": CLOSED if region else None,
        }
        super().__init__(MigrationsProvider(), name, props, opts)


def _what(props: dict[str, Any]) -> str:
    return f"schema {props['schema']!r} of database {props['database']!r}"


def _of_region(region: str) -> DatabaseSettings:
    # Late: what reads the file of regions takes as long to load as all the rest of a plugin's process.
    from providers.backends import database_of

    return database_of(region).settings()


def _on_schema(props: dict[str, Any], work: Any, *, writes: bool = True) -> Any:
    region, database, what = props.get("region"), str(props["database"]), _what(props)
    settings = _of_region(str(region)) if region else DatabaseSettings.from_env()

    def once() -> Any:
        with connected(settings, database, what) as connection:
            if region:
                # No name that a tenant has made shall be taken for the server's.
                connection.execute("SET search_path TO pg_catalog")
            with _alone(connection, props, region=bool(region), writes=writes):
                return work(connection)

    return retried(once, settings, database, what)


@contextlib.contextmanager
def _alone(connection: psycopg.Connection[Any], props: dict[str, Any], *, region: bool, writes: bool) -> Iterator[None]:
    """Nobody else of us changes the schema meanwhile."""
    from psycopg import sql

    if not region:
        with _locked(connection, str(props["schema"])):
            yield
        return
    if not writes:
        yield
        return
    with connection.transaction():
        # An advisory lock could be taken by any tenant of the database. Only the owner may comment, and whoever does
        # has the schema until the end of his transaction.
        if _owner(connection, props) == _comment(props):
            schema, mark = sql.Identifier(str(props["schema"])), sql.Literal(_comment(props))
            connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(schema, mark))
        yield


@contextlib.contextmanager
def _locked(connection: psycopg.Connection[Any], schema: str) -> Iterator[None]:
    """Holds the lock of one schema in this database for the session: whoever waits sees what the holder has done."""
    key = f"tenantry.schema:{schema}"
    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (key,))
    try:
        yield
    finally:
        # Closing the connection, which follows, would do as well; a broken one cannot be asked.
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (key,))


def _migrated(props: dict[str, Any]) -> dict[str, Any]:
    migrations = load_bundle(str(props["bundle"]))
    if migrations[-1].version != int(props["version"]):
        raise ProviderError(
            f"{_what(props)}: asked for version {props['version']:.0f}, this process knows {migrations[-1].version}. "
            "The program and its providers are of different releases: install one release, then retry."
        )

    def work(connection: psycopg.Connection[Any]) -> dict[str, Any]:
        _adopt_or_create(connection, props)
        for migration in _missing(_applied(connection, props), migrations, _what(props)):
            _apply(connection, props, migration)
        if (fence := _fence(props)) is not None:
            row_security.enforce(connection, fence)
        _grant(connection, props)
        state = _state(connection, props)
        if state is None:
            raise ProviderError(
                f"{_what(props)}: it is gone again. Something else drops it: find out what, then retry."
            )
        return state

    result: dict[str, Any] = _on_schema(props, work)
    return result


def _adopt_or_create(connection: psycopg.Connection[Any], props: dict[str, Any]) -> None:
    from psycopg import sql

    owner = _owner(connection, props)
    if owner == "":
        with connection.transaction():
            schema, mark = sql.Identifier(props["schema"]), sql.Literal(_comment(props))
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
            connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(schema, mark))
    elif owner != _comment(props):
        raise OwnershipError(
            f"{_what(props)}: it is there and is not this tenant's ({owner}). Rename or remove it, then retry."
        )
    with connection.transaction():
        connection.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {}.schema_migrations (version integer PRIMARY KEY, name text NOT NULL, "
                "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            ).format(sql.Identifier(props["schema"]))
        )


def _fence(props: dict[str, Any]) -> Fence | None:
    if not props.get("region"):
        return None
    return Fence(schema=str(props["schema"]), mark=str(props["tenant_mark"]), role=str(props["app_role"]))


def _comment(props: dict[str, Any]) -> str:
    return mark_comment(str(props["tenant_mark"]))


def _owner(connection: psycopg.Connection[Any], props: dict[str, Any]) -> str:
    return mark_of(connection, str(props["schema"]))


def _applied(connection: psycopg.Connection[Any], props: dict[str, Any]) -> dict[int, str]:
    from psycopg import sql

    statement = sql.SQL("SELECT version, checksum FROM {}.schema_migrations ORDER BY version")
    return dict(connection.execute(statement.format(sql.Identifier(props["schema"]))).fetchall())


def _missing(applied: dict[int, str], migrations: tuple[Migration, ...], what: str) -> list[Migration]:
    """What is left to apply. Pure. Raises ProviderError when the database and the files do not belong together."""
    latest = migrations[-1].version
    if applied and max(applied) > latest:
        raise ProviderError(
            f"{what}: it is at version {max(applied)}, this Tenantry knows {latest}. Use a newer Tenantry."
        )
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise ProviderError(
                f"{what}: migration {migration.version:04d}_{migration.name}.sql has changed since it was applied. "
                "Restore the file, and put the change into a new migration."
            )
    return [migration for migration in migrations if migration.version not in applied]


def _apply(connection: psycopg.Connection[Any], props: dict[str, Any], migration: Migration) -> None:
    import psycopg
    from psycopg import sql

    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(props["schema"])))
            connection.execute(migration.sql.encode())
            connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
                (migration.version, migration.name, migration.checksum),
            )
    except psycopg.OperationalError:
        raise  # perhaps a passing one: the caller tries again
    except psycopg.Error as error:
        reason = error.diag.message_primary or str(error)
        raise ProviderError(
            f"{_what(props)}: migration {migration.version:04d}_{migration.name}.sql failed: {reason}. "
            "Nothing of it was kept; correct what it met in the database, then retry."
        ) from None


def _grant(connection: psycopg.Connection[Any], props: dict[str, Any]) -> None:
    """The application's rights: rows, never structure. Given again each time, so that lost ones come back."""
    from psycopg import sql

    if not props.get("app_role"):
        return
    names = {"schema": sql.Identifier(props["schema"]), "role": sql.Identifier(props["app_role"])}
    statements = [
        "REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, {role}",
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
        "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    ]
    with connection.transaction():
        for statement in statements:
            connection.execute(sql.SQL(statement).format(**names))
        for table, privileges in PROTECTED.items():
            revoke = sql.SQL("REVOKE {} ON {}.{} FROM {}")  # the words are constants of this module
            words = sql.SQL(privileges)
            connection.execute(revoke.format(words, names["schema"], sql.Identifier(table), names["role"]))


def _state(connection: psycopg.Connection[Any], props: dict[str, Any]) -> dict[str, Any] | None:
    """What is really there, as outputs; None when this tenant has no such schema, or one without migrations."""
    import psycopg

    if _owner(connection, props) != _comment(props):
        return None
    try:
        applied = _applied(connection, props)
    except psycopg.errors.UndefinedTable:
        return None
    role = props.get("app_role")
    outs = {name: props[name] for name in IDENTITY if props.get(name) is not None}
    outs |= {"version": max(applied, default=0), "digest": digest_of(list(applied.values()))}
    if (fence := _fence(props)) is not None:
        outs["fence"] = row_security.gaps(connection, fence)
    return {**outs, "app_role": role} if role and _role_can_use(connection, str(props["schema"]), str(role)) else outs


def _role_can_use(connection: psycopg.Connection[Any], schema: str, role: str) -> bool:
    row = connection.execute(
        "SELECT bool_and(has_schema_privilege(r.oid, n.oid, 'USAGE') "
        "AND has_table_privilege(r.oid, c.oid, 'SELECT') "
        "AND (c.relname = ANY(%s) OR has_table_privilege(r.oid, c.oid, 'INSERT'))) "
        "FROM pg_roles r, pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r' "
        "WHERE r.rolname = %s AND n.nspname = %s",
        (list(PROTECTED), role, schema),
    ).fetchone()
    return bool(row and row[0])


def _drop(connection: psycopg.Connection[Any], props: dict[str, Any]) -> None:
    from psycopg import sql

    # Another tenant's schema under this name means that ours is gone already.
    if _owner(connection, props) == _comment(props):
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(props["schema"])))

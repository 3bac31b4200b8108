"""The main database: connecting, creating it when it is missing, and bringing its tables up to date.

Decides how a driver's error is told to the user. It never reads or writes rows: `history` does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Engine, create_engine, exc
from sqlalchemy.pool import NullPool

from automation.errors import DatabaseError
from automation.models import HEAD
from automation.settings import Settings

_UPGRADE_LOCK = 0x74_6E_61_6E_74_72_79
_INVALID_CATALOG_NAME = "3D000"
_AUTHENTICATION = ("28P01", "28000")
_DISK_FULL = "53100"


def connect(
    settings: Settings, *, application: str = "tenantry", database: str | None = None, **options: Any
) -> psycopg.Connection[Any]:
    """A connection to the main database. Raises DatabaseError saying which server, why, and what to do."""
    try:
        return psycopg.connect(**parameters(settings, application, database), **options)
    except psycopg.Error as error:
        raise explain(settings, error) from None


def parameters(settings: Settings, application: str, database: str | None) -> dict[str, Any]:
    """libpq's parameters for a connection; `database` None is the main one. Holds the password: not for printing."""
    server = settings.database
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "dbname": database or server.main_database,
        "sslmode": server.sslmode,
        "connect_timeout": max(2, server.connect_timeout),
        "application_name": application[:63],
        # A machine that vanishes must not hold a tenant's lock for hours.
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }


def engine_for(settings: Settings, *, application: str = "tenantry") -> Engine:
    """SQLAlchemy on the main database. One connection per block: a command needs two or three in its life."""
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(settings, application=application),
        poolclass=NullPool,
    )


@contextlib.contextmanager
def transaction(engine: Engine, settings: Settings) -> Iterator[Connection]:
    """A transaction whose database errors are DatabaseErrors. Integrity errors pass: they mean something to callers."""
    try:
        with engine.begin() as connection:
            yield connection
    except exc.IntegrityError:
        raise
    except exc.DBAPIError as error:
        raise explain(settings, error.orig if isinstance(error.orig, psycopg.Error) else error) from None


def explain(settings: Settings, error: BaseException) -> DatabaseError:
    """`error` in words that name the server and say what to do; without the password."""
    server = settings.database
    where = f"the main database '{server.main_database}' at {server.host}:{server.port}"
    password = server.password
    reason = " ".join(str(error).split())
    if password:
        reason = reason.replace(password, "[secret]")
    state = getattr(error, "sqlstate", None) or ""
    if state in _AUTHENTICATION or "authentication failed" in reason or "no password supplied" in reason:
        return DatabaseError(
            f"{where} refuses the user '{server.user}': wrong password or user",
            hint="check DB_USER and DB_PASSWORD",
        )
    if state == _INVALID_CATALOG_NAME or ("database" in reason and "does not exist" in reason):
        return DatabaseError(f"{where} does not exist", hint="run `tenantry db upgrade`, or check DB_NAME")
    if state == _DISK_FULL or "No space left" in reason:
        return DatabaseError(
            f"{where} has no space left on its disk",
            hint="free space on the database's disk, then run the command again",
        )
    if isinstance(error, psycopg.OperationalError) and not state:
        return DatabaseError(
            f"{where} cannot be reached: {reason}",
            hint="check that PostgreSQL is running there, and DB_HOST, DB_PORT and DB_SSL",
        )
    return DatabaseError(f"{where} refused: {reason}", hint="check the rights of DB_USER and the server's log")


def ensure_ready(settings: Settings) -> str:
    """Makes the main database and brings its tables to HEAD. Returns the revision found before, '' if none.

    Any number of processes may do this at once. When nothing is to be done it costs one query and no Alembic.
    """
    try:
        with psycopg.connect(**parameters(settings, "tenantry", None), autocommit=True) as connection:
            found = _revision(connection)
    except psycopg.Error as error:
        if not _is_missing(error):
            raise explain(settings, error) from None
        _create_database(settings)
        found = ""
    if found != HEAD:
        _upgrade(settings)
    return found


def _is_missing(error: psycopg.Error) -> bool:
    # libpq reports a refusal at connect time as text only.
    return error.sqlstate == _INVALID_CATALOG_NAME or ("database" in str(error) and "does not exist" in str(error))


def _revision(connection: psycopg.Connection[Any]) -> str:
    exists = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    if exists is None or exists[0] is None:
        return ""
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def _create_database(settings: Settings) -> None:
    server = settings.database
    with connect(settings, database=server.maintenance_database, autocommit=True) as connection:
        # CREATE DATABASE cannot run twice at once: the second of two racing commands waits here and finds it made.
        connection.execute("SELECT pg_advisory_lock(%s)", (_UPGRADE_LOCK,))
        row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (server.main_database,)).fetchone()
        if row is not None:
            return
        try:
            main = sql.Identifier(server.main_database)
            connection.execute(sql.SQL("CREATE DATABASE {}").format(main))
            # PostgreSQL lets every role of the server connect to a new database: tenants' roles have no business here.
            connection.execute(sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(main))
        except psycopg.Error as error:
            raise explain(settings, error) from None


def _upgrade(settings: Settings) -> None:
    # Late: half a second that only the first command after an installation pays.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "automation:migrations")
    engine = engine_for(settings)
    with transaction(engine, settings) as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_UPGRADE_LOCK,))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise DatabaseError(
                f"the tables in '{settings.database.main_database}' are of another version of Tenantry: {error}",
                hint="install the newer Tenantry that made them, or point DB_NAME at another database",
            ) from None

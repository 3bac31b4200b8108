"""Connections to one server: opened for a call, bounded in time and number, tried again when that can help.

Decides how long to wait and what to try again; knows no resource type. psycopg is imported on first use, so that the
process can say its port before. Every statement is composed by psycopg.sql; names and values never meet as text.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from providers.connection import application_name
from providers.postgresql.config import Config
from providers.postgresql.errors import (
    AccessError,
    CancelledError,
    ProviderError,
    StatementError,
    UnreachableError,
    from_statement,
)

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

T = TypeVar("T")

RETRY_DELAYS = (1.0, 2.0, 4.0)  # seconds, between tries to connect
_STATEMENT_RETRY_DELAYS = (0.05, 0.2, 0.5)
_ATTEMPT_SECONDS = 15
_DEFAULT_STATEMENT_SECONDS = 120.0
_LOCK_SECONDS = 60.0
MISSING_DATABASE = "3D000"

# libpq gives no error code for a refused connection; these are its and the server's own words for what waiting
# does not mend. In other words, the worst is seven seconds of trying in vain.
_DENIED = ("password", "authentication", "pg_hba.conf", "not permitted", 'role "')
_FINAL = (*_DENIED, "SSL", "certificate", "does not exist", "too long")


@dataclass(slots=True, kw_only=True)
class Session:
    """One open connection to one database, with the few ways of using it that the types need."""

    connection: "psycopg.Connection[dict[str, Any]]"
    version: int
    superuser: bool
    user: str

    def run(self, doing: str, statement: "sql.Composable", *values: object) -> None:
        """Execute; `doing` says for an error message what was tried."""
        self._execute(doing, statement, values)

    def rows(self, doing: str, statement: "sql.Composable", *values: object) -> list[dict[str, Any]]:
        return self._execute(doing, statement, values).fetchall()

    def rows_named(self, doing: str, statement: "sql.Composable", values: dict[str, Any]) -> list[dict[str, Any]]:
        return self._execute(doing, statement, values).fetchall()

    def row(self, doing: str, statement: "sql.Composable", *values: object) -> dict[str, Any] | None:
        return self._execute(doing, statement, values).fetchone()

    def lock(self, kind: str, *names: str) -> None:
        """Take turns with other runs that change the same object, until the end of the transaction or session."""
        from psycopg import sql

        scope = "pg_advisory_lock" if self.connection.autocommit else "pg_advisory_xact_lock"
        # Always in one order, so that two calls that need the same locks cannot wait for each other.
        for name in sorted(set(names)):
            digest = hashlib.sha256(f"tenantry/postgresql/{kind}/{name}".encode()).digest()
            key = int.from_bytes(digest[:8], signed=True)
            self.run(f"lock {kind} {name!r}", sql.SQL("SELECT {}(%s)").format(sql.Identifier(scope)), key)

    def _execute(
        self, doing: str, statement: "sql.Composable", values: Sequence[object] | dict[str, Any]
    ) -> "psycopg.Cursor[dict[str, Any]]":
        import psycopg

        try:
            # Statements that hold no value may hold a percent sign in a name, so they go without parameters.
            return self.connection.execute(statement, values or None)  # type: ignore[call-overload, no-any-return]
        except psycopg.Error as error:
            raise from_statement(error, doing) from None


@dataclass(slots=True, kw_only=True)
class Client:
    """Opens sessions. Safe to use from many threads."""

    config: Config
    sleep: Callable[[float], None] = time.sleep
    _slots: threading.BoundedSemaphore | None = field(init=False, default=None)
    _active: "set[psycopg.Connection[dict[str, Any]]]" = field(init=False, default_factory=set)
    _cancelled: threading.Event = field(init=False, default_factory=threading.Event)
    _mutex: threading.Lock = field(init=False, default_factory=threading.Lock)
    _held: threading.local = field(init=False, default_factory=threading.local)

    def __post_init__(self) -> None:
        if self.config.max_connections:
            self._slots = threading.BoundedSemaphore(self.config.max_connections)

    @contextmanager
    def session(
        self, database: str | None = None, *, autocommit: bool = False, timeout: float = 0
    ) -> Iterator[Session]:
        """A session in a database (default: the configured one); one transaction, unless `autocommit`.

        `timeout` is for each statement, in seconds. Raises UnreachableError, AccessError, or StatementError 3D000.
        """
        with self._slot():
            connection = self._connect(database or self.config.database)
            try:
                with self._mutex:
                    self._active.add(connection)
                session = self._prepared(connection, timeout or _DEFAULT_STATEMENT_SECONDS)
                connection.autocommit = autocommit
                yield session
                self._commit(connection)
            finally:
                with self._mutex:
                    self._active.discard(connection)
                connection.close()

    def retrying(self, action: Callable[[], T]) -> T:
        """Do it again, a bounded number of times, when two sessions changed the same row of a catalog at once."""
        for delay in _STATEMENT_RETRY_DELAYS:
            try:
                return action()
            except StatementError as error:
                # XX000 is what "tuple concurrently updated" comes as.
                if not (error.retry or error.sqlstate == "XX000"):
                    raise
            self.sleep(delay)
        return action()

    def has_database(self, name: str) -> bool:
        from psycopg import sql

        with self.session() as session:
            statement = sql.SQL("SELECT 1 AS found FROM pg_database WHERE datname = %s")
            return session.row(f"look for database {name!r}", statement, name) is not None

    def cancel(self) -> None:
        """Stop what is under way and refuse what comes."""
        self._cancelled.set()
        with self._mutex:
            active = list(self._active)
        for connection in active:
            with suppress(Exception):  # it may have ended by itself just now
                connection.cancel_safe(timeout=5)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        # A call that holds one connection may open another: waiting for it could go on for ever.
        if self._slots is None or getattr(self._held, "one", False):
            yield
            return
        if not self._slots.acquire(timeout=self.config.connect_timeout):
            raise UnreachableError(f"no free connection to {self.config.address}: raise maxConnections of the provider")
        self._held.one = True
        try:
            yield
        finally:
            self._held.one = False
            self._slots.release()

    def _connect(self, database: str) -> "psycopg.Connection[dict[str, Any]]":
        import psycopg

        deadline = time.monotonic() + self.config.connect_timeout
        for delay in (*RETRY_DELAYS, None):
            if self._cancelled.is_set():
                raise CancelledError("cancelled: the engine asked the postgresql provider to stop")
            left = deadline - time.monotonic()
            try:
                return self._open(database, max(2, min(_ATTEMPT_SECONDS, int(left))))
            except psycopg.OperationalError as error:
                said = _last_words(error)
                if any(word in said for word in _FINAL) or delay is None or time.monotonic() + delay > deadline:
                    raise self._explained(said, database) from None
            self._cancelled.wait(delay)
        raise AssertionError("unreachable: the last round returns or raises")

    def _open(self, database: str, seconds: int) -> "psycopg.Connection[dict[str, Any]]":
        import psycopg
        from psycopg.rows import dict_row

        config = self.config
        return psycopg.connect(
            host=config.host,
            port=config.port,
            dbname=database,
            user=config.username,
            password=config.password or None,
            sslmode=config.sslmode,
            connect_timeout=seconds,
            client_encoding="UTF8",
            application_name=application_name("pulumi-postgresql (tenantry)"),
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=30_000,
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
            **config.extra,  # type: ignore[arg-type]
        )

    def _prepared(self, connection: "psycopg.Connection[dict[str, Any]]", seconds: float) -> Session:
        import psycopg
        from psycopg import sql

        statement = sql.SQL(
            "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),"
            " set_config('idle_in_transaction_session_timeout', %s, false),"
            " set_config('search_path', 'pg_catalog', false), set_config('client_min_messages', 'error', false),"
            " current_setting('server_version_num')::int AS version, current_user AS username,"
            " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser"
        )
        limits = [f"{int(each * 1000)}ms" for each in (seconds, min(seconds, _LOCK_SECONDS), seconds)]
        try:
            row = connection.execute(statement, limits).fetchone()
        except psycopg.Error as error:
            raise from_statement(error, f"prepare a session on {self.config.address}") from None
        if row is None:
            raise UnreachableError(f"{self.config.address} gave no answer to a first question: is it PostgreSQL?")
        return Session(
            connection=connection, version=row["version"], superuser=bool(row["superuser"]), user=row["username"]
        )

    def _commit(self, connection: "psycopg.Connection[dict[str, Any]]") -> None:
        import psycopg

        try:
            connection.commit()
        except psycopg.Error as error:
            raise from_statement(error, "commit the change") from None

    def _explained(self, said: str, database: str) -> ProviderError:
        config = self.config
        where = f"PostgreSQL at {config.address}, database {database!r}, as {config.username!r}"
        if f'database "{database}" does not exist' in said:
            return StatementError(f"cannot connect to {where}: {said}: create it first", sqlstate=MISSING_DATABASE)
        if any(word in said for word in _DENIED):
            return AccessError(f"cannot sign in to {where}: {said}: check the provider's username and password")
        if "SSL" in said or "certificate" in said:
            return AccessError(f"cannot sign in to {where}: {said}: check the provider's sslmode ({config.sslmode})")
        return UnreachableError(f"cannot reach {where}: {said}. Check that the server runs there, then retry")


def _last_words(error: Exception) -> str:
    """The last line that says something; earlier ones are of other addresses of the same host."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Is the server running" not in line]
    lines = [line for line in lines if line != "Multiple connection attempts failed. All failures were:"]
    return lines[-1].removeprefix("- ") if lines else type(error).__name__

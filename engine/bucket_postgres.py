"""A bucket that is a table of PostgreSQL, in the stock Pulumi's form, so that workers on several hosts share a state.

    postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&table=pulumi_state

One row a key. What the URL leaves open comes from the command's PG... variables. Every statement is committed before a
call returns. Nothing waits for ever: a server that does not answer is given up after `connect_timeout` and
`STATEMENT_SECONDS`, its connection is ended, and the call is tried once more on a new one (all calls here may be
repeated). It decides nothing about what is in the rows. psycopg is loaded with this module, and only where it is used.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import psycopg
from psycopg import errors, pq, sql

from engine.errors import StateError, UsageError

STATEMENT_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10
#: After a server could not be reached, how long calls fail without asking again: many steps must not each wait for it.
PAUSE_SECONDS: Final = 3.0
_DEFAULT_TABLE: Final = "pulumi_state"
# The stock Pulumi puts the name into its statements as it is, so an unquoted one is all that it can serve.
_TABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_PUT: Final = (
    "INSERT INTO {table} (key, data) VALUES (%s, %b) "
    "ON CONFLICT (key) DO UPDATE SET data = EXCLUDED.data, updated_at = now()"
)
_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, data BYTEA NOT NULL, "
    "updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now())"
)
_READ_ALL: Final = 'SELECT key, data FROM {table} WHERE key LIKE %s ORDER BY key COLLATE "C"'
_KEYS: Final = 'SELECT key FROM {table} WHERE key LIKE %s ORDER BY key COLLATE "C"'
_COPY: Final = (
    "INSERT INTO {table} (key, data) SELECT %s, data FROM {table} WHERE key = %s "
    "ON CONFLICT (key) DO UPDATE SET data = EXCLUDED.data, updated_at = now()"
)
_HIDDEN: Final = ("password", "sslpassword", "oauth_client_secret")

Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]
T = TypeVar("T")


class PostgresBucket:
    """A table. It is made when something is first written; until then there is nothing in it.

    Raises UsageError for a URL that cannot be understood.
    """

    def __init__(
        self, url: str, environment: Mapping[str, str], *, statement_seconds: float = STATEMENT_SECONDS
    ) -> None:
        parameters, self._table = parameters_of(url, environment)
        self._secrets = _secrets_in(parameters)
        self._parameters = parameters
        self._seconds = statement_seconds
        self.url = _shown(parameters, self._table)
        self._connection: _Bounded | None = None
        self._lost = 0
        self._lock = threading.RLock()
        self._table_known = False
        self._down_until = 0.0
        self._down: StateError | None = None

    # -------------------------------------------------------------- the bucket

    def read(self, key: str) -> bytes | None:
        rows = self._ask("SELECT data FROM {table} WHERE key = %s", key)
        return bytes(rows[0][0]) if rows else None

    def read_all(self, prefix: str) -> dict[str, bytes]:
        rows = self._ask(_READ_ALL, _like(prefix))
        return {str(key): bytes(data) for key, data in rows}

    def write(self, key: str, data: bytes, *, sync: bool = True) -> None:
        self.write_all({key: data}, sync=sync)

    def write_all(self, items: Mapping[str, bytes], *, sync: bool = True) -> None:
        def put(connection: Connection) -> None:
            # A commit that waits for the disk makes all earlier ones durable, too.
            if not sync:
                connection.execute("SET LOCAL synchronous_commit = off")
            with connection.cursor() as cursor:
                cursor.executemany(self._sql(_PUT), list(items.items()))

        self._change(put)

    def delete(self, key: str) -> None:
        self._ask("DELETE FROM {table} WHERE key = %s", key)

    def delete_all(self, prefix: str) -> None:
        self._ask("DELETE FROM {table} WHERE key LIKE %s", _like(prefix))

    def keys(self, prefix: str) -> list[str]:
        rows = self._ask(_KEYS, _like(prefix))
        return [str(key) for (key,) in rows]

    def exists(self, key: str) -> bool:
        return bool(self._ask("SELECT 1 FROM {table} WHERE key = %s", key))

    def copy(self, source: str, target: str) -> None:
        self._ask(_COPY, target, source)

    def move(self, source: str, target: str) -> None:
        def rename(connection: Connection) -> None:
            found = connection.execute(self._sql("SELECT 1 FROM {table} WHERE key = %s FOR UPDATE"), (source,))
            if found.fetchone() is not None:
                connection.execute(self._sql("DELETE FROM {table} WHERE key = %s"), (target,))
                connection.execute(self._sql("UPDATE {table} SET key = %s WHERE key = %s"), (target, source))

        self._change(rename)

    def claim(self, key: str, data: bytes, among: str) -> list[str]:
        def take(connection: Connection) -> list[str]:
            # Who claims the same is let in one after another, on whatever host: of two at once, exactly one gets it.
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{self._table} {among}",))
            others = self._others(connection, key, among)
            if not others:
                connection.execute(self._sql(_PUT), (key, data))
            return others

        others = self._change(take)
        if not others and (others := [other for other in self.keys(among) if other != key]):
            # A stock Pulumi asks nobody; it looks again after it has written, as this does.
            self.delete(key)
        return others

    def _others(self, connection: Connection, key: str, among: str) -> list[str]:
        rows = connection.execute(self._sql("SELECT key FROM {table} WHERE key LIKE %s"), (_like(among),)).fetchall()
        # Its own may be there already: a call whose answer was lost is made again.
        return sorted(str(found) for (found,) in rows if found != key)

    def place(self, key: str) -> str:
        return f"{self.url} (key {key})"

    def address(self, key: str) -> str:
        base, _, query = self.url.partition("?")
        return f"{base}/{key}" + (f"?{query}" if query else "")

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # -------------------------------------------------------------- statements

    def _sql(self, text: str) -> sql.Composed:
        return sql.SQL(text).format(table=sql.Identifier(self._table))

    def _ask(self, text: str, *values: Any) -> list[Row]:
        """One statement by itself. Where there is no table, nothing is found in it, and nothing taken from it."""

        def run(connection: Connection) -> list[Row]:
            cursor = connection.execute(self._sql(text), values, binary=True)
            return cursor.fetchall() if cursor.description is not None else []

        try:
            return self._call(run)
        except errors.UndefinedTable:
            return []

    def _change(self, work: Callable[[Connection], T]) -> T:
        def in_transaction(connection: Connection) -> T:
            self._ensure_table(connection)
            with connection.transaction():
                return work(connection)

        try:
            return self._call(in_transaction)
        except errors.UndefinedTable:
            # Somebody has removed it since.
            self._table_known = False
            return self._call(in_transaction)

    def _ensure_table(self, connection: Connection) -> None:
        if self._table_known:
            return
        found = connection.execute("SELECT to_regclass(%s)", (self._table,)).fetchone()
        if found is None or found[0] is None:
            index = sql.Identifier(f"{self._table}_key_prefix_idx")
            with connection.transaction():
                # IF NOT EXISTS does not make it safe that two do it at once.
                connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (self._table,))
                connection.execute(self._sql(_CREATE))
                connection.execute(
                    sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} (key text_pattern_ops)").format(
                        index, sql.Identifier(self._table)
                    )
                )
        self._table_known = True

    def _call(self, work: Callable[[Connection], T]) -> T:
        """Does it; once more on a new connection where the first one broke. Raises StateError; UndefinedTable."""
        with self._lock:
            if self._down is not None and time.monotonic() < self._down_until:
                raise self._down
            try:
                return self._tried(work)
            except errors.UndefinedTable:
                raise
            except psycopg.Error as error:
                raise self._failed(error) from None

    def _tried(self, work: Callable[[Connection], T]) -> T:
        try:
            return work(self._connected())
        except psycopg.OperationalError as error:
            # A server that says no will say it again, and one that does not answer has had its time.
            if self._connection is None or not self._connection.closed or isinstance(error, _NoAnswerError):
                raise
            self._forget()
        return work(self._connected())

    def _connected(self) -> _Bounded:
        if self._connection is None:
            self._connection = _Bounded.open(self._parameters, self._seconds)
            self._down = None
            if self._lost:
                self._connection.end_other(self._lost)
                self._lost = 0
        return self._connection

    def _forget(self) -> None:
        if self._connection is not None:
            self._lost = self._connection.backend
            self._connection = None

    def _failed(self, error: psycopg.Error) -> StateError:
        if self._connection is not None and not self._connection.closed:
            return StateError(f"the state in {self.url} could not be worked on: {self._said(error)}")
        self._forget()
        self._down = StateError(
            f"the database of the state, {self.url}, cannot be reached: {self._said(error)}. What was written before "
            "is intact; retry when the server answers again."
        )
        self._down_until = time.monotonic() + PAUSE_SECONDS
        return self._down

    def _said(self, error: psycopg.Error) -> str:
        text = " ".join(str(error).split()) or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _like(prefix: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", prefix) + "%"


# ------------------------------------------------------------------ the connection


class _NoAnswerError(psycopg.OperationalError):
    """A statement took longer than it may."""


class _Bounded(psycopg.Connection[Row]):
    """A connection on which no call takes longer than `seconds`; the one that does ends it. `backend`: its process."""

    seconds = STATEMENT_SECONDS
    backend = 0

    @classmethod
    def open(cls, parameters: Mapping[str, str], seconds: float) -> _Bounded:
        # Without prepared statements, so that it may go through a pool of connections.
        connection = cls.connect(autocommit=True, prepare_threshold=None, **parameters)  # type: ignore[arg-type]
        connection.seconds = seconds
        connection.backend = connection.info.backend_pid
        return connection

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        try:
            return super().wait(_until(gen, time.monotonic() + self.seconds, self.seconds), *args, **kwargs)
        except _NoAnswerError:
            self.pgconn.finish()
            raise

    def end_other(self, backend: int) -> None:
        """Ends a session of ours that may still be at work on the server: what it wrote late would undo what comes."""
        name = self.info.get_parameters().get("application_name", "")
        with contextlib.suppress(errors.InsufficientPrivilege):
            self.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND application_name = %s",
                (backend, name),
            )


def _until(gen: Generator[Any, Any, T], deadline: float, seconds: float) -> Generator[Any, Any, T]:
    """What psycopg waits for, until its time is over."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if time.monotonic() > deadline:
                gen.close()
                raise _NoAnswerError(f"no answer within {seconds:g} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


# ------------------------------------------------------------------ the URL


def parameters_of(url: str, environment: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """(what to connect with, the table) by a URL and the PG... variables. Raises UsageError that shows no value."""
    parts = urlsplit(url)
    known = {option.keyword.decode(): (option.envvar or b"").decode() for option in pq.Conninfo.get_defaults()}
    user, host, port = _authority(parts.netloc)
    if parts.fragment or "@" in parts.path + parts.query or any(p and not p.isdecimal() for p in port.split(",")):
        # It would be shown, and used, as what it is not.
        raise UsageError(
            "the backend's URL cannot be understood: in a user's name or password, write / # ? @ [ ] and % as %2F %23 "
            "%3F %40 %5B %5D and %25"
        )
    given = {"dbname": unquote(parts.path.lstrip("/")), "host": host, "port": port, **user}
    table = _DEFAULT_TABLE
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "table":
            table = value or _DEFAULT_TABLE
        elif name in known:
            given[name] = value
        else:
            raise UsageError(f"the backend's URL has a parameter '{name}', which is neither 'table' nor one of libpq's")
    if not _TABLE.fullmatch(table):
        raise UsageError(
            f"the backend's URL names the table '{table}': a name has letters, digits and underscores only. For a "
            "table in another schema, add options=-csearch_path%3DSCHEMA."
        )
    found = {name: environment.get(variable, "") for name, variable in known.items() if variable}
    parameters = {name: value for source in (found, given) for name, value in source.items() if value}
    if not parameters.get("connect_timeout", "").isdecimal() or int(parameters["connect_timeout"]) == 0:
        parameters["connect_timeout"] = str(CONNECT_SECONDS)
    parameters.setdefault("tcp_user_timeout", str(int(STATEMENT_SECONDS * 1000)))
    parameters.setdefault("application_name", f"pulumi-engine-{uuid.uuid4().hex[:8]}")
    # As PostgreSQL itself takes a name without quotes.
    return parameters, table.lower()


def _authority(netloc: str) -> tuple[dict[str, str], str, str]:
    """({user, password}, hosts, ports) of `USER:PASSWORD@HOST:PORT,HOST:PORT`."""
    account, _, hosts = netloc.rpartition("@")
    user, _, password = account.partition(":")
    pairs = [_host_and_port(text) for text in hosts.split(",")]
    ports = ",".join(port for _, port in pairs)
    return (
        {"user": unquote(user), "password": unquote(password)},
        ",".join(host for host, _ in pairs).strip(","),
        "" if not ports.strip(",") else ports,
    )


def _host_and_port(text: str) -> tuple[str, str]:
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, ""
    return unquote(host.removeprefix("[").removesuffix("]")), port


def _secrets_in(parameters: Mapping[str, str]) -> Sequence[str]:
    plain = [parameters[name] for name in _HIDDEN if parameters.get(name)]
    return [*plain, *(quote(secret, safe="") for secret in plain)]


def _shown(parameters: Mapping[str, str], table: str) -> str:
    hosts, ports = parameters.get("host", "localhost").split(","), parameters.get("port", "").split(",")
    ports += ports[:1] * (len(hosts) - len(ports))
    where = ",".join(host + (f":{port}" if port else "") for host, port in zip(hosts, ports, strict=False))
    user = quote(parameters["user"], safe="") + "@" if parameters.get("user") else ""
    ending = "" if table == _DEFAULT_TABLE else f"?table={table}"
    return f"postgres://{user}{where}/{quote(parameters.get('dbname', ''), safe='')}{ending}"

"""One piece of work on a database: connect, do it in one transaction, commit; again when the failure was a passing one.

Decides which failures pass by themselves (CORE-5) and how a driver's error reads. Work may be done twice, so it must be
idempotent: every create here is adopt-or-create. It never shows a password and never keeps a connection.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from providers.connection import DatabaseSettings, application_name
from providers.errors import MissingDatabaseError, MissingTableError, ProviderError, UnreachableError

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

ATTEMPTS = 3
WAITS: tuple[float, ...] = (1.0, 2.0, 4.0)
STATEMENT_SECONDS = 30
LOCK_SECONDS = 15

# Connection lost or refused, starting up or shutting down, too many clients, serialization failure, deadlock.
_PASSING_STATES = ("08", "57P01", "57P02", "57P03", "53300", "40001", "40P01")
_MISSING_STATES = ("42P01", "3F000")  # table, schema
_PASSING_WORDS = ("starting up", "shutting down", "too many clients", "recovery mode", "remaining connection slots")


def run_in(
    database: str | None,
    what: str,
    work: Callable[[psycopg.Connection[Any]], T],
    *,
    settings: DatabaseSettings | None = None,
) -> T:
    """What `work` returns, done in one transaction on `database` (None: the main database).

    `what` names the object in errors, such as `cabinet record 'acme'`. Raises ProviderError.
    """
    where = settings or DatabaseSettings.from_env()
    name = database or where.main_database

    def once() -> T:
        with connected(where, name, what) as connection, connection.transaction():
            return work(connection)

    return retried(once, where, name, what)


def retried(once: Callable[[], T], where: DatabaseSettings, database: str, what: str, *, attempts: int = ATTEMPTS) -> T:
    """`once()`, up to `attempts` times while the failure is a passing one. Raises ProviderError."""
    import psycopg
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_chain, wait_fixed

    again = Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait_chain(*(wait_fixed(seconds) for seconds in WAITS)),
        retry=retry_if_exception(_passing),
        reraise=True,
    )
    try:
        return again(once)
    except psycopg.Error as error:
        raise _explained(error, where, database, what) from None


@contextlib.contextmanager
def connected(where: DatabaseSettings, database: str, what: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit mode with time limits on connecting, on statements and on waiting for locks."""
    import psycopg

    connection = psycopg.connect(
        host=where.host,
        port=where.port,
        user=where.user,
        password=where.password or None,
        dbname=database,
        sslmode=where.sslmode,
        connect_timeout=max(2, where.connect_timeout),
        application_name=application_name(f"tenantry {what}"),
        keepalives_idle=15,
        keepalives_interval=5,
        keepalives_count=3,
        autocommit=True,
    )
    with contextlib.closing(connection):
        connection.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
            (f"{STATEMENT_SECONDS}s", f"{LOCK_SECONDS}s"),
        )
        yield connection


def _passing(error: BaseException) -> bool:
    import psycopg

    if not isinstance(error, psycopg.OperationalError):
        return False
    if error.sqlstate:
        return error.sqlstate.startswith(_PASSING_STATES)
    text = str(error)
    # libpq gives no SQLSTATE for a refused login: the server's own refusals begin with FATAL in every language.
    return "FATAL" not in text or any(words in text for words in _PASSING_WORDS)


def _explained(error: psycopg.Error, where: DatabaseSettings, database: str, what: str) -> ProviderError:
    reason = " ".join((error.diag.message_primary or str(error)).split())
    if where.password:
        reason = reason.replace(where.password, "[secret]")
    state = error.sqlstate or ""
    if not state and _is_operational(error):
        return _unreachable(reason, where, database, what)
    if state in _MISSING_STATES:
        return MissingTableError(f"{what}: {reason} (database {database!r} at {where.address}).")
    hints = {
        "42501": f"Give {where.user!r} the rights for it, or set {where.named('DB_USER')} to an administrator.",
        "53100": "The server's disk is full: free space there, then retry.",
        "57014": f"It took longer than {STATEMENT_SECONDS} s: see what the server is busy with, then retry.",
        "55P03": f"Something else held a lock for over {LOCK_SECONDS} s: wait for it to end, then retry.",
    }
    hint = hints.get(state, "Look at the server's log for details." if state.startswith("XX") else "")
    return ProviderError(f"{what}: {reason} (database {database!r} at {where.address}). {hint}".strip())


def _is_operational(error: psycopg.Error) -> bool:
    import psycopg

    return isinstance(error, psycopg.OperationalError)


def _unreachable(reason: str, where: DatabaseSettings, database: str, what: str) -> UnreachableError:
    if f'database "{database}" does not exist' in reason:
        advice = (
            "Run: tenantry db upgrade"
            if database == where.main_database and not where.region
            else "Run refresh, then up, to make it again."
        )
        return MissingDatabaseError(f"{what}: there is no database {database!r} at {where.address}. {advice}")
    # libpq's advice would stand in the middle of ours.
    reason = reason.partition(" Is the server running")[0].rstrip(".")
    if "authentication failed" in reason or "pg_hba.conf" in reason or "no password supplied" in reason:
        return UnreachableError(
            f"{what}: the PostgreSQL server at {where.address} refuses the login of {where.user!r}. "
            f"Correct {where.named('DB_USER', 'DB_PASSWORD')} (and {'sslmode' if where.region else 'DB_SSL'}, if it "
            "insists on TLS)."
        )
    return UnreachableError(
        f"{what}: the PostgreSQL server at {where.address} cannot be reached: {reason}. "
        f"Start it, or correct {where.named('DB_HOST', 'DB_PORT')}."
    )

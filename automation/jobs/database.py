"""The main database for everything that waits for many things at once: SQLAlchemy's async engine on psycopg.

Decides pool sizes, which pooled connection is looked at before it is used, and how a database's error reads. What is
stored is `store`'s; operations use `automation.database`.
"""

from __future__ import annotations

import contextlib
import functools
import select
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
from sqlalchemy import event, exc
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from automation.database import explain, parameters
from automation.settings import Settings

POOL_SECONDS = 5.0
"""How long a caller waits for a free connection before it is told that the database is busy."""
IDLE_SECONDS = 2.0
"""A connection that rested longer is asked whether it still works: what broke in silence says nothing by itself."""


def async_engine_for(
    settings: Settings, *, application: str, pool_size: int = 10, pool_seconds: float = POOL_SECONDS
) -> AsyncEngine:
    """A pool of at most `pool_size` connections; a broken one is noticed before it is used."""

    async def connect() -> psycopg.AsyncConnection[object]:
        return await psycopg.AsyncConnection.connect(**parameters(settings, application, None))

    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_seconds,
        pool_recycle=300,
    )
    event.listen(engine.sync_engine, "checkin", _note_use)
    event.listen(engine.sync_engine, "checkout", functools.partial(_look_at, engine.dialect))
    return engine


def _note_use(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _look_at(
    dialect: Dialect, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Lets the pool replace a connection that is broken.

    SQLAlchemy's own `pool_pre_ping` asks the server each time, which is half of what a short read costs. A server that
    ends a connection leaves something to read on its socket, and to look there costs no round trip.
    """
    used = record.info.get("used")
    if used is None:
        return
    driver: Any = record.driver_connection
    if not driver.closed and time.monotonic() - used < IDLE_SECONDS and not _readable(driver.pgconn.socket):
        return
    try:
        dialect.do_ping(connection)
    except psycopg.Error as error:
        raise exc.DisconnectionError from error


def _readable(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


@contextlib.asynccontextmanager
async def transaction(engine: AsyncEngine, settings: Settings) -> AsyncIterator[AsyncConnection]:
    """A transaction whose database errors are DatabaseErrors. Integrity errors pass: they mean something to callers."""
    with _explained(settings):
        async with engine.begin() as connection:
            yield connection


@contextlib.asynccontextmanager
async def looking_up(engine: AsyncEngine, settings: Settings) -> AsyncIterator[AsyncConnection]:
    """A connection for reading: each statement is its own transaction, which spares BEGIN and COMMIT.

    Two statements may see two moments. Its errors are `transaction`'s.
    """
    with _explained(settings):
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            yield connection


@contextlib.contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError:
        raise
    except exc.DBAPIError as error:
        raise explain(settings, error.orig if isinstance(error.orig, psycopg.Error) else error) from None
    except exc.TimeoutError as error:
        raise explain(settings, error) from None
    except psycopg.Error as error:
        raise explain(settings, error) from None

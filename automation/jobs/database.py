"""The main database for everything that waits for many things at once: SQLAlchemy's async engine on psycopg.

Decides pool sizes and how a database's error reads. What is stored is `store`'s; operations use `automation.database`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

import psycopg
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from automation.database import explain, parameters
from automation.settings import Settings

POOL_SECONDS = 5.0
"""How long a caller waits for a free connection before it is told that the database is busy."""


def async_engine_for(
    settings: Settings, *, application: str, pool_size: int = 10, pool_seconds: float = POOL_SECONDS
) -> AsyncEngine:
    """A pool of at most `pool_size` connections; a broken one is noticed before it is used."""

    async def connect() -> psycopg.AsyncConnection[object]:
        return await psycopg.AsyncConnection.connect(**parameters(settings, application, None))

    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_seconds,
        pool_pre_ping=True,
        pool_recycle=300,
    )


@contextlib.asynccontextmanager
async def transaction(engine: AsyncEngine, settings: Settings) -> AsyncIterator[AsyncConnection]:
    """A transaction whose database errors are DatabaseErrors. Integrity errors pass: they mean something to callers."""
    with _explained(settings):
        async with engine.begin() as connection:
            yield connection


@contextlib.asynccontextmanager
async def reading(engine: AsyncEngine, settings: Settings) -> AsyncIterator[AsyncConnection]:
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

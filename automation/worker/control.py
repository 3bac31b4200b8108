"""Listens for what is asked of running jobs: `cancel <job>` on a channel of the main database.

A notice may get lost with its connection; whoever must not miss one looks at the job's row as well. Decides nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import psycopg
import structlog

from automation.database import explain, parameters
from automation.jobs.effects import CONTROL_CHANNEL
from automation.settings import Settings

_log = structlog.stdlib.get_logger(__name__)
_CHECK_SECONDS = 30.0


async def listen(settings: Settings, on_cancel: Callable[[uuid.UUID], None]) -> None:
    """Calls `on_cancel` for each notice until cancelled. Raises DatabaseError when the connection is lost."""
    try:
        connection = await psycopg.AsyncConnection.connect(
            **parameters(settings, "tenantry worker control", None), autocommit=True
        )
        async with connection:
            await connection.execute(f"LISTEN {CONTROL_CHANNEL}".encode())
            while True:
                async for notice in connection.notifies(timeout=_CHECK_SECONDS):
                    if (job := cancelled(notice.payload)) is not None:
                        on_cancel(job)
                # Finds out whether the server is still there.
                await connection.execute("SELECT 1")
    except psycopg.Error as error:
        raise explain(settings, error) from None


def cancelled(payload: str) -> uuid.UUID | None:
    """The job that a notice cancels; None for one that means something else."""
    word, _, job = payload.partition(" ")
    if word != "cancel":
        return None
    try:
        return uuid.UUID(job)
    except ValueError:
        _log.warning("notice not understood", payload=payload[:80])
        return None

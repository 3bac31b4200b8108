"""One run per tenant at a time, held by the database (CORE-6).

The lock is a session advisory lock on a connection of its own, so it goes when its process or its network goes.
Decides who holds it and how a refusal reads. It never breaks anyone's lock, and never touches Pulumi's own.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg

from automation.database import connect, explain
from automation.errors import LockedError
from automation.settings import Settings

_KEY = "hashtextextended('tenantry.tenant:' || %s, 0)"
_HOLDER_ROW = """
    SELECT operation, host, pid, started_at, correlation_id FROM deployments WHERE tenant = %s AND status = 'running'
"""
_HOLDER_SESSION = f"""
    SELECT application_name, client_addr, backend_start FROM pg_stat_activity WHERE pid IN (
        SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ((classid::bigint << 32) | objid::bigint) = {_KEY})
"""  # noqa: S608 - a constant of this module, no input


class TenantLock:
    """The lock of one tenant, while held. `alive()` says whether it still is."""

    def __init__(self, tenant: str, connection: psycopg.Connection[Any]) -> None:
        self.tenant = tenant
        self._connection = connection

    def alive(self) -> bool:
        """Whether the connection, and with it the lock, is still there. One round trip."""
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True


@contextlib.contextmanager
def tenant_lock(settings: Settings, tenant: str, operation: str) -> Iterator[TenantLock]:
    """Holds the tenant's lock for the block. Raises LockedError naming the holder, at once, if it is taken."""
    application = f"tenantry {operation} {tenant} {socket.gethostname()}:{os.getpid()}"
    connection = connect(settings, application=application, autocommit=True)
    try:
        try:
            row = connection.execute(f"SELECT pg_try_advisory_lock({_KEY})", (tenant,)).fetchone()
        except psycopg.Error as error:
            raise explain(settings, error) from None
        if row is None or not row[0]:
            raise _refusal(connection, tenant)
        try:
            yield TenantLock(tenant, connection)
        finally:
            # The server may notice the end of a connection only after the next run has asked for the lock. Where the
            # connection is gone already, so is the lock.
            with contextlib.suppress(psycopg.Error):
                connection.execute(f"SELECT pg_advisory_unlock({_KEY})", (tenant,))
    finally:
        connection.close()


def _refusal(connection: psycopg.Connection[Any], tenant: str) -> LockedError:
    row = connection.execute(_HOLDER_ROW, (tenant,)).fetchone()
    if row is not None:
        operation, host, pid, since, correlation = row
        details = {
            "operation": operation,
            "host": host,
            "pid": pid,
            "since": _stamp(since),
            "correlation_id": correlation,
        }
        who = f"`{operation}` on {host}, process {pid}, since {_stamp(since)}, correlation id {correlation}"
    else:
        session = connection.execute(_HOLDER_SESSION, (tenant,)).fetchone()
        application, address, since = session or ("a session that has just ended", None, None)
        details = {"session": application, "address": str(address or ""), "since": _stamp(since)}
        who = f"{application}{f', since {_stamp(since)}' if since else ''}"
    return LockedError(
        f"tenant '{tenant}' is locked by another run: {who}",
        hint=f"wait for it to end (`tenantry show {tenant}` follows it), then retry",
        details=details,
    )


def _stamp(at: datetime | None) -> str:
    return at.astimezone().isoformat(timespec="seconds") if at else ""

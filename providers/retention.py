"""How long a tenant's data is kept, and the deletion of what is older.

Decides which tables hold data that ages, and what `90d` means. A purge deletes in small batches, each a transaction of
its own, so that it holds up nobody and may be cut off at any point. It acts for one tenant only: row security holds it
to that tenant's rows even where a statement of it were wrong.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from providers.backends import database_of
from providers.connection import DatabaseSettings
from providers.errors import MissingTableError, OwnershipError, ProviderError
from providers.row_security import become
from providers.schema_mark import mark_comment, mark_of
from providers.session import ATTEMPTS, connected, retried

if TYPE_CHECKING:
    import psycopg

VALID = "a number of days, weeks, months or years, such as 90d, 12w, 6m or 1y"
BATCH = 1000
"""Rows of one transaction."""
SECONDS = 120.0
"""How long the purge of one tenant may take; the next one goes on where it stopped."""
AGEING = ("messages", "files", "events", "documents", "workflow_runs", "audit_log")
"""The tables of a department whose rows are deleted by age, what refers to others first."""
KEPT = ("settings", "schema_migrations")
"""Those whose rows are not: they say how things are, and not what happened."""
_BRIEF_SECONDS = 2
_TEXT = re.compile(r"([1-9][0-9]{0,4})([dwmy])", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """A number of `d`ays, `w`eeks, `m`onths or `y`ears. Months and years are the calendar's."""

    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    def cutoff(self, now: datetime) -> datetime:
        """The moment before which data is too old. Of a day that a month has not, the month's last is meant."""
        try:
            match self.unit:
                case "d":
                    return now - timedelta(days=self.count)
                case "w":
                    return now - timedelta(weeks=self.count)
                case "m":
                    return _months_before(now, self.count)
                case _:
                    return _months_before(now, 12 * self.count)
        except (OverflowError, ValueError):
            return datetime.min.replace(tzinfo=UTC) + timedelta(days=366)


def parse(text: object) -> Retention:
    """The retention that `text` says. Raises ValueError saying what is valid."""
    found = _TEXT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(VALID)
    return Retention(count=int(found[1]), unit=found[2])


def _months_before(now: datetime, months: int) -> datetime:
    years, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return now.replace(year=years, month=month + 1, day=min(now.day, calendar.monthrange(years, month + 1)[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """Whose data is kept for how long, and where: the schema of the tenant with that mark, in the region's database."""

    region: str
    schema: str
    tenant_mark: str
    retention: Retention


@dataclass(slots=True, kw_only=True)
class Purged:
    """What a purge did: rows per table; `complete` where nothing that is too old was left; `error` where it failed."""

    rows: dict[str, int] = field(default_factory=dict)
    complete: bool = False
    error: str | None = None

    @property
    def total(self) -> int:
        return sum(self.rows.values())


def purge(
    of: Retained,
    cutoff: datetime,
    *,
    batch: int = BATCH,
    seconds: float = SECONDS,
    going: Callable[[], bool] = lambda: True,
) -> Purged:
    """Deletes what is older than `cutoff`, until done, until `seconds` have passed, or until `going` says no.

    A failure is told in the result, beside what was deleted before it.
    """
    done = Purged(rows=dict.fromkeys(AGEING, 0))
    until = time.monotonic() + seconds

    def work(connection: psycopg.Connection[Any]) -> None:
        for table in AGEING:
            while True:
                if time.monotonic() >= until or not going():
                    return
                deleted = _delete(connection, of, table, cutoff, batch)
                # Counted batch by batch: a connection that is lost in between begins again with what is left.
                done.rows[table] += deleted
                if deleted < batch:
                    break
        done.complete = True

    try:
        _for_tenant(of, work)
    except ProviderError as error:
        done.error = str(error)
    return done


def overdue(of: Retained, cutoff: datetime) -> dict[str, int]:
    """How many rows of each table are older than `cutoff`. Changes nothing. Raises ProviderError."""
    from psycopg import sql

    def work(connection: psycopg.Connection[Any]) -> dict[str, int]:
        found = {}
        for table in AGEING:
            statement = sql.SQL("SELECT count(*) FROM {} WHERE tenant = %s AND created_at < %s")
            place = sql.Identifier(of.schema, table)
            row = connection.execute(statement.format(place), (of.tenant_mark, cutoff)).fetchone()
            found[table] = int(row[0]) if row else 0
        return found

    result: dict[str, int] = _for_tenant(of, work)
    return result


def count_runs(of: Retained) -> int:
    """How many workflow runs the tenant has on record. Asked once, and briefly. Raises ProviderError."""
    from psycopg import sql

    def work(connection: psycopg.Connection[Any]) -> int:
        statement = sql.SQL("SELECT count(*) FROM {} WHERE tenant = %s").format(
            sql.Identifier(of.schema, "workflow_runs")
        )
        row = connection.execute(statement, (of.tenant_mark,)).fetchone()
        return int(row[0]) if row else 0

    result: int = _for_tenant(of, work, patient=False)
    return result


def _for_tenant(of: Retained, work: Callable[[psycopg.Connection[Any]], Any], *, patient: bool = True) -> Any:
    """`work` on a connection that acts for the tenant, whose schema is known to be its own."""
    where: DatabaseSettings = database_of(of.region).settings()
    if not patient:
        where = replace(where, connect_timeout=_BRIEF_SECONDS)
    what = f"data in schema {of.schema!r} of region {of.region!r}"

    def once() -> Any:
        with connected(where, where.main_database, what) as connection:
            connection.execute("SET search_path TO pg_catalog")
            if not patient:
                connection.execute(f"SET statement_timeout TO '{_BRIEF_SECONDS}s'")
            owner = mark_of(connection, of.schema)
            if not owner:
                raise MissingTableError(f"{what}: the schema is not there. Run refresh, then up, to make it again.")
            if owner != mark_comment(of.tenant_mark):
                raise OwnershipError(f"{what}: the schema is not this tenant's ({owner}).")
            become(connection, of.tenant_mark)
            return work(connection)

    return retried(once, where, where.main_database, what, attempts=ATTEMPTS if patient else 1)


def _delete(connection: psycopg.Connection[Any], of: Retained, table: str, cutoff: datetime, batch: int) -> int:
    from psycopg import sql

    # What somebody else works on just now is left for the next time, rather than waited for.
    statement = sql.SQL(
        "DELETE FROM {place} WHERE ctid = ANY (ARRAY (SELECT ctid FROM {place} WHERE tenant = %s AND created_at < %s "
        "ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED))"
    ).format(place=sql.Identifier(of.schema, table))
    return connection.execute(statement, (of.tenant_mark, cutoff, batch)).rowcount

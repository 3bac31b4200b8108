"""The scheduled purge: what a tenant's retention says is too old is deleted, and a row tells what became of it.

Decides whose turn it is, and that no two processes purge one tenant at once. Which rows are too old and how they are
deleted is `providers.retention`'s; what a tenant's retention is, its line's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import structlog
from sqlalchemy import Connection, Engine, desc, func, insert, select

from automation import history, manifests, queries
from automation.database import connect, engine_for, transaction
from automation.errors import InputError, TenantryError
from automation.models import TenantStatus, tenants
from automation.models_jobs import purges
from automation.redaction import redactor
from automation.settings import PROJECT_NAME, Settings
from providers import retention
from providers.retention import Retained

POLL_SECONDS = 60.0
AGAIN_AFTER = timedelta(minutes=15)
"""After a purge that failed."""
WORKER = "purge"
_KEY = "hashtextextended('tenantry.purge:' || %s, 0)"
_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A tenant with data that ages."""

    tenant: str
    retained: Retained


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A purge of one tenant. `rows` are those deleted; of a dry run, those that a purge would delete."""

    tenant: str
    retention: str
    cutoff: datetime
    rows: dict[str, int]
    complete: bool
    error: str | None = None

    @property
    def total(self) -> int:
        return sum(self.rows.values())

    def to_dict(self) -> dict[str, Any]:
        return {
            "tenant": self.tenant,
            "retention": self.retention,
            "cutoff": self.cutoff.isoformat(),
            "rows": self.rows,
            "total": self.total,
            "complete": self.complete,
            "error": self.error,
        }


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Purges whoever is due, until `stop` is set. Raises DatabaseError where the main database is away."""
    while settings.purge_every and not stop.is_set():
        await asyncio.to_thread(purge_due, settings, lambda: not stop.is_set())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), min(POLL_SECONDS, settings.purge_every))
    await stop.wait()


def purge_due(settings: Settings, going: Callable[[], bool] = lambda: True) -> list[Outcome]:
    """Purges every tenant whose last complete purge is too long ago. What fails is recorded, and the next one begun."""
    done = []
    engine = engine_for(settings, application="tenantry purge")
    with transaction(engine, settings) as connection:
        known = targets(connection, tell=_not_known)
        waiting = [target for target in known if _is_due(connection, settings, target.tenant)]
    for target in waiting:
        if not going():
            break
        with _alone(settings, target.tenant) as mine:
            if mine and _still_due(engine, settings, target.tenant):
                done.append(_purged(engine, settings, target, actor=WORKER, going=going))
                _told(done[-1])
    return done


def _told(one: Outcome) -> None:
    say = _log.info if one.error is None else _log.warning
    say(
        "purged",
        tenant=one.tenant,
        rows=one.total,
        complete=one.complete,
        **({"error": one.error} if one.error else {}),
    )


def _not_known(tenant: str, reason: str) -> None:
    _log.warning("retention not known", tenant=tenant, reason=reason)


def purge_now(
    settings: Settings, tenant: str | None, *, tell: Callable[[str, str], None], dry_run: bool = False
) -> list[Outcome]:
    """Purges `tenant`, or every tenant with data that ages, due or not. With `dry_run`, only counts.

    `tell` is called with each tenant that is left out, and why. Raises NotFoundError for an unknown tenant, InputError
    for one without such data.
    """
    engine = engine_for(settings, application="tenantry purge")
    with transaction(engine, settings) as connection:
        wanted = targets(connection, tenant, tell=tell)
        if tenant is not None and not wanted:
            raise _without_data(connection, tenant)
    if dry_run:
        return [_counted(target) for target in wanted]
    done = []
    for target in wanted:
        with _alone(settings, target.tenant) as mine:
            if mine:
                done.append(_purged(engine, settings, target, actor=history.actor()))
            else:
                done.append(_outcome(target, {}, error="it is being purged by another process"))
    return done


def targets(connection: Connection, tenant: str | None = None, *, tell: Callable[[str, str], None]) -> list[Target]:
    """The tenants with data that ages, by name. Of one whose manifest cannot be read, `tell` is told why."""
    statement = select(tenants.c.slug, tenants.c.line, tenants.c.last_good_manifest).where(
        tenants.c.last_good_manifest.is_not(None), tenants.c.status != TenantStatus.REMOVED
    )
    if tenant is not None:
        statement = statement.where(tenants.c.slug == tenant)
    found = []
    for slug, line, manifest in connection.execute(statement.order_by(tenants.c.slug)):
        try:
            retained = manifests.line_named(line).retained(manifests.restored(manifest), f"{PROJECT_NAME}/{slug}")
        except InputError as error:
            tell(slug, error.message)
            continue
        if retained is not None:
            found.append(Target(tenant=slug, retained=retained))
    return found


def past(connection: Connection, tenant: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest purges, of one tenant or of all."""
    statement = select(purges).order_by(desc(purges.c.id)).limit(limit)
    if tenant is not None:
        statement = statement.where(purges.c.tenant == tenant)
    return [queries.safe(row) for row in connection.execute(statement).mappings()]


def _without_data(connection: Connection, tenant: str) -> InputError:
    known = connection.execute(select(tenants.c.slug)).scalars().all()
    if tenant not in known:
        return queries.unknown_tenant(tenant, known)
    return InputError(
        f"tenant '{tenant}' has no data that is purged by age",
        hint="tenants of lines with a retention have, such as departments with dataRetention",
    )


def _still_due(engine: Engine, settings: Settings, tenant: str) -> bool:
    with transaction(engine, settings) as connection:
        return _is_due(connection, settings, tenant)


def _is_due(connection: Connection, settings: Settings, tenant: str) -> bool:
    last = connection.execute(
        select(purges.c.complete, purges.c.error, (func.now() - purges.c.ended_at).label("ago"))
        .where(purges.c.tenant == tenant)
        .order_by(desc(purges.c.id))
        .limit(1)
    ).one_or_none()
    every = timedelta(seconds=settings.purge_every)
    if last is None:
        return True
    if last.error is not None:
        return bool(last.ago >= min(AGAIN_AFTER, every))
    # One that ran out of time goes on at once.
    return not last.complete or bool(last.ago >= every)


def _counted(target: Target) -> Outcome:
    from providers.errors import ProviderError

    try:
        rows = retention.overdue(target.retained, _cutoff(target))
    except ProviderError as error:
        return _outcome(target, {}, error=str(error))
    return _outcome(target, rows, complete=True)


def _purged(
    engine: Engine, settings: Settings, target: Target, *, actor: str, going: Callable[[], bool] = lambda: True
) -> Outcome:
    began, cutoff = history.now(), _cutoff(target)
    done = retention.purge(target.retained, cutoff, seconds=settings.purge_timeout, going=going)
    masked = redactor(settings.secrets())
    error = masked(done.error) if done.error is not None else None
    outcome = _outcome(target, done.rows, complete=done.complete, error=error, cutoff=cutoff)
    with transaction(engine, settings) as connection:
        connection.execute(
            insert(purges).values(
                tenant=target.tenant,
                retention=outcome.retention,
                cutoff=cutoff,
                rows=outcome.rows,
                total=outcome.total,
                complete=outcome.complete,
                error=error,
                actor=actor,
                started_at=began,
                ended_at=history.now(),
            )
        )
    return outcome


def _cutoff(target: Target) -> datetime:
    return target.retained.retention.cutoff(datetime.now(UTC))


def _outcome(
    target: Target,
    rows: dict[str, int],
    *,
    complete: bool = False,
    error: str | None = None,
    cutoff: datetime | None = None,
) -> Outcome:
    return Outcome(
        tenant=target.tenant,
        retention=str(target.retained.retention),
        cutoff=cutoff or _cutoff(target),
        rows=rows,
        complete=complete,
        error=error,
    )


@contextlib.contextmanager
def _alone(settings: Settings, tenant: str) -> Iterator[bool]:
    """Whether no other process purges the tenant meanwhile. A lock of a session, which ends with its process."""
    with connect(settings, application=f"tenantry purge {tenant}", autocommit=True) as connection:
        row = connection.execute(f"SELECT pg_try_advisory_lock({_KEY})", (tenant,)).fetchone()
        mine = bool(row and row[0])
        try:
            yield mine
        finally:
            if mine:
                with contextlib.suppress(psycopg.Error):
                    connection.execute(f"SELECT pg_advisory_unlock({_KEY})", (tenant,))


def failed(outcomes: list[Outcome]) -> TenantryError | None:
    """The error that a run of several purges ends with, if any of them failed."""
    from automation.errors import RunLeftError

    wrong = [outcome for outcome in outcomes if outcome.error is not None]
    if not wrong:
        return None
    told = "; ".join(f"'{outcome.tenant}': {outcome.error}" for outcome in wrong)
    return RunLeftError(
        f"{len(wrong)} of {len(outcomes)} purges failed: {told}",
        hint="remove the cause, then run `tenantry purge` again; workers try again by themselves",
        details={"tenants": [outcome.tenant for outcome in wrong]},
    )

"""What is going on now, counted from the tables: jobs, tenants, workers, webhooks. Reads only.

Decides what is counted and under which name `/metrics` shows it. Partial indexes serve what is asked of the big tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from automation.models import TenantStatus
from automation.models_jobs import JobStatus
from stacks.lines import LINES

WORKER_LOST_SECONDS = 60
"""A worker that has not been heard of for this long counts as lost."""

Values = list[tuple[tuple[str, ...], float]]

_JOBS = text(
    "SELECT line, operation, status, count(*) FROM jobs WHERE status IN ('pending', 'running') GROUP BY 1, 2, 3"
)
# What waits for its time (a retry's pause) is not late.
_OLDEST = text(
    "SELECT line, extract(epoch FROM now() - min(not_before))::float FROM jobs "
    "WHERE status = 'pending' AND not_before <= now() GROUP BY 1"
)
_LEASES = text("SELECT count(*) FROM jobs WHERE status = 'running' AND lease_until < now()")
_TENANTS = text("SELECT line, status, count(*) FROM tenants GROUP BY 1, 2")
_WORKERS = text(
    "SELECT CASE WHEN seen_at < now() - make_interval(secs => :lost) THEN 'lost' WHEN draining THEN 'draining' "
    "ELSE 'ready' END, count(*), sum(concurrency) FROM workers GROUP BY 1"
).bindparams(lost=WORKER_LOST_SECONDS)
_WEBHOOKS = text("SELECT CASE WHEN active THEN 'active' ELSE 'disabled' END, count(*) FROM webhooks GROUP BY 1")
_DELIVERIES = text(
    "SELECT count(*), "
    "coalesce(extract(epoch FROM now() - min(next_attempt_at) FILTER (WHERE next_attempt_at <= now())),"
    " 0)::float FROM webhook_deliveries WHERE status = 'pending'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """Counts by label; ages in seconds."""

    jobs: Values
    oldest_pending: Values
    expired_leases: int
    tenants: Values
    workers: Values
    slots: Values
    webhooks: Values
    deliveries_pending: int
    deliveries_oldest: float

    def families(self) -> Iterator[tuple[str, str, tuple[str, ...], Values]]:
        """Name, help, labels and values of each metric."""
        yield (
            "tenantry_jobs_active",
            "Jobs that wait or run, by product line and operation.",
            ("line", "operation", "status"),
            self.jobs,
        )
        yield (
            "tenantry_jobs_oldest_pending_seconds",
            "For how long the oldest job that could run has been waiting; 0 where none does.",
            ("line",),
            self.oldest_pending,
        )
        expired: Values = [((), float(self.expired_leases))]
        yield "tenantry_jobs_expired_leases", "Jobs whose worker is lost, and nobody took over yet.", (), expired
        yield "tenantry_tenants", "Tenants, by product line and status.", ("line", "status"), self.tenants
        yield "tenantry_workers", "Workers that are ready, draining, or lost.", ("state",), self.workers
        yield "tenantry_worker_slots", "Jobs that these workers may run at once.", ("state",), self.slots
        yield "tenantry_webhooks", "Webhooks, active or disabled.", ("state",), self.webhooks
        pending: Values = [((), float(self.deliveries_pending))]
        yield "tenantry_webhook_deliveries_pending", "Webhook deliveries that have not ended.", (), pending
        oldest: Values = [((), self.deliveries_oldest)]
        yield "tenantry_webhook_oldest_due_seconds", "For how long the most overdue delivery has been due.", (), oldest


async def read(connection: AsyncConnection) -> Gauges:
    """The counts of this moment."""
    workers = await _rows(connection, _WORKERS)
    [(pending, oldest)] = await _rows(connection, _DELIVERIES)
    [(expired,)] = await _rows(connection, _LEASES)
    return Gauges(
        jobs=_with_zeros(
            [
                ((line, operation, status), float(number))
                for line, operation, status, number in await _rows(connection, _JOBS)
            ],
            [(line, "up", status) for line in LINES for status in (JobStatus.PENDING, JobStatus.RUNNING)],
        ),
        oldest_pending=_with_zeros(
            [((line,), max(0.0, seconds)) for line, seconds in await _rows(connection, _OLDEST)],
            [(line,) for line in LINES],
        ),
        expired_leases=expired,
        tenants=_with_zeros(
            [((line, status), float(number)) for line, status, number in await _rows(connection, _TENANTS)],
            [(line, status) for line in LINES for status in TenantStatus],
        ),
        workers=_with_zeros([((state,), float(number)) for state, number, _ in workers], _STATES),
        slots=_with_zeros([((state,), float(slots)) for state, _, slots in workers], _STATES),
        webhooks=_with_zeros(
            [((state,), float(number)) for state, number in await _rows(connection, _WEBHOOKS)],
            [("active",), ("disabled",)],
        ),
        deliveries_pending=pending,
        deliveries_oldest=oldest,
    )


_STATES: list[tuple[str, ...]] = [("ready",), ("draining",), ("lost",)]


def _with_zeros(values: Values, always: list[Any]) -> Values:
    # A series that goes away when its number is 0 would leave alerts and graphs with nothing to compare.
    there = {labels for labels, _ in values}
    zeros = [(tuple(str(word) for word in labels), 0.0) for labels in always]
    return sorted([*values, *(zero for zero in zeros if zero[0] not in there)])


async def _rows(connection: AsyncConnection, query: TextClause) -> list[Any]:
    return [tuple(row) for row in await connection.execute(query)]

"""What a job is, as the rest of the program sees it: frozen values, no SQL. Shapes of JSON are in `Job.to_dict`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from automation.errors import LockedError, TenantryError
from automation.models_jobs import JobOperation, JobStatus

ENDED = frozenset(JobStatus) - {JobStatus.PENDING, JobStatus.RUNNING}


class BusyError(LockedError):
    """The tenant has a job already; `details["job"]` is its id."""

    kind = "busy"


class ConflictError(TenantryError):
    """The job or the tenant is not in a state for this, or an idempotency key came again with another request."""

    exit_code = 2
    kind = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, from where, and the correlation id that everything which follows from it carries."""

    subject: str
    address: str | None
    correlation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be accepted. `manifest`, where given, becomes the tenant's next version in the same transaction.

    `options`: up: steps (keys to retry), enable_rollback, new (refuse a slug in use), wait_until (see `waiting`);
    rollback: deployment (an id, or None for the last change), force; preview: manifest (what to preview, where it is
    not the tenant's newest); restore: backup (its id), first (what is there is backed up before).
    `request_hash` tells whether an idempotency key came again with the same request. `owners` are the subjects who own
    the tenant beside its creator, where this makes one.
    """

    tenant: str
    line: str
    operation: JobOperation
    caller: Caller
    manifest: Mapping[str, Any] | None = None
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    request_hash: str | None = None
    retry_of: uuid.UUID | None = None
    owners: tuple[str, ...] = ()
    id: uuid.UUID = field(default_factory=uuid.uuid4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is now. Times have zones, durations are milliseconds."""

    id: uuid.UUID
    number: int
    tenant: str
    line: str
    operation: JobOperation
    status: JobStatus
    manifest_version: int | None
    options: Mapping[str, Any]
    actor: str
    address: str | None
    correlation_id: str
    retry_of: uuid.UUID | None
    deployment_id: uuid.UUID | None
    attempts: int
    worker: str | None
    lease_until: datetime | None
    not_before: datetime
    cancel_requested_at: datetime | None
    progress: int
    current_step: str | None
    message: str
    error: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, without what only workers need (lease, worker, address)."""
        stamps = ("not_before", "cancel_requested_at", "created_at", "started_at", "ended_at")
        plain = ("number", "tenant", "line", "manifest_version", "actor", "correlation_id", "attempts", "progress")
        ids = ("id", "retry_of", "deployment_id")
        return {
            **{name: str(value) if (value := getattr(self, name)) else None for name in ids},
            **{name: getattr(self, name) for name in plain},
            "operation": self.operation.value,
            "status": self.status.value,
            "current_step": self.current_step,
            "message": self.message,
            "error": dict(self.error) if self.error else None,
            "result": dict(self.result) if self.result else None,
            **{name: value.isoformat() if (value := getattr(self, name)) else None for name in stamps},
            "duration_ms": self.duration_ms,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A worker's hold on one attempt of a job. Every write of the attempt names it, so that a late one is refused."""

    job: uuid.UUID
    worker: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One event. `data` by kind: job: `Job.to_dict`; step: a step as `tenantry --json` shows it; progress: progress,
    phase, current_step; log: at, level, step, message; end: the job as it ended."""

    job: uuid.UUID
    seq: int
    at: datetime
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended: a final status, or `again` where another attempt is to continue after `delay` seconds.

    `waited`: it has touched nothing, and only looked whether it could begin.
    """

    status: JobStatus | None
    message: str = ""
    error: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    deployment_id: uuid.UUID | None = None
    delay: float = 0
    waited: bool = False

    @property
    def again(self) -> bool:
        """Whether the job goes back to the queue."""
        return self.status is None

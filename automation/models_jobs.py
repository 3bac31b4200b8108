"""The tables of jobs and of what goes with them: manifests, events, audit, members, webhooks, limits, totals, workers,
purges.

Decides names, types and constraints, as `models` does for tenants and deployments. It never connects.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from automation.models import NOW, TIMESTAMP, metadata, one_of


class JobStatus(StrEnum):
    """What became of a job. PENDING and RUNNING hold the tenant's place: one of them per tenant."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    CANCELLED = "cancelled"


class JobOperation(StrEnum):
    """What a job does. Retrying a step is an `up` of that step, skipping one an `up` with another manifest.

    BACKUP and RESTORE are for tenants whose line says what of them is backed up.
    """

    PREVIEW = "preview"
    UP = "up"
    REFRESH = "refresh"
    DESTROY = "destroy"
    ROLLBACK = "rollback"
    BACKUP = "backup"
    RESTORE = "restore"


class EventKind(StrEnum):
    """What an event of a job tells; see `tenantry_event` in revision 0002."""

    JOB = "job"
    STEP = "step"
    PROGRESS = "progress"
    LOG = "log"
    END = "end"


class DeliveryStatus(StrEnum):
    """What became of a webhook's delivery. DROPPED: its webhook was switched off before it got through."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


ROLES = ("owner", "admin", "member")

manifests = Table(
    "manifests",
    metadata,
    Column("tenant", Text, ForeignKey("tenants.slug", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("manifest", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", TIMESTAMP, nullable=False, server_default=NOW),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("number", BigInteger, Identity(always=True), nullable=False),
    # No foreign key: a preview may be of a tenant that nobody has asked for yet, and leaves nothing behind.
    Column("tenant", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("manifest_version", Integer),
    # As `automation.jobs.model.NewJob` describes them.
    Column("options", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("actor", Text, nullable=False),
    Column("address", Text),
    Column("correlation_id", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("request_hash", Text),
    Column("retry_of", Uuid),
    Column("deployment_id", Uuid),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("worker", Text),
    Column("lease_until", TIMESTAMP),
    Column("not_before", TIMESTAMP, nullable=False, server_default=NOW),
    Column("published_at", TIMESTAMP),
    Column("cancel_requested_at", TIMESTAMP),
    Column("cancel_requested_by", Text),
    Column("progress", Integer, nullable=False, server_default=text("0")),
    Column("current_step", Text),
    Column("event_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("message", Text, nullable=False, server_default=""),
    Column("error", JSONB),
    Column("result", JSONB),
    Column("created_at", TIMESTAMP, nullable=False, server_default=NOW),
    Column("started_at", TIMESTAMP),
    Column("ended_at", TIMESTAMP),
    Column("duration_ms", BigInteger),
    one_of("status", JobStatus),
    one_of("operation", JobOperation),
    CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
    CheckConstraint("(status = 'running') = (lease_until IS NOT NULL AND worker IS NOT NULL)", name="lease"),
    CheckConstraint("(status IN ('pending', 'running')) = (ended_at IS NULL)", name="ended"),
)

ACTIVE = jobs.c.status.in_((JobStatus.PENDING, JobStatus.RUNNING))

# Previews change nothing: any number of them may run beside each other and beside a run.
Index(
    "jobs_one_active_per_tenant",
    jobs.c.tenant,
    unique=True,
    postgresql_where=text("status IN ('pending', 'running') AND operation <> 'preview'"),
)
Index(
    "jobs_idempotency_key",
    jobs.c.actor,
    jobs.c.idempotency_key,
    unique=True,
    postgresql_where=text("idempotency_key IS NOT NULL"),
)
Index("jobs_number_idx", jobs.c.number.desc(), unique=True)
Index("jobs_actor_number_idx", jobs.c.actor, jobs.c.number.desc())
Index("jobs_status_number_idx", jobs.c.status, jobs.c.number.desc())
Index("jobs_tenant_number_idx", jobs.c.tenant, jobs.c.number.desc())
Index("jobs_pending_idx", jobs.c.not_before, jobs.c.number, postgresql_where=text("status = 'pending'"))
Index("jobs_running_idx", jobs.c.lease_until, postgresql_where=text("status = 'running'"))

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    # 1, 2, 3 ... per job, in the order in which they were committed: a reader that has seen n has seen all up to n.
    Column("seq", BigInteger, primary_key=True),
    Column("at", TIMESTAMP, nullable=False, server_default=NOW),
    Column("kind", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    one_of("kind", EventKind),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", TIMESTAMP, nullable=False, server_default=NOW),
    Column("actor", Text, nullable=False),
    Column("address", Text),
    Column("action", Text, nullable=False),
    Column("tenant", Text),
    Column("object", Text),
    Column("job_id", Uuid),
    Column("correlation_id", Text, nullable=False),
    Column("before", JSONB),
    Column("after", JSONB),
)
Index("audit_tenant_id_idx", audit.c.tenant, audit.c.id.desc())
Index("audit_actor_id_idx", audit.c.actor, audit.c.id.desc())

# People who sign in with a password: where tokens are signed by ourselves. Everybody else has an identity provider.
accounts = Table(
    "accounts",
    metadata,
    # Also the `sub` of their tokens, and so the subject of their memberships.
    Column("email", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # As `service.auth.passwords` makes it: never the password itself.
    Column("password_hash", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", TIMESTAMP, nullable=False, server_default=NOW),
)

tenant_members = Table(
    "tenant_members",
    metadata,
    Column("tenant", Text, ForeignKey("tenants.slug", ondelete="CASCADE"), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("created_at", TIMESTAMP, nullable=False, server_default=NOW),
    one_of("role", ROLES),
)
Index("tenant_members_subject_idx", tenant_members.c.subject)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    # None: events of all tenants, which only the platform's admins may ask for.
    Column("tenant", Text, ForeignKey("tenants.slug", ondelete="CASCADE")),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("events", JSONB, nullable=False),
    Column("secret", LargeBinary, nullable=False),  # encrypted by `automation.secretbox`
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("disabled_at", TIMESTAMP),
    Column("disabled_reason", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", TIMESTAMP, nullable=False, server_default=NOW),
    Column("updated_at", TIMESTAMP, nullable=False, server_default=NOW),
)
Index("webhooks_tenant_idx", webhooks.c.tenant)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("webhook_id", Uuid, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("event", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", TIMESTAMP, nullable=False, server_default=NOW),
    Column("claimed_until", TIMESTAMP),
    # One per attempt: {"at", "status", "body", "duration_ms", "error"}, the body cut short.
    Column("answers", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("resend_of", Uuid),
    Column("created_at", TIMESTAMP, nullable=False, server_default=NOW),
    Column("ended_at", TIMESTAMP),
    one_of("status", DeliveryStatus),
)
Index("webhook_deliveries_webhook_number_idx", webhook_deliveries.c.webhook_id, webhook_deliveries.c.number.desc())
Index(
    "webhook_deliveries_due_idx",
    webhook_deliveries.c.next_attempt_at,
    postgresql_where=text("status = 'pending'"),
)
Index(
    "webhook_deliveries_ended_idx",
    webhook_deliveries.c.ended_at,
    postgresql_where=webhook_deliveries.c.ended_at.is_not(None),
)

rate_limit_hits = Table(
    "rate_limit_hits",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("caller", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", TIMESTAMP, nullable=False, server_default=NOW),
)
Index("rate_limit_hits_caller_idx", rate_limit_hits.c.caller, rate_limit_hits.c.kind, rate_limit_hits.c.at)

# Requests in the window `number` (seconds since 1970 by the window's length) and in the one before it.
rate_limit_windows = Table(
    "rate_limit_windows",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("before", BigInteger, nullable=False),
)

# Counters and histograms of all processes together, added to where what they count is committed.
metric_totals = Table(
    "metric_totals",
    metadata,
    Column("metric", Text, primary_key=True),
    Column("labels", Text, primary_key=True),  # JSON object, keys sorted
    Column("part", Text, primary_key=True),  # "value", "sum", or a bucket's upper bound such as "0.5" or "+Inf"
    Column("value", Double, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("queue", Text, nullable=False),
    Column("draining", Boolean, nullable=False, server_default=text("false")),
    Column("started_at", TIMESTAMP, nullable=False, server_default=NOW),
    Column("seen_at", TIMESTAMP, nullable=False, server_default=NOW),
)

# One row for each run of the purge on a tenant's data. `rows` is how many were deleted, per table.
purges = Table(
    "purges",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, ForeignKey("tenants.slug", ondelete="CASCADE"), nullable=False),
    Column("retention", Text, nullable=False),
    Column("cutoff", TIMESTAMP, nullable=False),
    Column("rows", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("total", BigInteger, nullable=False, server_default=text("0")),
    # False: it ran out of time or failed. The next one goes on where it stopped.
    Column("complete", Boolean, nullable=False),
    Column("error", Text),
    Column("actor", Text, nullable=False),
    Column("started_at", TIMESTAMP, nullable=False),
    Column("ended_at", TIMESTAMP, nullable=False, server_default=NOW),
)
Index("purges_tenant_id_idx", purges.c.tenant, purges.c.id.desc())

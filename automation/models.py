"""The control tables in the main database, as SQLAlchemy Core tables.

Decides names, types and constraints. It never connects: `database` does; and never alters a live schema:
`migrations` do. Core and not ORM: a command lives for a second, and reads and writes a handful of rows.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

HEAD = "0010"
"""The newest revision in `migrations/versions`; a test holds the two together."""


class DeploymentStatus(StrEnum):
    """What became of a deployment. Only RUNNING holds the tenant's place in the unique index."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class TenantStatus(StrEnum):
    """What a tenant is now. PENDING: asked for, and nothing of it begun. PARTIAL: it works, and lacks what is optional:
    its next up tries that again."""

    PENDING = "pending"
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    PARTIAL = "partial"
    FAILED = "failed"
    REMOVED = "removed"


metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

NOW = func.now()
TIMESTAMP = DateTime(timezone=True)


def one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> CheckConstraint:
    """The column holds one of these words."""
    quoted = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({quoted})", name=column)


tenants = Table(
    "tenants",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("line", Text, nullable=False, server_default="cabinet"),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("template_id", Text),
    Column("template_version", Text),
    Column("last_good_manifest", JSONB(none_as_null=True)),
    # Where it is reached, as the last run that succeeded told; a port is known only then.
    Column("url", Text),
    # What it has on servers that many share, as `automation.objects.kept` describes it.
    Column("objects", JSONB(none_as_null=True)),
    # The newest of its `manifests`, whether it has been applied or not.
    Column("manifest_version", Integer, nullable=False, server_default=text("0")),
    Column("created_at", TIMESTAMP, nullable=False, server_default=NOW),
    Column("updated_at", TIMESTAMP, nullable=False, server_default=NOW),
    one_of("status", TenantStatus),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Uuid, primary_key=True),
    # Which came first: clocks of machines differ, and are set back.
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("tenant", Text, ForeignKey("tenants.slug"), nullable=False),
    Column("operation", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("phase", Text, nullable=False, server_default="run"),
    Column("correlation_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("engine", Text, nullable=False),
    Column("enable_rollback", Boolean, nullable=False, server_default=text("true")),
    Column("first_create", Boolean, nullable=False, server_default=text("false")),
    Column("manifest", JSONB(none_as_null=True)),
    Column("previous_manifest", JSONB(none_as_null=True)),
    Column("rollback_of", Uuid, ForeignKey("deployments.id")),
    # The job that this was run for; none for a run by hand. No foreign key: jobs are cleared away sooner than history.
    Column("job_id", Uuid),
    Column("progress", Integer, nullable=False, server_default=text("0")),
    Column("changes", JSONB),
    # Requests sent to each server that counts them, by its name.
    Column("requests", JSONB(none_as_null=True)),
    Column("error", Text),
    Column("leftovers", JSONB),
    Column("started_at", TIMESTAMP, nullable=False, server_default=NOW),
    Column("ended_at", TIMESTAMP),
    Column("duration_ms", BigInteger),
    one_of("status", DeploymentStatus),
    one_of("operation", ("up", "refresh", "destroy", "rollback", "backup", "restore")),
    one_of("phase", ("run", "rollback")),
    CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
)

Index(
    "deployments_one_running_per_tenant",
    deployments.c.tenant,
    unique=True,
    postgresql_where=deployments.c.status == text("'running'"),
)
Index("deployments_tenant_number_idx", deployments.c.tenant, deployments.c.number.desc())
Index("deployments_job_id_idx", deployments.c.job_id, postgresql_where=deployments.c.job_id.is_not(None))
Index("tenants_status_idx", tenants.c.status)

deployment_steps = Table(
    "deployment_steps",
    metadata,
    Column("deployment_id", Uuid, ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("started_at", TIMESTAMP),
    Column("ended_at", TIMESTAMP),
    Column("duration_ms", BigInteger),
    Column("rolled_back_at", TIMESTAMP),
    Column("message", Text, nullable=False, server_default=""),
    Column("error", Text),
    one_of("status", ("pending", "running", "completed", "failed", "skipped", "rolled_back")),
)

deployment_logs = Table(
    "deployment_logs",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("deployment_id", Uuid, ForeignKey("deployments.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", TIMESTAMP, nullable=False, server_default=NOW),
    Column("level", Text, nullable=False),
    Column("step", Text),
    Column("message", Text, nullable=False),
)

"""What is remembered: tenants, their deployments, steps and logs (CORE-3). All reads and writes of the control tables.

Decides what one row means. It never decides what a run does next: `operations` does.
"""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, Text, and_, exc, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from automation import manifests, records
from automation.errors import LockedError, NotFoundError
from automation.models import (
    DeploymentStatus,
    TenantStatus,
    deployment_logs,
    deployment_steps,
    deployments,
    tenants,
)
from automation.records import Record
from automation.steps import StepState, StepStatus

if TYPE_CHECKING:
    from stacks.shape import Pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFacts:
    """What is known of a tenant before a run. `record` is None where no line has a record of that slug.

    `line` is None for a tenant that we have no row of; `removed` says that the row is all that is left of it; `failed`
    that a run broke off in its middle, so that its state may not say what is there. `pinned` is what it was built from,
    `partial` says that it works without something optional.
    """

    exists: bool
    last_good: Mapping[str, Any] | None
    record: Record | None
    pinned: Pinned
    was_active: bool
    line: str | None = None
    removed: bool = False
    failed: bool = False
    partial: bool = False

    @property
    def working(self) -> TenantStatus:
        """What a tenant that works is, as far as is known before a run."""
        return TenantStatus.PARTIAL if self.partial else TenantStatus.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeployment:
    """A deployment about to start."""

    tenant: str
    name: str
    operation: str
    engine: str
    correlation_id: str
    enable_rollback: bool = True
    first_create: bool = False
    manifest: Mapping[str, Any] | None = None
    previous_manifest: Mapping[str, Any] | None = None
    rollback_of: uuid.UUID | None = None
    line: str = "cabinet"
    id: uuid.UUID = field(default_factory=uuid.uuid4)


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def actor() -> str:
    """Who runs this: TENANTRY_ACTOR (a service sets it), else the system's user."""
    if name := os.environ.get("TENANTRY_ACTOR"):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def job() -> uuid.UUID | None:
    """The job that this process runs: TENANTRY_JOB, which a worker sets; None for a run by hand."""
    value = os.environ.get("TENANTRY_JOB")
    return uuid.UUID(value) if value else None


def tenant_facts(connection: Connection, slug: str) -> TenantFacts:
    """What the main database says of `slug`."""
    known = select(tenants.c.last_good_manifest, tenants.c.line, tenants.c.status).where(tenants.c.slug == slug)
    tenant = connection.execute(known).one_or_none()
    record = records.find(connection, slug)
    return TenantFacts(
        exists=tenant is not None,
        last_good=tenant.last_good_manifest if tenant is not None else None,
        record=record,
        pinned=manifests.pinned(
            record.template if record is not None else None,
            record.workflows if record is not None else {},
            tenant.last_good_manifest if tenant is not None else None,
        ),
        was_active=record is not None and record.active,
        line=tenant.line if tenant is not None else None,
        removed=tenant is not None and tenant.status == TenantStatus.REMOVED,
        failed=tenant is not None and tenant.status == TenantStatus.FAILED,
        partial=tenant is not None and tenant.status == TenantStatus.PARTIAL,
    )


def newest_settings(connection: Connection, tenant: str) -> tuple[str, Mapping[str, Any] | None]:
    """A tenant's line, and its last good settings; without any, as of one that is removed, those of its newest run.

    Raises NotFoundError for a tenant that we have no row of.
    """
    known = select(tenants.c.line, tenants.c.last_good_manifest).where(tenants.c.slug == tenant)
    row = connection.execute(known).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no tenant '{tenant}'", hint="`tenantry list` shows those there are")
    return row.line, row.last_good_manifest or settings_of_runs(connection, tenant)


def settings_of_runs(connection: Connection, tenant: str) -> Mapping[str, Any] | None:
    """The settings of a tenant's newest run that had any, however it ended; None where none had."""
    of_runs = (
        select(deployments.c.manifest)
        .where(deployments.c.tenant == tenant, deployments.c.manifest.is_not(None))
        .order_by(deployments.c.number.desc())
        .limit(1)
    )
    found: Mapping[str, Any] | None = connection.execute(of_runs).scalar_one_or_none()
    return found


def take_over(connection: Connection, tenant: str, job: uuid.UUID | None = None) -> list[RowMapping]:
    """Marks the runs of dead processes as interrupted; returns them. With `job`, only the runs made for it.

    Only for the holder of the tenant's lock, or for the worker that has seen the job's process end.
    """
    message = "its process ended before the run did"
    running = and_(deployments.c.tenant == tenant, deployments.c.status == DeploymentStatus.RUNNING)
    if job is not None:
        running = and_(running, deployments.c.job_id == job)
    dead = list(
        connection.execute(
            update(deployments)
            .where(running)
            .values(
                status=DeploymentStatus.INTERRUPTED,
                error=message,
                ended_at=func.now(),
                duration_ms=_milliseconds(deployments.c.started_at),
            )
            .returning(deployments.c.id, deployments.c.operation, deployments.c.host, deployments.c.pid)
        ).mappings()
    )
    if dead:
        ids = [row["id"] for row in dead]
        of_them = deployment_steps.c.deployment_id.in_(ids)
        connection.execute(
            update(deployment_steps)
            .where(of_them, deployment_steps.c.status == StepStatus.RUNNING)
            .values(
                status=StepStatus.FAILED,
                error=message,
                ended_at=func.now(),
                duration_ms=_milliseconds(deployment_steps.c.started_at),
            )
        )
        connection.execute(
            update(deployment_steps)
            .where(of_them, deployment_steps.c.status == StepStatus.PENDING)
            .values(status=StepStatus.SKIPPED, message="not reached")
        )
    return dead


def start(
    connection: Connection, new: NewDeployment, steps: Sequence[StepState], tenant_values: Mapping[str, Any]
) -> None:
    """Writes a deployment with its steps as running. Raises LockedError when another one of the tenant is running."""
    values = {"name": new.name, "line": new.line, **tenant_values, "updated_at": func.now()}
    connection.execute(
        upsert(tenants)
        .values(slug=new.tenant, **{"status": TenantStatus.PROVISIONING, **values})
        .on_conflict_do_update(index_elements=["slug"], set_=values)
    )
    row = {
        "id": new.id,
        "tenant": new.tenant,
        "operation": new.operation,
        "status": DeploymentStatus.RUNNING,
        "correlation_id": new.correlation_id,
        "actor": actor(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "engine": new.engine,
        "enable_rollback": new.enable_rollback,
        "first_create": new.first_create,
        "manifest": new.manifest,
        "previous_manifest": new.previous_manifest,
        "rollback_of": new.rollback_of,
        "job_id": job(),
        "started_at": now(),
    }
    try:
        connection.execute(insert(deployments), row)
    except exc.IntegrityError:
        raise LockedError(
            f"tenant '{new.tenant}' has a running deployment",
            hint=f"wait for it to end (`tenantry show {new.tenant}` follows it), then retry",
        ) from None
    if steps:
        connection.execute(insert(deployment_steps), [step_row(new.id, i, step) for i, step in enumerate(steps)])


def step_row(deployment: uuid.UUID, position: int, step: StepState) -> dict[str, Any]:
    """A step as a row."""
    return {
        "deployment_id": deployment,
        "key": step.key,
        "position": position,
        "title": step.title,
        "status": step.status.value,
        "attempts": step.attempts,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "duration_ms": step.duration_ms,
        "rolled_back_at": step.rolled_back_at,
        "message": step.message,
        "error": step.error,
    }


def save_steps(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes steps as they are now."""
    statement = upsert(deployment_steps)
    changing = {
        name: statement.excluded[name]
        for name in (
            "status",
            "attempts",
            "started_at",
            "ended_at",
            "duration_ms",
            "rolled_back_at",
            "message",
            "error",
        )
    }
    statement = statement.on_conflict_do_update(index_elements=["deployment_id", "key"], set_=changing)
    for row in rows:
        connection.execute(statement, dict(row))


def save_progress(connection: Connection, deployment: uuid.UUID, progress: int, phase: str) -> None:
    """Writes progress; it never goes backwards, whatever order writes arrive in."""
    connection.execute(
        update(deployments)
        .where(deployments.c.id == deployment)
        .values(progress=func.greatest(deployments.c.progress, progress), phase=phase)
    )


def save_logs(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Appends log lines."""
    if rows:
        connection.execute(insert(deployment_logs), [dict(row) for row in rows])


def finish(connection: Connection, deployment: uuid.UUID, tenant_values: Mapping[str, Any], **values: Any) -> None:
    """Ends a deployment, and writes what its tenant is now."""
    if tenant_values:
        # The tenant's row before the deployment's, as everybody locks them: no two may wait for each other.
        own = select(deployments.c.tenant).where(deployments.c.id == deployment).scalar_subquery()
        connection.execute(update(tenants).where(tenants.c.slug == own).values(updated_at=func.now(), **tenant_values))
    connection.execute(
        update(deployments)
        .where(deployments.c.id == deployment)
        .values(ended_at=func.now(), duration_ms=_milliseconds(deployments.c.started_at), **values)
    )


def objects(connection: Connection, tenant: str) -> list[dict[str, Any]] | None:
    """What the tenant has on servers that many share, as its runs before told it."""
    # Locked, as whoever asks is about to write them.
    statement = select(tenants.c.objects).where(tenants.c.slug == tenant).with_for_update(key_share=True)
    found: list[dict[str, Any]] | None = connection.execute(statement).scalar_one_or_none()
    return found


def mark_rolled_back(connection: Connection, deployment: uuid.UUID) -> None:
    """Records that a later run undid this deployment: its steps too, the last one first."""
    connection.execute(
        update(deployments).where(deployments.c.id == deployment).values(status=DeploymentStatus.ROLLED_BACK)
    )
    undone = connection.execute(
        select(deployment_steps.c.key)
        .where(
            deployment_steps.c.deployment_id == deployment,
            deployment_steps.c.status.in_((StepStatus.COMPLETED, StepStatus.FAILED)),
            deployment_steps.c.key != "validation",
        )
        .order_by(deployment_steps.c.position.desc())
    ).scalars()
    for key in list(undone):
        connection.execute(
            update(deployment_steps)
            .where(deployment_steps.c.deployment_id == deployment, deployment_steps.c.key == key)
            .values(status=StepStatus.ROLLED_BACK, rolled_back_at=func.clock_timestamp())
        )


def find_deployment(connection: Connection, wanted: str) -> RowMapping:
    """The deployment whose id is, or starts with, `wanted`; of a tenant's name, the last `up` that changed it.

    Raises NotFoundError when there is none, or when several ids begin like that.
    """
    last = _last_change(connection, wanted)
    if last is not None:
        return last
    prefix = wanted.strip().lower()
    if len(prefix) < 4 or set(prefix) - set("0123456789abcdef-"):
        raise NotFoundError(
            f"'{wanted}' is neither a deployment's id nor a tenant with a change to undo",
            hint="give at least the first 4 characters of an id; `tenantry history TENANT` lists them",
        )
    found = (
        connection.execute(select(deployments).where(func.starts_with(deployments.c.id.cast(Text), prefix)).limit(2))
        .mappings()
        .all()
    )
    if len(found) != 1:
        raise NotFoundError(
            f"{'no deployment has' if not found else 'several deployments have'} the id '{wanted}'",
            hint="`tenantry history TENANT` lists deployments",
        )
    return found[0]


def _last_change(connection: Connection, tenant: str) -> RowMapping | None:
    changed = and_(
        deployments.c.tenant == tenant,
        deployments.c.operation == "up",
        deployments.c.status == DeploymentStatus.SUCCEEDED,
        # Undoing a first create removes the tenant: nobody shall get there by the tenant's name alone.
        ~deployments.c.first_create,
        deployments.c.manifest.is_distinct_from(deployments.c.previous_manifest),
    )
    newest = select(deployments).where(changed).order_by(deployments.c.number.desc()).limit(1)
    return connection.execute(newest).mappings().first()


def newer_effective(connection: Connection, deployment: RowMapping) -> list[RowMapping]:
    """Runs after `deployment` that its undoing would undo too: later changes still in effect, and destroys."""
    later = and_(
        deployments.c.tenant == deployment["tenant"],
        deployments.c.number > deployment["number"],
        deployments.c.operation.in_(("up", "destroy")),
        deployments.c.status.in_((DeploymentStatus.SUCCEEDED, DeploymentStatus.FAILED)),
        # An `up` that found nothing to do is not undone by anything.
        deployments.c.manifest.is_distinct_from(deployments.c.previous_manifest),
    )
    return list(connection.execute(select(deployments).where(later).order_by(deployments.c.number)).mappings())


def _milliseconds(started: Any) -> Any:
    return func.round(func.extract("epoch", func.now() - started) * 1000)

"""What one attempt at a job is to do: read from its row, then done by the operations that the command line uses too.

Decides which operation with which manifest and options. It never writes to the job's row.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, desc, select

from automation import manifests, queries
from automation.database import engine_for, transaction
from automation.errors import InputError, RollbackFailedError, RunFailedError, TenantryError
from automation.jobs import waiting
from automation.jobs.model import Job
from automation.jobs.rows import JOB_COLUMNS, job_of
from automation.models import DeploymentStatus, TenantStatus, deployments, tenants
from automation.models_jobs import JobOperation, JobStatus, jobs
from automation.models_jobs import manifests as manifest_rows
from automation.settings import Settings

if TYPE_CHECKING:
    from automation.results import PreviewResult, RunResult
    from automation.run import Context
    from stacks.lines import Manifest

_RECORDED = (DeploymentStatus.SUCCEEDED, DeploymentStatus.ROLLED_BACK, DeploymentStatus.ROLLBACK_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A job's work. `manifest` is as it was sent; None where the operation needs none.

    `recorded` is how an earlier attempt ended, where its process died between recording that and telling it: the
    work is done, and is not done again.
    """

    job: Job
    manifest: Mapping[str, Any] | None = None
    recorded: dict[str, Any] | None = None


def read(settings: Settings, job: uuid.UUID, attempt: int) -> Work | None:
    """The work of this attempt; None when the job has ended, or when another attempt has begun."""
    with transaction(engine_for(settings), settings) as connection:
        row = connection.execute(select(*JOB_COLUMNS).where(jobs.c.id == job)).mappings().one_or_none()
        if row is None or row["status"] != JobStatus.RUNNING or row["attempts"] != attempt:
            return None
        found = job_of(row)
        recorded = _recorded(connection, found) if attempt > 1 else None
        needed = found.operation in {JobOperation.UP, JobOperation.PREVIEW} and recorded is None
        return Work(job=found, manifest=_manifest(connection, found) if needed else None, recorded=recorded)


def _manifest(connection: Connection, job: Job) -> Mapping[str, Any]:
    if job.operation is JobOperation.PREVIEW and job.options.get("new"):
        there = select(tenants.c.slug).where(tenants.c.slug == job.tenant, tenants.c.status != TenantStatus.REMOVED)
        if connection.execute(there).first() is not None:
            raise InputError(
                f"the slug '{job.tenant}' was taken after this preview was asked for",
                hint="choose another slug, or ask for a preview of the tenant that is there",
            )
    if (given := job.options.get("manifest")) is not None:
        return dict(given)
    of_version = select(manifest_rows.c.manifest).where(
        manifest_rows.c.tenant == job.tenant, manifest_rows.c.version == job.manifest_version
    )
    manifest = connection.execute(of_version).scalar_one_or_none()
    if manifest is None:
        # A tenant that was made from the command line has no versions yet, but what it works by is on record.
        last_good = select(tenants.c.last_good_manifest).where(tenants.c.slug == job.tenant)
        manifest = (connection.execute(last_good).scalar_one_or_none() or {}).get("manifest")
    if manifest is None:
        raise InputError(f"tenant '{job.tenant}' has no manifest on record", hint="send the manifest to bring it to")
    return dict(manifest)


def _recorded(connection: Connection, job: Job) -> dict[str, Any] | None:
    ended = (
        select(deployments.c.id)
        .where(deployments.c.job_id == job.id, deployments.c.status.in_(_RECORDED))
        .order_by(desc(deployments.c.number))
        .limit(1)
    )
    found = connection.execute(ended).scalar_one_or_none()
    if found is None:
        return None
    shown = queries.show_deployment(connection, found)
    kept = ("tenant", "operation", "correlation_id", "engine", "status", "changes", "progress", "duration_ms", "steps")
    error = _error(shown)
    return {
        "type": "result",
        "deployment": str(found),
        **{name: shown[name] for name in kept},
        "changed": any(n for op, n in (shown["changes"] or {}).items() if op not in {"same", "read", "refresh"}),
        "rolled_back_to": None,
        "leftovers": shown["leftovers"] or [],
        "drift": [],
        "outputs": {},
        "error": error.to_dict() if error is not None else None,
    }


def _error(shown: Mapping[str, Any]) -> TenantryError | None:
    if shown["status"] == DeploymentStatus.SUCCEEDED and not shown["error"]:
        return None
    kind = {
        DeploymentStatus.ROLLED_BACK.value: RunFailedError,
        DeploymentStatus.ROLLBACK_FAILED.value: RollbackFailedError,
    }.get(shown["status"], TenantryError)
    return kind(shown["error"] or f"{shown['operation']} of '{shown['tenant']}' ended as {shown['status']}")


def demand_begin(work: Work) -> None:
    """Raises NotYetError where the job is to wait for what its tenant is made on. Needs no engine of Pulumi's."""
    if work.job.operation is JobOperation.UP and waiting.UNTIL in work.job.options:
        manifest = _parsed(work)
        waiting.demand_begin(work.job, manifests.line_named(manifest.kind), manifest)


def run(context: Context, work: Work) -> RunResult | PreviewResult:
    """Does the work. Raises TenantryError where nothing was touched."""
    from automation import backing_up, operations

    job, options = work.job, work.job.options
    match job.operation:
        case JobOperation.PREVIEW:
            return operations.preview(context, _parsed(work))
        case JobOperation.UP:
            return operations.up(context, _parsed(work), _up_options(job), correlation=job.correlation_id)
        case JobOperation.REFRESH:
            expect = bool(options.get("expect_no_changes"))
            return operations.refresh(context, job.tenant, expect_no_changes=expect, correlation=job.correlation_id)
        case JobOperation.DESTROY:
            return operations.destroy(context, job.tenant, correlation=job.correlation_id)
        case JobOperation.ROLLBACK:
            which = str(options.get("deployment") or job.tenant)
            return operations.rollback(context, which, force=bool(options.get("force")), correlation=job.correlation_id)
        case JobOperation.BACKUP:
            return backing_up.backup(context, job.tenant, correlation=job.correlation_id)
        case JobOperation.RESTORE:
            first, which = bool(options.get("first", True)), str(options.get("backup", ""))
            return backing_up.restore(context, job.tenant, which, first=first, correlation=job.correlation_id)


def _parsed(work: Work) -> Manifest:
    return manifests.parsed(work.manifest, work.job.tenant)


def _up_options(job: Job) -> Any:
    from automation.operations import UpOptions

    options = job.options
    first = job.attempts - waiting.turns(job) == 1
    return UpOptions(
        enable_rollback=options.get("enable_rollback"),
        # The second attempt finds what the first has made: that is no tenant of somebody else's.
        new=bool(options.get("new")) and first,
        expect_no_changes=bool(options.get("expect_no_changes")),
        steps=tuple(options.get("steps") or ()),
        skip=tuple(options.get("skip") or ()) if first else (),
    )

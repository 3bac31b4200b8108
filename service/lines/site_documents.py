"""The words of the API of sites: kinds and statuses of jobs, what is sent, and what is answered (SITE-1).

Decides which job of ours is which of theirs. A status that SITE-1 has no word for is `failed`, and `ended_as` says how.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from automation.models_jobs import JobOperation, JobStatus
from providers.site.manifest import made_at
from service.api.bodies import Body
from service.api.documents import Document
from service.examples import AT, ID
from service.lines.words import RequestError
from stacks.problems import MISSING, FieldProblem, shown


class JobType(StrEnum):
    """What a job does to a site."""

    CREATE = "create_site"
    DELETE = "delete_site"
    BACKUP = "backup_site"
    RESTORE = "restore_site"


class JobStatusWord(StrEnum):
    """SITE-1's statuses."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


OPERATIONS: Mapping[JobType, JobOperation] = {
    JobType.CREATE: JobOperation.UP,
    JobType.DELETE: JobOperation.DESTROY,
    JobType.BACKUP: JobOperation.BACKUP,
    JobType.RESTORE: JobOperation.RESTORE,
}
_TYPES = {operation: word for word, operation in OPERATIONS.items()}
_SAME: Mapping[JobStatus, JobStatusWord] = {
    JobStatus.PENDING: JobStatusWord.PENDING,
    JobStatus.RUNNING: JobStatusWord.RUNNING,
    JobStatus.SUCCEEDED: JobStatusWord.COMPLETED,
}
STATUSES: Mapping[JobStatusWord, frozenset[JobStatus]] = {
    word: frozenset(status for status in JobStatus if _SAME.get(status, JobStatusWord.FAILED) is word)
    for word in JobStatusWord
}
_BACKUP = "20260105T023000Z-1f3a"
EXAMPLES: Mapping[str, Any] = {
    "a new site": {"tenant_id": "acme-shop", "job_type": JobType.CREATE.value, "manifest": {"region": "eu-central"}},
    "a backup": {"tenant_id": "acme-shop", "job_type": JobType.BACKUP.value},
    "a restore": {"tenant_id": "acme-shop", "job_type": JobType.RESTORE.value, "backup": _BACKUP},
    "a removal": {"tenant_id": "acme-shop", "job_type": JobType.DELETE.value},
}


class SiteJobBody(Body):
    """What is asked for. `manifest` is for create_site; `backup` and `backup_first` are for restore_site."""

    tenant_id: str = Field(max_length=40, description="the tenant's slug", examples=["acme-shop"])
    # Not strict: JSON has no type for words of a list.
    job_type: Annotated[JobType, Field(strict=False)]
    manifest: dict[str, Any] = Field(
        {}, description="what a new site's manifest is to have beside kind and slug: name, region, customSettings, ..."
    )
    backup: str | None = Field(None, max_length=40, description="the id of the backup", examples=[_BACKUP])
    backup_first: bool | None = Field(None, description="whether what is there now is backed up before; null: it is")


def demand_fitting(body: SiteJobBody) -> None:
    """Raises RequestError where a field is sent that the job has no use for, or one is missing that it needs."""
    creates, restores = body.job_type is JobType.CREATE, body.job_type is JobType.RESTORE
    only = f"nothing with {body.job_type}: it is for"
    problems = []
    if body.manifest and not creates:
        problems.append(("manifest", "a mapping", f"{only} {JobType.CREATE}"))
    if body.backup_first is not None and not restores:
        problems.append(("backup_first", shown(body.backup_first), f"{only} {JobType.RESTORE}"))
    if body.backup is not None and not restores:
        problems.append(("backup", shown(body.backup), f"{only} {JobType.RESTORE}"))
    if restores and made_at(body.backup or "") is None:
        given = MISSING if body.backup is None else shown(body.backup)
        problems.append(("backup", given, f"the id of a backup, such as {_BACKUP}"))
    if problems:
        rows = [FieldProblem(field=field, given=given, valid=valid) for field, given, valid in problems]
        raise RequestError("request", rows)


class SiteJob(Document):
    """A job of a site. Times are ISO 8601."""

    id: uuid.UUID = Field(examples=[ID])
    tenant_id: str = Field(examples=["acme-shop"])
    job_type: JobType
    status: JobStatusWord
    progress: int = Field(ge=0, le=100)
    message: str = Field(examples=["install-app erpnext: Updating DocTypes for erpnext 40 %"])
    error: str | None = Field(description="why it failed")
    created_at: datetime = Field(examples=[AT])
    started_at: datetime | None
    completed_at: datetime | None
    ended_as: str | None = Field(
        description="how it ended: succeeded, failed, rolled_back, rollback_failed or cancelled", examples=["succeeded"]
    )
    backup: dict[str, Any] | None = Field(
        description="the backup that it has made or put back; of a site that was removed, the last one", examples=[None]
    )
    attempts: int
    retry_of: uuid.UUID | None
    correlation_id: str = Field(examples=["5d0f6b0c9c1e4a7d"])


class SiteBackup(Document):
    """A backup: its size in bytes, the versions of its apps, and the job that made it."""

    id: str = Field(examples=[_BACKUP])
    site: str = Field(examples=["acme-shop.eu.example"])
    size: int = Field(examples=[18_874_368])
    apps: dict[str, str] = Field(examples=[{"frappe": "15.40.0", "erpnext": "15.38.1"}])
    made_at: datetime = Field(examples=[AT])
    job: uuid.UUID = Field(examples=[ID])
    earlier_tenant: bool = Field(
        description="it is of a removed tenant that had this name before: only an admin of the platform may restore it"
    )


class SiteBackups(Document):
    """The backups of a site."""

    items: list[SiteBackup]


def shown_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job as `reading` or `Job.to_dict` has it, in the words of this API. A list's rows tell no backup."""
    status = _SAME.get(JobStatus(job["status"]), JobStatusWord.FAILED)
    running = [step["message"] for step in job.get("steps", ()) if step["status"] == "running" and step["message"]]
    error = job.get("error")
    why = error.get("message") if isinstance(error, Mapping) else None
    result = job.get("result") or {}
    return {
        "id": job["id"],
        "tenant_id": job["tenant"],
        "job_type": _TYPES[JobOperation(job["operation"])],
        "status": status,
        "progress": job["progress"],
        "message": running[0] if running and status is JobStatusWord.RUNNING else job["message"],
        "error": (why or job["message"]) if status is JobStatusWord.FAILED else None,
        "created_at": job["created_at"],
        "started_at": job["started_at"],
        "completed_at": job["ended_at"],
        "ended_as": job["status"] if job["ended_at"] else None,
        "backup": result.get("backup") or next(iter(result.get("kept") or ()), None),
        "attempts": job["attempts"],
        "retry_of": job["retry_of"],
        "correlation_id": job["correlation_id"],
    }

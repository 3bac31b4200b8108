"""Between rows and values: a job's row as a Job, any row as JSON, and text that PostgreSQL cannot hold made storable.

Decides nothing about jobs and reads nothing itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from automation.jobs.model import Job, JobEvent
from automation.models_jobs import JobOperation, JobStatus, jobs

JOB_COLUMNS = tuple(jobs.c[one.name] for one in fields(Job))

# Literal on purpose: with bound values PostgreSQL cannot see that the partial indexes serve.
ACTIVE_SQL = "jobs.status IN ('pending', 'running') AND jobs.operation <> 'preview'"


def job_of(row: RowMapping) -> Job:
    """The Job in a row of JOB_COLUMNS."""
    values = {one.name: row[one.name] for one in fields(Job)}
    return Job(**values | {"operation": JobOperation(row["operation"]), "status": JobStatus(row["status"])})


def event_of(row: RowMapping) -> JobEvent:
    """The JobEvent in a row of `job_events`."""
    return JobEvent(job=row["job_id"], seq=row["seq"], at=row["at"], kind=row["kind"], data=row["data"])


def json_safe(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with times and ids as text."""
    return {str(key): _plain(value) for key, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value


def storable(value: Any) -> Any:
    """`value` with what no PostgreSQL text can hold (NUL, lone surrogates) replaced, at any depth."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [storable(one) for one in value]
    return value

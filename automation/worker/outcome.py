"""How an attempt ends its job. Pure: from the process's exit code and document, and from what was asked meanwhile.

A job ends as what really happened: a cancel that came too late does not make a success a failure. An attempt that was
cut off (its process or its worker died, the database went away, a deploy drained the worker) is followed by another,
which continues; so often and no oftener.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from automation.errors import (
    CancelledError,
    DatabaseError,
    LockedError,
    NotYetError,
    RollbackFailedError,
    RunFailedError,
    TenantryError,
)
from automation.jobs import waiting
from automation.jobs.cancelling import BEFORE, BETWEEN, cancelled
from automation.jobs.model import Ending, Job
from automation.jobs.run import ATTEMPT_LOST, LOST
from automation.models_jobs import JobStatus

LOCKED_ATTEMPTS = 14
"""How often a tenant that somebody else holds (a run by hand) is tried: for longer than a run may take."""

_BACKOFF = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


class Why(StrEnum):
    """Why the worker stopped an attempt; NONE when it did not."""

    NONE = "none"
    CANCEL = "cancel"
    DRAIN = "drain"
    LEASE = "lease"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an attempt's process ended: exit code (negative: the signal), its document if it left one, its last words."""

    code: int
    document: Mapping[str, Any] | None
    said: str = ""


def before_beginning(job: Job, *, most: int) -> Ending | None:
    """The ending of a job that is claimed and not begun again: cancelled meanwhile, or tried too often."""
    if job.cancel_requested_at is not None:
        return cancelled(job, BEFORE if waiting.begun(job) <= 1 else BETWEEN)
    if waiting.begun(job) > most + LOCKED_ATTEMPTS:
        return _failed(job, "its workers died each time", hint="see the workers' logs, remove the cause, then retry")
    return None


def ending(job: Job, ended: Ended, *, why: Why, most: int) -> Ending | None:
    """The ending of an attempt, `most` being how many there may be. None: it is another worker's by now."""
    code = _code(ended)
    if code == ATTEMPT_LOST:
        return None
    if ended.document is None:
        return _died(job, ended, why=why, most=most)
    match code:
        case 0:
            return _told(JobStatus.SUCCEEDED, ended.document, _success(job, ended.document))
        case RunFailedError.exit_code:
            return _told(JobStatus.ROLLED_BACK, ended.document)
        case RollbackFailedError.exit_code:
            return _told(JobStatus.ROLLBACK_FAILED, ended.document)
        case CancelledError.exit_code:
            return _stopped(job, ended.document, why=why, most=most)
        case LockedError.exit_code:
            return _again(job, ended.document, _backoff(job), why=why, most=max(most, LOCKED_ATTEMPTS))
        case NotYetError.exit_code:
            return _later(job, ended.document, why=why)
        case DatabaseError.exit_code:
            return _again(job, ended.document, _backoff(job), why=why, most=most)
        case _:
            return _told(JobStatus.FAILED, ended.document)


def _code(ended: Ended) -> int:
    """What the process told of its work, whatever became of it afterwards; its own exit code where it told nothing."""
    if ended.document is None:
        return ended.code
    if ended.document.get("type") == LOST:
        return ATTEMPT_LOST
    return int((ended.document.get("error") or {}).get("exit_code", 0))


def _backoff(job: Job) -> float:
    return _BACKOFF[min(waiting.begun(job), len(_BACKOFF)) - 1]


def _stopped(job: Job, document: Mapping[str, Any], *, why: Why, most: int) -> Ending:
    if why is Why.CANCEL:
        return _told(JobStatus.CANCELLED, document)
    if why in {Why.DRAIN, Why.LEASE}:
        reason = "its worker was stopped" if why is Why.DRAIN else "its worker lost touch with the database"
        return Ending(status=None, message=f"interrupted: {reason}; another continues", deployment_id=_id(document))
    if why is Why.LIMIT:
        return _told(JobStatus.FAILED, document, f"{_message(document)}. It did not end within its limits")
    return _again(job, document, _backoff(job), why=why, most=most)


def _died(job: Job, ended: Ended, *, why: Why, most: int) -> Ending:
    how = f"signal {-ended.code}" if ended.code < 0 else f"exit code {ended.code}, without an answer"
    if why is Why.CANCEL:
        return cancelled(job, f"cancelled, and ended by force ({how}), so that what it worked on may be half done")
    if why in {Why.DRAIN, Why.LEASE}:
        return Ending(status=None, message=f"interrupted: its worker ended it ({how}); another continues")
    if why is Why.LIMIT:
        return _failed(job, f"it did not end within its limits, and was ended by force ({how})")
    begun = waiting.begun(job)
    if begun < most:
        message = f"attempt {begun} died ({how}); the next one continues"
        return Ending(status=None, message=message, delay=_backoff(job))
    said = f": {ended.said}" if ended.said else ""
    return _failed(job, f"its process died {begun} times, the last time by {how}{said}")


def _again(job: Job, document: Mapping[str, Any], delay: float, *, why: Why, most: int) -> Ending:
    if why is Why.CANCEL:
        return _told(JobStatus.CANCELLED, document, f"cancelled. {_message(document)}")
    begun = waiting.begun(job)
    if begun >= most and why is not Why.DRAIN:
        return _told(JobStatus.FAILED, document, f"{_message(document)}. Given up after {begun} attempts")
    message = f"attempt {begun}: {_message(document)}. It is tried again"
    return Ending(status=None, message=message, delay=delay, deployment_id=_id(document))


def _later(job: Job, document: Mapping[str, Any], *, why: Why) -> Ending:
    """The end of a turn in which it only waited. How long it may is decided in `waiting`, before a turn begins."""
    if why is Why.CANCEL:
        return cancelled(job, BEFORE)
    return Ending(
        status=None,
        message=_message(document),
        error=document.get("error"),
        delay=waiting.delay(job),
        deployment_id=_id(document),
        waited=True,
    )


def _failed(job: Job, text: str, hint: str = "see the worker's log, remove the cause, then retry") -> Ending:
    error = TenantryError(f"{job.operation} of '{job.tenant}' failed: {text}", hint=hint)
    return Ending(status=JobStatus.FAILED, message=error.message, error=error.to_dict())


def _told(status: JobStatus, document: Mapping[str, Any], message: str = "") -> Ending:
    """An ending as the process told it."""
    result = {name: value for name, value in document.items() if name not in {"type", "error", "steps"}}
    return Ending(
        status=status,
        message=message or _message(document),
        error=document.get("error"),
        result=result or None,
        deployment_id=_id(document),
    )


def _message(document: Mapping[str, Any]) -> str:
    return str((document.get("error") or {}).get("message", "")).removesuffix(".")


def _id(document: Mapping[str, Any]) -> uuid.UUID | None:
    found = document.get("deployment")
    return uuid.UUID(str(found)) if found else None


def _success(job: Job, document: Mapping[str, Any]) -> str:
    lacking = [step["key"] for step in document.get("steps") or () if step.get("status") == "failed"]
    missing = f"; not in place: {', '.join(lacking)}" if lacking else ""
    if (made := document.get("backup")) is not None:
        said = f"{job.operation} of '{job.tenant}' succeeded: {made['id']}, {made['size']} bytes, in {made['store']}"
        return said + missing
    counts = document.get("counts" if document.get("type") == "preview" else "changes") or {}
    told = ", ".join(f"{n} {op}" for op, n in sorted(counts.items()) if n and op not in {"same", "read", "refresh"})
    drift = len(document.get("drift") or ())
    if drift:
        told = f"{drift} resources have drifted"
    return f"{job.operation} of '{job.tenant}' succeeded: {told or 'nothing to change'}{missing}"

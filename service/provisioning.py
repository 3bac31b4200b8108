"""How the provisioning of a workspace stands, in the words of POS-5 and POS-6. Pure: from rows, as JSON-safe mappings.

Decides which of the five statuses a tenant has, and what counts as done. What is read is `service.workspaces`'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from automation.jobs import waiting
from automation.jobs.model import Job
from automation.models import TenantStatus
from automation.models_jobs import JobOperation, JobStatus
from automation.steps import NOT_NEEDED, StepStatus
from stacks.steps import Step

ENGINE = "engine_words"
"""The option of a job that was asked for while its engine was away: what was wrong with it."""
_BEGUN = frozenset({StepStatus.RUNNING, StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.ROLLED_BACK})
_WHOLE = 100


class Provisioning(StrEnum):
    """The statuses of POS-5."""

    NOT_PROVISIONED = "NOT_PROVISIONED"
    PROVISIONING = "PROVISIONING"
    PROVISIONED = "PROVISIONED"
    FAILED = "FAILED"
    PARTIAL = "PARTIAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the rows say. `tenant` is the row, `job` its newest that changes it or is to, `steps` as `standing` says."""

    tenant: Mapping[str, Any]
    job: Job | None
    steps: Sequence[Mapping[str, Any]]
    objects: Sequence[Mapping[str, Any]]


def standing(line: Sequence[Step], runs: Iterable[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Each step as the newest run that worked on it left it; `runs` are their steps, newest first.

    A run of one step leaves the others as they were: for it they were not needed.
    """
    found: dict[str, Mapping[str, Any]] = {}
    newest: dict[str, Mapping[str, Any]] = {}
    for steps in runs:
        for step in steps:
            newest.setdefault(step["key"], step)
            if step["status"] in _BEGUN:
                found.setdefault(step["key"], step)
    return [{**_nothing(one), **found.get(one.key, newest.get(one.key, {})), "optional": one.optional} for one in line]


def _nothing(step: Step) -> dict[str, Any]:
    empty = dict.fromkeys(("error", "duration_ms", "started_at", "ended_at"))
    return {"key": step.key, "title": step.title, "status": "pending", "attempts": 0, "message": "", **empty}


def is_waiting(job: Job | None) -> bool:
    """Whether the job waits for its engine: it was asked for while that was away, or has found it so."""
    if job is None or job.ended or job.deployment_id is not None:
        return False
    return waiting.UNTIL in job.options and (waiting.turns(job) > 0 or ENGINE in job.options)


def status(known: Known) -> Provisioning:
    """Which of the five it is."""
    job, row = known.job, known.tenant
    if job is not None and not job.ended and not is_waiting(job):
        return Provisioning.PROVISIONING
    match TenantStatus(row["status"]):
        case TenantStatus.PROVISIONING:
            return Provisioning.PROVISIONING
        case TenantStatus.PARTIAL:
            return Provisioning.PARTIAL
        case TenantStatus.ACTIVE:
            return Provisioning.PARTIAL if lacking(known) else Provisioning.PROVISIONED
        case TenantStatus.FAILED:
            return Provisioning.FAILED
        case TenantStatus.REMOVED if job is not None and _undone(job):
            return Provisioning.FAILED
    return Provisioning.NOT_PROVISIONED


def _undone(job: Job) -> bool:
    """Whether the removal was that of a first create that failed."""
    return job.operation is JobOperation.UP and job.status is JobStatus.ROLLED_BACK


def lacking(known: Known) -> list[str]:
    """The steps of which something optional is not there."""
    return list(dict.fromkeys(str(one["step"]) for one in known.objects if not one["ready"]))


def document(known: Known) -> dict[str, Any]:
    """What `GET status` answers, but for the path's own words."""
    now = status(known)
    job = known.job
    completed = sum(_is_done(step) for step in known.steps)
    return {
        "tenant_id": known.tenant["slug"],
        "name": known.tenant["name"],
        "status": now.value,
        "message": message(known, now),
        "waiting": _waiting(job),
        "current_step": job.current_step if job is not None and not job.ended else None,
        "progress": _progress(known, now),
        "steps_completed": completed,
        "total_steps": len(known.steps),
        "steps": [{**shown(step), "optional": step["optional"]} for step in known.steps],
        "errors": errors(known, now),
        "objects": [reference(one) for one in in_order(known)],
        "job_id": str(job.id) if job is not None else None,
        "started_at": stamp(job.started_at or job.created_at) if job is not None else None,
        "ended_at": stamp(job.ended_at) if job is not None else None,
        "updated_at": known.tenant["updated_at"],
    }


def shown(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step as POS-6 has it."""
    return {
        "step": step["key"],
        "title": step["title"],
        "status": step["status"],
        "message": step["error"] or step["message"],
        "started_at": step["started_at"],
        "completed_at": step["ended_at"],
        "duration_ms": step["duration_ms"],
    }


def reference(one: Mapping[str, Any]) -> dict[str, Any]:
    """One object that was made, or is to be."""
    return {name: one.get(name) for name in ("step", "kind", "name", "ready", "reason", "ours")}


def in_order(known: Known) -> list[Mapping[str, Any]]:
    """The objects by step, and within it by kind and name: what the engine told first is chance."""
    order = [step["key"] for step in known.steps]

    def place(one: Mapping[str, Any]) -> tuple[int, str, str]:
        at = order.index(one["step"]) if one["step"] in order else len(order)
        return at, str(one["kind"]), str(one["name"] or "")

    return sorted(known.objects, key=place)


def errors(known: Known, now: Provisioning) -> list[dict[str, Any]]:
    """What went wrong and stands. Of a step that is being tried again there is nothing to say yet."""
    if now is Provisioning.PROVISIONING:
        return []
    found = [
        {"step": step["key"], "error": step["error"], "critical": not _soft(known, step), "at": step["ended_at"]}
        for step in known.steps
        if step["error"] and step["status"] in {StepStatus.FAILED, StepStatus.ROLLED_BACK}
    ]
    job = known.job
    if not found and job is not None and job.error and job.ended:
        text = str(job.error.get("message") or job.message)
        found.append({"step": None, "error": text, "critical": True, "at": stamp(job.ended_at)})
    return found


def _soft(known: Known, step: Mapping[str, Any]) -> bool:
    """Whether all that the step lacks is optional: what it says is what those objects say."""
    reasons = {line for one in known.objects if one["step"] == step["key"] for line in _lines(one["reason"])}
    return bool(step["status"] == StepStatus.FAILED) and set(_lines(step["error"])) <= reasons


def _lines(text: str | None) -> list[str]:
    return [line for line in (text or "").splitlines() if line.strip()]


def _is_done(step: Mapping[str, Any]) -> bool:
    """Done, or left out of a run that got to its end."""
    return bool(step["status"] == StepStatus.COMPLETED or step["message"] == NOT_NEEDED)


def _progress(known: Known, now: Provisioning) -> int:
    if now in {Provisioning.PROVISIONED, Provisioning.PARTIAL}:
        return _WHOLE
    if known.job is None or is_waiting(known.job) or now is Provisioning.NOT_PROVISIONED:
        return 0
    return known.job.progress


def _waiting(job: Job | None) -> dict[str, Any] | None:
    if job is None or not is_waiting(job):
        return None
    return {
        "reason": _why_waiting(job),
        "since": stamp(job.created_at),
        "next_try_at": stamp(job.not_before),
        "until": job.options[waiting.UNTIL],
    }


def _why_waiting(job: Job) -> str:
    said = str((job.error or {}).get("message") or "").removeprefix("waiting: ")
    return said or str(job.options.get(ENGINE) or "its engine cannot be used now")


def message(known: Known, now: Provisioning) -> str:
    """The status in a sentence."""
    job = known.job
    if job is not None and is_waiting(job):
        return f"Provisioning begins by itself as soon as it can: {_why_waiting(job)}"
    match now:
        case Provisioning.PROVISIONING:
            return "It is being removed." if job and job.operation is JobOperation.DESTROY else "It is being worked on."
        case Provisioning.PROVISIONED:
            return "It is ready to sell."
        case Provisioning.PARTIAL:
            return f"It is ready to sell, without what these steps are for: {', '.join(lacking(known))}."
        case Provisioning.FAILED:
            return (job.message if job is not None else "") or "The last run failed."
    return "Nothing of it is there."


def stamp(moment: Any) -> str | None:
    """ISO 8601."""
    return moment.isoformat() if moment is not None else None

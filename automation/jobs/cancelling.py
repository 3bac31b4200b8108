"""How a job reads that was cancelled and whose run could not say so itself: in what state it left the tenant. Pure.

Decides words. When a job is cancelled is decided by `store` and by the worker's `outcome`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from automation.endings import StepReached, reached, told
from automation.errors import CancelledError
from automation.jobs.model import Ending, Job
from automation.models_jobs import JobOperation, JobStatus

BEFORE = "cancelled before it began"
BETWEEN = "cancelled between two attempts"

_NOTHING = "nothing was touched"
_ASK = "ask for it again where it is wanted"


def cancelled(job: Job, how: str) -> Ending:
    """The ending of a job that was cancelled; `how` is what followed "was", such as BEFORE."""
    return _ending(CancelledError(f"{job.operation} of '{job.tenant}' was {how}", hint=_ASK))


def says_state(job: Job, ending: Ending) -> bool:
    """Whether a cancelled job's ending says in what state the tenant is; of a preview there is nothing to say."""
    if ending.status is not JobStatus.CANCELLED or job.operation is JobOperation.PREVIEW:
        return True
    return "steps" in ((ending.error or {}).get("details") or {})


def with_state(job: Job, ending: Ending, steps: Iterable[StepReached]) -> Ending:
    """`ending` with what its attempts had reached; `steps` are theirs, oldest attempt first, none where none began."""
    states = reached(_newest(steps))
    begun = bool(states["finished"] or states["interrupted"])
    details = {"steps": {name: list(keys) for name, keys in states.items()}}
    said = CancelledError(
        f"{ending.message}: {told(states) if begun else _NOTHING}",
        hint=_hint(job) if begun else _ASK,
        details=details,
    )
    return replace(_ending(said), result=ending.result, deployment_id=ending.deployment_id)


def _newest(steps: Iterable[StepReached]) -> Iterable[StepReached]:
    """How far each step was when an attempt last worked on it: what a later one did not get to is as it was."""
    found: dict[str, StepReached] = {}
    for step in steps:
        if step[0] not in found or not reached([step])["not begun"]:
            found[step[0]] = step
    return found.values()


def _ending(error: CancelledError) -> Ending:
    return Ending(status=JobStatus.CANCELLED, message=error.message, error=error.to_dict())


def _hint(job: Job) -> str:
    continues = f"`{job.operation}` of '{job.tenant}' continues"
    return f"{continues}, `destroy` removes what there is" if job.operation is JobOperation.UP else continues

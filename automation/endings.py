"""How a run that is left as it is reads: its status, its error, and in what state it left the tenant. Pure.

Decides words and statuses. What is done about a failure is decided in `rollback`, what is written in `run`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from automation.errors import CancelledError, DatabaseError, EngineError, RunLeftError, TenantryError
from automation.messages import engine_failure, missing_target
from automation.models import DeploymentStatus
from automation.rollback import Stop
from automation.steps import NOT_REACHED, RunState, StepStatus

LOCK_LOST = "the connection that held the tenant's lock was lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A run that is left as it is. `said` is all that the engine said, for errors that are not about the tenant."""

    tenant: str
    operation: str
    stop: Stop
    step: str | None
    reason: str
    decision: str
    said: str
    backend: str
    state: RunState
    step_of: Callable[[str], str | None]


def left(run: Left) -> tuple[DeploymentStatus, TenantryError]:
    """The status of such a run, and its error."""
    subject = f"{run.operation} of '{run.tenant}'"
    where = f"{subject}: step '{run.step}'" if run.step else subject
    message = f"{where} failed: {run.reason}. Left as it is: {run.decision}"
    again = f"`tenantry {run.operation} {run.tenant}`"
    if run.stop is Stop.USER:
        states = reached((step.key, step.status, step.message) for step in run.state.steps)
        return DeploymentStatus.CANCELLED, CancelledError(
            f"{subject} was cancelled. What was finished is saved: {told(states)}",
            hint=f"{again} continues" + (_REMOVES.format(run.tenant) if run.operation == "up" else ""),
            details={"steps": {name: list(keys) for name, keys in states.items()}},
        )
    if run.stop is Stop.LOCK_LOST:
        # Whoever takes the tenant over continues: this is no verdict on the tenant.
        return DeploymentStatus.INTERRUPTED, DatabaseError(
            f"{subject} was cancelled: {run.reason}. What was finished is saved",
            hint=f"check the main database, then {again} continues",
        )
    if run.stop is Stop.STUCK:
        return DeploymentStatus.FAILED, EngineError(
            message, hint=f"{again} takes over and continues", details={"stuck": True}
        )
    if (urn := missing_target(run.reason)) is not None:
        other = run.step_of(urn)
        return DeploymentStatus.FAILED, RunLeftError(
            f"{where} cannot be retried yet: it stands on step '{other}', which is not in place. Nothing was changed",
            hint=f"retry that step first: `tenantry up {run.tenant} --step {other}` does it and what depends on it",
        )
    known = None
    if run.step is None:
        known = engine_failure(f"{run.reason}\n{run.said}", tenant=run.tenant, backend=run.backend)
    first = _TAKES_OVER.format(run.tenant) if run.operation == "destroy" else ""
    return DeploymentStatus.FAILED, known or RunLeftError(
        message, hint=f"remove the cause, then run {again} again{first}"
    )


_REMOVES = ", `tenantry destroy {}` removes what there is"
_TAKES_OVER = ". What a failed run has made and could not note, `tenantry up {}` takes over before"


StepReached = tuple[str, str, str]
"""A step's key, status and message, from a run's state or from its row."""


def reached(steps: Iterable[StepReached]) -> Mapping[str, tuple[str, ...]]:
    """The steps' keys by how far they came: finished, interrupted, not begun."""
    groups: dict[str, list[str]] = {"finished": [], "interrupted": [], "not begun": []}
    for key, status, message in steps:
        if status == StepStatus.COMPLETED:
            groups["finished"].append(key)
        elif status == StepStatus.PENDING or message == NOT_REACHED:
            groups["not begun"].append(key)
        elif status != StepStatus.SKIPPED:
            groups["interrupted"].append(key)
    return {name: tuple(keys) for name, keys in groups.items()}


def told(states: Mapping[str, tuple[str, ...]]) -> str:
    """What `reached` found, in words."""
    return "; ".join(f"{name}: {', '.join(keys)}" for name, keys in states.items() if keys) or "nothing was begun"

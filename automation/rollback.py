"""What to do about a run that failed. Pure: no I/O, no clock, no engine.

A first create is destroyed, a change is rolled back to the last good manifest, and nothing else (CORE-1, CORE-4).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Plan(StrEnum):
    """What follows a failure."""

    DESTROY = "destroy"
    REAPPLY = "reapply"
    LEAVE = "leave"


class Stop(StrEnum):
    """Why a run was stopped from outside; NONE when the engine itself said that it failed."""

    NONE = "none"
    LIMIT = "limit"
    USER = "user"
    LOCK_LOST = "lock_lost"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A failed run. `touched`: it began to change a resource. `was_active`: the tenant worked before the run."""

    operation: str
    stop: Stop
    touched: bool
    enable_rollback: bool
    has_last_good: bool
    was_active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`plan`, and why, as the record says it."""

    plan: Plan
    reason: str


def decide(situation: Situation) -> Decision:
    """The plan for a failed run."""
    if situation.operation != "up":
        return _leave(
            f"a {situation.operation} that fails is not undone: what is done is saved, and it can be repeated"
        )
    if situation.stop is Stop.LOCK_LOST:
        return _leave("the tenant's lock was lost, so another run may own the tenant by now")
    if situation.stop is Stop.STUCK:
        return _leave("the engine did not stop when told to, so nothing more was started")
    if situation.stop is Stop.USER:
        return _leave("it was cancelled by hand; what was finished is saved")
    if not situation.touched:
        return _leave("it failed before it changed anything")
    if not situation.enable_rollback:
        return _leave("rollback is switched off for this run")
    if situation.has_last_good:
        return Decision(plan=Plan.REAPPLY, reason="the last good settings are applied again")
    if situation.was_active:
        return _leave(
            "the tenant worked before, but no good settings are on record, and a live tenant is never destroyed"
        )
    return Decision(plan=Plan.DESTROY, reason="the tenant never worked, so what was made of it is removed")


def _leave(reason: str) -> Decision:
    return Decision(plan=Plan.LEAVE, reason=reason)

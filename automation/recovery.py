"""What follows a failed run: it is left, or rolled back, to the last good settings or to nothing.

What is done is decided in `rollback`; here it is carried out, and told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from automation import endings, history
from automation.errors import RollbackFailedError, RunFailedError
from automation.models import DeploymentStatus, TenantStatus
from automation.results import RunResult
from automation.rollback import Decision, Plan, Situation, Stop, decide
from automation.steps import Mode, ModeChanged
from automation.supervision import Outcome

if TYPE_CHECKING:
    from automation.run import Run
    from automation.workspace import Program


def recover(run: Run, outcome: Outcome, program: Callable[[], Program] | None) -> RunResult:
    """Follows up on a failed run as `rollback.decide` says. `program` makes the last good one."""
    state = run.tracker.state
    if outcome.stop is Stop.NONE and not run.held.lock.alive():
        # What failed may have failed because the database went away, and that is no fault of the tenant's.
        outcome = replace(outcome, stop=Stop.LOCK_LOST, reason=endings.LOCK_LOST)
    situation = Situation(
        operation=run.new.operation,
        stop=outcome.stop,
        touched=any(step.changed for step in state.steps),
        enable_rollback=run.new.enable_rollback,
        has_last_good=program is not None,
        was_active=run.held.facts.was_active,
    )
    decision = decide(situation)
    step, text = run.failure(outcome)
    if decision.plan is Plan.LEAVE:
        return run.left(outcome, decision, step, text)
    run.tracker.log("warning", f"rolling back: {decision.reason}", step=step)
    if decision.plan is Plan.REAPPLY and program is not None:
        return _reapplied(run, program(), text, step)
    return _destroyed(run, text, step)


def _reapplied(run: Run, program: Program, text: str, step: str | None) -> RunResult:
    run.tracker.take(ModeChanged(mode=Mode.ROLLBACK_APPLY, at=history.now()))
    # Of the steps that were begun only, if that is all: what else cannot be read now has not been changed.
    begun = [] if run.held.broken_off else [step.key for step in run.tracker.state.steps if step.changed]
    looked = run.look_again(begun, rolling_back=True)
    outcome = looked
    if looked.stop is Stop.NONE:
        # Whatever could not be read: the rest is taken back.
        outcome = run.execute(lambda: run.stack.up(program, run.tracker.engine_event), "up", rolling_back=True)
        outcome = looked if outcome.ok else outcome
    run.end_events(outcome)
    if outcome.stop is Stop.LOCK_LOST:
        return _broken_off(run, outcome, step)
    message = f"{run.where(step)} failed: {text}"
    if outcome.ok:
        error = RunFailedError(
            f"{message.removesuffix('.')}. The last good settings of '{run.new.tenant}' are in force again",
            hint="correct the manifest or the cause, preview, then run `up` again",
        )
        status = DeploymentStatus.ROLLED_BACK
        return run.finish(status, run.working, error=error, rolled_back_to="last good settings")
    left = (f"settings of '{run.new.tenant}' between the old and the new ones: {run.last_words(outcome)}",)
    return _rollback_failed(run, message, left, outcome)


def _destroyed(run: Run, text: str, step: str | None) -> RunResult:
    run.tracker.take(ModeChanged(mode=Mode.ROLLBACK_DESTROY, at=history.now()))
    outcome, left = run.destroy(rolling_back=True)
    if outcome.stop is Stop.LOCK_LOST:
        return _broken_off(run, outcome, step)
    message = f"{run.where(step)} failed: {text}"
    if outcome.ok and not left:
        error = RunFailedError(
            f"{message.removesuffix('.')}. What was made of '{run.new.tenant}' is removed; nothing is left",
            hint="correct the cause, then run `up` again",
        )
        return run.finish(
            DeploymentStatus.ROLLED_BACK,
            TenantStatus.REMOVED,
            error=error,
            rolled_back_to="nothing",
            last_good_manifest=None,
        )
    return _rollback_failed(run, message, left or (run.last_words(outcome),), outcome)


def _broken_off(run: Run, outcome: Outcome, step: str | None) -> RunResult:
    """A rollback during which the tenant's lock was lost: whoever has the tenant next decides anew."""
    decision = Decision(plan=Plan.LEAVE, reason="the tenant's lock was lost during the rollback")
    return run.left(outcome, decision, step, outcome.reason)


def _rollback_failed(run: Run, message: str, left: tuple[str, ...], outcome: Outcome) -> RunResult:
    how = "was cancelled" if outcome.stop is Stop.USER else "is not complete"
    error = RollbackFailedError(
        f"{message}. Its rollback {how}; left: {'; '.join(left)}",
        hint=f"remove the cause, then run `tenantry destroy {run.new.tenant}` or `tenantry up {run.new.tenant}`",
        details={"leftovers": list(left)},
    )
    return run.finish(DeploymentStatus.ROLLBACK_FAILED, TenantStatus.FAILED, error=error, leftovers=left)

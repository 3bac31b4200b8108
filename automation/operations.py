"""The operations on a tenant: preview, up, refresh, destroy, rollback. The fronts (CLI, service, CI) call these.

Decides what each one checks first and records at its end. Running, retrying and rolling back is `run`'s.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from automation import checks, costs, history, manifests
from automation.database import engine_for, ensure_ready, transaction
from automation.engine_events import called, planned_change
from automation.errors import ChangesFoundError, InputError, TenantryError
from automation.history import NewDeployment
from automation.jobs import totals
from automation.kept_backups import last_of
from automation.locks import tenant_lock
from automation.messages import summary
from automation.models import DeploymentStatus, TenantStatus
from automation.previewing import preview
from automation.recovery import recover
from automation.results import RunResult
from automation.rollback import Decision, Plan, Stop
from automation.run import Context, Held, Run, targets_of
from automation.skipping import skipped_steps
from automation.steps import RunState, complete, new_run
from automation.supervision import Outcome
from automation.workspace import creations_begun

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent

    from stacks.lines import Line, Manifest
    from stacks.resolve import ResolvedManifest

__all__ = ["UpOptions", "correlation_id", "destroy", "preview", "refresh", "rollback", "up"]

VALIDATION = "validation"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """How an `up` differs from the plain one. `enable_rollback` None means what the manifest says.

    `steps`: only these, and what depends on them, are applied. `skip`: steps that the manifest skips for the first
    time, refused where that would remove something.
    """

    enable_rollback: bool | None = None
    new: bool = False
    expect_no_changes: bool = False
    steps: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()


def correlation_id() -> str:
    """The correlation id of this process, TENANTRY_CORRELATION_ID, or a new one."""
    return os.environ.get("TENANTRY_CORRELATION_ID") or uuid.uuid4().hex[:16]


def up(
    context: Context, manifest: Manifest, options: UpOptions = UpOptions(), *, correlation: str | None = None
) -> RunResult:
    """Creates the tenant or brings it to its manifest. Rolls back by itself when that fails and rollback is enabled."""
    began = history.now()
    line = manifests.line_named(manifest.kind)
    with holding(context, manifest.slug, "up") as held:
        checks.slug_free(manifest.slug, held.facts, kind=line.kind, new=options.new)
        checks.steps_known(line, options.steps, left_out=skipped_steps(line, manifest.to_dict()))
        checks.may_skip(context, held, line, manifest.slug, options.skip)
        resolved = manifests.resolved(manifest, held.facts.pinned)
        enabled = manifest.enable_rollback if options.enable_rollback is None else options.enable_rollback
        new = NewDeployment(
            tenant=manifest.slug,
            name=manifest.name,
            operation="up",
            engine=context.choice.name,
            correlation_id=correlation or correlation_id(),
            # What is retried step by step was left on purpose: it is undone only where the caller says so.
            enable_rollback=bool(options.enable_rollback) if options.steps else enabled,
            first_create=held.facts.last_good is None and not held.facts.was_active,
            manifest=resolved.to_dict(),
            previous_manifest=held.facts.last_good,
            line=line.kind,
        )
        with Run(context, held, new, _validated(line, began)) as run:
            return _apply(run, held, resolved, options)


def _apply(run: Run, held: Held, resolved: ResolvedManifest[Any], options: UpOptions) -> RunResult:
    def work() -> None:
        run.stack.ensure()
        heed = _of_these(run, options.steps) if options.steps else run.tracker.engine_event
        run.stack.up(manifests.program(resolved), heed, targets=targets_of(run.new, options.steps))

    outcome = _applied(run, held, work, options.steps)
    run.end_events(outcome)
    if not outcome.ok:
        last_good = held.facts.last_good
        again = (lambda: manifests.program(manifests.restored(last_good))) if last_good is not None else None
        return recover(run, outcome, again)
    if options.steps and (remains := _remaining(run, resolved)):
        run.tracker.log("warning", f"the retried steps are done; not yet in place: {', '.join(remains)}")
        return run.finish(DeploymentStatus.SUCCEEDED, _as_before(held))
    if held.dead:
        _tidy(run)
    error: TenantryError | None = None
    counts = run.tracker.state.changes
    if options.expect_no_changes and any(count for op, count in counts.items() if op not in {"same", "read"}):
        error = ChangesFoundError(
            f"up of '{run.new.tenant}' made changes where none were expected: {_counted(counts)}",
            hint=f"`tenantry history {run.new.tenant}` shows them; they are applied",
        )
    return run.finish(DeploymentStatus.SUCCEEDED, run.working, error=error, **_good(resolved))


def _of_these(run: Run, steps: Sequence[str]) -> Callable[[EngineEvent], None]:
    """Leaves out what the engine says of resources that are no targets: `same`, whether they exist or not."""
    step_of = manifests.line_named(run.new.line).step_of

    def heed(event: EngineEvent) -> None:
        told = event.resource_pre_event or event.res_outputs_event
        if told is not None and told.metadata.op == "same" and step_of(told.metadata.urn) not in steps:
            return
        run.tracker.engine_event(event)

    return heed


def _applied(run: Run, held: Held, work: Callable[[], None], steps: Sequence[str] = ()) -> Outcome:
    """Runs `work`, an `up`. After a run that broke off, with a look at what is there first: it may have changed what
    the state does not say, which would be taken for the same.
    """
    if not held.broken_off:
        return run.execute(work, "up")
    looked = run.look_again(steps)
    if looked.stop is not Stop.NONE:
        return looked
    outcome = run.execute(work, "up")
    if looked.ok or not outcome.ok:
        return outcome
    # It was looked at with the logins that the state had, which may have been what was wrong: now it has this run's.
    looked = run.look_again(steps)
    return run.execute(work, "up") if looked.ok else looked


def _remaining(run: Run, resolved: ResolvedManifest[Any]) -> tuple[str, ...]:
    """What an `up` of the whole would still do, as the names of the steps. Only if nothing is left does the tenant
    work by its manifest.
    """
    step_of = manifests.line_named(run.new.line).step_of
    found: dict[str, None] = {}

    def on_event(event: EngineEvent) -> None:
        if (change := planned_change(event, step_of)) is not None:
            found[change.step or change.name] = None

    outcome = run.execute(lambda: run.stack.preview(manifests.program(resolved), on_event), "preview")
    if not outcome.ok:
        text = run.failure(outcome)[1]
        run.tracker.log("warning", f"whether anything remains to be done could not be found out: {text}")
        return ("unknown",)
    return tuple(found)


def _good(resolved: ResolvedManifest[Any]) -> dict[str, Any]:
    return {
        "last_good_manifest": resolved.to_dict(),
        "template_id": resolved.template_id,
        "template_version": resolved.template_version,
        "name": resolved.manifest.name,
    }


def _tidy(run: Run) -> None:
    """Drops the pending creates that a killed run left in the state: by now `up` has adopted or made those objects."""
    if creations_begun(run.export()):
        try:
            run.stack.refresh(lambda _event: None, clear_pending=True)
        except Exception as error:  # noqa: BLE001 - the tenant is up; Pulumi only goes on warning
            run.tracker.log("warning", f"pending operations could not be cleared from the state: {summary(str(error))}")


def refresh(
    context: Context, tenant: str, *, expect_no_changes: bool = False, correlation: str | None = None
) -> RunResult:
    """Reads what is really there into the state and says what has drifted. Changes nothing of the tenant's."""
    began = history.now()
    with holding(context, tenant, "refresh") as held:
        checks.known(held, tenant)
        new = simple(context, held, tenant, "refresh", correlation)
        with Run(context, held, new, _validated(_line(held), began)) as run:

            def work() -> None:
                if not run.stack.exists():
                    raise InputError(f"'{tenant}' has no stack to refresh", hint=f"`tenantry up {tenant}` makes it")
                run.stack.refresh(run.tracker.engine_event)

            outcome = run.execute(work, "refresh")
            run.end_events(outcome)
            if not outcome.ok:
                return _given_up(run, outcome)
            error = None
            if expect_no_changes and run.tracker.drift:
                names = ", ".join(f"{called(urn)} ({what})" for urn, what in run.tracker.drift.items())
                error = ChangesFoundError(f"'{tenant}' has drifted: {names}", hint=f"`tenantry up {tenant}` repairs it")
            return run.finish(DeploymentStatus.SUCCEEDED, _as_before(held), error=error)


def destroy(context: Context, tenant: str, *, correlation: str | None = None) -> RunResult:
    """Removes the tenant and verifies that nothing is left. Removing one that is gone succeeds."""
    began = history.now()
    with holding(context, tenant, "destroy") as held:
        new = simple(context, held, tenant, "destroy", correlation)
        if not held.facts.exists:
            checks.has_stack(context, held, tenant)
        with Run(context, held, new, _validated(_line(held), began)) as run:
            return _remove(run, held)


def _remove(run: Run, held: Held, undone: uuid.UUID | None = None) -> RunResult:
    runs = _runs(run, held)

    def keep(connection: Any) -> None:
        if runs and held.facts.last_good is not None:
            costs.keep_runs(connection, run.new.tenant, run.new.line, held.facts.last_good, runs)

    outcome, left = _removal(run, held)
    # Whoever has stopped it waits for no store.
    kept = _kept(run, held) if outcome.stop is Stop.NONE else ()
    if not outcome.ok:
        if runs and costs.table_is_gone(run.new.tenant, run.new.line, held.facts.last_good or {}):
            with transaction(held.database, run.context.settings) as connection:
                keep(connection)
        return replace(_given_up(run, outcome, left), kept=kept)

    def also(connection: Any) -> None:
        keep(connection)
        if undone is not None:
            history.mark_rolled_back(connection, undone)

    ended = run.finish(DeploymentStatus.SUCCEEDED, TenantStatus.REMOVED, last_good_manifest=None, also=also)
    return replace(ended, kept=kept)


def _kept(run: Run, held: Held) -> tuple[Mapping[str, Any], ...]:
    """The tenant's last backup. It is told, and nothing depends on it."""
    new = run.new
    found, why = last_of(held.database, run.context.settings, new.line, new.tenant, held.facts.last_good)
    if why is not None:
        run.tracker.log("warning", why)
    return () if found is None else (found,)


def _runs(run: Run, held: Held) -> int | None:
    """The workflow runs that go with the tenant. What they cost stays, so they are counted before."""
    if held.facts.last_good is None:
        return None
    counted, why = costs.counted_runs(run.new.tenant, run.new.line, held.facts.last_good)
    if why is not None:
        run.tracker.log("warning", f"{why}: those that are not recorded yet will not be in the tenant's cost")
    return counted


def _removal(run: Run, held: Held) -> tuple[Outcome, tuple[str, ...]]:
    there: list[bool] = []
    looked = run.execute(lambda: there.append(run.stack.exists()), None)
    if not looked.ok or not there[-1]:
        run.end_events(looked)
        return looked, ()
    unfinished = creations_begun(run.export())
    if unfinished and (stopped := _adopt(run, held, unfinished)) is not None:
        run.end_events(stopped)
        return stopped, ()
    return run.destroy(rolling_back=False)


def _adopt(run: Run, held: Held, unfinished: Sequence[str]) -> Outcome | None:
    """A killed run may have made an object that its state does not know: `up` adopts it, so that destroy removes it.

    Only the `unfinished`, which are URNs: what else there was to be made might not go again. The outcome where this
    was stopped, and the removal with it; what fails otherwise is said, and keeps nothing from being removed.
    """
    with transaction(held.database, run.context.settings) as connection:
        manifest = history.settings_of_runs(connection, run.new.tenant)
    if manifest is None:
        return None
    run.tracker.log("info", "a killed run left an unfinished create: adopting it first, so that it is removed too")
    try:
        program = manifests.program(manifests.restored(manifest))
    except InputError as error:
        run.tracker.log("warning", f"it cannot be adopted: {error.message}")
        return None
    asked = run.context.cancel.count
    outcome = run.execute(lambda: run.stack.up(program, _unheard, targets=unfinished, dependents=False), "up")
    if outcome.ok and run.context.cancel.count > asked:
        # That it came to its end before it heard of it makes no difference to what was to follow.
        return Outcome(stop=Stop.USER, reason="cancelled by a signal")
    if outcome.stop in {Stop.USER, Stop.LOCK_LOST, Stop.STUCK}:
        return outcome
    if not outcome.ok:
        run.tracker.log("warning", f"adopting did not succeed: {run.failure(outcome)[1]}")
    return None


def _unheard(_event: object) -> None:
    """The steps of a removal are those of what goes, and not of what is taken over first."""


def rollback(context: Context, deployment: str, *, force: bool = False, correlation: str | None = None) -> RunResult:
    """Undoes a deployment by hand: a first create is removed, a change goes back to the settings before it."""
    began = history.now()
    settings = context.settings
    ensure_ready(settings)
    with transaction(engine_for(settings), settings) as connection:
        tenant = history.find_deployment(connection, deployment)["tenant"]
    with holding(context, tenant, "rollback") as held:
        with transaction(held.database, settings) as connection:
            row = history.find_deployment(connection, deployment)
            newer = history.newer_effective(connection, row)
        checks.undoable(row, newer, force=force)
        previous = row["previous_manifest"]
        new = NewDeployment(
            tenant=tenant,
            name=_name(held, row["manifest"], tenant),
            operation="rollback",
            engine=context.choice.name,
            correlation_id=correlation or correlation_id(),
            manifest=previous,
            previous_manifest=held.facts.last_good,
            rollback_of=row["id"],
            line=_line(held).kind,
        )
        with Run(context, held, new, _validated(_line(held), began)) as run:
            if previous is None:
                return _remove(run, held, undone=row["id"])
            return _reapply(run, held, manifests.restored(previous), row["id"])


def _reapply(run: Run, held: Held, resolved: ResolvedManifest[Any], undone: uuid.UUID) -> RunResult:
    def work() -> None:
        run.stack.ensure()
        run.stack.up(manifests.program(resolved), run.tracker.engine_event)

    outcome = _applied(run, held, work)
    run.end_events(outcome)
    if not outcome.ok:
        return _given_up(run, outcome)
    return run.finish(
        DeploymentStatus.SUCCEEDED,
        run.working,
        rolled_back_to="the settings before it",
        also=lambda connection: history.mark_rolled_back(connection, undone),
        **_good(resolved),
    )


@contextlib.contextmanager
def holding(context: Context, tenant: str, operation: str) -> Iterator[Held]:
    """The tenant's lock, its facts, and the dead runs that were taken over. Checks engine and passphrase first."""
    settings = context.settings
    settings.run_environment()
    ensure_ready(settings)
    database = engine_for(settings)
    with tenant_lock(settings, tenant, operation) as lock, context.cancel.listening():
        with transaction(database, settings) as connection:
            dead = history.take_over(connection, tenant)
            facts = history.tenant_facts(connection, tenant)
            totals.add_now(connection, totals.of_runs(connection, [row["id"] for row in dead]))
        yield Held(lock=lock, database=database, facts=facts, dead=dead)


def simple(context: Context, held: Held, tenant: str, operation: str, correlation: str | None) -> NewDeployment:
    """The deployment of an operation that has no manifest of its own."""
    return NewDeployment(
        tenant=tenant,
        name=_name(held, held.facts.last_good, tenant),
        operation=operation,
        engine=context.choice.name,
        correlation_id=correlation or correlation_id(),
        previous_manifest=held.facts.last_good,
        line=_line(held).kind,
    )


def _name(held: Held, manifest: Mapping[str, Any] | None, tenant: str) -> str:
    inner = (manifest or held.facts.last_good or {}).get("manifest", {})
    return str(inner.get("name") or tenant)


def _as_before(held: Held) -> TenantStatus:
    return held.facts.working if held.facts.last_good is not None or held.facts.was_active else TenantStatus.FAILED


def _given_up(run: Run, outcome: Outcome, left: tuple[str, ...] = ()) -> RunResult:
    step, text = run.failure(outcome)
    if left:
        text = f"{text}; left: {'; '.join(left)}" if "left" not in text else text
    decision = Decision(plan=Plan.LEAVE, reason="what is done is saved, and it can be repeated")
    return run.left(outcome, decision, step, text)


def _steps(line: Line) -> RunState:
    beside = {step.key: step.beside for step in line.steps}
    seconds = {step.key: step.seconds for step in line.steps}
    return new_run(((step.key, step.title) for step in line.steps), beside, seconds)


def _validated(line: Line, began: datetime) -> RunState:
    state = _steps(line)
    # A line whose requirements name all its steps has none for the validation, which is done all the same.
    has_one = any(step.key == VALIDATION for step in state.steps)
    return complete(state, VALIDATION, started=began, ended=history.now()) if has_one else state


def _line(held: Held) -> Line:
    """The tenant's line; the first one there was for stacks that were made without us."""
    return manifests.line_named(held.facts.line or "cabinet")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {op}" for op, count in sorted(counts.items()) if op not in {"same", "read"} and count)

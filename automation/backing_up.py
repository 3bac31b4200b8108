"""Backups of a tenant's site and restores, as operations: held, recorded, limited and cancelled as runs are.

Decides what a tenant is afterwards: a backup changes nothing of it, and a restore that was cut off leaves it failed.
The engine has no part in it; what is done to a site is `providers.site.backups`'s.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from automation import checks, history, operations
from automation.after_backup import BROKE_OFF, broke_off, lacking
from automation.backup_plans import plan_of
from automation.errors import InputError
from automation.kept_backups import of_plan, removed_at, told
from automation.models import DeploymentStatus, TenantStatus
from automation.results import RunResult
from automation.rollback import Decision, Plan
from automation.run import Context, Held, Run
from automation.steps import Done, Failed, Said, Started, Waiting, complete, new_run
from automation.supervision import Outcome

if TYPE_CHECKING:
    from providers.site.manifest import Manifest
    from providers.site.plan import BackupPlan

_VALIDATION = ("validation", "Validation")
_BACKUP = (_VALIDATION, ("backup", "Backup"), ("retention", "Old backups"))
_RESTORE = (_VALIDATION, ("restore", "Restore"))
_DOES = {"retention": "clear"}
"""What a step does, as the run's changes count it, where it is not called so."""


class _Going:
    """In place of a stack: what a run that is to stop is told by. It has nothing to kill: what runs looks here."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def __call__(self) -> bool:
        return not self._stopped.is_set()

    def interrupt(self) -> None:
        self._stopped.set()

    def kill(self) -> None:
        self._stopped.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A run on a tenant's site, as it is under way."""

    run: Run
    held: Held
    plan: BackupPlan
    going: _Going
    touched: threading.Event = field(default_factory=threading.Event)
    """Set once a restore has begun to change the site."""
    half: threading.Event = field(default_factory=threading.Event)
    """Set where the site was half restored before this run had touched it."""

    def heard(self, key: str) -> Callable[[object], None]:
        """What tells how far a command is as the message of the step `key`."""
        last = [""]

        def hear(progress: object) -> None:
            if str(progress) != last[0]:
                last[0] = str(progress)
                self.run.tracker.take(Waiting(urn=key, message=last[0], at=history.now()))

        return hear

    @contextlib.contextmanager
    def step(self, key: str, *, optional: bool = False) -> Iterator[Callable[[object], None]]:
        """The step `key`, which fails with what is raised. `optional`: the run goes on where a provider refuses it."""
        from providers.errors import ProviderError

        tracker, does = self.run.tracker, _DOES.get(key, key)
        tracker.take(Started(urn=key, op=does, custom=True, at=history.now()))
        try:
            yield self.heard(key)
        except Exception as error:
            why = tracker.redacted(str(error)).removesuffix(".")
            if optional and isinstance(error, ProviderError):
                tracker.log("warning", why, step=key)
                tracker.take(Done(urn=key, op=does, custom=True, at=history.now(), unready=why))
                return
            tracker.take(Said(urn=key, severity="error", message=why, at=history.now()))
            tracker.take(Failed(urn=key, op=does, at=history.now()))
            raise
        tracker.take(Done(urn=key, op=does, custom=True, at=history.now()))


def backup(context: Context, tenant: str, *, correlation: str | None = None) -> RunResult:
    """Backs the tenant's site up, then clears away what is not to be kept any more."""
    done: dict[str, Any] = {}

    def act(work: _Work) -> None:
        from datetime import UTC, datetime

        from providers.site.backups import clear, take
        from providers.site.region import operations_of, store_of

        done.clear()
        store, of, now = store_of(work.plan.region), of_plan(work.plan), datetime.now(UTC)
        ops = operations_of(work.plan.region, going=work.going)
        with work.step("backup") as heard:
            made = take(ops, store, of, now=now, heard=heard, going=work.going)
            done.update(told(made, store.name))
        # The backup is there: were the run to fail, the schedule would make one more every quarter of an hour.
        with work.step("retention", optional=True):
            # Those of a tenant that was removed are not this one's to clear away.
            since = removed_at(work.held.database, context.settings, tenant)
            done["cleared"] = list(clear(store, of, work.plan.keep, now=now, since=since))

    return _run(context, tenant, "backup", _BACKUP, act, done, [], correlation)


def restore(
    context: Context, tenant: str, backup_id: str, *, first: bool = True, correlation: str | None = None
) -> RunResult:
    """Puts the tenant's site back to what a backup holds. `first`: what is there now is backed up before.

    Raises InputError for what is no backup's id, before anything else.
    """
    from providers.site.manifest import made_at

    if (moment := made_at(backup_id)) is None:
        raise InputError(f"'{backup_id}' is no backup's id", hint=f"`tenantry backups {tenant}` lists those there are")
    done: dict[str, Any] = {}
    kept: list[dict[str, Any]] = []

    def act(work: _Work) -> None:
        from datetime import UTC, datetime

        from providers.site.backups import restore as put_back
        from providers.site.region import operations_of, store_of

        store, of = store_of(work.plan.region), of_plan(work.plan)
        ops = operations_of(work.plan.region, going=work.going)
        before = datetime.now(UTC) if first else None
        gone = removed_at(work.held.database, context.settings, tenant)

        def begins(there: Manifest | None, half: bool) -> None:
            if half and not work.touched.is_set():
                work.half.set()
            work.touched.set()
            if gone is not None and moment <= gone:
                text = (
                    f"backup {backup_id} is of a tenant that had this name before: its users have the passwords of then"
                )
                work.run.tracker.log("warning", text, step="restore")
            if there is not None:
                done["before"] = there.id
                kept.append(told(there, store.name))
                work.run.tracker.log("info", f"what is there now is kept as backup {there.id}", step="restore")

        with work.step("restore") as heard:
            made = put_back(ops, store, of, backup_id, heard=heard, going=work.going, first=before, begins=begins)
            done.update(told(made, store.name))
        if (note := lacking(work.plan.apps, made.apps)) is not None:
            done["note"] = note
            work.run.tracker.log("warning", note, step="restore")

    return _run(context, tenant, "restore", _RESTORE, act, done, kept, correlation)


def _run(
    context: Context,
    tenant: str,
    operation: str,
    steps: Sequence[tuple[str, str]],
    act: Callable[[_Work], None],
    done: dict[str, Any],
    kept: Sequence[dict[str, Any]],
    correlation: str | None,
) -> RunResult:
    began = history.now()
    going = _Going()

    @contextlib.contextmanager
    def no_stack(*_: object) -> Iterator[Any]:
        yield going

    with operations.holding(context, tenant, operation) as held:
        checks.known(held, tenant)
        plan = plan_of(held.facts.line or "", tenant, held.facts.last_good)
        new = operations.simple(context, held, tenant, operation, correlation)
        keys = {key for key, _ in steps}
        # A step of it is what a run is for: it may take as long as that, and each command has a limit of its own.
        limit = context.settings.run_limit(new.line).seconds
        made = new_run(steps, seconds=dict.fromkeys(keys, limit))
        state = complete(made, _VALIDATION[0], started=began, ended=history.now())
        own = replace(context, stacks=no_stack)
        with Run(own, held, new, state, step_of=lambda urn: urn if urn in keys else None) as run:
            work = _Work(run=run, held=held, plan=plan, going=going)
            outcome = run.execute(lambda: act(work), None)
            run.end_events(outcome)
            if not outcome.ok:
                return replace(_failed(work, outcome, done.get("before")), kept=tuple(kept))
            status = _status(work, operation)
            if status is TenantStatus.FAILED:
                run.tracker.log("warning", BROKE_OFF)
            ended = run.finish(DeploymentStatus.SUCCEEDED, status)
            return replace(ended, backup=dict(done), kept=tuple(kept))


def _failed(work: _Work, outcome: Outcome, before: str | None) -> RunResult:
    step, text = work.run.failure(outcome)
    begun = work.touched.is_set() or (work.run.new.operation == "restore" and work.held.broken_off)
    broken = _is_broken(work.plan, unless_known=begun)
    if broken:
        reason = "the site is between what it was and what it was to be. Restore a backup again"
        reason += f"; what was there before is backup {before}" if before else ""
    else:
        reason = "the site is as it was"
    status = TenantStatus.FAILED if broken else _status(work, "backup")
    return work.run.left(outcome, Decision(plan=Plan.LEAVE, reason=reason), step, text, tenant_status=status)


def _is_broken(plan: BackupPlan, *, unless_known: bool) -> bool:
    """Whether a restore was begun and is not done. `unless_known` is what it is taken to be where nobody can say."""
    from providers.errors import ProviderError
    from providers.site.region import operations_of

    try:
        return operations_of(plan.region).look(plan.site).half_restored
    except ProviderError:
        return unless_known


def _status(work: _Work, operation: str) -> TenantStatus:
    """What the tenant is after a run that succeeded. A restore makes whole what another one has left."""
    facts, dead = work.held.facts, [str(row["operation"]) for row in work.held.dead]
    broken = broke_off(failed=facts.failed, dead=dead, operation=operation, half=work.half.is_set())
    return TenantStatus.FAILED if broken else facts.working

"""The operations on a tenant: preview, up, refresh, destroy, rollback. The fronts (CLI, service, CI) call these.

Decides what each one checks first and records at its end. Running, retrying and rolling back is `run`'s.
"""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping

from automation import history, manifests, queries
from automation.database import engine_for, ensure_ready, transaction
from automation.engine_events import PlannedChange, planned_change, run_event
from automation.errors import ChangesFoundError, InputError, TenantryError
from automation.history import NewDeployment, TenantFacts
from automation.locks import tenant_lock
from automation.messages import engine_failure, summary
from automation.models import DeploymentStatus, TenantStatus, deployments
from automation.redaction import redactor
from automation.results import PreviewResult, RunResult
from automation.rollback import Decision, Plan
from automation.run import Context, Held, Run
from automation.settings import PROJECT_NAME
from automation.steps import RunState, Started, complete, is_object, new_run
from automation.supervision import Outcome
from automation.workspace import open_for_preview
from stacks.steps import STEPS, step_of

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent

    from stacks.manifest import CabinetManifest
    from stacks.resolve import ResolvedManifest

VALIDATION = "validation"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """How an `up` differs from the plain one. `enable_rollback` None means what the manifest says."""

    enable_rollback: bool | None = None
    new: bool = False
    expect_no_changes: bool = False


def correlation_id() -> str:
    """A new correlation id."""
    return uuid.uuid4().hex[:16]


def up(
    context: Context, manifest: CabinetManifest, options: UpOptions = UpOptions(), *, correlation: str | None = None
) -> RunResult:
    """Creates the tenant or brings it to its manifest. Rolls back by itself when that fails and rollback is enabled."""
    began = history.now()
    with _held(context, manifest.slug, "up") as held:
        _refuse_taken(manifest.slug, held.facts, new=options.new)
        resolved = manifests.resolved(manifest, held.facts.record_template)
        enabled = manifest.enable_rollback if options.enable_rollback is None else options.enable_rollback
        new = NewDeployment(
            tenant=manifest.slug,
            name=manifest.name,
            operation="up",
            engine=context.choice.name,
            correlation_id=correlation or correlation_id(),
            enable_rollback=enabled,
            first_create=held.facts.last_good is None and not held.facts.was_active,
            manifest=resolved.to_dict(),
            previous_manifest=held.facts.last_good,
        )
        state = complete(_steps(), VALIDATION, started=began, ended=history.now())
        with Run(context, held, new, state) as run:
            return _apply(run, held, resolved, options)


def _apply(run: Run, held: Held, resolved: ResolvedManifest, options: UpOptions) -> RunResult:
    from stacks.program import program_for

    def work() -> None:
        run.stack.ensure()
        run.stack.up(program_for(resolved), run.tracker.engine_event)

    outcome = run.execute(work)
    run.end_events(outcome)
    if not outcome.ok:
        last_good = held.facts.last_good
        again = (lambda: program_for(manifests.restored(last_good))) if last_good is not None else None
        return run.recover(outcome, again)
    if held.dead:
        _tidy(run)
    error: TenantryError | None = None
    counts = run.tracker.state.changes
    if options.expect_no_changes and any(count for op, count in counts.items() if op not in {"same", "read"}):
        error = ChangesFoundError(
            f"up of '{run.new.tenant}' made changes where none were expected: {_counted(counts)}",
            hint=f"`tenantry history {run.new.tenant}` shows them; they are applied",
        )
    return run.finish(DeploymentStatus.SUCCEEDED, TenantStatus.ACTIVE, error=error, **_good(resolved))


def _good(resolved: ResolvedManifest) -> dict[str, Any]:
    return {
        "last_good_manifest": resolved.to_dict(),
        "template_id": resolved.template_id,
        "template_version": resolved.template_version,
        "name": resolved.manifest.name,
    }


def _tidy(run: Run) -> None:
    """Drops the pending creates that a killed run left in the state: by now `up` has adopted or made those objects."""
    if any(one.get("type") == "creating" for one in run.export().get("pending_operations") or []):
        try:
            run.stack.refresh(lambda _event: None, clear_pending=True)
        except Exception as error:  # noqa: BLE001 - the tenant is up; Pulumi only goes on warning
            run.tracker.log("warning", f"pending operations could not be cleared from the state: {summary(str(error))}")


def preview(context: Context, manifest: CabinetManifest) -> PreviewResult:
    """What `up` would do. Takes no lock and leaves nothing behind."""
    from stacks.program import program_for

    settings = context.settings
    ensure_ready(settings)
    with transaction(engine_for(settings), settings) as connection:
        facts = history.tenant_facts(connection, manifest.slug)
    _refuse_taken(manifest.slug, facts, new=False)
    resolved = manifests.resolved(manifest, facts.record_template)
    changes: list[PlannedChange] = []
    counts: Counter[str] = Counter()
    said: list[str] = []
    redact = redactor(settings.secrets())

    def on_event(event: EngineEvent) -> None:
        if (change := planned_change(event, step_of)) is not None:
            changes.append(change)
        told = run_event(event, history.now(), redact)
        if isinstance(told, Started) and is_object(told.urn, custom=told.custom):
            counts[told.op] += 1
        if event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            said.append(redact(event.diagnostic_event.message))

    try:
        with open_for_preview(settings, manifest.slug, context.choice) as stack:
            stack.preview(program_for(resolved), on_event)
    except TenantryError:
        raise
    except Exception as error:
        raise _preview_error(context, manifest.slug, said, redact(str(error))) from error
    return PreviewResult(tenant=manifest.slug, engine=context.choice.name, changes=tuple(changes), counts=dict(counts))


def _preview_error(context: Context, tenant: str, said: list[str], text: str) -> TenantryError:
    from automation.engine_events import clean
    from automation.errors import EngineError

    known = engine_failure(text, tenant=tenant, backend=context.settings.backend)
    if known is not None:
        return known
    reasons = [clean(one) for one in said if clean(one) not in {"preview failed", "update failed"}]
    return EngineError(
        f"preview of '{tenant}' failed: {'; '.join(reasons) or summary(text)}", hint="nothing was changed"
    )


def refresh(
    context: Context, tenant: str, *, expect_no_changes: bool = False, correlation: str | None = None
) -> RunResult:
    """Reads what is really there into the state and says what has drifted. Changes nothing of the tenant's."""
    began = history.now()
    with _held(context, tenant, "refresh") as held:
        _require_known(held, tenant)
        new = _simple(context, held, tenant, "refresh", correlation)
        with Run(context, held, new, complete(_steps(), VALIDATION, started=began, ended=history.now())) as run:

            def work() -> None:
                if not run.stack.exists():
                    raise InputError(f"'{tenant}' has no stack to refresh", hint=f"`tenantry up {tenant}` makes it")
                run.stack.refresh(run.tracker.engine_event)

            outcome = run.execute(work)
            run.end_events(outcome)
            if not outcome.ok:
                return _given_up(run, outcome)
            error = None
            if expect_no_changes and run.tracker.drift:
                names = ", ".join(f"{urn.rsplit('::', 1)[-1]} ({what})" for urn, what in run.tracker.drift.items())
                error = ChangesFoundError(f"'{tenant}' has drifted: {names}", hint=f"`tenantry up {tenant}` repairs it")
            return run.finish(DeploymentStatus.SUCCEEDED, _as_before(held), error=error)


def destroy(context: Context, tenant: str, *, correlation: str | None = None) -> RunResult:
    """Removes the tenant and verifies that nothing is left. Removing one that is gone succeeds."""
    began = history.now()
    with _held(context, tenant, "destroy") as held:
        new = _simple(context, held, tenant, "destroy", correlation)
        if not held.facts.exists:
            _require_stack(context, held, tenant)
        with Run(context, held, new, complete(_steps(), VALIDATION, started=began, ended=history.now())) as run:
            return _remove(run, held)


def _remove(run: Run, held: Held, undone: uuid.UUID | None = None) -> RunResult:
    outcome, left = _removal(run, held)
    if not outcome.ok:
        return _given_up(run, outcome, left)

    def also(connection: Any) -> None:
        if undone is not None:
            history.mark_rolled_back(connection, undone)

    return run.finish(DeploymentStatus.SUCCEEDED, TenantStatus.REMOVED, last_good_manifest=None, also=also)


def _removal(run: Run, held: Held) -> tuple[Outcome, tuple[str, ...]]:
    there: list[bool] = []
    looked = run.execute(lambda: there.append(run.stack.exists()))
    if not looked.ok or not there[-1]:
        run.end_events(looked)
        return looked, ()
    if any(one.get("type") == "creating" for one in run.export().get("pending_operations") or []):
        _adopt(run, held)
    return run.destroy(rolling_back=False)


def _adopt(run: Run, held: Held) -> None:
    """A killed run may have made an object that its state does not know: `up` adopts it, so that destroy removes it."""
    from sqlalchemy import desc, select

    from stacks.program import program_for

    statement = (
        select(deployments.c.manifest)
        .where(deployments.c.tenant == run.new.tenant, deployments.c.manifest.is_not(None))
        .order_by(desc(deployments.c.number))
        .limit(1)
    )
    with transaction(held.database, run.context.settings) as connection:
        manifest = connection.execute(statement).scalar_one_or_none()
    if manifest is None:
        return
    run.tracker.log("info", "a killed run left an unfinished create: adopting it first, so that it is removed too")
    program = program_for(manifests.restored(manifest))
    outcome = run.execute(lambda: run.stack.up(program, lambda _event: None))
    if not outcome.ok:
        run.tracker.log("warning", f"adopting did not succeed: {run.failure(outcome)[1]}")


def rollback(context: Context, deployment: str, *, force: bool = False, correlation: str | None = None) -> RunResult:
    """Undoes a deployment by hand: a first create is removed, a change goes back to the settings before it."""
    began = history.now()
    settings = context.settings
    ensure_ready(settings)
    with transaction(engine_for(settings), settings) as connection:
        tenant = history.find_deployment(connection, deployment)["tenant"]
    with _held(context, tenant, "rollback") as held:
        with transaction(held.database, settings) as connection:
            row = history.find_deployment(connection, deployment)
            newer = history.newer_effective(connection, row)
        _refuse_rollback(row, newer, force=force)
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
        )
        with Run(context, held, new, complete(_steps(), VALIDATION, started=began, ended=history.now())) as run:
            if previous is None:
                return _remove(run, held, undone=row["id"])
            return _reapply(run, manifests.restored(previous), row["id"])


def _reapply(run: Run, resolved: ResolvedManifest, undone: uuid.UUID) -> RunResult:
    from stacks.program import program_for

    def work() -> None:
        run.stack.ensure()
        run.stack.up(program_for(resolved), run.tracker.engine_event)

    outcome = run.execute(work)
    run.end_events(outcome)
    if not outcome.ok:
        return _given_up(run, outcome)
    return run.finish(
        DeploymentStatus.SUCCEEDED,
        TenantStatus.ACTIVE,
        rolled_back_to="the settings before it",
        also=lambda connection: history.mark_rolled_back(connection, undone),
        **_good(resolved),
    )


def _refuse_rollback(row: RowMapping, newer: list[RowMapping], *, force: bool) -> None:
    name = f"deployment {str(row['id'])[:8]} of '{row['tenant']}'"
    if row["operation"] != "up":
        raise InputError(
            f"{name} is a {row['operation']}, which cannot be undone", hint="name a deployment made by `up`"
        )
    if row["status"] == DeploymentStatus.ROLLED_BACK:
        raise InputError(f"{name} has been rolled back already", hint=f"see `tenantry history {row['tenant']}`")
    if row["previous_manifest"] is None and not row["first_create"]:
        raise InputError(
            f"{name} changed a tenant that worked before, but no earlier settings are on record",
            hint="write the settings you want into the manifest and run `up`",
        )
    if newer and not force:
        listed = ", ".join(f"{str(one['id'])[:8]} ({one['operation']})" for one in newer)
        raise InputError(
            f"{name} is not the newest: rolling it back would undo {listed} too",
            hint="roll back the newest first, or add --force",
        )


@contextlib.contextmanager
def _held(context: Context, tenant: str, operation: str) -> Iterator[Held]:
    """The tenant's lock, its facts, and the dead runs that were taken over. Checks engine and passphrase first."""
    settings = context.settings
    settings.run_environment()
    ensure_ready(settings)
    database = engine_for(settings)
    with tenant_lock(settings, tenant, operation) as lock, context.cancel.listening():
        with transaction(database, settings) as connection:
            dead = history.take_over(connection, tenant)
            facts = history.tenant_facts(connection, tenant)
        yield Held(lock=lock, database=database, facts=facts, dead=dead)


def _refuse_taken(slug: str, facts: TenantFacts, *, new: bool) -> None:
    mark = f"{PROJECT_NAME}/{slug}"
    if facts.record_mark is not None and facts.record_mark != mark:
        raise InputError(
            f"the slug '{slug}' is taken: a cabinet that belongs to {facts.record_mark} has it",
            hint="choose another slug in the manifest; nothing was touched",
            problems=[("slug", slug, "taken by another cabinet; choose another one")],
        )
    if new and (facts.record_mark is not None or facts.last_good is not None):
        raise InputError(
            f"the slug '{slug}' is taken: there is a tenant of that name already",
            hint="choose another slug in the manifest, or leave out --new to change the tenant that is there",
            problems=[("slug", slug, "taken by a tenant that exists; choose another one")],
        )


def _require_known(held: Held, tenant: str) -> None:
    if not held.facts.exists:
        raise queries.unknown_tenant(tenant, ())


def _require_stack(context: Context, held: Held, tenant: str) -> None:
    """A tenant we have no row of may have been made by `pulumi up` by hand: its stack says so."""
    with context.stacks(context.settings, tenant, context.choice) as stack:
        if not stack.exists() and held.facts.record_mark is None:
            raise queries.unknown_tenant(tenant, ())


def _simple(context: Context, held: Held, tenant: str, operation: str, correlation: str | None) -> NewDeployment:
    return NewDeployment(
        tenant=tenant,
        name=_name(held, held.facts.last_good, tenant),
        operation=operation,
        engine=context.choice.name,
        correlation_id=correlation or correlation_id(),
        previous_manifest=held.facts.last_good,
    )


def _name(held: Held, manifest: Mapping[str, Any] | None, tenant: str) -> str:
    inner = (manifest or held.facts.last_good or {}).get("manifest", {})
    return str(inner.get("name") or tenant)


def _as_before(held: Held) -> TenantStatus:
    return TenantStatus.ACTIVE if held.facts.last_good is not None or held.facts.was_active else TenantStatus.FAILED


def _given_up(run: Run, outcome: Outcome, left: tuple[str, ...] = ()) -> RunResult:
    step, text = run.failure(outcome)
    if left:
        text = f"{text}; left: {'; '.join(left)}" if "left" not in text else text
    decision = Decision(plan=Plan.LEAVE, reason="what is done is saved, and it can be repeated")
    return run.left(outcome, decision, step, text)


def _steps() -> RunState:
    return new_run((step.key, step.title) for step in STEPS)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {op}" for op, count in sorted(counts.items()) if op not in {"same", "read"} and count)

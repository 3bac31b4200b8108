"""What `up` would do: a preview takes no lock and leaves nothing behind. It can be cancelled, and its time is limited.

Decides nothing but how its failure reads.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from automation import checks, history, manifests
from automation.database import engine_for, ensure_ready, transaction
from automation.engine_events import PlannedChange, clean, planned_change, run_event
from automation.errors import CancelledError, DatabaseError, EngineError, TenantryError
from automation.jobs import totals
from automation.messages import engine_failure, summary
from automation.redaction import redactor
from automation.results import PreviewResult
from automation.rollback import Stop
from automation.run import Context
from automation.steps import RunState, Started, is_object, reducer
from automation.supervision import Outcome, Supervisor
from automation.tracking import Silent, Tracker
from automation.workspace import TenantStack, open_for_preview

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent

    from stacks.lines import Line, Manifest


def preview(context: Context, manifest: Manifest) -> PreviewResult:
    """What `up` would do. Raises EngineError when it would fail, CancelledError when it was stopped."""
    settings = context.settings
    line = manifests.line_named(manifest.kind)
    ensure_ready(settings)
    with transaction(engine_for(settings), settings) as connection:
        facts = history.tenant_facts(connection, manifest.slug)
    checks.slug_free(manifest.slug, facts, kind=line.kind, new=False)
    resolved = manifests.resolved(manifest, facts.pinned)
    changes: list[PlannedChange] = []
    counts: Counter[str] = Counter()
    said: list[str] = []
    redact = redactor(settings.secrets())

    def on_event(event: EngineEvent) -> None:
        if (change := planned_change(event, line.step_of)) is not None:
            changes.append(change)
        told = run_event(event, history.now(), redact)
        if told is not None:
            context.heard(told)
        if isinstance(told, Started) and is_object(told.urn, custom=told.custom):
            counts[told.op] += 1
        if event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            said.append(redact(event.diagnostic_event.message))

    try:
        with (
            open_for_preview(settings, manifest.slug, context.choice) as stack,
            context.cancel.listening(),
            _timed(context),
        ):
            program = manifests.program(resolved)
            outcome = _watched(context, line, stack, redact, lambda: stack.preview(program, on_event))
    except Exception as error:  # noqa: BLE001 - state that cannot be opened: put in words below
        outcome = Outcome(error=error)
    if isinstance(outcome.error, TenantryError):
        raise outcome.error
    if not outcome.ok:
        raise _failed(context, manifest.slug, said, outcome, redact) from outcome.error
    return PreviewResult(tenant=manifest.slug, engine=context.choice.name, changes=tuple(changes), counts=dict(counts))


def _watched(
    context: Context, line: Line, stack: TenantStack, redact: Callable[[str], str], work: Callable[[], None]
) -> Outcome:
    # It has no steps: what the engine says in a preview is what would happen.
    tracker = Tracker(
        RunState(steps=()),
        reducer(line.step_of),
        step_of=line.step_of,
        redact=redact,
        observer=Silent(),
        writer=None,
    )
    supervisor = Supervisor(context.settings, stack, tracker, None, context.cancel, line=line.kind)
    limit = context.settings.run_limit(line.kind)
    return supervisor.call(work, limit, steps=False)


@contextlib.contextmanager
def _timed(context: Context) -> Iterator[None]:
    """Counts the engine's time. A preview does not fail for a counter that cannot be written."""
    began = time.monotonic()
    try:
        yield
    finally:
        took = time.monotonic() - began
        settings = context.settings
        with contextlib.suppress(DatabaseError), transaction(engine_for(settings), settings) as connection:
            totals.add_now(connection, totals.of_engine(context.choice.name, [("preview", took)]))


def _failed(
    context: Context, tenant: str, said: list[str], outcome: Outcome, redact: Callable[[str], str]
) -> TenantryError:
    if outcome.stop is Stop.USER:
        return CancelledError(f"preview of '{tenant}' was cancelled: nothing was changed", hint="preview it again")
    if outcome.stop is not Stop.NONE:
        stuck = {"stuck": True} if outcome.stop is Stop.STUCK else None
        return EngineError(f"preview of '{tenant}' failed: {outcome.reason}", hint="nothing was changed", details=stuck)
    text = redact(str(outcome.error))
    reasons = [clean(one) for one in said if clean(one) not in {"preview failed", "update failed"}]
    # What an object's server says is no word about our state, however it reads.
    known = None if reasons else engine_failure(text, tenant=tenant, backend=context.settings.backend)
    if known is not None:
        return known
    return EngineError(
        f"preview of '{tenant}' failed: {'; '.join(reasons) or summary(text)}", hint="nothing was changed"
    )

"""What `up` would do: a preview takes no lock and leaves nothing behind. Decides nothing but how its failure reads."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from automation import checks, history, manifests
from automation.database import engine_for, ensure_ready, transaction
from automation.engine_events import PlannedChange, clean, planned_change, run_event
from automation.errors import DatabaseError, EngineError, TenantryError
from automation.jobs import totals
from automation.messages import engine_failure, summary
from automation.redaction import redactor
from automation.results import PreviewResult
from automation.run import Context
from automation.steps import Started, is_object
from automation.workspace import open_for_preview

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent

    from stacks.manifest import CabinetManifest


def preview(context: Context, manifest: CabinetManifest) -> PreviewResult:
    """What `up` would do. Raises EngineError when it would fail."""
    settings = context.settings
    line = manifests.line_named(manifest.kind)
    ensure_ready(settings)
    with transaction(engine_for(settings), settings) as connection:
        facts = history.tenant_facts(connection, manifest.slug)
    checks.slug_free(manifest.slug, facts, kind=line.kind, new=False)
    resolved = manifests.resolved(manifest, facts.record_template)
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
        with open_for_preview(settings, manifest.slug, context.choice) as stack, _timed(context):
            stack.preview(manifests.program(resolved), on_event)
    except TenantryError:
        raise
    except Exception as error:
        raise _failed(context, manifest.slug, said, redact(str(error))) from error
    return PreviewResult(tenant=manifest.slug, engine=context.choice.name, changes=tuple(changes), counts=dict(counts))


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


def _failed(context: Context, tenant: str, said: list[str], text: str) -> TenantryError:
    known = engine_failure(text, tenant=tenant, backend=context.settings.backend)
    if known is not None:
        return known
    reasons = [clean(one) for one in said if clean(one) not in {"preview failed", "update failed"}]
    return EngineError(
        f"preview of '{tenant}' failed: {'; '.join(reasons) or summary(text)}", hint="nothing was changed"
    )

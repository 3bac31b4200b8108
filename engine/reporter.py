"""Tells what happens as engine events, and counts the operations for the summary."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from engine import events
from engine.events import Event
from engine.refresh import RefreshStep
from engine.resource import StepOp, is_provider_type, same_values, urn_name
from engine.steps import RemovePendingReplaceStep, Step


class Reporter:
    """Emits the events of one operation, from any thread, one at a time."""

    def __init__(self, emit: Callable[[Event], None], *, preview: bool, refreshes: bool = False) -> None:
        self._emit = emit
        # Elsewhere a refresh is only a first part: it counts for nothing, and what it found is not an operation.
        self._refreshes = refreshes
        self._preview = preview
        self._counts: Counter[str] = Counter()
        self._steps = 0
        self._program_muted = False
        self._lock = threading.Lock()

    def mute_program(self) -> None:
        """From here on the program only complains that it is being stopped."""
        self._program_muted = True

    def program_log(self, event: Event) -> None:
        """A message of the program, or of a plugin."""
        if not self._program_muted:
            self.send(event)

    def changes(self) -> dict[str, int]:
        return dict(self._counts)

    def send(self, event: Event) -> None:
        with self._lock:
            self._emit(event)

    def diagnose(self, severity: str, urn: str, message: str) -> None:
        self.send(events.diagnostic(severity, message, urn))

    def log(self, severity: str, message: str) -> None:
        self.diagnose(severity, "", message)

    # -------------------------------------------------------- steps

    def before(self, step: Step) -> None:
        self.send(events.resource_pre(step.info(), planning=self._preview))

    def after(self, step: Step) -> None:
        op = step.result_op() if isinstance(step, RefreshStep) and self._refreshes else step.op
        with self._lock:
            self._steps += 1
            if _counts(step) and (self._refreshes or not isinstance(step, RefreshStep)):
                self._counts[op.value] += 1
        # A component says its outputs itself, later; in a preview it is shown at once as well.
        shown = self._preview or step.state.custom or isinstance(step, RefreshStep) or step.new is None
        if isinstance(step, RefreshStep) and step.new is not None and step.new is not step.old and step.new.init_errors:
            lines = "".join(f"\n* {reason}" for reason in step.new.init_errors)
            self.diagnose("warning", step.urn, f"Refreshed resource is in an unhealthy state:{lines}")
        if shown:
            info = replace(step.info(), op=op)
            self.send(events.resource_outputs(info, planning=self._preview))

    def outputs(self, step: Step) -> None:
        """A component has said its outputs."""
        self.send(events.resource_outputs(step.info(), planning=self._preview))

    def late_error(self, step: Step, error: Exception) -> None:
        """The step is done, and shown as done; something after it went wrong."""
        self.diagnose("error", step.urn, str(error))

    def failed(self, step: Step, error: Exception) -> None:
        with self._lock:
            self._steps += 1
            steps = self._steps
        prefix = "Preview failed: " if self._preview else ""
        self.diagnose("error", step.urn, f"{prefix}{error}")
        if not self._preview:
            self.send(events.resource_failed(step.info(), steps))


def _counts(step: Step) -> bool:
    """Whether the summary counts a step: no parts of a replacement, no default providers, no unchanged read."""
    if not step.logical or isinstance(step, RemovePendingReplaceStep):
        return False
    state = step.state
    if is_provider_type(state.type) and urn_name(state.urn).startswith("default"):
        return False
    if step.op is StepOp.READ:
        return step.old is not None and not same_values(step.old.outputs, state.outputs)
    return True

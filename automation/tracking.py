"""Follows one run: engine events become steps, steps become rows and what is shown.

The engine's thread only hands events over; a thread of this module writes them, in batches, so that a slow database
does not slow the run. It never decides what a step is (`steps` does) or what follows a failure.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Engine

from automation import history
from automation.database import transaction
from automation.engine_events import drifted, run_event, stack_outputs
from automation.errors import DatabaseError
from automation.jobs.child_events import JobEvents, Progress
from automation.objects import Made, made_of
from automation.settings import Settings
from automation.steps import Mode, RunEvent, RunState, Said, StepStatus

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a deployment's log."""

    at: datetime
    level: str
    step: str | None
    message: str


class Observer(Protocol):
    """Whoever watches a run: the live display, JSON lines, or nobody."""

    def changed(self, state: RunState) -> None:
        """A step or the progress has changed."""

    def said(self, line: LogLine) -> None:
        """A log line."""


class Silent:
    """An observer that shows nothing."""

    def changed(self, state: RunState) -> None:
        """Nothing to show."""

    def said(self, line: LogLine) -> None:
        """Nothing to show."""


class Tracker:
    """The state of one run. Events may come from any thread."""

    def __init__(
        self,
        state: RunState,
        reduce: Callable[[RunState, RunEvent], RunState],
        *,
        step_of: Callable[[str], str | None],
        redact: Callable[[str], str],
        observer: Observer,
        writer: HistoryWriter | None,
        heard: Callable[[RunEvent], None] = lambda _event: None,
    ) -> None:
        self._lock = threading.RLock()
        self._reduce = reduce
        self._step_of = step_of
        self._redact = redact
        self._observer = observer
        self._writer = writer
        self._heard = heard
        self._running_since: dict[str, float] = {}
        self.state = state
        self.drift: dict[str, str] = {}
        self.outputs: Mapping[str, Any] = {}
        self.made: dict[str, Made] = {}
        self.saw_events = False
        self.fault: Exception | None = None
        self.finished = threading.Event()

    def engine_event(self, event: EngineEvent) -> None:
        """Takes an engine event. Never raises: an exception here would be lost in the SDK's event thread."""
        try:
            self.saw_events = True
            if event.cancel_event is not None:
                self.finished.set()
            if (found := drifted(event)) is not None:
                self.drift[found[0]] = found[1]
            if outputs := stack_outputs(event):
                self.outputs = outputs
            if (made := made_of(event)) is not None:
                self.made[made.urn] = made
            translated = run_event(event, history.now(), self._redact)
            if translated is not None:
                self._heard(translated)
                self.take(translated)
        except Exception as error:  # noqa: BLE001 - kept, and raised by `check`
            self.fault = self.fault or error

    def redacted(self, text: str) -> str:
        """The text as it may be shown."""
        return self._redact(text)

    def check(self) -> None:
        """Raises what went wrong while taking events."""
        if self.fault is not None:
            raise self.fault

    def begin_command(self) -> None:
        """A new engine command is about to send events."""
        self.saw_events = False
        self.finished.clear()

    def take(self, event: RunEvent) -> None:
        """Takes a run event."""
        with self._lock:
            if isinstance(event, Said) and event.severity != "info":
                level = "error" if event.severity == "error" else "warning"
                self.log(level, event.message, step=self._step_of(event.urn))
            before, self.state = self.state, self._reduce(self.state, event)
            self._note_running()
            if before != self.state:
                self._announce(before, self.state)

    def replace(self, state: RunState) -> None:
        """Sets the state, for what no event says."""
        with self._lock:
            before, self.state = self.state, state
            self._announce(before, state)

    def log(self, level: str, message: str, *, step: str | None = None) -> None:
        """Adds a line to the deployment's log."""
        line = LogLine(at=history.now(), level=level, step=step, message=self._redact(message))
        with self._lock:
            self._observer.said(line)
            if self._writer is not None:
                self._writer.put_log(line)

    def running_for(self) -> dict[str, float]:
        """Seconds for which each running step has been running in this attempt."""
        with self._lock:
            moment = time.monotonic()
            return {key: moment - since for key, since in self._running_since.items()}

    def _note_running(self) -> None:
        running = {step.key for step in self.state.running if step.open}
        for key in list(self._running_since):
            if key not in running:
                del self._running_since[key]
        for key in running:
            self._running_since.setdefault(key, time.monotonic())

    def _announce(self, before: RunState, after: RunState) -> None:
        self._observer.changed(after)
        for old, new in zip(before.steps, after.steps, strict=True):
            if old.status is not new.status and new.status is not StepStatus.PENDING:
                level = "info" if new.status is not StepStatus.FAILED else "warning" if new.soft else "error"
                text = f"{new.title}: {new.status.value.replace('_', ' ')}"
                if new.message:
                    text += f" ({new.message})"
                if new.soft:
                    text += f", and the run goes on without it: {new.error}"
                self.log(level, text, step=new.key)
        if self._writer is not None:
            self._writer.put_state(before, after)


class HistoryWriter:
    """Writes a run's steps, progress and logs to the main database from a thread of its own.

    `events`, where the run is for a job, tells the job's followers of the same in the same transactions.
    """

    def __init__(
        self, engine: Engine, settings: Settings, deployment: uuid.UUID, events: JobEvents | None = None
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._deployment = deployment
        self._events = events
        self._queue: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="history-writer", daemon=True)
        self.error: DatabaseError | Exception | None = None
        self._thread.start()

    def put_state(self, before: RunState, after: RunState) -> None:
        """Queues the steps that differ, and the progress."""
        for position, (old, new) in enumerate(zip(before.steps, after.steps, strict=True)):
            if old != new:
                self._queue.put(("step", history.step_row(self._deployment, position, new)))
        if _progress(before) != _progress(after):
            self._queue.put(("progress", _progress(after)))

    def put_log(self, line: LogLine) -> None:
        """Queues a log line."""
        row = {
            "deployment_id": self._deployment,
            "at": line.at,
            "level": line.level,
            "step": line.step,
            "message": line.message,
        }
        self._queue.put(("log", row))

    def close(self, timeout: float = 15) -> Exception | None:
        """Writes what is queued, within `timeout` seconds. Returns what kept it from being written, if anything did."""
        self._queue.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive():
            return DatabaseError("the history of this run could not be written in time", hint="check the main database")
        return self.error

    def _work(self) -> None:
        more = True
        while more:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            more = None not in batch
            items = [item for item in batch if item is not None]
            if items and self.error is None:
                self._write(items)

    def _write(self, items: list[tuple[str, Any]]) -> None:
        steps = {item["key"]: item for kind, item in items if kind == "step"}
        progress: list[Progress] = [item for kind, item in items if kind == "progress"]
        logs = [item for kind, item in items if kind == "log"]
        try:
            with transaction(self._engine, self._settings) as connection:
                # The job's row before the deployment's, as everybody locks them: no two may wait for each other.
                if self._events is not None:
                    self._events.write(connection, items)
                history.save_steps(connection, list(steps.values()))
                if progress:
                    history.save_progress(connection, self._deployment, progress[-1].progress, progress[-1].phase)
                history.save_logs(connection, logs)
        except Exception as error:  # noqa: BLE001 - kept for `close`; the run itself must go on
            self.error = error


def _progress(state: RunState) -> Progress:
    running = state.running
    phase = "run" if state.mode is Mode.FORWARD else "rollback"
    return Progress(progress=state.progress, phase=phase, current_step=running[0].key if running else None)

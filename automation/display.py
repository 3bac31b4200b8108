"""How runs, previews and results look: a live table on a terminal, plain lines elsewhere, JSON lines for programs.

Decides looks only. Values of secrets never come here: the engine masks them, and logs are redacted before.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from automation.engine_events import called
from automation.steps import RunState, StepState, StepStatus

if TYPE_CHECKING:
    from rich.console import RenderableType

    from automation.engine_events import PlannedChange
    from automation.results import PreviewResult, RunResult
    from automation.tracking import LogLine

# What Pulumi writes in place of a secret, and of a value that only the run itself will know.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
HIDDEN, LATER = "[secret]", "known after apply"

_LOOKS = {
    StepStatus.PENDING: ("·", "dim"),
    StepStatus.RUNNING: ("▸", "cyan"),
    StepStatus.COMPLETED: ("✓", "green"),
    StepStatus.FAILED: ("✗", "red"),
    StepStatus.SKIPPED: ("-", "dim"),
    StepStatus.ROLLED_BACK: ("↩", "yellow"),
}
SIGNS = {
    "create": "+",
    "delete": "-",
    "update": "~",
    "replace": "±",
    "create-replacement": "+",
    "delete-replaced": "-",
}
_VALUE_CHARS = 60


class Display(Protocol):
    """An observer of a run that can be shown."""

    def changed(self, state: RunState) -> None:
        """A step or the progress has changed."""

    def said(self, line: LogLine) -> None:
        """A log line."""

    def live(self, title: str) -> contextlib.AbstractContextManager[None]:
        """Shows the run while in the block."""


def display_for(*, as_lines: bool, quiet: bool) -> Display:
    """The display that fits: JSON lines, nothing, a live table on a terminal, or plain lines."""
    if as_lines:
        return JsonLines()
    if quiet:
        return Nothing()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return LiveTable()
    return PlainLines()


class Nothing:
    """Shows nothing."""

    def changed(self, state: RunState) -> None:
        """Nothing to show."""

    def said(self, line: LogLine) -> None:
        """Nothing to show."""

    @contextlib.contextmanager
    def live(self, title: str) -> Iterator[None]:
        del title
        yield


class JsonLines(Nothing):
    """One JSON object per line on standard output: `progress` and `log`."""

    def __init__(self) -> None:
        self._last: RunState | None = None

    def changed(self, state: RunState) -> None:
        before = {step.key: step for step in self._last.steps} if self._last is not None else {}
        known = {key: step.to_dict() for key, step in before.items()}
        rows = [row for step in state.steps if (row := step.to_dict()) != known.get(step.key)]
        if rows or self._last is None or self._last.progress != state.progress:
            self._print({"type": "progress", "progress": state.progress, "phase": state.mode.value, "steps": rows})
        self._last = state

    def said(self, line: LogLine) -> None:
        content = {"type": "log", "at": line.at.isoformat(), "level": line.level, "step": line.step}
        self._print({**content, "message": line.message})

    def _print(self, content: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
        sys.stdout.flush()


class PlainLines(Nothing):
    """A line for each change of a step, on standard error: for logs of CI."""

    def said(self, line: LogLine) -> None:
        mark = {"error": "error: ", "warning": "warning: "}.get(line.level, "")
        sys.stderr.write(f"{line.at.astimezone():%H:%M:%S} {mark}{line.message}\n")
        sys.stderr.flush()


class LiveTable(Nothing):
    """A table with a row per step that changes in place, on standard error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: RunState | None = None
        self._title = ""
        self._note = ""

    def changed(self, state: RunState) -> None:
        with self._lock:
            self._state = state

    def said(self, line: LogLine) -> None:
        if line.level == "warning":
            with self._lock:
                self._note = line.message

    @contextlib.contextmanager
    def live(self, title: str) -> Iterator[None]:
        from rich.console import Console
        from rich.live import Live

        self._title = title
        with Live(get_renderable=self._render, console=Console(stderr=True), refresh_per_second=8, transient=False):
            yield

    def _render(self) -> RenderableType:
        from rich.markup import escape
        from rich.table import Table
        from rich.text import Text

        with self._lock:
            state, note = self._state, self._note
        progress = state.progress if state is not None else 0
        table = Table(box=None, show_header=False, pad_edge=False, title=None)
        table.add_column()
        table.add_column()
        table.add_column(justify="right")
        table.add_column(overflow="fold", max_width=70)
        table.add_row("", f"[bold]{escape(self._title)}[/bold]", f"{progress} %", Text(_bar(progress), style="cyan"))
        for step in state.steps if state is not None else ():
            sign, style = _LOOKS[step.status]
            said = step.error if step.status is StepStatus.FAILED else step.message
            table.add_row(
                Text(sign, style=style), Text(step.title), Text(_elapsed(step), style="dim"), Text(said or "")
            )
        if note:
            table.add_row("", Text(note, style="yellow"), "", "")
        return table


def _bar(progress: int, width: int = 30) -> str:
    full = width * progress // 100
    return "█" * full + "░" * (width - full)


def _elapsed(step: StepState) -> str:
    if step.duration_ms is not None:
        return duration(step.duration_ms)
    if step.started_at is None:
        return ""
    return duration(round((datetime.now(UTC) - step.started_at).total_seconds() * 1000))


def duration(milliseconds: int | None) -> str:
    """`850 ms`, `3.2 s`, `2 min 5 s`."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds // 60_000} min {milliseconds % 60_000 // 1000} s"


def result_lines(result: RunResult) -> Iterator[str]:
    """The end of a run, for people. The error itself is told by the command's end."""
    label = result.status.value.replace("_", " ")
    yield f"{result.operation} of {result.tenant}: {label} in {duration(result.duration_ms)}"
    if result.changed and not result.backup:
        counts = sorted(result.state.changes.items())
        shown = ", ".join(f"{count} {_PAST.get(op, op)}" for op, count in counts if op not in {"read", "refresh"})
        yield f"  resources: {shown}"
    elif result.error is None and result.operation == "up":
        yield "  nothing to change"
    if url := result.outputs.get("url"):
        yield f"  reached at: {url}"
    yield from _backup_lines(result)
    if result.partial:
        again = "backup" if result.backup else "up"
        yield f"  partial: {', '.join(result.partial)} not in place; the next {again} tries again"
    for server, count in result.requests.items():
        yield f"  requests: {count} to {server}"
    for urn, what in result.drift.items():
        yield f"  drift: {called(urn)} {what}"
    if result.rolled_back_to is not None:
        yield f"  rolled back to: {result.rolled_back_to}"
    yield f"  deployment {result.deployment}, correlation id {result.correlation_id}"


def _backup_lines(result: RunResult) -> Iterator[str]:
    if result.backup:
        yield f"  backup: {result.backup['id']}, {result.backup['size']} bytes, in {result.backup['store']}"
        if before := result.backup.get("before"):
            yield f"  what was there before: backup {before}"
        if note := result.backup.get("note"):
            yield f"  {note}"
        if cleared := result.backup.get("cleared"):
            yield f"  old backups deleted: {len(cleared)}"
    elif result.kept:
        yield f"  last backup: {result.kept[0]['id']}, {result.kept[0]['size']} bytes, in {result.kept[0]['store']}"


_PAST = {
    "create": "created",
    "update": "changed",
    "delete": "deleted",
    "same": "unchanged",
    "replace": "replaced",
    "create-replacement": "created as replacement",
    "delete-replaced": "deleted after replacement",
}


def preview_lines(result: PreviewResult) -> Iterator[str]:
    """A preview, for people: a line per resource and per property that changes, and the sums."""
    if not result.changed:
        yield f"preview of {result.tenant}: nothing to change"
        return
    yield f"preview of {result.tenant}:"
    for change in result.changes:
        kind = change.type.rsplit(":", 1)[-1]
        step = f"  [{change.step}]" if change.step else ""
        yield f"  {SIGNS.get(change.op, '*')} {change.op} {kind} {change.name}{step}"
        yield from _property_lines(change)
    counts = ", ".join(f"{count} to {op}" for op, count in sorted(result.counts.items()) if op != "same" and count)
    same = result.counts.get("same", 0)
    yield f"  {counts}{f', {same} unchanged' if same else ''}"


def _property_lines(change: PlannedChange) -> Iterator[str]:
    if change.op in {"delete", "delete-replaced"}:
        return
    for row in change.properties:
        if row.before is None and row.after is None:
            continue
        if row.before is None:
            yield f"      + {row.path}: {shown(row.after)}"
        elif row.after is None:
            yield f"      - {row.path}: {shown(row.before)}"
        else:
            yield f"      ~ {row.path}: {shown(row.before)} -> {shown(row.after)}"


def shown(value: Any) -> str:
    """A value as JSON, cut short; secrets and values not known yet by name."""
    named = plain(value)
    if named != value and named in (HIDDEN, LATER):
        return str(named)
    text = json.dumps(named, ensure_ascii=False, default=str)
    return text if len(text) <= _VALUE_CHARS else f"{text[:_VALUE_CHARS]}..."


def plain(value: Any) -> Any:
    """`value` with words in place of secrets and of what is not known yet."""
    if isinstance(value, Mapping):
        return HIDDEN if _SIGNATURE in value else {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return LATER if value == _UNKNOWN else value


def table_lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Rows in columns, without colour or frames: made for eyes and for grep."""
    cells = [tuple(header), *(tuple("" if cell is None else str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

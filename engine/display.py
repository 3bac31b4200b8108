"""An operation as text: what is done, line by line, then diagnostics, outputs, the summary and the time it took.

Works from engine events, in which secrets are masked already; never from states. What it writes is the same with and
without colours, but for the colours.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from engine.display_diff import diff_lines
from engine.display_policy import PolicyLog
from engine.display_tree import Row, tree_lines
from engine.resource import STACK_TYPE, make_urn, urn_name, urn_type
from engine.streams import Output

Event = dict[str, Any]

#: (mark, colour, what it will do, what it is doing, what it did)
_OPS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "same": (" ", "", "unchanged", "unchanged"),
    "create": ("+", "32", "create", "created"),
    "update": ("~", "33", "update", "updated"),
    "delete": ("-", "31", "delete", "deleted"),
    "replace": ("+-", "35", "replace", "replaced"),
    "create-replacement": ("++", "32", "create replacement", "created replacement"),
    "delete-replaced": ("--", "31", "delete original", "deleted original"),
    "read": (">", "36", "read", "read"),
    "read-replacement": (">>", "36", "read for replacement", "read for replacement"),
    "refresh": ("~", "36", "refresh", "refreshed"),
    "discard": ("<", "31", "discard", "discarded"),
    "discard-replaced": ("<<", "31", "discard original", "discarded original"),
    "remove-pending-replace": ("~", "35", "complete replacement", "completed replacement"),
    "import": ("=", "32", "import", "imported"),
    "import-replacement": ("=>", "32", "import replacement", "imported replacement"),
}
_ORDER: Final = ("create", "update", "replace", "delete", "import", "read", "refresh", "discard", "same")
_TITLES: Final = {
    "update": "Updating",
    "refresh": "Refreshing",
    "destroy": "Destroying",
    "resource-import": "Importing",
}
_PREVIEWS: Final = {
    "update": "Previewing update",
    "refresh": "Previewing refresh",
    "destroy": "Previewing destroy",
    "resource-import": "Previewing import",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayOptions:
    """How much is shown."""

    kind: str
    project: str
    stack: str
    preview: bool
    colour: bool = False
    diff: bool = False
    sames: bool = False
    replacement_steps: bool = False
    outputs: bool = True
    progress: bool = True
    debug: bool = False
    policy_remediations: bool = False
    reads: bool = False
    config: bool = False
    full: bool = False


@dataclass(slots=True)
class _Seen:
    """Which (urn, op) began when, and which have been shown as done."""

    started: dict[tuple[str, str], float] = field(default_factory=dict)
    done: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)


class Display:
    """Takes events from any thread and writes them; `finish` writes the rest."""

    def __init__(self, options: DisplayOptions, out: Output) -> None:
        self._options = options
        self._out = out
        self._lock = threading.Lock()
        self._seen = _Seen()
        self._diagnostics: dict[str, list[tuple[str, str]]] = {}
        self._outputs: dict[str, Any] = {}
        self._old_outputs: dict[str, Any] = {}
        self._changes: dict[str, int] = {}
        self._policies = PolicyLog()
        self._begun = monotonic()
        self._gone = False

    def begin(self) -> None:
        titles = _PREVIEWS if self._options.preview else _TITLES
        self._line(f"{titles[self._options.kind]} ({self._options.stack}):")

    def emit(self, event: Event) -> None:
        with self._lock:
            for text, colour in self._policies.take(event):
                self._line(self._paint(text, colour))
            if "preludeEvent" in event and self._options.config:
                self._write_config(event["preludeEvent"]["config"])
            elif "resourcePreEvent" in event:
                self._pre(event["resourcePreEvent"]["metadata"])
            elif "resOutputsEvent" in event:
                self._done(event["resOutputsEvent"]["metadata"])
            elif "resOpFailedEvent" in event:
                self._failed(event["resOpFailedEvent"]["metadata"])
            elif "diagnosticEvent" in event:
                self._diagnose(event["diagnosticEvent"])
            elif "summaryEvent" in event:
                self._changes = dict(event["summaryEvent"].get("resourceChanges") or {})

    def details(self) -> None:
        """The tree alone."""
        with self._lock:
            self._write_tree()

    def finish(self, *, failed: bool) -> None:
        """The tree of a preview, diagnostics, outputs, counts and the duration."""
        with self._lock:
            if self._options.preview:
                self._write_tree()
            self._write_diagnostics()
            self._write_policies()
            if self._options.outputs and not failed:
                self._write_outputs()
            self._write_counts()
            if not self._options.preview:
                self._line()
                self._line(f"Duration: {_duration(monotonic() - self._begun)}")

    # -------------------------------------------------------------- events

    def _pre(self, metadata: Mapping[str, Any]) -> None:
        self._seen.started[metadata["urn"], metadata["op"]] = monotonic()
        if self._options.preview or not self._options.progress or not self._shown(metadata["op"]):
            return
        if metadata["op"] not in {"same", "replace"} and metadata["type"] != STACK_TYPE:
            self._resource(metadata, f"{_word(metadata['op'])}...")

    def _done(self, metadata: Mapping[str, Any]) -> None:
        if metadata["type"] == STACK_TYPE:
            self._old_outputs = dict((metadata.get("old") or {}).get("outputs") or {})
            self._outputs = dict((metadata.get("new") or {}).get("outputs") or {})
        key = (metadata["urn"], metadata["op"])
        # The stack's own outputs come twice in a preview: at its registration and at the end.
        root = self._options.preview and metadata["type"] == STACK_TYPE
        if key in self._seen.done or not (root or self._shown(metadata["op"])):
            return
        self._seen.done[key] = dict(metadata)
        if not self._options.preview:
            started = self._seen.started.get(key)
            took = f" ({monotonic() - started:.1f}s)" if started is not None else ""
            self._resource(metadata, f"{_OPS.get(metadata['op'], ('', '', '', metadata['op']))[3]}{took}")
            self._diff(metadata)

    def _failed(self, metadata: Mapping[str, Any]) -> None:
        self._resource(metadata, f"**{_word(metadata['op'])} failed**")

    def _shown(self, op: str) -> bool:
        if op == "same":
            return self._options.sames
        if op in {"read", "read-replacement", "discard", "discard-replaced"}:
            return self._options.reads
        if op in {"create-replacement", "delete-replaced"}:
            return self._options.replacement_steps or op != "create-replacement" or not self._options.preview
        return True

    def _resource(self, metadata: Mapping[str, Any], what: str) -> None:
        mark, colour, _, _ = _OPS.get(metadata["op"], ("?", "", "", ""))
        text = f" {mark:<2} {urn_type(metadata['urn'])} {urn_name(metadata['urn'])} {what}"
        self._line(self._paint(text, colour))

    def _write_tree(self) -> None:
        rows: list[Row] = []
        found: dict[int, dict[str, Any]] = {}
        replaced = {urn for urn, op in self._seen.done if op == "replace"}
        for (urn, op), metadata in self._seen.done.items():
            if urn in replaced and op != "replace" and not self._options.replacement_steps:
                continue
            parent = (metadata.get("new") or metadata.get("old") or {}).get("parent") or ""
            text = f"{urn_type(urn)} {urn_name(urn)} {_word(op)}{_reasons(metadata)}"
            row = Row(urn=urn, parent=parent, mark=_OPS.get(op, ("?", "", "", ""))[0], text=text)
            rows.append(row)
            found[id(row)] = metadata
        for row, line in tree_lines(rows):
            metadata = found[id(row)]
            self._line(self._paint(line, _OPS.get(metadata["op"], ("", "", "", ""))[1]))
            self._diff(metadata)

    def _diff(self, metadata: Mapping[str, Any]) -> None:
        if not self._options.diff or metadata["op"] in {"same", "delete-replaced"}:
            return
        old, new = metadata.get("old") or {}, metadata.get("new") or {}
        for mark, text in diff_lines(old.get("inputs") or {}, new.get("inputs") or {}, full=self._options.full):
            self._line(self._paint(f"      {mark} {text}", {"+": "32", "-": "31", "~": "33"}.get(mark, "")))

    def _diagnose(self, event: Mapping[str, Any]) -> None:
        if event["severity"] == "debug" and not self._options.debug:
            return
        if event.get("ephemeral"):
            self._status(event)
            return
        text = (event.get("prefix") or "") + event["message"]
        # What is about no resource is shown with the stack.
        root = f"{self._options.project}-{self._options.stack}"
        urn = event.get("urn") or make_urn(self._options.stack, self._options.project, "", STACK_TYPE, root)
        self._diagnostics.setdefault(urn, []).append((event["severity"], text))

    def _status(self, event: Mapping[str, Any]) -> None:
        """What a resource is waiting for just now: shown as it comes, and not again at the end."""
        urn, message = event.get("urn"), event["message"].strip()
        if urn and message and self._options.progress and not self._options.preview:
            self._line(f"    {urn_type(urn)} {urn_name(urn)}: {message}")

    # -------------------------------------------------------------- the end

    def _write_diagnostics(self) -> None:
        if not self._diagnostics:
            return
        self._line()
        self._line("Diagnostics:")
        for number, (urn, messages) in enumerate(self._diagnostics.items()):
            if number:
                self._line()
            title = f"{urn_type(urn)} ({urn_name(urn)})"
            self._line(f"  {title}:")
            for severity, message in messages:
                colour = {"error": "31", "warning": "33"}.get(severity, "")
                for line in message.rstrip("\n").split("\n"):
                    self._line(self._paint(f"    {line}", colour))

    def _write_config(self, config: Mapping[str, str]) -> None:
        self._line("Configuration:")
        for key, value in sorted(config.items()):
            self._line(f"    {key}: {value}")

    def _write_policies(self) -> None:
        for number, (text, colour) in enumerate(self._policies.lines(detailed=self._options.policy_remediations)):
            if not number:
                self._line()
            self._line(self._paint(text, colour))

    def _write_outputs(self) -> None:
        if self._options.kind == "destroy" or not (self._outputs or self._old_outputs):
            return
        self._line()
        self._line("Outputs:")
        for mark, text in diff_lines(self._old_outputs, self._outputs, sames=True, full=self._options.full):
            self._line(self._paint(f"  {mark} {text}".rstrip(), {"+": "32", "-": "31", "~": "33"}.get(mark, "")))

    def _write_counts(self) -> None:
        changes = {op: count for op, count in self._changes.items() if count}
        self._line()
        self._line("Resources:")
        for op in sorted(set(changes) - {"same"}, key=lambda op: (_ORDER.index(op) if op in _ORDER else 99, op)):
            mark, colour, future, past = _OPS.get(op, ("", "", op, op))
            text = f"    {mark} {changes[op]} {f'to {future}' if self._options.preview else past}"
            self._line(self._paint(text, colour))
        if changes.get("same"):
            self._line(f"    {changes['same']} unchanged")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and self._options.colour else text

    def _line(self, text: str = "") -> None:
        if self._gone:
            return
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except OSError:
            # Whoever read this has gone (`pulumi up | head`): no reason to break off an update.
            self._gone = True


def _reasons(metadata: Mapping[str, Any]) -> str:
    keys = metadata.get("diffs") or metadata.get("keys") or ()
    return f" [diff: {','.join(sorted(keys))}]" if keys else ""


def _word(op: str) -> str:
    return _OPS.get(op, ("", "", op, op))[2]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{max(rest, 1)}s"

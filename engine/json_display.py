"""`--json`: a preview as one digest, an update as a line for each engine event. Events hold no secrets."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from engine.streams import Output

Event = dict[str, Any]


class JsonEvents:
    """Each engine event on a line of its own."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._sequence = 0

    def begin(self) -> None:
        """Has no heading."""

    def emit(self, event: Event) -> None:
        with self._lock:
            stamped = {"sequence": self._sequence, "timestamp": int(time.time()), **event}
            self._out.write(json.dumps(stamped) + "\n")
            self._sequence += 1

    def finish(self, *, failed: bool) -> None:
        """Has no end: the summary is an event."""


class JsonDigest:
    """All of a preview in one object: configuration, steps, diagnostics, counts, and nanoseconds it took."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._begun = time.monotonic_ns()
        self._body: dict[str, Any] = {"config": {}, "steps": []}

    def begin(self) -> None:
        """Has no heading."""

    def emit(self, event: Event) -> None:
        with self._lock:
            if "preludeEvent" in event:
                self._body["config"] = event["preludeEvent"]["config"]
            elif "resOutputsEvent" in event:
                self._body["steps"].append(_step(event["resOutputsEvent"]["metadata"]))
            elif "diagnosticEvent" in event:
                self._diagnose(event["diagnosticEvent"])
            elif "policyEvent" in event:
                self._diagnose(_violation(event["policyEvent"]))
            elif "summaryEvent" in event:
                self._body["changeSummary"] = event["summaryEvent"]["resourceChanges"]

    def finish(self, *, failed: bool) -> None:
        with self._lock:
            self._body["duration"] = time.monotonic_ns() - self._begun
            self._out.write(json.dumps(self._body, indent=4) + "\n")

    def _diagnose(self, event: dict[str, Any]) -> None:
        if event.get("ephemeral") or event["severity"] == "debug":
            return
        body = {key: event[key] for key in ("urn", "prefix", "message", "severity") if event.get(key)}
        self._body.setdefault("diagnostics", []).append(body)


def _violation(event: dict[str, Any]) -> dict[str, Any]:
    """A policy's word as a diagnostic, so that a reader sees why a preview failed."""
    level = event["enforcementLevel"]
    return {
        "urn": event.get("resourceUrn", ""),
        "prefix": f"{level}: ",
        "message": f"{event['policyPackName']}@v{event['policyPackVersion']} {event['policyName']}: {event['message']}",
        "severity": "error" if level == "mandatory" else "warning",
    }


def _step(metadata: dict[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = {"op": metadata["op"], "urn": metadata["urn"]}
    if metadata.get("provider"):
        step["provider"] = metadata["provider"]
    for name, key in (("oldState", "old"), ("newState", "new")):
        if metadata.get(key):
            step[name] = metadata[key]
    if metadata.get("keys"):
        step["replaceReasons"] = metadata["keys"]
    if metadata.get("diffs"):
        step["diffReasons"] = metadata["diffs"]
    if metadata.get("detailedDiff"):
        step["detailedDiff"] = metadata["detailedDiff"]
    return step

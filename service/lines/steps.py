"""A step in the words that the lines' own APIs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def shown_step(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step of a job or of a run. Times are ISO 8601, the duration is in milliseconds."""
    return {
        **{name: step[name] for name in ("key", "title", "status", "message", "error")},
        "startedAt": step["started_at"],
        "endedAt": step["ended_at"],
        "durationMs": step["duration_ms"],
    }

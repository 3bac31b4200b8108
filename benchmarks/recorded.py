"""Recorded scenarios run again on the embedded engine: the seconds of each step beside those in the recording.

The recordings lie beside the repository (or where TENANTRY_CONFORMANCE says); without them there are no such figures.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.environment import ROOT, base_environment
from benchmarks.figures import RECORDED_SCENARIOS, RecordedFigure
from benchmarks.process import run

_LIMIT = 400.0


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[RecordedFigure]:
    """A figure for each step that runs the engine. Raises CommandFailedError when the harness does."""
    corpus = Path(os.environ.get("TENANTRY_CONFORMANCE") or ROOT.parent / "shared" / "conformance")
    if not corpus.is_dir():
        say("recorded: there are no recordings here")
        return []
    figures: list[RecordedFigure] = []
    for name in RECORDED_SCENARIOS[:1] if quick else RECORDED_SCENARIOS:
        say(f"recorded: {name}")
        out = folder / f"{name}.json"
        scenario = corpus / "public" / "scenarios" / f"{name}.py"
        words = [sys.executable, str(corpus / "harness.py"), "run", str(scenario), str(out)]
        environment = {**base_environment(), "CONFORMANCE_WORK": str(folder)}
        run([*words, "--command", "engine.command:EmbeddedCommand"], env=environment, cwd=folder, limit=_LIMIT)
        golden = json.loads((corpus / "public" / "golden" / f"{name}.json").read_text(encoding="utf-8"))
        figures += _figures(name, golden, json.loads(out.read_text(encoding="utf-8")))
    return figures


def _figures(name: str, golden: dict[str, object], ours: dict[str, object]) -> list[RecordedFigure]:
    steps = zip(golden["steps"], ours["steps"], strict=True)  # type: ignore[call-overload]
    return [
        RecordedFigure(
            scenario=name,
            step=f"{number}. {recorded['op']} ({_words(recorded)})",
            resources=sum((recorded.get("summary") or {}).values()),
            seconds=round(found["wall"], 2),
            recorded=round(recorded["wall"], 2),
        )
        for number, (recorded, found) in enumerate(steps, 1)
    ]


def _words(step: dict[str, object]) -> str:
    summary: dict[str, int] = step.get("summary") or {}  # type: ignore[assignment]
    return ", ".join(f"{count} {operation}" for operation, count in summary.items()) or "nothing"

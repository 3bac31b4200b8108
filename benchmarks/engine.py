"""`up` and no-op `up` of programs with 5, 100 and 500 light resources, on each engine that is there, side by side.

Each case is a fresh process. Decides how often; what the figures mean is the page's.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.environment import ROOT, base_environment
from benchmarks.figures import SIZES, EngineFigure
from benchmarks.process import CommandFailedError, Finished, run

_LIMIT = 120.0
_RUNS = {5: 5, 100: 3, 500: 3}


def measure(folder: Path, stock: Path | None, *, quick: bool, say: Callable[[str], None]) -> list[EngineFigure]:
    """Figures for each engine, operation and size. Raises CommandFailedError when a case does not do what it should."""
    figures: list[EngineFigure] = []
    for size in SIZES:
        for engine in ("embedded", *(["stock"] if stock else [])):
            runs = 1 if quick else _RUNS[size]
            ups, noops = [], []
            for number in range(runs):
                place = folder / f"{engine}-{size}-{number}"
                say(f"engine: {engine}, {size} resources, {number + 1} of {runs}")
                ups.append(_case(engine, size, place, stock, changes="create"))
                noops.append(_case(engine, size, place, stock, changes="same"))
                shutil.rmtree(place)
            figures += [_figure(engine, "up", size, ups), _figure(engine, "no-op", size, noops)]
    return figures


def _case(engine: str, size: int, place: Path, stock: Path | None, *, changes: str) -> tuple[float, Finished]:
    environment = {**base_environment(stock), "PULUMI_CONFIG_PASSPHRASE": "benchmarks"}
    words = [sys.executable, "-m", "benchmarks.case", engine, str(size), str(place)]
    named = "pulumi" if engine == "stock" else ""
    done = run(words, env=environment, cwd=ROOT, limit=_LIMIT, named=named)
    report = json.loads(done.stdout.strip().splitlines()[-1])
    # The stack itself is a resource too.
    if report["changes"] != {changes: size + 1}:
        raise CommandFailedError(f"{engine}, {size} resources: expected {changes} only, but it did {report['changes']}")
    return float(report["seconds"]), done


def _figure(engine: str, operation: str, size: int, runs: Sequence[tuple[float, Finished]]) -> EngineFigure:
    engine_mb = [done.named_mb if engine == "stock" else done.root_mb for _seconds, done in runs]
    return EngineFigure(
        engine=engine,
        operation=operation,
        size=size,
        seconds=tuple(round(seconds, 3) for seconds, _done in runs),
        whole=tuple(round(done.seconds, 3) for _seconds, done in runs),
        engine_mb=max((value for value in engine_mb if value is not None), default=None),
        tree_mb=max((done.tree_mb for _seconds, done in runs if done.tree_mb is not None), default=None),
    )

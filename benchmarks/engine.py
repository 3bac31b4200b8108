"""`up` and no-op `up` of programs of light resources, wide, deep and mixed, on each engine that is there, side by side.

Each case is a fresh process. Decides how often; what the figures mean is the page's.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.environment import ROOT, base_environment
from benchmarks.figures import FAT_SIZE, SHAPES, SIZES, EngineFigure
from benchmarks.process import CommandFailedError, Finished, run

_LIMIT = 400.0
_RUNS = {5: 5, 100: 3}
#: By what its command line holds, each engine's processes: of the engine itself, and of the host of dynamic providers.
_NAMED = {
    "embedded": {"engine": "engine.worker", "host": "dynamic"},
    "stock": {"engine": "pulumi up", "host": "dynamic"},
}


def measure(folder: Path, stock: Path | None, *, quick: bool, say: Callable[[str], None]) -> list[EngineFigure]:
    """Figures for each engine, operation, shape and size.

    Raises CommandFailedError when a case does not do what it should.
    """
    figures: list[EngineFigure] = []
    for shape, size in _cases(quick=quick):
        for engine in ("embedded", *(["stock"] if stock else [])):
            runs = 1 if quick else _RUNS.get(size, 1)
            ups, noops = [], []
            for number in range(runs):
                place = folder / f"{engine}-{shape}-{size}-{number}"
                say(f"engine: {engine}, {size} resources, {shape}, {number + 1} of {runs}")
                ups.append(_case(engine, shape, size, place, stock, changes="create"))
                noops.append(_case(engine, shape, size, place, stock, changes="same"))
                state_mb = _state_mb(place)
                shutil.rmtree(place)
            for operation, done in (("up", ups), ("no-op", noops)):
                figures.append(_figure(engine, operation, shape, size, state_mb, done))
    return figures


def _cases(*, quick: bool) -> Iterator[tuple[str, int]]:
    for shape in SHAPES[:1] if quick else SHAPES:
        for size in SIZES[:-1] if quick else SIZES:
            yield shape, size
    if not quick:
        yield "fat", FAT_SIZE


def _case(
    engine: str, shape: str, size: int, place: Path, stock: Path | None, *, changes: str
) -> tuple[float, Finished]:
    environment = {**base_environment(stock), "PULUMI_CONFIG_PASSPHRASE": "benchmarks"}
    words = [sys.executable, "-m", "benchmarks.case", engine, shape, str(size), str(place)]
    done = run(words, env=environment, cwd=ROOT, limit=_LIMIT, named=_NAMED[engine])
    report = json.loads(done.stdout.strip().splitlines()[-1])
    # The stack itself is a resource too.
    if report["changes"] != {changes: size + 1}:
        raise CommandFailedError(
            f"{engine}, {size} resources, {shape}: expected {changes} only, but it did {report['changes']}"
        )
    return float(report["seconds"]), done


def _state_mb(place: Path) -> float:
    return max(path.stat().st_size for path in (place / "state").rglob("stacks/*/*.json")) / 1e6


def _figure(
    engine: str, operation: str, shape: str, size: int, state_mb: float, runs: Sequence[tuple[float, Finished]]
) -> EngineFigure:
    fastest = min(runs, key=lambda one: one[0])[1]
    return EngineFigure(
        engine=engine,
        operation=operation,
        shape=shape,
        size=size,
        seconds=tuple(round(seconds, 3) for seconds, _done in runs),
        engine_mb=max((done.parts["engine"].mb for _seconds, done in runs if "engine" in done.parts), default=None),
        tree_mb=max((done.tree_mb for _seconds, done in runs if done.tree_mb is not None), default=None),
        state_mb=round(state_mb, 2),
        cpu={name: part.cpu for name, part in fastest.parts.items()},
    )

"""The engine's own tables: speed, memory, where the time goes, recordings, many stacks. It measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks.figures import (
    MEMORY_MB_AT_500,
    MEMORY_MB_PER_RESOURCE,
    NOOP_SHARE_OF_STOCK,
    RECORDED_STOCK_NOOP,
    RECORDED_STOCK_STACKS,
    STACK_SIZE,
    EngineFigure,
    RecordedFigure,
    Section,
    StacksFigure,
)
from benchmarks.table import number, table, verdict

_PARTS = {"root": "program", "engine": "engine", "host": "provider host"}


def engine(section: Section) -> list[str]:
    """Title and parts."""
    figures = [one for one in section.figures if isinstance(one, EngineFigure)]
    rows = [
        [
            _case(one),
            one.engine,
            number(one.best),
            number(one.median),
            f"{one.median / one.size * 1000:.1f}",
            str(len(one.seconds)),
            number(one.engine_mb, 0),
            number(one.tree_mb, 0),
            *(number(one.cpu.get(part), 1) for part in _PARTS),
        ]
        for one in sorted(figures, key=lambda one: (one.operation, one.shape, one.size, one.engine))
    ]
    header = ("", "engine", "best s", "median s", "ms a resource", "runs", "engine MB", "all MB")
    words = (
        "Seconds are those of `stack.up()` through the Automation API, each in a fresh process on the same program.\n"
        "Wide: none needs another; deep: each needs the one before; mixed: components of ten; every resource has a\n"
        "secret; fat: 50 kB each. `engine MB` is the peak of the engine's process; `all MB` that of the proportional\n"
        "memory of all processes together, looked at ten times a second; `cpu`: processor seconds of the fastest run."
    )
    columns = (*header, *(f"{name} cpu s" for name in _PARTS.values()))
    return [
        "Engine: `up` and no-op of dynamic resources",
        table(columns, rows),
        words,
        *_against_stock(figures),
        *_growth(figures),
        *_fat(figures),
    ]


def _case(one: EngineFigure) -> str:
    return f"{one.operation}, {one.size} {one.shape}"


def _against_stock(figures: Sequence[EngineFigure]) -> list[str]:
    # What is recorded is wide, so that comparing other shapes needs a stock engine here.
    live = any(one.engine == "stock" for one in figures)
    stock = {_case(one): one.median for one in figures if one.engine == "stock"}
    rows = []
    for one in sorted(figures, key=lambda one: (one.operation, one.shape, one.size)):
        recorded = RECORDED_STOCK_NOOP.get(one.size) if one.shape == "wide" and one.operation == "no-op" else None
        theirs = stock.get(_case(one)) if live else recorded
        if one.engine != "embedded" or theirs is None:
            continue
        share = NOOP_SHARE_OF_STOCK if one.operation == "no-op" else 1.0
        ratio = one.median / theirs
        rows.append(
            [_case(one), number(one.median), number(theirs), f"{ratio:.0%}", f"{share:.0%}", verdict(ratio <= share)]
        )
    told = (
        "The stock engine ran on this machine, in the same minutes; medians are compared."
        if live
        else "**No stock `pulumi` was found here.** The stock column holds the design's recorded figures, *measured "
        "elsewhere* on another day:\nthe ratio is an indication only. `--stock PATH` measures it side by side."
    )
    header = ("", "embedded s", "stock s" if live else "stock s (elsewhere)", "ratio", "target at most", "")
    return [told, table(header, rows)]


def _growth(figures: Sequence[EngineFigure]) -> list[str]:
    """Seconds and megabytes for each further resource between the sizes."""
    ours = [one for one in figures if one.engine == "embedded" and one.shape != "fat"]
    rows = []
    for operation, shape in sorted({(one.operation, one.shape) for one in ours}):
        line = sorted((one for one in ours if (one.operation, one.shape) == (operation, shape)), key=lambda o: o.size)
        for before, after in pairwise(line):
            more = after.size - before.size
            memory = _each(before.engine_mb, after.engine_mb, more)
            rows.append(
                [
                    f"{operation}, {shape}, {before.size} to {after.size}",
                    f"{(after.median - before.median) / more * 1000:.1f}",
                    number(memory, 3),
                    verdict(None if memory is None else memory < MEMORY_MB_PER_RESOURCE),
                ]
            )
    header = ("each further resource", "ms", "engine MB", f"target under {MEMORY_MB_PER_RESOURCE} MB")
    return [table(header, rows)] if rows else []


def _each(before: float | None, after: float | None, more: int) -> float | None:
    return None if before is None or after is None else max(after - before, 0.0) / more


def _fat(figures: Sequence[EngineFigure]) -> list[str]:
    ours = [one for one in figures if one.engine == "embedded" and one.shape == "fat"]
    rows = [[_case(one), number(one.state_mb, 1), number(one.median), number(one.engine_mb, 0)] for one in ours]
    small = [one for one in figures if one.engine == "embedded" and one.size == 500 and one.engine_mb is not None]
    peak = max((one.engine_mb for one in small if one.engine_mb is not None), default=None)
    parts = [table(("a large state", "state MB", "median s", "engine MB"), rows)] if rows else []
    if small:
        met = verdict(None if peak is None else peak < MEMORY_MB_AT_500)
        parts.append(f"Peak of the engine's process at 500 resources: {number(peak, 0)} MB (target under 300): {met}.")
    return parts


def recorded(section: Section) -> list[str]:
    """Title and parts."""
    figures = [one for one in section.figures if isinstance(one, RecordedFigure)]
    rows = [
        [f"{one.scenario}, {one.step}", number(one.seconds), number(one.recorded), f"{one.seconds / one.recorded:.0%}"]
        for one in figures
    ]
    words = (
        "Steps of the conformance corpus, in the same harness. The stock seconds are those in the recordings,\n"
        "*measured elsewhere* on another day: an indication only. Targets: a create at most 100 %, a no-op 50 %."
    )
    return ["Engine: recorded scenarios", table(("", "embedded s", "stock s (elsewhere)", "ratio"), rows), words]


def stacks(section: Section) -> list[str]:
    """Title and parts."""
    figures = sorted((one for one in section.figures if isinstance(one, StacksFigure)), key=lambda one: one.at_once)
    rows = [
        [
            f"{one.stacks} stacks, {one.at_once} at once",
            number(one.seconds, 1),
            number(one.per_minute, 1),
            number(RECORDED_STOCK_STACKS.get(one.at_once), 0) if one.at_once in RECORDED_STOCK_STACKS else "-",
            number(one.tree_mb, 0),
        ]
        for one in figures
    ]
    words = (
        f"New stacks of {STACK_SIZE} light resources each, by one process through the Automation API. The stock\n"
        "figures were *measured elsewhere*, on two cores as well."
    )
    header = ("", "s", "stacks a minute", "stock (elsewhere)", "all MB")
    return ["Engine: many stacks at once", table(header, rows), words]

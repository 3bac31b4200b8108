"""The figures as tables in a page, between markers so that the words around them stay. It measures nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.figures import (
    FLEET_SIZE,
    MEMORY_MB_AT_500,
    NOOP_SHARE_OF_STOCK,
    RECORDED_STOCK_NOOP,
    CommandFigure,
    EngineFigure,
    FleetFigure,
    Machine,
    Section,
)


class PageError(Exception):
    """The page's markers are not as they should be."""


def replaced(page: str, name: str, text: str) -> str:
    """`page` with the block of `name` replaced, or added at the end. Raises PageError when its markers do not pair."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    block = f"{begin}\n{text.strip()}\n{end}"
    counts = (page.count(begin), page.count(end))
    if counts == (0, 0):
        return f"{page.rstrip()}\n\n{block}\n".lstrip()
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if counts != (1, 1) or not found:
        raise PageError(f"the page must have '{begin}' once and after it '{end}' once: correct it, or remove both")
    return f"{before}{block}{after}"


def render(section: Section) -> str:
    """The section's heading, circumstances and tables."""
    parts = {"engine": _engine, "cabinets": _cabinets, "fleet": _fleet}[section.name](section)
    title, *body = parts
    return "\n\n".join([f"## {title}", circumstances(section.machine, quick=section.quick), *body])


def circumstances(machine: Machine, *, quick: bool) -> str:
    """Where and when it was measured, and what to beware of."""
    text = (
        f"{machine.date}; {machine.cpu}, {machine.cores} cores, {machine.memory_gb:.0f} GB; {machine.kernel}; "
        f"{machine.python}; load average at the start {machine.load:.2f}."
    )
    if machine.load > machine.cores / 4:
        text += " **The machine was busy with other work**: the figures are worse than those of a quiet one."
    return text + (" A `--quick` run: few repetitions, a small fleet." if quick else "")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all but the first column stand to the right."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def verdict(met: bool | None) -> str:
    """Met, **not met**, or a dash where nothing was asked for."""
    return "-" if met is None else "met" if met else "**not met**"


def _number(value: float | None, digits: int = 2) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"


# The engines


def _engine(section: Section) -> list[str]:
    figures = [one for one in section.figures if isinstance(one, EngineFigure)]
    rows = [
        [
            f"{one.operation}, {one.size} resources",
            one.engine,
            _number(one.best),
            _number(one.median),
            _number(min(one.whole)),
            str(len(one.seconds)),
            _number(one.engine_mb, 0),
            _number(one.tree_mb, 0),
        ]
        for one in sorted(figures, key=lambda one: (one.operation, one.size, one.engine))
    ]
    header = ("", "engine", "best s", "median s", "best process s", "runs", "engine MB", "all MB")
    words = (
        "Seconds are those of `stack.up()` through the Automation API, each in a fresh process on the same program;\n"
        "`best process` is from that process's start to its end, interpreter and imports included. `engine MB` is the\n"
        "peak of the process the engine runs in (for the embedded one the program's own process too); `all MB` is the\n"
        "peak of the proportional memory of all processes together, looked at ten times a second."
    )
    return ["Engine: `up` and no-op of dynamic resources", table(header, rows), words, *_against_stock(figures)]


def _against_stock(figures: Sequence[EngineFigure]) -> list[str]:
    noops = {(one.engine, one.size): one for one in figures if one.operation == "no-op"}
    live = any(engine == "stock" for engine, _size in noops)
    rows = []
    for (engine, size), ours in sorted(noops.items()):
        stock = noops[("stock", size)].median if ("stock", size) in noops else RECORDED_STOCK_NOOP.get(size)
        if engine != "embedded" or stock is None:
            continue
        ratio = ours.median / stock
        reached = verdict(ratio <= NOOP_SHARE_OF_STOCK)
        rows.append([f"no-op, {size} resources", _number(ours.median), _number(stock), f"{ratio:.0%}", reached])
    told = (
        "The stock engine ran on this machine, in the same minutes; medians are compared."
        if live
        else "**No stock `pulumi` was found here.** The stock column holds the design's recorded figures, *measured "
        "elsewhere* on another day:\nthe ratio is an indication only. `--stock PATH` measures it side by side."
    )
    header = (
        "",
        "embedded s",
        "stock s" if live else "stock s (elsewhere)",
        "ratio",
        "target: at most 50 %" if live else "target: at most 50 % (indication)",
    )
    return [told, table(header, rows), *_memory(figures)]


def _memory(figures: Sequence[EngineFigure]) -> list[str]:
    ours = [one for one in figures if one.engine == "embedded" and one.size == max(RECORDED_STOCK_NOOP)]
    rows = []
    for title, values in (
        ("engine process", [one.engine_mb for one in ours]),
        ("all processes", [one.tree_mb for one in ours]),
    ):
        known = [value for value in values if value is not None]
        peak = max(known) if known else None
        reached = verdict(None if peak is None else peak < MEMORY_MB_AT_500)
        rows.append([title, _number(peak, 0), f"{MEMORY_MB_AT_500:.0f}", reached])
    return [table(("peak memory at 500 resources, embedded", "MB", "target under MB", ""), rows)] if ours else []


# The tenants


def _cabinets(section: Section) -> list[str]:
    figures = [one for one in section.figures if isinstance(one, CommandFigure)]
    rows = [
        [
            one.title,
            _number(min(one.seconds)),
            _number(one.median),
            _number(max(one.seconds)),
            str(len(one.seconds)),
            "-" if one.target is None else f"{one.target:.1f}",
            verdict(one.met),
            "-" if one.tree_mb is None else _number(one.tree_mb, 0),
        ]
        for one in figures
    ]
    header = ("`tenantry`, command to prompt", "best s", "median s", "worst s", "runs", "target under s", "", "all MB")
    words = (
        "On the embedded engine and an embedded PostgreSQL, whose memory does not count. The median is held against\n"
        "the target. A rollback is the whole failing command: the work until it fails, and all that undoes it; the\n"
        "failing create fails at activation, its last step, so that everything has to go."
    )
    return ["A cabinet: provision, no-op, rollback", table(header, rows), words]


def _fleet(section: Section) -> list[str]:
    figures = sorted(
        (one for one in section.figures if isinstance(one, FleetFigure)), key=lambda one: (one.workers, one.cabinets)
    )
    base = figures[0].per_minute if figures else 0.0
    rows = [
        [
            f"{one.cabinets} cabinets, {one.workers} worker{'s' if one.workers > 1 else ''}",
            _number(one.seconds, 1),
            _number(one.per_minute, 1),
            f"{one.per_minute / base:.2f} x",
            _number(one.tree_mb, 0),
        ]
        for one in figures
    ]
    words = (
        "`tenantry up --all --workers N` on a fresh server each time, command to prompt. Each worker is a process\n"
        f"with its plugins beside it: with {section.machine.cores} cores, growth ends at about that many. No figure\n"
        "was set as a target; the stock engine's recorded 16 stacks of 10 light resources, *measured elsewhere*,\n"
        "were 25 a minute with 1 thread and 43 with 4."
    )
    small = [] if all(one.cabinets == FLEET_SIZE for one in figures) else [f"The full run has {FLEET_SIZE} cabinets."]
    return ["A fleet", table(("", "s", "cabinets a minute", "growth", "all MB"), rows), words, *small]

"""The figures as tables in a page, between markers so that the words around them stay. It measures nothing."""

from __future__ import annotations

from benchmarks import page_engine, page_isps, page_pos, page_service
from benchmarks.figures import (
    FLEET_SIZE,
    GATEWAY_ROUTES,
    CommandFigure,
    FleetFigure,
    LatencyFigure,
    Machine,
    Section,
    SpanFigure,
)
from benchmarks.table import number, table, verdict

PICTURE = "../docs/department.svg"
"""Where the picture of a department's steps is, as the page names it."""


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
    parts = _PARTS[section.name](section)
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


def commands_table(section: Section) -> str:
    figures = [one for one in section.figures if isinstance(one, CommandFigure)]
    rows = [
        [
            one.title,
            number(min(one.seconds)),
            number(one.median),
            number(max(one.seconds)),
            str(len(one.seconds)),
            "-" if one.target is None else f"{one.target:.1f}",
            verdict(one.met),
            "-" if one.tree_mb is None else number(one.tree_mb, 0),
        ]
        for one in figures
    ]
    header = ("`tenantry`, command to prompt", "best s", "median s", "worst s", "runs", "target under s", "", "all MB")
    return table(header, rows)


def _cabinets(section: Section) -> list[str]:
    words = (
        "On the embedded engine and an embedded PostgreSQL, whose memory does not count. The median is held against\n"
        "the target. A rollback is the whole failing command: the work until it fails, and all that undoes it; the\n"
        "failing create fails at activation, its last step, so that everything has to go."
    )
    return ["A cabinet: provision, no-op, rollback", commands_table(section), words]


def _departments(section: Section) -> list[str]:
    spans = [one for one in section.figures if isinstance(one, SpanFigure)]
    words = (
        "On embedded backends: PostgreSQL, the authorization server, supervisor, the simulated n8n, Caddy. A\n"
        "department is provisioned when each of its parts has been used as its users use it. The rollback is counted\n"
        "from the failure, at activation, until nothing is left."
    )
    steps = [[one.title, number(one.start), number(one.seconds)] for one in spans]
    title = "A department: provision, no-op, rollback, ten at once"
    picture = f"![Where the time of a new department goes]({PICTURE})"
    return [title, commands_table(section), words, table(("step", "begins at s", "takes s"), steps), picture]


def _fleet(section: Section) -> list[str]:
    figures = sorted(
        (one for one in section.figures if isinstance(one, FleetFigure)), key=lambda one: (one.workers, one.cabinets)
    )
    base = figures[0].per_minute if figures else 0.0
    rows = [
        [
            f"{one.cabinets} cabinets, {one.workers} worker{'s' if one.workers > 1 else ''}",
            number(one.seconds, 1),
            number(one.per_minute, 1),
            f"{one.per_minute / base:.2f} x",
            number(one.tree_mb, 0),
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


def _gateway(section: Section) -> list[str]:
    words = (
        f"The provider's own calls on the embedded Caddy, which has {GATEWAY_ROUTES:,} tenants whose tokens and\n"
        "limits are checked. Each reads the whole configuration and changes it on the condition that nobody else has;\n"
        "where a route is made or changed, the gateway is asked for it, by TLS, until it serves that very version.\n"
        "Those at once share their changes."
    )
    figures = [one for one in section.figures if isinstance(one, LatencyFigure)]
    return ["The gateway", page_service.latencies_table(figures), words]


_PARTS = {
    "engine": page_engine.engine,
    "recorded": page_engine.recorded,
    "stacks": page_engine.stacks,
    "cabinets": _cabinets,
    "fleet": _fleet,
    "service": page_service.service,
    "gateway": _gateway,
    "departments": _departments,
    "isps": lambda section: page_isps.isps(section, commands_table(section)),
    "isps-rough": page_isps.rough,
    "pos": lambda section: page_pos.pos(section, commands_table(section)),
}

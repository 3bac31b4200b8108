"""The ISPs' figures as tables. It measures nothing."""

from __future__ import annotations

from statistics import median

from benchmarks.figures import ISP_SUCCESS, PhaseFigure, RefusalFigure, ReliabilityFigure, Section
from benchmarks.table import number, table, verdict


def isps(section: Section, commands: str) -> list[str]:
    """Title, tables and words of the section; `commands` is the table of its commands."""
    phases = [one for one in section.figures if isinstance(one, PhaseFigure)]
    rows = [
        [
            one.title,
            number(median(one.seconds)),
            number(max(one.seconds)),
            str(len(one.seconds)),
            number(one.budget, 0),
            verdict(one.met),
        ]
        for one in phases
    ]
    words = (
        "On a real Kubernetes API server with its controllers and simulated nodes, whose pods are ready at once and\n"
        "run nothing: what is measured is Tenantry's own time and the API server's. A Caddy answers for the ISPs'\n"
        "hosts with TLS. The rollback is counted from the failure, at activation, until nothing is left: a namespace\n"
        "alone takes 5 to 10 s to end."
    )
    refused = [one for one in section.figures if isinstance(one, RefusalFigure)]
    said = "; ".join(f"{one.title}: {one.refused}" for one in refused)
    limits = f"Requests that the API server turned away for its own, default limits: {said}." if said else ""
    header = ("phase of those runs", "median s", "worst s", "runs", "budget s", "")
    return ["An ISP on Kubernetes", commands, words, table(header, rows), *([limits] if limits else [])]


def rough(section: Section) -> list[str]:
    """Title, table and words of the section."""
    figures = [one for one in section.figures if isinstance(one, ReliabilityFigure)]
    rows = [
        [
            one.title,
            str(one.runs),
            str(one.succeeded),
            f"{one.share:.2%}",
            f"{ISP_SUCCESS:.1%}",
            verdict(one.met),
            f"{one.requests:,}",
            ", ".join(f"{name}: {count}" for name, count in one.faults.items()),
        ]
        for one in figures
    ]
    words = (
        "New ISPs, each by `tenantry up`, on a way to the API server on which one request in twenty meets 429 with\n"
        "Retry-After, 503, a connection cut before the server has the request, or one cut after the server has done\n"
        "what was asked, so that nobody hears of it. Each is removed by `tenantry destroy` on the same way.\n"
        "Making one is a run, and so is removing it."
    )
    header = ("", "runs", "succeeded", "share", "over", "", "requests", "of them met")
    return ["ISPs on a rough road", table(header, rows), words]

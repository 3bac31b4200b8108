"""The points of sale's figures as tables. It measures nothing."""

from __future__ import annotations

from statistics import median

from benchmarks.figures import RequestsFigure, Section
from benchmarks.table import number, table, verdict


def pos(section: Section, commands: str) -> list[str]:
    """Title, tables and words of the section; `commands` is the table of its commands."""
    rows = [
        [
            one.title,
            number(median(one.requests), 0),
            str(max(one.requests)),
            "-" if one.target is None else str(one.target),
            verdict(one.met),
        ]
        for one in section.figures
        if isinstance(one, RequestsFigure)
    ]
    words = (
        "FULL_POS without demo items, in the simulated ERPNext with 50 ms added to each of its answers, which its own\n"
        "work comes on top of: a company takes it some tens of milliseconds, and a real one seconds. The simulator\n"
        "counts the requests, those of the check of the engine too."
    )
    header = ("requests to ERPNext", "median", "most", "at most", "")
    return ["A point of sale", commands, words, table(header, rows)]

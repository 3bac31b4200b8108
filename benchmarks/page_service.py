"""The service's figures as tables. It measures nothing."""

from __future__ import annotations

from benchmarks.figures import SEEDED_JOBS, SEEDED_TENANTS, LatencyFigure, QueueFigure, Section
from benchmarks.table import number, table, verdict


def service(section: Section) -> list[str]:
    """Title, tables and words of the section."""
    latencies = [one for one in section.figures if isinstance(one, LatencyFigure)]
    queues = [one for one in section.figures if isinstance(one, QueueFigure)]
    quick = "a tenth of " if section.quick else ""
    words = (
        f"One service process, with {quick}{SEEDED_TENANTS:,} tenants and {SEEDED_JOBS:,} jobs in the tables.\n"
        "Requests start on a clock, whether the ones before have been answered or not, and times count from that\n"
        "moment. What makes the requests runs on the same cores. An event is timed from the statement that writes\n"
        "it to a reader of the job's stream; and to the frame in which the job's page, open in a headless Chromium\n"
        "beside all this, shows it: the page asks for its parts at most every 400 ms, so an event that follows\n"
        "another waits for that."
    )
    more = (
        "All jobs on one worker process; each runs in a process of its own, so that cores limit them. *Waited* is\n"
        "from acceptance to the first moment of work; *overtaken* is by how many younger jobs the unluckiest was\n"
        "begun after. Under overload, previews come that many times as fast as they could be taken when they came\n"
        "at once: the oldest that waits grows as old as the backlog is long, and none older than that."
    )
    return ["The service", latencies_table(latencies), words, _queues(queues), more]


def latencies_table(figures: list[LatencyFigure]) -> str:
    """A row for each kind of request."""
    rows = [
        [
            one.title,
            str(one.taken),
            str(one.failed),
            number(one.p50, 1),
            number(one.p99, 1),
            number(one.worst, 1),
            number(one.target, 0),
            verdict(one.met),
        ]
        for one in figures
    ]
    return table(("", "taken", "failed", "p50 ms", "p99 ms", "worst ms", "p99 under ms", ""), rows)


def _queues(figures: list[QueueFigure]) -> str:
    rows = [
        [
            one.title,
            "at once" if one.load is None else f"{one.load:.0f} x",
            str(one.jobs),
            str(one.failed),
            number(one.seconds, 1),
            number(one.per_minute, 1),
            number(one.wait_median, 1),
            number(one.wait_worst, 1),
            "-" if one.oldest is None else number(one.oldest, 1),
            str(one.overtaken),
        ]
        for one in figures
    ]
    workers = figures[0].workers if figures else 0
    header = (
        f"{workers} at a time",
        "load",
        "jobs",
        "failed",
        "s",
        "a minute",
        "waited, median s",
        "worst s",
        "oldest waiting s",
        "overtaken",
    )
    return table(header, rows)

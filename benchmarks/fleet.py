"""A fleet of new cabinets by one command, with 1, 2 and 4 workers: how many a minute, and how that grows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.environment import Project, server
from benchmarks.figures import FLEET_SIZE, WORKERS, FleetFigure

_LIMIT = 240.0


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[FleetFigure]:
    """A figure per number of workers, each on cabinets of its own. Raises CommandFailedError when a cabinet fails."""
    size = 4 if quick else FLEET_SIZE
    figures: list[FleetFigure] = []
    for workers in WORKERS:
        say(f"fleet: {size} cabinets, {workers} at a time")
        # A fresh server each: what the one before left behind must not count.
        with server() as running:
            project = Project.make(folder / f"fleet-{workers}", running)
            for number in range(size):
                project.write(f"fleet-{number:02}", number)
            done = project.tenantry("up", "--all", "--workers", str(workers), "--quiet", limit=_LIMIT, watch=True)
        seconds = round(done.seconds, 2)
        figures.append(FleetFigure(workers=workers, cabinets=size, seconds=seconds, tree_mb=done.tree_mb))
    return figures

"""A department on embedded backends: provision, no-op, rollback from the last step, ten at once, where time goes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import yaml

from benchmarks.environment import MAIN_DATABASE, Project, server
from benchmarks.figures import DEPARTMENTS_AT_ONCE, CommandFigure, DepartmentFigure, SpanFigure
from benchmarks.rounds import measure_round, measure_together, refuse_to_activate
from sandbox import region

_LIMIT = 280.0
_SPANS = """
    SELECT s.title, extract(epoch FROM s.started_at - d.started_at)::float8,
           extract(epoch FROM s.ended_at - s.started_at)::float8
    FROM deployment_steps s JOIN deployments d ON d.id = s.deployment_id
    WHERE d.tenant = %s AND d.operation = 'up' AND d.status = 'succeeded' AND s.started_at IS NOT NULL
      AND d.number = (SELECT min(number) FROM deployments WHERE tenant = %s)
    ORDER BY s.position
"""
TARGETS = {"provision a department": 8.0, "no-op": 2.0, "rollback from the last step": 5.0}


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[DepartmentFigure]:
    """Figures of each command, of many at once, and of the steps. Raises CommandFailedError when one goes wrong."""
    runs = 1 if quick else 5
    with _project(folder) as project:
        taken: dict[str, list[float]] = {title: [] for title in TARGETS}
        for number in range(runs):
            say(f"departments: {number + 1} of {runs}")
            for title, seconds in zip(TARGETS, measure_round(project, number, _write), strict=True):
                taken[title].append(round(seconds, 2))
        spans = _spans(project, f"bench-{runs - 1}")
        many = 2 if quick else DEPARTMENTS_AT_ONCE
        say(f"departments: {many} at once")
        title = f"{many} at once, all of them"
        together = measure_together(project, many, many, _write, title=title, limit=_LIMIT)
    commands = [
        CommandFigure(title=title, seconds=tuple(seconds), target=TARGETS[title]) for title, seconds in taken.items()
    ]
    return [*commands, together, *spans]


@contextlib.contextmanager
def _project(folder: Path) -> Iterator[Project]:
    with server() as running:
        try:
            backends = region.start(folder / "region", running)
            project = Project.make(folder / "departments", running, backends.environment)
            refuse_to_activate(project, "departments")
            yield project
        finally:
            region.remove(folder / "region")


def _spans(project: Project, slug: str) -> list[SpanFigure]:
    with psycopg.connect(project.server.url(MAIN_DATABASE), connect_timeout=10) as connection:
        rows = connection.execute(_SPANS.encode(), (slug, slug)).fetchall()
    # From its first step: what was validated before the run was written down belongs to it.
    first = min(start for _, start, _ in rows)
    return [
        SpanFigure(title=title, start=round(start - first, 3), seconds=round(took, 3)) for title, start, took in rows
    ]


def _write(project: Project, slug: str) -> None:
    content = {
        "kind": "department",
        "slug": slug,
        "name": f"Department {slug}",
        "adminEmail": f"head@{slug}.example",
        "region": region.REGION,
        "workflows": ["database"],
    }
    (project.folder / "stacks" / f"{slug}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

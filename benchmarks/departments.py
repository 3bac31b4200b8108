"""A department on embedded backends: provision, no-op, rollback from the last step, ten at once, and where time goes.

Times are those of whole commands, from command to prompt; a rollback's is from the failure to its end, as recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import yaml

from benchmarks.environment import MAIN_DATABASE, Project, server
from benchmarks.figures import DEPARTMENTS_AT_ONCE, CommandFigure, DepartmentFigure, SpanFigure
from sandbox import region

_ROLLED_BACK = 3
_LIMIT = 280.0
_REFUSE = """
    CREATE FUNCTION refuse_bench() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the benchmark lets this one not be activated'; END $$;
    CREATE TRIGGER refuse_bench BEFORE UPDATE ON departments FOR EACH ROW
        WHEN (NEW.status = 'active' AND NEW.slug LIKE 'failing-%') EXECUTE FUNCTION refuse_bench();
"""
_ROLLBACK_SECONDS = """
    SELECT extract(epoch FROM d.ended_at - min(s.ended_at))::float8
    FROM deployments d JOIN deployment_steps s ON s.deployment_id = d.id AND s.key = 'health'
    GROUP BY d.id, d.ended_at, d.number ORDER BY d.number DESC LIMIT 1
"""
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
            for title, seconds in zip(TARGETS, _round(project, number), strict=True):
                taken[title].append(round(seconds, 2))
        spans = _spans(project, f"bench-{runs - 1}")
        many = 2 if quick else DEPARTMENTS_AT_ONCE
        say(f"departments: {many} at once")
        together = _together(project, many)
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
            project.execute(MAIN_DATABASE, _REFUSE)
            yield project
        finally:
            region.remove(folder / "region")


def _round(project: Project, number: int) -> tuple[float, float, float]:
    slug, doomed = f"bench-{number}", f"failing-{number}"
    _write(project, slug)
    made = project.tenantry("up", slug).seconds
    again = project.tenantry("up", slug, "--expect-no-changes").seconds
    _write(project, doomed)
    project.tenantry("up", doomed, expected=_ROLLED_BACK)
    return made, again, float(project.scalar(MAIN_DATABASE, _ROLLBACK_SECONDS))


def _together(project: Project, many: int) -> CommandFigure:
    slugs = [f"together-{number:02}" for number in range(many)]
    for slug in slugs:
        _write(project, slug)
    done = project.tenantry("up", *slugs, "--workers", str(many), "--quiet", limit=_LIMIT, watch=True)
    return CommandFigure(
        title=f"{many} at once, all of them", seconds=(round(done.seconds, 2),), target=None, tree_mb=done.tree_mb
    )


def _spans(project: Project, slug: str) -> list[SpanFigure]:
    with psycopg.connect(project.server.url(MAIN_DATABASE), connect_timeout=10) as connection:
        rows = connection.execute(_SPANS.encode(), (slug, slug)).fetchall()
    # From its first step: what was validated before the run was written down belongs to it.
    first = min(start for _, start, _ in rows)
    return [
        SpanFigure(title=title, start=round(start - first, 3), seconds=round(took, 3)) for title, start, took in rows
    ]


def _write(project: Project, slug: str, **changes: Any) -> None:
    content = {
        "kind": "department",
        "slug": slug,
        "name": f"Department {slug}",
        "adminEmail": f"head@{slug}.example",
        "region": region.REGION,
        "workflows": ["database"],
        **changes,
    }
    (project.folder / "stacks" / f"{slug}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

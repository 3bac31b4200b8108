"""A round of a line with parts elsewhere: a tenant made, asked for again, and one rolled back from its last step.

Times are those of whole commands, from command to prompt; the rollback's is from the failure to its end, as recorded.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.environment import MAIN_DATABASE, Project
from benchmarks.figures import CommandFigure

_ROLLED_BACK = 3
_REFUSE = """
    CREATE FUNCTION refuse_bench() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the benchmark lets this one not be activated'; END $$;
    CREATE TRIGGER refuse_bench BEFORE UPDATE ON {table} FOR EACH ROW
        WHEN (NEW.status = 'active' AND NEW.slug LIKE 'failing-%') EXECUTE FUNCTION refuse_bench();
"""
_ROLLBACK_SECONDS = """
    SELECT extract(epoch FROM d.ended_at - min(s.ended_at))::float8
    FROM deployments d JOIN deployment_steps s ON s.deployment_id = d.id AND s.key = 'health'
    GROUP BY d.id, d.ended_at, d.number ORDER BY d.number DESC LIMIT 1
"""


def refuse_to_activate(project: Project, table: str) -> None:
    """From now on tenants of `table` called failing-... fail in their last step."""
    project.execute(MAIN_DATABASE, _REFUSE.format(table=table))


def measure_round(project: Project, number: int, write: Callable[[Project, str], None]) -> tuple[float, float, float]:
    """Seconds of the first run, of one that changes nothing, and of a rollback. `write` makes a tenant's manifest."""
    slug, doomed = f"bench-{number}", f"failing-{number}"
    write(project, slug)
    made = project.tenantry("up", slug).seconds
    again = project.tenantry("up", slug, "--expect-no-changes").seconds
    write(project, doomed)
    project.tenantry("up", doomed, expected=_ROLLED_BACK)
    return made, again, float(project.scalar(MAIN_DATABASE, _ROLLBACK_SECONDS))


def measure_together(
    project: Project, many: int, workers: int, write: Callable[[Project, str], None], *, title: str, limit: float
) -> CommandFigure:
    """The first runs of as many tenants by one command, `workers` at a time; `limit` is in seconds."""
    slugs = [f"together-{number:02}" for number in range(many)]
    for slug in slugs:
        write(project, slug)
    done = project.tenantry("up", *slugs, "--workers", str(workers), "--quiet", limit=limit, watch=True)
    return CommandFigure(title=title, seconds=(round(done.seconds, 2),), target=None, tree_mb=done.tree_mb)

"""One cabinet's `tenantry` commands from command to prompt: provision, no-op, change, and the three ways to roll back.

A rollback's time is that of the whole command: what fails, and all that is undone after it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.environment import MAIN_DATABASE, Project, server
from benchmarks.figures import CommandFigure
from benchmarks.process import Finished

_ROLLED_BACK = 3
_REFUSE_ACTIVATION = """
    CREATE FUNCTION refuse_bench() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the benchmark lets this one not be activated'; END $$;
    CREATE TRIGGER refuse_bench BEFORE UPDATE ON cabinets FOR EACH ROW
        WHEN (NEW.status = 'active' AND NEW.slug LIKE 'failing-%') EXECUTE FUNCTION refuse_bench();
"""
_REFUSE_SETTINGS = """
    CREATE SCHEMA bench;
    CREATE FUNCTION bench.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the benchmark lets no settings be written here'; END $$;
    CREATE TRIGGER bench_refuses BEFORE INSERT OR UPDATE ON cabinet.settings
        FOR EACH ROW WHEN (NEW.value::text LIKE '%XTS%') EXECUTE FUNCTION bench.refuse();
"""
_NEWEST = "SELECT id::text FROM deployments ORDER BY started_at DESC LIMIT 1"
TARGETS = {
    "provision a cabinet": 3.0,
    "no-op": 1.5,
    "change one setting": None,
    "`tenantry rollback` of that change": 3.0,
    "failing change, rolled back": 3.0,
    "failing create (last step), rolled back": 3.0,
}


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[CommandFigure]:
    """Figures of each kind of command. Raises CommandFailedError when one does not end as it should."""
    runs = 1 if quick else 5
    taken: dict[str, list[Finished]] = {title: [] for title in TARGETS}
    with server() as running:
        project = Project.make(folder / "cabinets", running)
        project.execute(MAIN_DATABASE, _REFUSE_ACTIVATION)
        for number in range(runs):
            say(f"cabinets: {number + 1} of {runs}")
            for title, done in zip(TARGETS, _round(project, number), strict=True):
                taken[title].append(done)
    return [_figure(title, done) for title, done in taken.items()]


def _round(project: Project, number: int) -> list[Finished]:
    slug, doomed = f"bench-{number}", f"failing-{number}"
    settings = {"branding": {"primaryColor": "#9D174D"}}
    project.write(slug, number)
    provision = project.tenantry("up", slug, watch=True)
    noop = project.tenantry("up", slug, "--expect-no-changes", watch=True)
    project.write(slug, number, customSettings=settings)
    change = project.tenantry("up", slug)
    deployment = str(project.scalar(MAIN_DATABASE, _NEWEST))
    undone = project.tenantry("rollback", deployment, "--yes")
    project.execute(f"cabinet_{slug.replace('-', '_')}", _REFUSE_SETTINGS)
    project.write(slug, number, name="A name that will not last", customSettings={"currency": "XTS"})
    changed = project.tenantry("up", slug, expected=_ROLLED_BACK)
    project.write(doomed, number)
    created = project.tenantry("up", doomed, expected=_ROLLED_BACK)
    return [provision, noop, change, undone, changed, created]


def _figure(title: str, done: list[Finished]) -> CommandFigure:
    return CommandFigure(
        title=title,
        seconds=tuple(round(one.seconds, 2) for one in done),
        target=TARGETS[title],
        tree_mb=max((one.tree_mb for one in done if one.tree_mb is not None), default=None),
    )

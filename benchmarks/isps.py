"""An ISP on Kubernetes: provision, no-op, rollback, the phases of its run, many at once, and runs on a rough road.

Pods of the simulated nodes are ready at once, so that next to nothing of a command's time is waiting for the cluster.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import yaml

from benchmarks import cluster
from benchmarks.environment import MAIN_DATABASE, Project, server
from benchmarks.figures import (
    ISP_RUNS,
    ISPS_AT_ONCE,
    CommandFigure,
    IspFigure,
    PhaseFigure,
    RefusalFigure,
    ReliabilityFigure,
)
from benchmarks.process import CommandFailedError
from benchmarks.rough_road import RoughRoad, rough_road
from benchmarks.rounds import measure_round, measure_together, refuse_to_activate
from stacks.isp.steps import STEPS

_LIMIT = 900.0
_AT_ONCE = 10
_BATCH = 50
_ROUGH_WORKERS = 8
_SHARE = 0.05
_SEED = 20261122
_PHASES = """
    SELECT s.key, extract(epoch FROM s.ended_at - s.started_at)::float8
    FROM deployment_steps s JOIN deployments d ON d.id = s.deployment_id
    WHERE d.operation = 'up' AND d.status = 'succeeded' AND d.first_create AND s.ended_at IS NOT NULL
"""
_ENDINGS = """
    SELECT operation, status, count(*) FROM deployments
    WHERE operation IN ('up', 'destroy') AND tenant LIKE 'rough-%' GROUP BY operation, status
"""
TARGETS = {"provision an ISP": 5.0, "no-op": None, "rollback from the last step": 120.0}
_REFUSED = re.compile(r"^apiserver_flowcontrol_rejected_requests_total\{.*\} (?P<count>\S+)$", re.MULTILINE)


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[IspFigure]:
    """Figures of commands, phases, and many at once. Raises CommandFailedError when one goes wrong."""
    with cluster.cluster(folder / "cluster") as kubeconfig, _project(folder, kubeconfig) as project:
        refuse_to_activate(project, "isps")
        taken: dict[str, list[float]] = {title: [] for title in TARGETS}
        rounds = 1 if quick else 5
        for number in range(rounds):
            say(f"isps: {number + 1} of {rounds}")
            for title, seconds in zip(TARGETS, measure_round(project, number, _write), strict=True):
                taken[title].append(round(seconds, 2))
        commands = [CommandFigure(title=title, seconds=tuple(taken[title]), target=TARGETS[title]) for title in TARGETS]
        phases = _phases(project)
        many = 4 if quick else ISPS_AT_ONCE
        say(f"isps: {many} at once")
        before = _refused(kubeconfig)
        workers = min(many, _AT_ONCE)
        title = f"{many} asked for at once, {workers} at a time, all of them"
        together = measure_together(project, many, workers, _write, title=title, limit=_LIMIT)
        refused = RefusalFigure(title=f"{many} at once", refused=_refused(kubeconfig) - before)
    return [*commands, together, *phases, refused]


def measure_rough(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[IspFigure]:
    """How many runs succeed where the API server fails in passing. Raises CommandFailedError."""
    # Each is made, which is one run, and removed, which is another.
    many = _BATCH if quick else ISP_RUNS // 2
    with (
        cluster.cluster(folder / "cluster") as kubeconfig,
        rough_road(kubeconfig, folder / "road", share=_SHARE, seed=_SEED) as road,
        _project(folder, road.kubeconfig) as project,
    ):
        for first in range(0, many, _BATCH):
            say(f"isps: {2 * first} of {2 * many} runs on a rough road")
            _batch(project, range(first, min(first + _BATCH, many)))
        return [_reliability(project, road, many)]


@contextlib.contextmanager
def _project(folder: Path, kubeconfig: Path) -> Iterator[Project]:
    with server() as running, cluster.entrance(folder / "entrance") as door:
        more = cluster.environment(folder, kubeconfig, door, running)
        yield Project.make(folder / "isps", running, more)


def _batch(project: Project, numbers: range) -> None:
    """Each of them up, whatever comes of it, and away again by the same road."""
    slugs = [f"rough-{number:04}" for number in numbers]
    for slug in slugs:
        _write(project, slug)
    project.tenantry("up", *slugs, "--workers", str(_ROUGH_WORKERS), "--quiet", expected=None, limit=_LIMIT)
    with ThreadPoolExecutor(_ROUGH_WORKERS) as pool:
        list(pool.map(lambda slug: project.tenantry("destroy", slug, "--yes", "--quiet", expected=None), slugs))


def _reliability(project: Project, road: RoughRoad, many: int) -> ReliabilityFigure:
    with psycopg.connect(project.server.url(MAIN_DATABASE), connect_timeout=10) as connection:
        rows = [(str(operation), str(status), int(count)) for operation, status, count in connection.execute(_ENDINGS)]
    runs = {name: sum(count for operation, _, count in rows if operation == name) for name in ("up", "destroy")}
    made = sum(count for operation, status, count in rows if (operation, status) == ("up", "succeeded"))
    if runs["up"] != many or runs["destroy"] < made:
        # One that left no record is none that succeeded or failed: the figure would be of other runs.
        raise CommandFailedError(f"{many} ISPs were to be made, and each removed; on record are {runs}")
    return ReliabilityFigure(
        title=f"{runs['up']} made, {runs['destroy']} removed",
        runs=sum(runs.values()),
        succeeded=sum(count for _, status, count in rows if status == "succeeded"),
        faults={name: count for name, count in sorted(road.met.items()) if name != "nothing"},
        requests=road.met.total(),
    )


def _phases(project: Project) -> list[PhaseFigure]:
    with psycopg.connect(project.server.url(MAIN_DATABASE), connect_timeout=10) as connection:
        rows = connection.execute(_PHASES.encode()).fetchall()
    taken: dict[str, list[float]] = {}
    for key, seconds in rows:
        taken.setdefault(str(key), []).append(round(float(seconds), 3))
    return [
        PhaseFigure(title=step.title, seconds=tuple(taken[step.key]), budget=step.seconds)
        for step in STEPS
        if step.seconds is not None
    ]


def _refused(kubeconfig: Path) -> int:
    """How many requests the API server has turned away for its limits (API Priority and Fairness), in all."""
    config = yaml.safe_load(kubeconfig.read_text())
    where = config["clusters"][0]["cluster"]
    answer = httpx.get(
        f"{where['server']}/metrics",
        headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
        verify=ssl.create_default_context(cafile=where["certificate-authority"]),
        timeout=30,
    ).raise_for_status()
    return round(sum(float(found["count"]) for found in _REFUSED.finditer(answer.text)))


def _write(project: Project, slug: str) -> None:
    content = {
        "kind": "isp",
        "slug": slug,
        "name": f"ISP {slug}",
        "adminEmail": f"noc@{slug}.example",
        "region": cluster.REGION,
        "customerCount": 500,
        "planType": "standard",
        "customSettings": {"application": {"image": "registry.example/isp:1"}},
    }
    (project.folder / "stacks" / f"{slug}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

"""A point of sale in the simulated ERPNext, each of whose answers takes LATENCY_SECONDS longer: made, a no-op, many at
once, and how many requests each of them takes.

A FULL_POS tenant without demo items. The simulator counts the requests: what it saw, and not what Tenantry says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.environment import Project, server
from benchmarks.figures import POS_AT_ONCE, POS_REQUESTS, CommandFigure, PosFigure, RequestsFigure
from benchmarks.rounds import measure_together
from sandbox.erpnext import server as erpnext
from sandbox.erpnext.faults import Fault, Kind
from sandbox.erpnext.server import SimulatedErpNext

LATENCY_SECONDS = 0.05
_LIMIT = 600.0
_AT_ONCE = 10
_REGION = "bench"
_KEY, _SECRET = "TENANTRY_BACKEND_BENCH_KEY", "TENANTRY_BACKEND_BENCH_SECRET"
TARGETS = {"make a point of sale": 8.0, "no-op": 3.0}


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[PosFigure]:
    """Figures of commands, of requests, and of many at once. Raises CommandFailedError when one goes wrong."""
    with _site(folder / "erpnext") as site, server() as running:
        more = _environment(folder, site)
        project = Project.make(folder / "pos", running, more)
        taken: dict[str, list[float]] = {title: [] for title in TARGETS}
        sent: dict[str, list[int]] = {title: [] for title in TARGETS}
        rounds = 1 if quick else 5
        for number in range(rounds):
            say(f"pos: {number + 1} of {rounds}")
            slug = f"bench-{number}"
            _write(project, slug)
            for title, words in zip(TARGETS, (("up", slug), ("up", slug, "--expect-no-changes")), strict=True):
                site.forget()
                taken[title].append(round(project.tenantry(*words).seconds, 2))
                sent[title].append(len(site.requests()))
        many = 4 if quick else POS_AT_ONCE
        say(f"pos: {many} at once")
        workers = min(many, _AT_ONCE)
        title = f"{many} asked for at once, {workers} at a time, all of them"
        site.forget()
        together = measure_together(project, many, workers, _write, title=title, limit=_LIMIT)
        each = len(site.requests()) / many
    commands = [CommandFigure(title=title, seconds=tuple(taken[title]), target=TARGETS[title]) for title in TARGETS]
    limits = {"make a point of sale": POS_REQUESTS, "no-op": None}
    requests = [RequestsFigure(title=title, requests=tuple(sent[title]), target=limits[title]) for title in TARGETS]
    at_once = RequestsFigure(title=f"of {many} at once, for each", requests=(round(each),), target=POS_REQUESTS)
    return [*commands, together, *requests, at_once]


@contextmanager
def _site(folder: Path) -> Iterator[SimulatedErpNext]:
    folder.mkdir(parents=True)
    try:
        running = erpnext.start(folder)
        running.add(Fault(kind=Kind.LATENCY, seconds=LATENCY_SECONDS))
        yield running
    finally:
        erpnext.remove(folder)


def _environment(folder: Path, site: SimulatedErpNext) -> dict[str, str]:
    backend = {"url": site.url, "keyFrom": _KEY, "secretFrom": _SECRET}
    file = folder / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {_REGION: {"erpnext": backend}}}), encoding="utf-8")
    return {"TENANTRY_BACKENDS": str(file), _KEY: site.key, _SECRET: site.secret}


def _write(project: Project, slug: str) -> None:
    content = {
        "kind": "pos",
        "slug": slug,
        "name": f"Shop {slug}",
        # A newer ERPNext lets one user have one session: without another for each, the second would stay closed.
        "adminEmail": f"till@{slug}.example",
        "region": _REGION,
        "category": "retail",
        "countryCode": "KE",
        "provisioningType": "FULL_POS",
    }
    (project.folder / "stacks" / f"{slug}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

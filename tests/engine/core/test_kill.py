"""SIGKILL at every step boundary, through the command line and on files: before and after each write of the state, in
the middle of it, and inside each call of the provider, before and after the cloud has done it. Then `cancel`, and the
same once more.

Cloud and program are in this process and outlive the command. TENANTRY_KILL_PLACES takes the n-th part of the places.
"""

from __future__ import annotations

import copy
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine import secrets
from engine.resource import urn_name
from engine.snapshot import verify
from tests.engine.core.cloud import Cloud, Fault
from tests.engine.core.program import bucket, exports, group, outputs, ref
from tests.engine.core.site import Site, a_site

EVERY = int(os.environ.get("TENANTRY_KILL_PLACES", "1"))
UP = ("up", "--yes", "--skip-preview", "--parallel", "1", "--stack", "test")
DESTROY = ("destroy", "--yes", "--skip-preview", "--parallel", "1", "--stack", "test")
RETAINED = {"retainOnDelete": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What there is, and the update that is killed: `after` is the program, None for a destroy."""

    before: tuple[Any, ...]
    after: tuple[Any, ...] | None
    journal: bool = False
    """Whether the state is so large that steps go into a journal."""
    left: frozenset[str] = frozenset()
    """Names of objects that are let go of."""


def _chain(region: str, zone: str) -> tuple[Any, ...]:
    return (
        bucket("a", region=region, zone=zone),
        bucket("b", region=ref("a")),
        bucket("c", source=ref("b")),
        exports(arn=ref("c")),
    )


BALLAST = bucket("ballast", text="x" * 70_000)
CASES = {
    "create": Case(
        before=(),
        after=(
            group("g"),
            bucket("a", {"parent": "g"}, size=1),
            bucket("b", {"parent": "g"}, source=ref("a")),
            outputs("g", arn=ref("b")),
            bucket("c", {"depends_on": ["g"]}),
            exports(arn=ref("c")),
        ),
    ),
    "update": Case(
        before=(bucket("a", size=1), bucket("b", source=ref("a"), size=1), exports(size=1)),
        after=(bucket("a", size=2), bucket("b", source=ref("a"), size=2), exports(size=2, arn=ref("b"))),
    ),
    "replace": Case(before=_chain("x", "x"), after=_chain("y", "x")),
    "delete first": Case(before=_chain("x", "x"), after=_chain("x", "y")),
    "shrink": Case(
        before=(
            bucket("a"),
            group("g"),
            bucket("b", {"parent": "g"}, source=ref("a")),
            bucket("c", {"depends_on": ["b"]}),
            bucket("kept", RETAINED, source=ref("a")),
        ),
        after=(bucket("a"),),
        left=frozenset({"kept"}),
    ),
    "destroy": Case(before=_chain("x", "x"), after=None),
    "a journal": Case(
        before=(BALLAST, *_chain("x", "x")), after=(BALLAST, *_chain("x", "y"), bucket("new")), journal=True
    ),
}


class KillingCloud(Cloud):
    """Kills a process in its n-th call that changes something: `entered`, or `done` before anybody is told."""

    def __init__(self) -> None:
        super().__init__()
        self.kill_at: tuple[str, int] = ("never", 0)
        self.victim: subprocess.Popen[str] | None = None
        self.changing = 0

    def _enter(self, method: str, name: str, context: Any) -> Fault | None:
        fault = super()._enter(method, name, context)
        if method in {"create", "update", "delete"}:
            self.changing += 1
            self._kill("entered", context)
        return fault

    def _leave(self, fault: Fault | None, id_: str, context: Any) -> None:
        self._kill("done", context)
        super()._leave(fault, id_, context)

    def _kill(self, moment: str, context: Any) -> None:
        if self.victim is not None and self.kill_at == (moment, self.changing):
            self.victim.kill()
            self.victim.wait()
            context.abort(grpc.StatusCode.CANCELLED, "nobody is there any more")

    def like(self, other: Cloud) -> None:
        self.objects, self.names = copy.deepcopy(other.objects), dict(other.names)
        self.secrets, self._made = copy.deepcopy(other.secrets), other._made


def die(
    site: Site, cloud: KillingCloud, words: tuple[str, ...], moment: str, number: int
) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own, which does not survive."""
    at_write = moment in {"before", "after", "torn"}
    cloud.kill_at, cloud.changing = (moment, number), 0
    environment = {**site.environment, "KILL_AT": f"{moment}:{number}" if at_write else "never:0"}
    command = [sys.executable, "-m", "tests.engine.core.killed_cli", *site.with_client(words)]
    with subprocess.Popen(
        command,
        cwd=site.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        cloud.victim = process
        out, err = process.communicate(timeout=60)
        cloud.victim = None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.fixture(autouse=True)
def _cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "ROUNDS", 1)


def places(site: Site, cloud: KillingCloud, words: tuple[str, ...]) -> list[tuple[str, int]]:
    """Every place where the update can die, from one that does not."""
    done = die(site, cloud, words, "never", 0)
    assert done.returncode == 0, done.stdout + done.stderr
    writes = int(done.stderr.split()[-2])
    at_writes = [(moment, n) for n in range(1, writes + 1) for moment in ("before", "torn", "after")]
    return at_writes + [(moment, n) for n in range(1, cloud.changing + 1) for moment in ("entered", "done")]


def die_and_recover(base: Path, cloud: Cloud, folder: Path, case: Case, place: tuple[str, int]) -> None:
    shutil.copytree(base, folder)
    words = UP if case.after is not None else DESTROY
    dying = KillingCloud()
    dying.like(cloud)
    with a_site(folder, dying) as site:
        site.language.items = case.after or ()
        killed = die(site, dying, words, *place)
        assert killed.returncode == -signal.SIGKILL, (place, killed.stdout, killed.stderr)
        if place[0] in {"entered", "done"}:
            assert bool(list((folder / ".pulumi" / "journal").rglob("*.json"))) == case.journal, place
        left = site.snapshot
        verify(left)
        creating = {urn_name(p.resource.urn) for p in left.pending if p.type == "creating"}
        unknown = set(site.cloud.objects) - site.owned
        assert {site.cloud.names[id_] for id_ in unknown} <= creating | case.left, place
        _recovers(site, words, case, place, pending=bool(left.pending))
        lost = {id_ for id_ in unknown if site.cloud.names[id_] in creating}
        let_go = {id_ for id_ in site.cloud.objects if site.cloud.names[id_] in case.left}
        assert site.owned == set(site.cloud.objects) - lost - let_go, place
        names = sorted(site.cloud.names[id_] for id_ in site.owned)
        assert names == sorted(item.name for item in case.after or () if getattr(item, "custom", False)), place


def _recovers(site: Site, words: tuple[str, ...], case: Case, place: tuple[str, int], *, pending: bool) -> None:
    code, text = site.command("cancel", "--yes", "--stack", "test")
    assert code == 0, (place, text)
    code, text = site.command(*words)
    assert code == 0, (place, text)
    assert ("pending operations" in text) == pending, (place, text)
    assert not [path for path in (site.folder / ".pulumi" / "locks").rglob("*") if path.is_file()], place
    assert not list((site.folder / ".pulumi" / "journal").rglob("*.json")), place
    verify(site.snapshot)
    if case.after is not None:
        code, text = site.command(*words, "--expect-no-changes")
        assert code == 0, (place, text)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", list(CASES))
def test_24_killed_at_every_step_boundary_and_run_again(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    base = tmp_path / "base"
    base.mkdir()
    (base / "Pulumi.yaml").write_text("name: killed\nruntime: python\n", encoding="utf-8")
    with a_site(base, KillingCloud()) as site:
        assert site.command("stack", "init", "test")[0] == 0
        site.language.items = case.before
        code, text = site.command(*UP)
        assert code == 0, text
        shutil.copytree(base, tmp_path / "counted")
        counting = KillingCloud()
        counting.like(site.cloud)
        with a_site(tmp_path / "counted", counting) as counted:
            counted.language.items = case.after or ()
            found = places(counted, counting, UP if case.after is not None else DESTROY)
        assert len(found) > 20, found
        with ThreadPoolExecutor(2) as pool:
            tried = [
                pool.submit(die_and_recover, base, site.cloud, tmp_path / f"{place[0]}{place[1]}", case, place)
                for place in found[::EVERY]
            ]
            for one in tried:
                one.result()

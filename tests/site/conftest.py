"""A bench in a folder, and a region that names it: the real driver over a fake `bench`, and the simulated one."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.site.names import database_name
from providers.site.region import operations_of
from providers.site.seam import NewSite, Progress, SiteOperations
from tests.automation.conftest import project

__all__ = ["project"]

REGION = "here"
ROOT_VARIABLE = "TENANTRY_BACKEND_TEST_BENCH"
ROOT_PASSWORD = "r00t-hunter2 with 'quotes\""
ADMIN_PASSWORD = "adm1n-hunter2 $(of) the-site"
FAKE = Path(__file__).with_name("fake_bench.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class TestBench:
    """A bench, as somebody sees it who is not Tenantry. `mark` and `site` are a tenant's of this test."""

    __test__ = False

    home: Path
    driver: str
    mark: str
    site: str = "shop.example"
    heard: list[Progress] = field(default_factory=list)

    @property
    def ops(self) -> SiteOperations:
        return operations_of(REGION)

    @property
    def folder(self) -> Path:
        return self.home / "sites" / self.site

    @property
    def backups(self) -> Path:
        return self.home.parent / "backups"

    @property
    def props(self) -> dict[str, Any]:
        given = {"region": REGION, "tenant_mark": self.mark, "site": self.site, "apps": ["erpnext"]}
        return {**given, "backup_on_delete": True, "whole": True, "admin_password": ADMIN_PASSWORD}

    @property
    def new(self) -> NewSite:
        return NewSite(site=self.site, mark=self.mark, admin_password=ADMIN_PASSWORD)

    def hear(self, progress: Progress) -> None:
        self.heard.append(progress)

    def fails(self, command: str, **how: Any) -> None:
        (self.home / "faults.json").write_text(json.dumps({command: how}))

    def works(self) -> None:
        (self.home / "faults.json").unlink(missing_ok=True)

    def calls(self, command: str = "") -> list[list[str]]:
        """The arguments of the commands that were run, the site's option aside."""
        lines = (self.home / "calls").read_text().splitlines() if (self.home / "calls").exists() else []
        words = [[word for word in json.loads(line)["argv"] if word not in ("--site", self.site)] for line in lines]
        return [one for one in words if not command or one[0] == command]

    @property
    def database(self) -> Path:
        name = database_name(self.mark, self.site)
        return self.folder / "database.json" if self.driver == "simulated" else self.home / "databases" / name

    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.database.read_text()))

    def change(self, **rows: Any) -> None:
        """What the site's users do."""
        self.database.write_text(json.dumps({**self.data(), "rows": rows}))

    def left(self) -> list[str]:
        """Everything of the tenant's site that is still there, anywhere."""
        names = [path.name for folder in ("sites", "archived/sites", "databases") for path in self._in(folder)]
        own = [path.name for path in self._in("sites/.tenantry") if path.suffix != ".lock"]
        return [name for name in names if name.startswith((self.site, "_"))] + own

    def _in(self, folder: str) -> list[Path]:
        place = self.home / folder
        return sorted(place.iterdir()) if place.is_dir() else []


def eventually(holds: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def make_bench(home: Path) -> None:
    """The folders of a bench with our fake in it."""
    (home / "sites").mkdir(parents=True)
    (home / "sites" / "common_site_config.json").write_text("{}")
    (home / "databases").mkdir()
    (home / "databases" / "root").write_text(ROOT_PASSWORD)
    (home.parent / "backups").mkdir(exist_ok=True)
    command = home / "bench"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -S {FAKE} "$@"\n')
    command.chmod(0o755)


def name_region(monkeypatch: pytest.MonkeyPatch, home: Path, driver: str, **more: Any) -> None:
    """The region `here`, with that bench, in TENANTRY_BACKENDS."""
    site = {
        "driver": driver,
        "folder": str(home),
        "backups": {"target": "file", "folder": str(home.parent / "backups")},
    }
    if driver == "bench":
        site |= {"command": str(home / "bench"), "dbRootPasswordFrom": ROOT_VARIABLE}
    file = home.parent / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {REGION: {"site": {**site, **more}}}}))
    # A file that changes within a clock's tick is read anew all the same.
    stamp = time.time_ns()
    os.utime(file, ns=(stamp, stamp + int(uuid.uuid4().hex[:6], 16)))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))
    monkeypatch.setenv(ROOT_VARIABLE, ROOT_PASSWORD)


def bench_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str) -> TestBench:
    home = tmp_path / "frappe bench"
    make_bench(home)
    name_region(monkeypatch, home, driver)
    return TestBench(home=home, driver=driver, mark=f"tenantry/t{uuid.uuid4().hex[:8]}")


@pytest.fixture(params=["bench", "simulated"])
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TestBench:
    """Each contract test runs on both drivers."""
    return bench_at(tmp_path, monkeypatch, request.param)


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TestBench:
    """The driver that runs commands: what only it can show."""
    return bench_at(tmp_path, monkeypatch, "bench")

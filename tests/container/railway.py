"""A simulated Railway, as the region `here`, and what tests ask of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from providers import http
from providers.railway.deployment import RailwayDeploymentProvider
from providers.railway.project import RailwayProjectProvider
from providers.railway.service import RailwayServiceProvider
from sandbox import railway as sandbox
from sandbox.railway import SimulatedRailway
from tests.container.conftest import REGION, Regions

SECRET = "s3cret-of-the-tenant"
VARIABLE = "TENANTRY_BACKEND_RAILWAY"
Props = dict[str, Any]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedRailway]:
    home = tmp_path_factory.mktemp("railway")
    try:
        yield sandbox.start(home / "server")
    finally:
        sandbox.remove(home / "server")


def backend(url: str) -> Props:
    return {"platform": "railway", "url": url, "tokenFrom": VARIABLE, "workspace": sandbox.WORKSPACE}


@pytest.fixture
def railway(simulator: SimulatedRailway, regions: Regions, monkeypatch: pytest.MonkeyPatch) -> SimulatedRailway:
    monkeypatch.setenv(VARIABLE, simulator.token)
    monkeypatch.setattr(http, "WAITS", (0.01, 0.01, 0.01))
    regions(**{REGION: backend(simulator.url)})
    return simulator


@pytest.fixture
def project(railway: SimulatedRailway, name: str) -> Iterator[Props]:
    made = RailwayProjectProvider().create(named(name))
    yield made.outs
    RailwayProjectProvider().delete(made.id, made.outs)


def named(name: str, mark: str = "tests/one") -> Props:
    return {"region": REGION, "name": name, "tenant_mark": mark}


def place(project: Props, **more: Any) -> Props:
    return {"region": REGION, **{key: project[key] for key in ("project_id", "environment_id")}, **more}


def service_props(project: Props, **more: Any) -> Props:
    settings = {"image": "registry.example/app:1", "command": "python -m app", "health_path": "/health"}
    return place(project, name="app", **settings, cpu=0.5, memory_mb=512, **more)


def world(simulator: SimulatedRailway) -> dict[str, dict[str, Props]]:
    kept: dict[str, dict[str, Props]] = json.loads(simulator.kept.read_text())
    return kept


def alive(simulator: SimulatedRailway, kind: str, **where: Any) -> list[Props]:
    rows = [row for row in world(simulator)[kind].values() if not row["deletedAt"]]
    return [row for row in rows if all(row[key] == value for key, value in where.items())]


@pytest.fixture
def service(project: Props) -> Props:
    return RailwayServiceProvider().create(service_props(project)).outs


def deployed(project: Props, service: Props, of: Any = 1) -> Props:
    props = {key: place(project)[key] for key in ("region", "environment_id")}
    return (
        RailwayDeploymentProvider().create({**props, "service_id": service["service_id"], "of": of, "live": True}).outs
    )


def ready(outs: Props, name: str = "x") -> Props:
    return {
        "region": REGION,
        "name": name,
        "url": "https://none.example",
        "revision": outs["deployment_id"],
        "ready": True,
    }

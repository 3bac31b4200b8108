"""A Caddy for the tests of a module, a region that names it, and tenants' containers that are small servers here."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from providers.caddy import batch
from providers.caddy.route import GatewayRouteProvider
from sandbox import caddy as sandbox_caddy
from sandbox.caddy import EmbeddedCaddy
from tests.caddy.helpers import SECRET, SECRET_NAME, Visitor, backends_file, empty
from tests.caddy.upstream import Upstream

Props = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def module_caddy() -> Iterator[EmbeddedCaddy]:
    with tempfile.TemporaryDirectory(prefix="tenantry-test-caddy-") as folder:
        made = sandbox_caddy.start(Path(folder) / "gw", environment={SECRET_NAME: SECRET})
        try:
            yield made
        finally:
            sandbox_caddy.remove(made.directory)


@pytest.fixture
def caddy(module_caddy: EmbeddedCaddy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> EmbeddedCaddy:
    """Without tenants; the region `here` names it."""
    empty(module_caddy)
    name_region(monkeypatch, tmp_path, module_caddy)
    return module_caddy


@pytest.fixture
def own_caddy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[EmbeddedCaddy]:
    """One that the test may stop and break."""
    made = sandbox_caddy.start(tmp_path / "own")
    try:
        name_region(monkeypatch, tmp_path, made)
        yield made
    finally:
        sandbox_caddy.remove(made.directory)


def name_region(monkeypatch: pytest.MonkeyPatch, folder: Path, caddy: EmbeddedCaddy, **changes: Any) -> None:
    monkeypatch.setenv("TENANTRY_BACKENDS", str(backends_file(folder, caddy, **changes)))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A tenant's container."""
    with Upstream() as made:
        yield made


@pytest.fixture
def visitor(caddy: EmbeddedCaddy) -> Iterator[Visitor]:
    with Visitor(caddy) as made:
        yield made


@pytest.fixture
def provider() -> GatewayRouteProvider:
    return GatewayRouteProvider()


@pytest.fixture
def admin(caddy: EmbeddedCaddy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=caddy.admin, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def _fresh_lines() -> None:
    batch._lines.clear()


@pytest.fixture
def as_text() -> Callable[[object], str]:
    return lambda value: json.dumps(value, default=str)

"""A supervisor for the module's tests, and the region that it stands for."""

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import supervisor as sandbox_supervisor
from sandbox.supervisor import EmbeddedSupervisor

REGION = "here"
_OTHERS = {
    "database": {"host": "127.0.0.1", "user": "nobody", "name": "none"},
    "oauth": {"issuer": "http://127.0.0.1:1"},
    "n8n": {"url": "http://127.0.0.1:1", "keyFrom": "TENANTRY_BACKEND_N8N"},
    "gateway": {"admin": "http://127.0.0.1:1", "domain": "localhost", "url": "http://127.0.0.1:1"},
}

Regions = Callable[..., None]


@pytest.fixture
def regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Regions:
    """`regions(here={...})` says which container platform each region has."""

    def write(**containers: Any) -> None:
        path = tmp_path / "backends.yaml"
        path.write_text(
            yaml.safe_dump({"regions": {name: {**_OTHERS, "container": c} for name, c in containers.items()}})
        )
        monkeypatch.setenv("TENANTRY_BACKENDS", str(path))

    return write


@pytest.fixture(scope="module")
def supervised() -> Iterator[EmbeddedSupervisor]:
    home = Path(tempfile.mkdtemp(prefix="tenantry-test-supervisor-"))
    try:
        yield sandbox_supervisor.start(home)
    finally:
        sandbox_supervisor.remove(home)
        shutil.rmtree(home, ignore_errors=True)


def process_backend(server: EmbeddedSupervisor, **more: Any) -> dict[str, Any]:
    return {
        "platform": "process",
        "url": server.url,
        "folder": str(server.programs),
        "user": server.user,
        "passwordFrom": "TENANTRY_BACKEND_SUPERVISOR",
        **more,
    }


@pytest.fixture
def supervisor(supervised: EmbeddedSupervisor, regions: Regions, monkeypatch: pytest.MonkeyPatch) -> EmbeddedSupervisor:
    """The supervisor, as the region `here`."""
    monkeypatch.setenv("TENANTRY_BACKEND_SUPERVISOR", supervised.password)
    regions(**{REGION: process_backend(supervised)})
    return supervised


@pytest.fixture
def name() -> str:
    return f"tenant-t{secrets.token_hex(4)}"

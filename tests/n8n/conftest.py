"""A region whose n8n is the simulator, and the real server where CI started one."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from providers.n8n.workflow import inputs_of
from sandbox.n8n import server as simulator

KEY_VARIABLE = "TENANTRY_BACKEND_TEST_N8N"
REGION = "here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An n8n, as somebody sees it who is not Tenantry."""

    url: str
    key: str = field(repr=False)
    real: bool

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"X-N8N-API-KEY": self.key}
        return httpx.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=30)

    def workflows(self, mark: str) -> list[dict[str, Any]]:
        listed = self.call("GET", f"/workflows?name={mark}&limit=200").json()["data"]
        return [row for row in listed if row["name"].startswith(f"{mark} ")]

    def credentials(self, mark: str) -> list[dict[str, Any]]:
        listed = self.call("GET", "/credentials?limit=200").json()["data"]
        return [row for row in listed if row["name"].startswith(f"{mark} ")]

    def tags(self) -> list[str]:
        return [row["name"] for row in self.call("GET", "/tags?limit=200").json()["data"]]


def name_region(monkeypatch: pytest.MonkeyPatch, folder: Path, url: str, key: str = "a-key", **more: Any) -> None:
    """The region `here`, with its n8n at `url`, in TENANTRY_BACKENDS."""
    backends = {
        "database": {"host": "db.invalid", "user": "u", "name": "n"},
        "oauth": {"issuer": "https://login.invalid"},
        "container": {"platform": "docker"},
        "n8n": {"url": url, "keyFrom": KEY_VARIABLE, **more},
        "gateway": {"admin": "http://127.0.0.1:1", "domain": "d.invalid", "url": "https://d.invalid"},
    }
    file = folder / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {REGION: backends}}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))
    monkeypatch.setenv(KEY_VARIABLE, key)


@pytest.fixture(scope="session")
def simulated() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="tenantry-test-n8n-"))
    try:
        running = simulator.start(folder)
        yield Server(url=running.url, key=running.key, real=False)
    finally:
        simulator.remove(folder)


@pytest.fixture(params=["simulated", "real"])
def n8n(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """Each contract test runs on both."""
    if request.param == "simulated":
        server: Server = request.getfixturevalue("simulated")
    else:
        server = _real()
    name_region(monkeypatch, tmp_path, server.url, server.key)
    return server


@pytest.fixture
def mark() -> str:
    """A tenant of its own for each test."""
    return f"tenantry/t{uuid.uuid4().hex[:8]}"


def echo(**settings: Any) -> dict[str, Any]:
    """A workflow that answers a POST with what it got."""
    return {
        "nodes": [
            {
                "name": "Webhook",
                "type": "n8n-nodes-base.webhook",
                "typeVersion": 2,
                "parameters": {"httpMethod": "POST", "responseMode": "responseNode", "options": {}},
            },
            {
                "name": "Set",
                "type": "n8n-nodes-base.set",
                "typeVersion": 3.4,
                "position": [220, 0],
                "parameters": {
                    "assignments": {
                        "assignments": [{"id": "a", "name": "echo", "value": "={{ $json.body.msg }}", "type": "string"}]
                    },
                    "options": {},
                },
            },
            {
                "name": "Answer",
                "type": "n8n-nodes-base.respondToWebhook",
                "typeVersion": 1.1,
                "position": [440, 0],
                "parameters": {"respondWith": "firstIncomingItem", "options": {}},
            },
        ],
        "connections": {
            "Webhook": {"main": [[{"node": "Set", "type": "main", "index": 0}]]},
            "Set": {"main": [[{"node": "Answer", "type": "main", "index": 0}]]},
        },
        "settings": settings,
    }


def inputs(mark: str, key: str = "echo", definition: dict[str, Any] | None = None) -> dict[str, Any]:
    return inputs_of(region=REGION, tenant_mark=mark, key=key, definition=definition or echo())


def _real() -> Server:
    url, home = os.environ.get("TENANTRY_TEST_N8N_URL"), os.environ.get("TENANTRY_TEST_N8N_HOME")
    if url and home:
        return Server(url=url, key=(Path(home) / "key").read_text().strip(), real=True)
    if os.environ.get("TENANTRY_REQUIRE_SERVERS") == "1":
        pytest.fail("TENANTRY_REQUIRE_SERVERS=1, but no n8n: TENANTRY_TEST_N8N_URL and TENANTRY_TEST_N8N_HOME name one")
    pytest.skip("no real n8n here: start one with .ci/n8n and set TENANTRY_TEST_N8N_URL and TENANTRY_TEST_N8N_HOME")

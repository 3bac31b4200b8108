"""A supervisor that is away, hangs, refuses or talks nonsense: each ends soon, in one line, without the password."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from providers import http
from providers.errors import ProviderError, RefusedError, UnreachableError
from providers.supervisor.process import ProcessProvider
from tests.container.conftest import REGION, Regions

PASSWORD = "s3cret-of-the-supervisor"
provider = ProcessProvider()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(http.Api.__init__, "__kwdefaults__", {**http.Api.__init__.__kwdefaults__, "seconds": 0.3})
    monkeypatch.setenv("TENANTRY_BACKEND_SUPERVISOR", PASSWORD)


@pytest.fixture
def at(regions: Regions, tmp_path: Path) -> Callable[[int], dict[str, Any]]:
    """The props of a process on a supervisor at this port."""

    def place(port: int) -> dict[str, Any]:
        backend = {
            "platform": "process",
            "url": f"http://127.0.0.1:{port}",
            "folder": str(tmp_path),
            "user": "tenantry",
        }
        regions(**{REGION: {**backend, "passwordFrom": "TENANTRY_BACKEND_SUPERVISOR"}})
        named = {"region": REGION, "name": "tenant-one", "tenant_mark": "tests/one"}
        return {**named, "command": ["true"], "environment": {"WORD": "s3cret-of-the-tenant"}, "memory_mb": 64}

    return place


@pytest.fixture
def answering() -> Iterator[Callable[..., int]]:
    """The port of a server that answers all with this."""
    servers: list[ThreadingHTTPServer] = []

    def serve(status: int, body: str, headers: dict[str, str] | None = None) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def refused(props: dict[str, Any], kind: type[ProviderError], *words: str) -> None:
    operations: dict[str, Callable[[], Any]] = {
        "create": lambda: provider.create(props),
        "update": lambda: provider.update("tenant-one", props, props),
    }
    for operation in operations.values():
        begun = time.monotonic()
        with pytest.raises(kind) as caught:
            operation()
        assert time.monotonic() - begun < 60
        said = str(caught.value)
        assert "process 'tenant-one'" in said
        assert "\n" not in said
        for word in words:
            assert word in said
        assert PASSWORD not in said
        assert "s3cret-of-the-tenant" not in said


def test_refused(at: Callable[[int], dict[str, Any]]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    refused(at(port), UnreachableError, "does not answer", f"127.0.0.1:{port}", "Check that it runs")


def test_hanging(at: Callable[[int], dict[str, Any]]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        refused(at(silent.getsockname()[1]), UnreachableError, "does not answer", "timed out")


def test_wrong_password(at: Callable[[int], dict[str, Any]], answering: Callable[..., int]) -> None:
    refused(at(answering(401, "no")), ProviderError, "refuses the login", "container.passwordFrom")


def test_500(at: Callable[[int], dict[str, Any]], answering: Callable[..., int]) -> None:
    refused(at(answering(500, f"a crash with {PASSWORD} in it")), RefusedError, "answered 500", "[secret]")


def test_429(at: Callable[[int], dict[str, Any]], answering: Callable[..., int]) -> None:
    refused(at(answering(429, "later", {"Retry-After": "0"})), RefusedError, "answered 429")


@pytest.mark.parametrize("body", ["", "<html>a proxy's page</html>", "<methodResponse><params>", "\x00"])
def test_nonsense(at: Callable[[int], dict[str, Any]], answering: Callable[..., int], body: str) -> None:
    refused(at(answering(200, body)), ProviderError, "no XML-RPC", "container.url")


def test_nothing_is_left_where_nothing_could_be_started(at: Callable[[int], dict[str, Any]], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        props = at(free.getsockname()[1])
    with pytest.raises(UnreachableError):
        provider.create(props)
    assert [path.name for path in tmp_path.glob("*tenant*")] == []

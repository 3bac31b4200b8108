"""The simulated n8n as a server of one folder, on loopback: starts, finds, stops and removes it.

A folder's server keeps its port, what it was told, its owner and the key of its public API across restarts; the key
lies in a file that only its owner can read, and is never printed.
"""

import argparse
import contextlib
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from sandbox.errors import StartError
from sandbox.http import handler_for
from sandbox.n8n.api import N8n
from sandbox.process import HOST, launch, locked, pid_of, port_of, private, python_env
from sandbox.running import StoppedAtEnd, alive, on_port, stopped
from sandbox.store import Store

WHAT = "the simulated n8n"
EMAIL = "owner@tenantry.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedN8n(StoppedAtEnd):
    """A running server. As a context manager it is stopped at the end; what it knows stays."""

    directory: Path
    port: int
    pid: int
    key: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def stop(self) -> None:
        stop(self.directory)


def start(directory: Path, port: int = 0, *, delay: float = 0.2, startup: float = 0.0) -> SimulatedN8n:
    """Start the folder's server, or find the one that runs. Port 0 means the folder's last one, or any free one.

    `delay` is how many seconds a publication takes to become true, `startup` how long it answers as one that starts.
    Raises PortTakenError, DiskFullError, StartError, or SandboxError; each says what to do.
    """
    directory = Path(directory).resolve()
    with locked(directory, WHAT):
        running = alive(_running(directory), lambda port: _answers(port, "/healthz"), directory, WHAT)
        if running is None:
            password = directory / "password"
            if not password.exists():
                private(password, token_urlsafe(24) + "\n")
            command = [sys.executable, "-m", "sandbox.n8n", "serve", "--dir", str(directory)]
            options = ["--delay", str(delay), "--startup", str(startup)]
            launch(
                directory,
                WHAT,
                lambda chosen: [*command, "--port", str(chosen), *options],
                _answers,
                port=port,
                env=python_env(),
            )
            _ensure_key(directory)
            running = _running(directory)
    if running is None:
        raise StartError(f"{WHAT} in {directory} has ended at once; see {directory / 'server.log'}")
    return on_port(running, port, WHAT, directory)


def attach(directory: Path) -> SimulatedN8n | None:
    """The folder's server if it runs, else None. Writes nothing."""
    return _running(Path(directory).resolve())


def stop(directory: Path) -> bool:
    """Stop the folder's server. True when one was running. Raises StopError."""
    directory = Path(directory).resolve()
    return stopped(directory, WHAT)


def remove(directory: Path) -> None:
    """Stop the folder's server and delete all it knows."""
    directory = Path(directory).resolve()
    if not directory.exists():
        return
    stop(directory)
    for name in ("pid", "port", "lock", "server.log", "password", "key", "n8n.db", "n8n.db-wal", "n8n.db-shm"):
        (directory / name).unlink(missing_ok=True)
    # Somebody's own files may lie beside the server's.
    with contextlib.suppress(OSError):
        directory.rmdir()


def serve(directory: Path, port: int, *, delay: float, startup: float) -> None:
    """Answer on this port until the process is ended."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    n8n = N8n(Store(directory / "n8n.db"), delay=delay, startup=startup)
    with ThreadingHTTPServer((HOST, port), handler_for(n8n.handle)) as server:
        server.daemon_threads = True
        server.serve_forever()


def _running(directory: Path) -> SimulatedN8n | None:
    pid = pid_of(directory)
    if pid is None:
        return None
    try:
        key = (directory / "key").read_text().strip()
    except FileNotFoundError:
        return None
    return SimulatedN8n(directory=directory, port=port_of(directory), pid=pid, key=key)


def _answers(port: int, path: str = "/healthz/readiness") -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _ensure_key(directory: Path) -> None:
    """The owner, and a key for all of the public API, made as on a real n8n."""
    if (directory / "key").exists():
        return
    base, password = f"http://{HOST}:{port_of(directory)}", (directory / "password").read_text().strip()
    owner = {"email": EMAIL, "firstName": "Tenantry", "lastName": "Sandbox", "password": password}
    try:
        cookie = _post(f"{base}/rest/owner/setup", owner)[1]
    except urllib.error.HTTPError:  # an interrupted first start had come that far
        cookie = _post(f"{base}/rest/login", {"emailOrLdapLoginId": EMAIL, "password": password})[1]
    request = urllib.request.Request(f"{base}/rest/api-keys/scopes", headers={"Cookie": cookie})  # noqa: S310
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        scopes = json.load(answer)["data"]
    # A key is shown once: that of an interrupted start is lost, and this one needs a label of its own.
    wanted = {"label": f"tenantry {token_urlsafe(6)}", "scopes": scopes, "expiresAt": None}
    private(directory / "key", _post(f"{base}/rest/api-keys", wanted, cookie)[0]["data"]["rawApiKey"] + "\n")


def _post(url: str, body: Mapping[str, Any], cookie: str = "") -> tuple[Any, str]:
    headers = {"Content-Type": "application/json", "Cookie": cookie}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer), str(answer.headers.get("Set-Cookie", "")).partition(";")[0]


def describe(server: SimulatedN8n | None, directory: Path) -> dict[str, object]:
    if server is None:
        return {"state": "stopped", "directory": str(directory)}
    details = {"host": HOST, "port": server.port, "url": server.url, "pid": server.pid}
    return {"state": "running", "directory": str(directory)} | details


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.n8n", description="A simulated n8n on loopback.")
    parser.add_argument("command", choices=["start", "stop", "status", "remove", "serve"])
    parser.add_argument("--dir", type=Path, required=True, help="the folder that holds this server and what it knows")
    parser.add_argument("--port", type=int, default=0, help="start on this port (default: the last one, or a free one)")
    parser.add_argument("--json", action="store_true", help="say it as JSON")
    parser.add_argument("--delay", type=float, default=0.2, help="seconds until what was published answers")
    parser.add_argument("--startup", type=float, default=0.0, help="seconds for which it answers as one that starts")
    return parser

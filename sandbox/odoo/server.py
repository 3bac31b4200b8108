"""The simulated Odoo as a server of one folder, on loopback: starts, finds, stops and removes it.

A folder's server keeps its port, its records and the key of its API across restarts; the key lies in a file that only
its owner can read, and is never printed.
"""

import hmac
import http.client
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from typing import Any

from sandbox import door
from sandbox.http import Answer, Request, handler_for
from sandbox.odoo.api import DATABASE, Site
from sandbox.process import HOST, launch, locked, pid_of, port_of, private, python_env
from sandbox.running import alive, on_port, removed, stopped
from sandbox.store import Store

WHAT = "the simulated Odoo"
USER = "tenantry"
_CHECK = '{"params": {"service": "common", "method": "version", "args": []}}'


class Server(ThreadingHTTPServer):
    """A thread a connection; many workspaces may come at once."""

    daemon_threads = True
    request_queue_size = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedOdoo(door.Behind):
    """A running server."""

    key: str = field(repr=False)
    database: str = DATABASE
    user: str = USER

    @property
    def authorization(self) -> str:
        return f"Bearer {self.key}"

    def stop(self) -> None:
        stop(self.directory)

    def add_user(self, login: str, *, system: bool = True) -> str:
        """The key of another user; `system`: with the right Settings."""
        return str(self.tell("POST", "users", {"login": login, "system": system}))


def start(directory: Path, port: int = 0, *, version: int | None = None) -> SimulatedOdoo:
    """Start the folder's server, or find the one that runs. Port 0 means the folder's last one, or any free one.

    `version` is which Odoo it behaves as (None: as before, which is 18 of a new one). Raises PortTakenError,
    DiskFullError, StartError.
    """
    directory = Path(directory).resolve()
    home = directory / "odoo"
    with locked(home, WHAT):
        running = alive(attach(directory), _answers, home, WHAT)
        if running is None:
            if not (home / "key").exists():
                private(home / "key", token_hex(20) + "\n")
            command = [sys.executable, "-m", "sandbox.odoo", "serve", "--dir", str(home), "--port"]
            launch(home, WHAT, lambda chosen: [*command, str(chosen)], _answers, port=port, env=python_env())
            running = attach(directory)
    assert running is not None  # noqa: S101 - it answers
    if version is not None:
        running.switch(version=version)
    return on_port(running, port, WHAT, directory)


def attach(directory: Path) -> SimulatedOdoo | None:
    """The folder's server if it runs, else None. Writes nothing."""
    directory = Path(directory).resolve()
    home = directory / "odoo"
    pid = pid_of(home)
    if pid is None:
        return None
    return SimulatedOdoo(directory=directory, port=port_of(home), pid=pid, key=(home / "key").read_text().strip())


def stop(directory: Path) -> bool:
    """Stop the folder's server. True when one was running. Raises StopError."""
    return stopped(Path(directory).resolve() / "odoo", WHAT)


def remove(directory: Path) -> None:
    """Stop the folder's server and delete all it knows."""
    directory = Path(directory).resolve()
    removed(directory, directory / "odoo", WHAT)


def serve(home: Path, port: int) -> None:
    """Answer on this port until the process is ended. `home` is the folder that `start` has filled."""
    key = (home / "key").read_text().strip()
    site = Site(Store(home / "odoo.db"))
    site.add_user(USER, key=key)
    with Server((HOST, port), handler_for(handler(site, key))) as server:
        server.serve_forever()


def handler(site: Site, key: str) -> Callable[[Request], Answer | None]:
    """The site with its door, which `key` opens."""

    def refused(request: Request) -> int | None:
        given = request.headers.get("authorization", "").encode()
        return None if hmac.compare_digest(given, f"Bearer {key}".encode()) else 401

    def more(method: str, name: str, request: Request) -> Any:
        if (method, name) != ("POST", "users"):
            raise door.NothingHereError
        told = request.json()
        return site.add_user(told["login"], system=told["system"])

    return door.handler(site, refused, more)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("POST", "/jsonrpc", _CHECK, {"Content-Type": "application/json"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

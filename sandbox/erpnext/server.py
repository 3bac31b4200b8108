"""The simulated ERPNext as a server of one folder, on loopback: starts, finds, stops and removes it.

A folder's server keeps its port, its documents and the key of its API across restarts; key and secret lie in a file
that only its owner can read, and are never printed.
"""

import http.client
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex

from sandbox import door
from sandbox.erpnext import admin
from sandbox.erpnext.api import Site
from sandbox.erpnext.documents import ADMINISTRATOR
from sandbox.http import handler_for
from sandbox.process import HOST, launch, locked, pid_of, port_of, private, python_env
from sandbox.running import alive, on_port, removed, stopped
from sandbox.store import Store

WHAT = "the simulated ERPNext"


class Server(ThreadingHTTPServer):
    """A thread a connection; many workspaces may come at once."""

    daemon_threads = True
    request_queue_size = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedErpNext(door.Behind):
    """A running server."""

    key: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def authorization(self) -> str:
        return f"token {self.key}:{self.secret}"

    def stop(self) -> None:
        stop(self.directory)

    def finish_setup(self) -> None:
        """As somebody who goes through the set-up wizard."""
        self.tell("POST", "setup", {})

    def add_user(self, name: str, rights: Mapping[str, str]) -> tuple[str, str]:
        """(key, secret) of a user with these rights: words by DocType, `*` for all others."""
        made = self.tell("POST", "users", {"name": name, "rights": dict(rights)})
        return made["key"], made["secret"]


def start(directory: Path, port: int = 0, *, wizard: bool = True, newer: bool | None = None) -> SimulatedErpNext:
    """Start the folder's server, or find the one that runs. Port 0 means the folder's last one, or any free one.

    `wizard` False makes a new site whose set-up wizard was never finished; `newer` says how ERPNext behaves where
    versions differ (None: as before, which for a new site is newer). Raises PortTakenError, DiskFullError, StartError.
    """
    directory = Path(directory).resolve()
    home = _home(directory)
    with locked(home, WHAT):
        running = alive(attach(directory), _answers, home, WHAT)
        if running is None:
            if not (home / "credentials.json").exists():
                private(home / "credentials.json", json.dumps({"key": token_hex(8), "secret": token_hex(16)}) + "\n")
            command = [sys.executable, "-m", "sandbox.erpnext", "serve", "--dir", str(home)]
            options = [] if wizard else ["--unfinished"]
            launch(
                home,
                WHAT,
                lambda chosen: [*command, "--port", str(chosen), *options],
                _answers,
                port=port,
                env=python_env(),
            )
            running = attach(directory)
    assert running is not None  # noqa: S101 - it answers
    if newer is not None:
        running.switch(newer=newer)
    return on_port(running, port, WHAT, directory)


def attach(directory: Path) -> SimulatedErpNext | None:
    """The folder's server if it runs, else None. Writes nothing."""
    directory = Path(directory).resolve()
    home = _home(directory)
    pid = pid_of(home)
    if pid is None:
        return None
    return SimulatedErpNext(directory=directory, port=port_of(home), pid=pid, **_credentials(home))


def stop(directory: Path) -> bool:
    """Stop the folder's server. True when one was running. Raises StopError."""
    return stopped(_home(Path(directory).resolve()), WHAT)


def remove(directory: Path) -> None:
    """Stop the folder's server and delete all it knows."""
    directory = Path(directory).resolve()
    removed(directory, _home(directory), WHAT)


def serve(home: Path, port: int, *, wizard: bool) -> None:
    """Answer on this port until the process is ended. `home` is the folder that `start` has filled."""
    site = Site(Store(home / "erpnext.db"), wizard=wizard)
    site.add_user(ADMINISTRATOR, {}, **_credentials(home))

    with Server((HOST, port), handler_for(admin.handler(site))) as server:
        server.serve_forever()


def _home(directory: Path) -> Path:
    return directory / "erpnext"


def _credentials(home: Path) -> dict[str, str]:
    told = json.loads((home / "credentials.json").read_text())
    return {"key": told["key"], "secret": told["secret"]}


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/api/method/ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

"""A simulator of Railway's public GraphQL API, as strict as its schema: for tests, as there is no Railway here.

It keeps projects, services, variables, domains and deployments, and runs nothing: a deployment advances each time that
it is looked at, and ends as its image's tag says (`:fails`, `:crashes`, else well). A field, argument or type that the
schema does not have is refused, and so is a caller without the token. What it keeps, and the token, lie in files that
only their owner reads. By hand: `python -m sandbox.railway start|stop|status|remove --dir D`.
"""

import contextlib
import http.client
import os
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.process import HOST, launch, locked, pid_of, port_of, private
from sandbox.running import StoppedAtEnd, on_port, removed, stopped

WHAT = "the simulator of Railway"
WORKSPACE = "11111111-2222-4333-8444-555555555555"
PATH = "/graphql/v2"
_SOURCE = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRailway(StoppedAtEnd):
    """A running simulator with one workspace. As a context manager it is stopped at the end; what it keeps stays."""

    directory: Path
    port: int
    pid: int
    token: str = field(repr=False)
    workspace: str = WORKSPACE

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}{PATH}"

    @property
    def kept(self) -> Path:
        """What it keeps, as JSON."""
        return self.directory / "railway" / "world.json"

    def stop(self) -> None:
        stop(self.directory)


def start(directory: Path, port: int = 0) -> SimulatedRailway:
    """Start the folder's simulator, or find the one that runs. Raises PortTakenError, StartError."""
    directory = Path(directory).resolve()
    home = _home(directory)
    with locked(home, WHAT):
        running = attach(directory)
        if running is None:
            if not (home / "token").exists():
                private(home / "token", secrets.token_urlsafe(24) + "\n")
            command = [sys.executable, "-m", "sandbox.railway.serve", str(home)]
            env = {"PATH": os.defpath, "PYTHONPATH": str(_SOURCE), "LC_ALL": "C.UTF-8"}
            launch(home, WHAT, lambda chosen: [*command, str(chosen)], _answers, port=port, env=env)
            running = attach(directory)
    assert running is not None  # noqa: S101 - it answers
    return on_port(running, port, WHAT, directory)


def attach(directory: Path) -> SimulatedRailway | None:
    """The folder's simulator if it runs, else None. Writes nothing."""
    directory = Path(directory).resolve()
    home = _home(directory)
    pid = pid_of(home)
    if pid is None:
        return None
    token = (home / "token").read_text().strip()
    return SimulatedRailway(directory=directory, port=port_of(home), pid=pid, token=token)


def stop(directory: Path) -> bool:
    """True when it was running. Raises StopError."""
    return stopped(_home(Path(directory).resolve()), WHAT)


def remove(directory: Path) -> None:
    """Stop the folder's simulator and delete what it keeps."""
    directory = Path(directory).resolve()
    removed(directory, _home(directory), WHAT)


def _home(directory: Path) -> Path:
    return directory / "railway"


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", PATH)
        return connection.getresponse().status == http.HTTPStatus.METHOD_NOT_ALLOWED
    return False

"""A supervisor that keeps tenants' processes running on this machine: one a folder, on loopback only, for development.

A folder's supervisor keeps its port and its random password across restarts; the password lies in files that only
their owner can read, and is never printed. It runs what it finds in `programs`, and decides nothing about that. Its
processes run as the caller does. By hand: `python -m sandbox.supervisor start|stop|status|remove --dir D`.
"""

import base64
import contextlib
import http.client
import os
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.commands import command_line
from sandbox.errors import SandboxError
from sandbox.process import HOST, launch, locked, pid_of, port_of, private
from sandbox.running import StoppedAtEnd, on_port, removed, stopped

USER = "tenantry"
_WHAT = "the supervisor"
_SOURCE = Path(__file__).resolve().parent.parent

_CONFIGURATION = """\
[supervisord]
logfile={home}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={home}/supervisord.pid
childlogdir={home}
directory={home}
identifier=tenantry
umask=077
nodaemon=true
silent=true

[inet_http_server]
port={host}:{port}
username={user}
password={password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files={home}/programs/*.conf
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSupervisor(StoppedAtEnd):
    """A running supervisor. As a context manager it and its processes are stopped at the end; their files stay."""

    directory: Path
    port: int
    pid: int
    password: str = field(repr=False)
    user: str = USER

    @property
    def url(self) -> str:
        """Where its XML-RPC API is. Holds no password."""
        return f"http://{HOST}:{self.port}"

    @property
    def programs(self) -> Path:
        """Its include folder: each `*.conf` in it is a program."""
        return _home(self.directory) / "programs"

    def stop(self) -> None:
        stop(self.directory)


def start(directory: Path, port: int = 0) -> EmbeddedSupervisor:
    """Start the folder's supervisor with the programs that it has, or find the one that runs.

    Port 0 means the folder's last one, or any free one. Raises PortTakenError, StartError, or SandboxError.
    """
    directory = Path(directory).resolve()
    home = _home(directory)
    if any(character in str(home) for character in "\n%; "):
        raise SandboxError(f"{_WHAT} cannot be in {directory}: choose a folder without blanks, %, ; or line breaks")
    with locked(home, _WHAT):
        running = attach(directory)
        if running is None:
            return _launch(directory, home, port)
    return on_port(running, port, _WHAT, directory)


def attach(directory: Path) -> EmbeddedSupervisor | None:
    """The folder's supervisor if it runs, else None. Writes nothing."""
    directory = Path(directory).resolve()
    home = _home(directory)
    pid = pid_of(home)
    if pid is None:
        return None
    try:
        password = (home / "password").read_text().strip()
    except FileNotFoundError:
        return None
    return EmbeddedSupervisor(directory=directory, port=port_of(home), pid=pid, password=password)


def stop(directory: Path) -> bool:
    """Stop the folder's supervisor and all its processes. True when it was running. Raises StopError."""
    # Asked to end, it first ends its processes; killed, they are ended by the kernel (see providers.supervisor).
    return stopped(_home(Path(directory).resolve()), _WHAT)


def remove(directory: Path) -> None:
    """Stop the folder's supervisor and delete its files, those of its programs too."""
    directory = Path(directory).resolve()
    removed(directory, _home(directory), _WHAT)


def _home(directory: Path) -> Path:
    return directory / "supervisor"


def _launch(directory: Path, home: Path, port: int) -> EmbeddedSupervisor:
    if not (home / "password").exists():
        private(home / "password", secrets.token_urlsafe(24) + "\n")
    (home / "programs").mkdir(exist_ok=True, mode=0o700)
    password = (home / "password").read_text().strip()

    def command(chosen: int) -> list[str]:
        text = _CONFIGURATION.format(home=home, host=HOST, port=chosen, user=USER, password=password)
        private(home / "supervisord.conf", text)
        return [sys.executable, "-m", "supervisor.supervisord", "-c", str(home / "supervisord.conf")]

    # Not our environment: tenants' processes would inherit it. With our Python and our modules: they run the sample.
    path = f"{Path(sys.executable).parent}:{os.defpath}"
    env = {"PATH": path, "PYTHONPATH": str(_SOURCE), "LC_ALL": "C.UTF-8", "HOME": str(home)}
    pid, chosen = launch(home, _WHAT, command, lambda at: _answers(at, password), port=port, env=env)
    return EmbeddedSupervisor(directory=directory, port=chosen, pid=pid, password=password)


def _answers(port: int, password: str) -> bool:
    # With the password: another program's answer on this port would not do.
    token = base64.b64encode(f"{USER}:{password}".encode()).decode()
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/", headers={"Authorization": f"Basic {token}"})
        return connection.getresponse().status < http.HTTPStatus.BAD_REQUEST
    return False


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done (status: running), 1 failed, 3 status: stopped."""
    return command_line("supervisor", "The supervisor", argv, start=start, attach=attach, stop=stop, remove=remove)


if __name__ == "__main__":
    raise SystemExit(main())

"""An embedded PostgreSQL: starts, finds and stops one server per folder, on loopback only.

A folder's server keeps its port and its random password (SCRAM) across restarts; the password lies in a file that only
its owner can read, and is never printed. Two callers that start the same folder get the same server. It decides nothing
about what is in the databases. By hand: `python -m sandbox.postgres start|stop|status|remove --dir D`.
"""

import argparse
import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sandbox.account import Placement, place
from sandbox.errors import DiskFullError, PortTakenError, SandboxError, StartError, StopError
from sandbox.process import command_of, free_port, is_free
from sandbox.running import StoppedAtEnd

HOST = "127.0.0.1"
USER = "postgres"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_PORT_TRIES = 5

_SETTINGS = (
    f"listen_addresses={HOST}",
    "unix_socket_directories=",
    "max_connections=200",
    "fsync=on",
    "password_encryption=scram-sha-256",
    # A failing statement may hold a password; the log must not.
    "log_min_error_statement=panic",
    "log_statement=none",
    "log_min_duration_statement=-1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPostgres(StoppedAtEnd):
    """A running server. As a context manager it is stopped at the end; its data stay."""

    directory: Path
    port: int
    pid: int
    password: str = field(repr=False)
    host: str = HOST
    user: str = USER

    def env(self) -> dict[str, str]:
        """The environment by which Tenantry finds a server. Holds the password: not for printing."""
        return {
            "DB_HOST": self.host,
            "DB_PORT": str(self.port),
            "DB_USER": self.user,
            "DB_PASSWORD": self.password,
            "DB_SSL": "disable",
        }

    def url(self, database: str = "postgres") -> str:
        """A libpq URL. Holds the password: not for printing."""
        password = quote(self.password, safe="")
        return f"postgresql://{self.user}:{password}@{self.host}:{self.port}/{quote(database, safe='')}"

    def stop(self) -> None:
        stop(self.directory)


def start(data_dir: Path, port: int = 0) -> EmbeddedPostgres:
    """Start the folder's server, or find the one that runs. Port 0 means the folder's last one, or any free one.

    Raises PortTakenError, DiskFullError, StartError, or SandboxError; each says what to do.
    """
    data_dir = Path(data_dir).resolve()
    try:
        where = place(data_dir, create=True)
        with _locked(where):
            running = _running(where, data_dir)
            if running is None:
                _clear_stale_pid(where)
                _ensure_initialised(where)
                return _launch(where, data_dir, port)
    except OSError as error:
        raise _explained(error, data_dir) from error
    if port not in {0, running.port}:
        raise PortTakenError(
            f"the embedded PostgreSQL in {data_dir} already runs on port {running.port}, not {port}: stop it first"
        )
    return running


def attach(data_dir: Path) -> EmbeddedPostgres | None:
    """The folder's server if it runs, else None. Writes nothing."""
    data_dir = Path(data_dir).resolve()
    return _running(place(data_dir, create=False), data_dir) if data_dir.exists() else None


def stop(data_dir: Path) -> bool:
    """Stop the folder's server, ending its connections. True when one was running. Raises StopError."""
    data_dir = Path(data_dir).resolve()
    if not data_dir.exists():
        return False
    where = place(data_dir, create=False)
    if not where.home.exists():
        return False
    with _locked(where):
        pid = _server_pid(where)
        if pid is None:
            _clear_stale_pid(where)
            return False
        # INT is a fast shutdown, QUIT an immediate one: the next start then recovers from the log.
        for sign, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
            if _gone(where, pid, seconds):
                _clear_stale_pid(where)
                return True
    raise StopError(
        f"the embedded PostgreSQL in {data_dir} (process {pid}) did not stop; see {where.home / 'server.log'}"
    )


def remove(data_dir: Path) -> None:
    """Stop the folder's server and delete its data for good."""
    data_dir = Path(data_dir).resolve()
    if not data_dir.exists():
        return
    stop(data_dir)
    home = place(data_dir, create=False).home
    if home.exists():
        shutil.rmtree(home)
    # Somebody's own files may lie beside the server's.
    with contextlib.suppress(OSError):
        data_dir.rmdir()


@contextlib.contextmanager
def _locked(where: Placement) -> Iterator[None]:
    with (where.home / "lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _ensure_initialised(where: Placement) -> None:
    data = where.home / "data"
    if (data / "PG_VERSION").exists():
        return
    # Made aside and renamed, so that an interrupted first start leaves nothing half made.
    partial = where.home / "data.partial"
    shutil.rmtree(partial, ignore_errors=True)
    password = where.home / "password"
    descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(secrets.token_urlsafe(24) + "\n")
    where.account.give(password)
    result = where.account.run(
        [
            *(str(where.bin / "initdb"), "-D", str(partial), "-U", USER, "--auth=scram-sha-256"),
            *(f"--pwfile={password}", "--encoding=UTF8", "--no-locale"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
        ],
        timeout=_START_SECONDS * 2,
        cwd=where.home,
    )
    if result.returncode != 0:
        raise _failure(result.stdout, where, "could not be set up")
    partial.rename(data)


def _launch(where: Placement, data_dir: Path, port: int) -> EmbeddedPostgres:
    wanted = port or _last_port(where)
    if port and not is_free(port):
        raise PortTakenError(
            f"port {port} on {HOST} is taken by another program: choose another, or none to get a free one"
        )
    for _ in range(_PORT_TRIES):
        candidate = wanted if wanted and is_free(wanted) else free_port()
        log = where.home / "server.log"
        offset = log.stat().st_size if log.exists() else 0
        options = " ".join(f"-c {setting}" for setting in (f"port={candidate}", *_SETTINGS))
        result = where.account.run(
            [
                *(str(where.bin / "pg_ctl"), "start", "-D", str(where.home / "data"), "-l", str(log), "-w", "-s"),
                *("-t", str(int(_START_SECONDS)), "-o", options),
            ],
            timeout=_START_SECONDS + 10,
            cwd=where.home,
        )
        if result.returncode == 0:
            (where.home / "port").write_text(f"{candidate}\n")
            running = _running(where, data_dir)
            if running is not None:
                return running
        said = log.read_text(errors="replace")[offset:] if log.exists() else ""
        if port or "Address already in use" not in said:
            raise _failure(said or result.stdout, where, "did not start")
    raise PortTakenError(
        f"no free port on {HOST} could be kept in {_PORT_TRIES} tries: close some programs, then retry"
    )


def _running(where: Placement, data_dir: Path) -> EmbeddedPostgres | None:
    pid = _server_pid(where)
    if pid is None:
        return None
    try:
        password = (where.home / "password").read_text().strip()
        lines = (where.home / "data" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    return EmbeddedPostgres(directory=data_dir, port=int(lines[3]), pid=pid, password=password)


def _server_pid(where: Placement) -> int | None:
    """The pid of this folder's live server. A number left by a dead one, even if reused since, is not it."""
    try:
        text = (where.home / "data" / "postmaster.pid").read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    first = text.partition("\n")[0].strip()
    if not first.isdigit():
        return None
    command = command_of(int(first))
    return int(first) if str(where.home / "data") in command and "postgres" in command else None


def _clear_stale_pid(where: Placement) -> None:
    # PostgreSQL itself cannot tell a reused number from its own predecessor, and would refuse to start.
    (where.home / "data" / "postmaster.pid").unlink(missing_ok=True)


def _gone(where: Placement, pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if str(where.home / "data") not in command_of(pid):
            return True
        time.sleep(0.02)
    return False


def _last_port(where: Placement) -> int:
    try:
        return int((where.home / "port").read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _failure(said: str, where: Placement, what: str) -> SandboxError:
    lines = [line for line in said.splitlines() if re.search(r"FATAL|PANIC|ERROR|error:|could not", line)]
    words = " | ".join((lines or said.splitlines())[-3:]) or "it said nothing"
    subject = f"the embedded PostgreSQL in {where.home} {what}"
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return DiskFullError(f"{subject}: the disk is full. Free some space, then retry")
    return StartError(f"{subject}: {words}. Its log is {where.home / 'server.log'}")


def _explained(error: OSError, data_dir: Path) -> SandboxError:
    subject = f"the embedded PostgreSQL in {data_dir}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(f"{subject} cannot write: the disk is full. Free some space, then retry")
    return StartError(f"{subject} cannot use its folder: {error}. Check its owner and permissions")


def _describe(server: EmbeddedPostgres | None, data_dir: Path) -> dict[str, object]:
    if server is None:
        return {"state": "stopped", "directory": str(data_dir)}
    details = {"host": server.host, "port": server.port, "user": server.user, "pid": server.pid}
    return {"state": "running", "directory": str(data_dir)} | details


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done (status: running), 1 failed, 3 status: stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.postgres", description="An embedded PostgreSQL on loopback."
    )
    parser.add_argument("command", choices=["start", "stop", "status", "remove"])
    parser.add_argument("--dir", type=Path, required=True, help="the folder that holds this server and its data")
    parser.add_argument("--port", type=int, default=0, help="start on this port (default: the last one, or a free one)")
    parser.add_argument("--json", action="store_true", help="say it as JSON")
    options = parser.parse_args(argv)
    try:
        if options.command == "start":
            server: EmbeddedPostgres | None = start(options.dir, options.port)
        elif options.command == "status":
            server = attach(options.dir)
        else:
            server = None
            (stop if options.command == "stop" else remove)(options.dir)
    except SandboxError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    facts = _describe(server, options.dir)
    running = f"PostgreSQL is running on {facts.get('host')}:{facts.get('port')} (process {facts.get('pid')})"
    words = running if server else "PostgreSQL is stopped"
    sys.stdout.write((json.dumps(facts) if options.json else f"{words}; its folder is {options.dir}") + "\n")
    return 3 if options.command == "status" and server is None else 0


if __name__ == "__main__":
    raise SystemExit(main())

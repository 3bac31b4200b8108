"""`tenantry dev`: everything on one machine: PostgreSQL, a region of backends, the service, a worker, and a token.

Decides which processes there are, with what environment, and that they end together. All that is kept lies in one
folder. Beside `demo` and `calibration.subject`, this is the one module of `automation` that may import `sandbox`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Self

import httpx
import psycopg

from automation.errors import TenantryError
from sandbox import postgres, region
from sandbox.errors import SandboxError
from sandbox.postgres import EmbeddedPostgres
from sandbox.region import EmbeddedRegion

SOURCE = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
PORT = 8000
MAIN_DATABASE = "tenantry"
READY_SECONDS = 90.0
COMMAND_SECONDS = 120.0
DRAIN_SECONDS = 20.0
_STOP_SECONDS = DRAIN_SECONDS + 15.0
_LAST_LINES = 12
_SERVERS = (
    "DB_",
    "PG",
    "PULUMI_BACKEND",
    "PULUMI_CONFIG",
    "RABBITMQ_",
    "PROVISIONING_",
    "TENANTRY_JWT_",
    "TENANTRY_BACKEND",
)


class DevError(TenantryError):
    """A part did not start, or ended by itself."""


class Dev:
    """The servers of one folder. As a context manager, its service and worker are stopped at the end."""

    def __init__(
        self, folder: Path, project: Path, *, clean: bool = False, more: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`project` has Pulumi.yaml and stacks/. `clean`: nothing of the caller's TENANTRY_ variables counts.

        `more` is set for all that is started here.
        """
        self.folder = folder.absolute()
        self.project = project.absolute()
        self.server_folder = self.folder / "postgres"
        self.region_folder = self.folder / "region"
        self.url = ""
        self.hurried = False
        """Whether `stop` is to wait for nothing; may be set while it waits."""
        self._more = dict(more)
        self._dropped = (*_SERVERS, *(("TENANTRY_", "PULUMI_") if clean else ()))
        self._server: EmbeddedPostgres | None = None
        self._region: EmbeddedRegion | None = None
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock: IO[str] | None = None
        self._tokens: dict[tuple[str, float], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def server(self) -> EmbeddedPostgres:
        """The PostgreSQL, once it runs."""
        if self._server is None:
            raise DevError("the embedded PostgreSQL has not been started")
        return self._server

    @property
    def region(self) -> EmbeddedRegion:
        """The servers that departments are built on, once they run."""
        if self._region is None:
            raise DevError("the region's servers have not been started")
        return self._region

    @property
    def env_file(self) -> Path:
        """A file for a shell to read, so that `tenantry` there means these servers."""
        return self.folder / "env"

    def prepare(self, *, lasting: bool = False) -> None:
        """Starts PostgreSQL with its tables, and writes what is kept: passphrase, key of tokens, environment.

        A `lasting` PostgreSQL is one that `stop` leaves running, also that of a later `tenantry dev` on this folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take()
        try:
            found = postgres.attach(self.server_folder)
            self._server = postgres.start(self.server_folder)
        except SandboxError as error:
            raise _unstarted(error) from error
        if lasting:
            self._ours.unlink(missing_ok=True)
        elif found is None:
            # A file, so that the next `tenantry dev` knows it for its own when this one is killed. At once: what comes
            # next may fail.
            self._ours.touch()
        self._start_region()
        for name in ("passphrase", "jwt-key"):
            if not (self.folder / name).exists():
                write_private(self.folder / name, f"{secrets.token_hex(32)}\n")
        lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(self.settings().items())]
        path = shlex.quote(str(Path(sys.prefix) / "bin"))
        write_private(self.env_file, "\n".join([*lines, f"export PATH={path}:$PATH", ""]))
        self.command("db", "upgrade")

    def settings(self) -> dict[str, str]:
        """What a `tenantry` command needs to work on these servers. Holds the password: not for printing."""
        return {
            **self.server.env(),
            **self.region.environment,
            "DB_NAME": MAIN_DATABASE,
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.folder / "passphrase"),
            "TENANTRY_DEV_DIR": str(self.folder),
            "TENANTRY_JWT_SECRET_FILE": str(self.folder / "jwt-key"),
            "TENANTRY_PROJECT_DIR": str(self.project),
        }

    def environment(self) -> dict[str, str]:
        """The environment of every process started here."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(self._dropped)}
        paths = [str(SOURCE), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        return {
            "TENANTRY_PROVISIONINGS_PER_HOUR": "0",
            "TENANTRY_DRAIN_SECONDS": f"{DRAIN_SECONDS:g}",
            **kept,
            **self._more,
            **self.settings(),
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        }

    def command(self, *words: str) -> str:
        """What a `tenantry` command prints. Raises DevError when it fails."""
        command = [sys.executable, "-m", "automation", *words]
        try:
            # In a session of its own, as all that is started here: Ctrl-C is for this process.
            done = subprocess.run(
                command,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=COMMAND_SECONDS,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise DevError(f"`tenantry {words[0]}` took more than {COMMAND_SECONDS:g} s") from None
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()[-3:]
            raise DevError(f"`tenantry {words[0]}` ended with {done.returncode}: {' '.join(said)}")
        return done.stdout.strip()

    def start(self, *, port: int = 0, concurrency: int = 2, given_up: Callable[[], bool] = lambda: False) -> None:
        """Starts service and worker, and waits until both are ready. Port 0: any free one. Raises DevError.

        With a `concurrency` of 0 there is no worker: what is asked for waits. Returns early where `given_up` says so.
        """
        port = port or free_port()
        self.url = f"http://{HOST}:{port}"
        # Only now is it known whom the gateway is to ask.
        self._start_region(self.url)
        self._spawn("service", ["serve", "--host", HOST, "--port", str(port)])
        if concurrency:
            self._spawn("worker", ["worker", "--concurrency", str(concurrency)])
        self._until_ready(given_up)

    def token(self, subject: str = "dev", *, hours: float = 12) -> str:
        """A token of an administrator of the platform. Good for these servers only."""
        # Kept: each is made by a process of its own.
        if (subject, hours) not in self._tokens:
            self._tokens[subject, hours] = self.command("token", subject, "--role", "admin", "--hours", f"{hours:g}")
        return self._tokens[subject, hours]

    def ended(self) -> str | None:
        """Says which part has ended by itself, with its last words; None while all run."""
        for name, child in self._children.items():
            if (code := child.poll()) is not None:
                return f"the {name} ended with {code}; the end of {self.log(name)}:\n{self._last_words(name)}"
        return None

    def log(self, name: str) -> Path:
        """The file with what a part says."""
        return self.folder / f"{name}.log"

    @property
    def running(self) -> bool:
        """Whether anything has been started here."""
        return self._server is not None

    def stop(self, *, server: bool = False) -> bool:
        """Stops worker and service: in order, or at once where `hurried` says so or it takes too long.

        With `server` PostgreSQL and the region too, unless it ran before or is to last. Returns whether it was stopped;
        what is in it stays. Where another process holds the folder, nothing is stopped: all of it is that one's. Raises
        DevError where one of them does not end.
        """
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        until = time.monotonic() + _STOP_SECONDS
        for child in self._children.values():
            while child.poll() is None and time.monotonic() < until and not self.hurried:
                time.sleep(0.05)
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        self._children.clear()
        if self._lock is None:
            return False
        try:
            # Before the folder is let go: whoever takes it next must not lose its server.
            return server and self._ours.exists() and self._stop_servers()
        finally:
            self._lock.close()
            self._lock = None

    def remove(self) -> None:
        """Removes the server and the folder, with all that is in them."""
        self.stop()
        if self.folder.exists():
            self._take()
        region.remove(self.region_folder)
        postgres.remove(self.server_folder)
        shutil.rmtree(self.folder)
        self.stop()

    @property
    def _ours(self) -> Path:
        return self.folder / "stops-its-postgres"

    def _start_region(self, auth_url: str | None = None) -> None:
        try:
            self._region = region.start(self.region_folder, self.server, auth_url=auth_url)
        except (SandboxError, psycopg.Error) as error:
            raise _unstarted(error) from error

    def _stop_servers(self) -> bool:
        try:
            try:
                region.stop(self.region_folder)
            finally:
                stopped = postgres.stop(self.server_folder)
        except SandboxError as error:
            raise DevError(str(error), hint="correct that; the next start and end of it here stops it, too") from error
        self._ours.unlink()
        return stopped

    def _take(self) -> None:
        """Holds the folder as long as this process lives: two services on one folder would only confuse."""
        if self._lock is not None:
            return
        lock = (self.folder / "lock").open("w", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise DevError(
                f"another `tenantry dev` or demo uses {self.folder}", hint="stop it first, or name another --dir"
            ) from None
        self._lock = lock

    def _spawn(self, name: str, words: Sequence[str]) -> None:
        command = [sys.executable, "-m", "automation.dev_child", str(os.getpid()), *words]
        with self.log(name).open("wb") as log:
            # In a session of its own: Ctrl-C is for this process, which stops the others in order.
            self._children[name] = subprocess.Popen(
                command,
                cwd=self.project,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _until_ready(self, given_up: Callable[[], bool]) -> None:
        # What a caller needs: an answer out of the database, to a token of ours.
        headers = {"Authorization": f"Bearer {self.token()}"}
        until = time.monotonic() + READY_SECONDS
        reason = "it does not answer"
        while time.monotonic() < until:
            if given_up():
                return
            if (ended := self.ended()) is not None:
                raise DevError(ended, hint="correct what the log says, then start again")
            try:
                answer = httpx.get(f"{self.url}/api/v1/tenants?size=1", headers=headers, timeout=5, trust_env=False)
                if answer.status_code != httpx.codes.OK:
                    reason = f"it answers {answer.status_code}: {answer.text[:300]}"
                elif self._has_worker():
                    return
                else:
                    reason = "the worker has not come up"
            except (httpx.HTTPError, psycopg.Error) as error:
                reason = f"{type(error).__name__}: {error}"
            time.sleep(0.2)
        raise DevError(
            f"the service was not ready within {READY_SECONDS:g} s: {reason}; the end of {self.log('worker')}:\n"
            f"{self._last_words('worker')}",
            hint=f"see {self.log('service')}",
        )

    def _has_worker(self) -> bool:
        if "worker" not in self._children:
            return True
        with psycopg.connect(self.server.url(MAIN_DATABASE), connect_timeout=10) as connection:
            statement = "SELECT 1 FROM workers WHERE started_at > now() - interval '1 hour' AND pid = %s"
            return connection.execute(statement, (self._children["worker"].pid,)).fetchone() is not None

    def _last_words(self, name: str) -> str:
        with contextlib.suppress(OSError):
            text = self.log(name).read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-_LAST_LINES:])
        return ""


def _unstarted(error: Exception) -> DevError:
    return DevError(str(error), hint="correct that, then start again")


def free_port(wanted: int = 0) -> int:
    """`wanted` if it is free, else one that is. Raises DevError where `wanted` is forbidden."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if isinstance(error, PermissionError):
                    raise DevError(f"port {port} is not for everybody", hint="take one above 1023") from None
                continue
            return int(probe.getsockname()[1])
    raise DevError(f"there is no free port on {HOST}", hint="close something")


def write_private(path: Path, text: str) -> None:
    """A file that only its owner can read, from the first moment on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def wants_browser(given: bool | None, environment: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether to open a browser: as told, else where somebody sits at a screen."""
    if given is not None:
        return given
    screen = sys.platform == "darwin" or bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
    return terminal and screen

"""The servers of a calibration: one embedded PostgreSQL, and the sample application anew for each point.

Decides how they are started, what is read of them, and that nothing of them is left. Beside `dev` and `demo`, this is
the one module of `automation` that may import `sandbox`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psycopg
from psycopg import sql

from automation.calibration import driver, load, measure
from automation.calibration.errors import CalibrationError
from automation.calibration.measure import GB, Sample
from sandbox import postgres, process
from sandbox.errors import SandboxError

HOST = "127.0.0.1"
START_SECONDS = 120.0
STOP_SECONDS = 20.0
CONNECTIONS = 180
"""What the embedded server lets one application have; it keeps some of its 200 for us."""
_SOURCE = Path(__file__).resolve().parents[2]
_LAST_CHARACTERS = 500
_KEPT = frozenset({"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR"})
"""Of our environment; the rest is none of an application's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """An application that answers, and its database."""

    pid: int
    port: int
    database: str


class Subject:
    """What is measured. As a context manager: PostgreSQL runs in between, in a folder that is gone afterwards."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._server: postgres.EmbeddedPostgres | None = None

    def __enter__(self) -> Self:
        """Raises CalibrationError where PostgreSQL does not start."""
        folder = Path(tempfile.mkdtemp(prefix="tenantry-calibration-"))
        folder.chmod(0o711)
        self._folder = folder
        try:
            self._server = postgres.start(folder / "postgres")
        except BaseException as error:
            self._remove()
            if isinstance(error, SandboxError):
                raise CalibrationError(str(error), hint="correct that, then calibrate again") from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def measured(self, customers: int, features: Sequence[str], seconds: float) -> Sample:
        """What the application uses while its customers' load is sent. Raises CalibrationError."""
        requests = load.schedule(customers, features, seconds)
        with self._application(customers, features) as running, driver.Visitors(running.port, requests) as visitors:
            peak = self._connections(running)

            def watch() -> None:
                nonlocal peak
                peak = max(peak, self._connections(running))

            try:
                before = measure.cpu_seconds(running.pid)
                visitors.send(seconds, watch)
                used = measure.cpu_seconds(running.pid) - before
                memory = measure.peak_gb(running.pid)
            except OSError as gone:
                raise CalibrationError(f"the application ended in the midst of its load: {gone}") from gone
            watch()
            return Sample(
                cpu_cores=used / seconds, memory_gb=memory, storage_gb=self._stored(running), connections=peak
            )

    @contextlib.contextmanager
    def _application(self, customers: int, features: Sequence[str]) -> Iterator[_Running]:
        name = f"isp_{secrets.token_hex(6)}"
        url = self._make_database(name)
        port = process.free_port()
        log = self._home / f"{name}.log"
        environment = {
            **{key: value for key, value in os.environ.items() if key in _KEPT},
            "PYTHONPATH": str(_SOURCE),
            "HOST": HOST,
            "PORT": str(port),
            "TENANT": "Calibration",
            "DATABASE_URL": url,
            "ISP_CUSTOMERS": str(customers),
            "ISP_FEATURES": ",".join(features),
            "ISP_CONNECTIONS": str(CONNECTIONS),
        }
        child: subprocess.Popen[bytes] | None = None
        try:
            with process.unbroken():
                child = _spawn(environment, log)
            _await_answer(child, port, log)
            yield _Running(pid=child.pid, port=port, database=name)
        finally:
            if child is not None:
                _end(child)
            self._drop_database(name)

    def _make_database(self, name: str) -> str:
        """A database with an owner of its own; the owner's URL."""
        password = secrets.token_urlsafe(24)
        role = sql.Identifier(name)
        with self._connected() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT {}").format(
                    role, sql.Literal(password), sql.Literal(CONNECTIONS)
                )
            )
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        server = self._running_server
        return f"postgresql://{name}:{password}@{server.host}:{server.port}/{name}?sslmode=disable"

    def _drop_database(self, name: str) -> None:
        with self._connected() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))

    def _connections(self, running: _Running) -> int:
        statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
        return int(self._value(statement, running.database))

    def _stored(self, running: _Running) -> float:
        return int(self._value("SELECT pg_database_size(%s::name)", running.database)) / GB

    def _value(self, statement: str, name: str) -> int:
        with self._connected() as connection:
            row = connection.execute(statement, (name,)).fetchone()
        return int(row[0]) if row else 0

    @contextlib.contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[tuple[int, ...]]]:
        try:
            with psycopg.connect(self._running_server.url(), autocommit=True, connect_timeout=10) as connection:
                yield connection
        except psycopg.Error as error:
            raise CalibrationError(f"the embedded PostgreSQL refuses: {type(error).__name__}: {error}") from error

    @property
    def _running_server(self) -> postgres.EmbeddedPostgres:
        if self._server is None:
            raise CalibrationError("the embedded PostgreSQL has not been started")
        return self._server

    @property
    def _home(self) -> Path:
        if self._folder is None:
            raise CalibrationError("the calibration's folder has not been made")
        return self._folder

    def _remove(self) -> None:
        if self._folder is not None:
            postgres.remove(self._folder / "postgres")
            shutil.rmtree(self._folder)
        self._folder = self._server = None


def _spawn(environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox.sample_app"],
            env=dict(environment),
            cwd=_SOURCE,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for this process, which ends the other in order.
            start_new_session=True,
        )


def _await_answer(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if child.poll() is not None:
            words = log.read_text(errors="replace")[-_LAST_CHARACTERS:].strip()
            raise CalibrationError(f"the sample application ended with {child.returncode}: {words}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://{HOST}:{port}/health", timeout=5, trust_env=False).status_code == httpx.codes.OK:
                return
        time.sleep(0.1)
    raise CalibrationError(f"the sample application did not answer within {START_SECONDS:g} s")


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()

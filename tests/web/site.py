"""The service and a worker as processes on a main database of their own, for tests that use the page as people do."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from sandbox.postgres import EmbeddedPostgres
from tests.service.helpers import SECRET, token

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 30


class Site:
    """One project, one main database; the service listens on a free port of loopback. End it with `close`."""

    def __init__(self, folder: Path, server: EmbeddedPostgres) -> None:
        self.folder = folder
        self._server = server
        self._database = f"tenantry_{uuid.uuid4().hex[:12]}"
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        with psycopg.connect(server.url(), autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._database)))
        shutil.copy(ROOT / "Pulumi.yaml", folder / "Pulumi.yaml")
        (folder / "stacks").mkdir()
        self.url = ""

    @property
    def database_url(self) -> str:
        return self._server.url(self._database)

    def environment(self) -> dict[str, str]:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("TENANTRY_", "RABBITMQ_", "DB_", "PULUMI_", "PG")) or key == "PULUMI_HOME"
        }
        return {
            **kept,
            **self._server.env(),
            "DB_NAME": self._database,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
            "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            "TENANTRY_ENGINE": "embedded",
            "TENANTRY_JWT_SECRET": SECRET,
            "TENANTRY_PROVISIONINGS_PER_HOUR": "0",
            "TENANTRY_REQUESTS_PER_MINUTE": "0",
            "TENANTRY_RETRY_DELAYS": "[0.1]",
            "TENANTRY_LEASE_SECONDS": "10",
        }

    def serve(self) -> None:
        """Starts the service, and waits until it answers."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(64)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            fd = listener.fileno()
            os.set_inheritable(fd, True)
            arguments = [
                "-m",
                "uvicorn",
                "--factory",
                "service.app:create_app",
                "--fd",
                str(fd),
                "--log-level",
                "warning",
            ]
            self._start("service", arguments, pass_fds=(fd,))
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                if httpx.get(f"{self.url}/sign-in", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > until or self._processes[-1][1].poll() is not None:
                raise AssertionError(f"the service does not answer:\n{self.log('service')}")
            time.sleep(0.1)

    def work(self) -> None:
        """Starts a worker."""
        command = "from automation.cli import main; main()"
        self._start("worker", ["-c", command, "worker", "--concurrency", "2"])

    def log(self, name: str) -> str:
        """The last of what a process has said."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-4000:]

    def token(self, subject: str = "root", *, roles: tuple[str, ...] = ("admin",), **tenants: str) -> str:
        return token(subject, roles=roles, tenants=tenants)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the API by the platform's admin; its JSON."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        answer = httpx.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=30)
        assert answer.status_code < 300, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def wait(self, job: str, seconds: float = 90) -> dict[str, Any]:
        """The job, once it has ended."""
        until = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = self.api("GET", f"/jobs/{job}")
            if found["status"] not in {"pending", "running"}:
                return found
            assert time.monotonic() < until, (found, self.log("worker"))
            time.sleep(0.2)

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """SQL on the main database."""
        with psycopg.connect(self.database_url, autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        for name, process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"the {name} does not end:\n{self.log(name)}") from None
        with psycopg.connect(self._server.url(), autocommit=True, connect_timeout=10) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self._database))
            )

    def _start(self, name: str, arguments: list[str], **options: Any) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )
        self._processes.append((name, process))

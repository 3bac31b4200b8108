"""Runs one operation for many tenants at once, each in a process of its own.

The SDK's dynamic providers do not survive hundreds of runs in one process, and a process is cancelled by one signal.
Decides how many run at a time and collects their JSON lines. It knows nothing of what they do.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

_KEPT_STDERR = 4000
_KILL_AFTER = 30.0
"""Seconds that an interrupted process has to end in order."""
_FINAL = frozenset({"result", "preview", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetResult:
    """What became of one tenant: its exit code and its result or error document."""

    tenant: str
    exit_code: int
    document: dict[str, Any]
    duration_ms: int

    @property
    def message(self) -> str:
        """The error's message, '' when all went well."""
        error = self.document.get("error") or {}
        return str(error.get("message", ""))

    @property
    def status(self) -> str:
        """The run's status, or the kind of the error that kept it from starting."""
        error = self.document.get("error") or {}
        return str(self.document.get("status") or error.get("kind") or ("done" if self.exit_code == 0 else "failed"))


class Fleet:
    """Worker processes for many tenants. `cancel` stops those that run and starts no more."""

    def __init__(
        self,
        words: Callable[[str], Sequence[str]],
        *,
        workers: int,
        on_line: Callable[[str, dict[str, Any]], None],
        limit: float | None = None,
    ) -> None:
        """`words` makes the command line for a tenant, after the interpreter; it must print JSON lines.

        A process that takes longer than `limit` seconds is interrupted, and killed when that does not end it.
        """
        self._words = words
        self._workers = workers
        self._on_line = on_line
        self._limit = limit
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._cancelled = False

    def run(self, tenants: Sequence[str]) -> list[FleetResult]:
        """Runs all of them; results are in the order of `tenants`."""
        with ThreadPoolExecutor(max_workers=self._workers) as pool:
            return list(pool.map(self._one, tenants))

    def cancel(self) -> None:
        """Sends each worker a SIGINT. A second call sends another, which makes them stop at once."""
        with self._lock:
            self._cancelled = True
            for process in self._processes:
                process.send_signal(signal.SIGINT)

    def _one(self, tenant: str) -> FleetResult:
        began = time.monotonic()
        with self._lock:
            if self._cancelled:
                error = {"kind": "cancelled", "message": "not started: the command was cancelled", "exit_code": 130}
                return FleetResult(tenant=tenant, exit_code=130, document={"error": error}, duration_ms=0)
            process = subprocess.Popen(
                [sys.executable, *self._words(tenant)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                start_new_session=True,
            )
            self._processes.add(process)
        try:
            with self._limited(process):
                document, complaint = self._follow(tenant, process)
        finally:
            code = process.wait()
            with self._lock:
                self._processes.discard(process)
        if document is None:
            message = complaint.strip().splitlines()[-1] if complaint.strip() else f"its process ended with {code}"
            document = {"error": {"kind": "error", "message": message, "exit_code": code}}
        elapsed = round((time.monotonic() - began) * 1000)
        return FleetResult(tenant=tenant, exit_code=code if code >= 0 else 1, document=document, duration_ms=elapsed)

    @contextlib.contextmanager
    def _limited(self, process: subprocess.Popen[str]) -> Iterator[None]:
        if self._limit is None:
            yield
            return
        timers = [
            threading.Timer(self._limit, process.send_signal, (signal.SIGINT,)),
            threading.Timer(self._limit + _KILL_AFTER, process.kill),
        ]
        for timer in timers:
            timer.daemon = True
            timer.start()
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()

    def _follow(self, tenant: str, process: subprocess.Popen[str]) -> tuple[dict[str, Any] | None, str]:
        complaints: list[str] = []
        stdout, stderr = process.stdout, process.stderr
        if stdout is None or stderr is None:
            raise RuntimeError("a worker without pipes")
        drain = threading.Thread(target=lambda: complaints.append(stderr.read()[-_KEPT_STDERR:]), daemon=True)
        drain.start()
        final: dict[str, Any] | None = None
        with stdout, stderr:
            for line in stdout:
                try:
                    content = json.loads(line)
                except ValueError:
                    complaints.append(line)
                    continue
                if content.get("type") in _FINAL:
                    final = content
                self._on_line(tenant, content)
            drain.join()
        return final, "".join(complaints)

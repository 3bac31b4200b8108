"""Starts `tenantry serve` as a user does, finds its address in its log, and ends it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.auth.helpers import KEY

SECONDS = 180.0


class Served:
    """A running `tenantry serve`."""

    def __init__(self, words: tuple[str, ...], more: dict[str, str]) -> None:
        environment = {
            **os.environ,
            "TENANTRY_JWT_SECRET": KEY,
            "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
            "TENANTRY_LOG_FORMAT": "json",
            **more,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "automation", "serve", "--port", "0", *words],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, event: str, times: int = 1) -> dict[str, Any]:
        """The log line with this event, after it has come so often."""
        until = time.monotonic() + SECONDS
        while True:
            line = self._lines.get(timeout=max(0.1, until - time.monotonic()))
            if line is None:
                raise AssertionError("it ended:\n" + "\n".join(self.log))
            if not line.startswith("{"):
                continue
            found: dict[str, Any] = json.loads(line)
            if event in found["event"]:
                times -= 1
                if not times:
                    return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self._reader.join(SECONDS)
            if self.process.stderr is not None:
                self.process.stderr.close()


@contextmanager
def served(*words: str, **more: str) -> Iterator[tuple[Served, str]]:
    """A service that is ready, and its URL."""
    made = Served(words, more)
    try:
        url = made.wait_for("listening")["url"]
        made.wait_for("Application startup complete")
        yield made, url
    finally:
        made.stop()

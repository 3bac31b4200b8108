"""The service in a process of its own, as it is served: uvicorn on a free port of the loopback interface."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from tests.automation.helpers import ROOT

KEPT = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
# Far more than is needed on a machine of its own: tests share theirs.
START_SECONDS = 180.0
STOP_SECONDS = 60.0


@contextlib.contextmanager
def served(environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """The URL of a service with this environment beside PATH; what it says is in `folder`/service.log."""
    with socket.socket() as listening, (folder / "service.log").open("wb") as log:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        command = ["uvicorn", "service.app:create_app", "--factory", "--fd", str(listening.fileno()), "--no-access-log"]
        known = {name: os.environ[name] for name in KEPT if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**known, "PYTHONPATH": str(ROOT), **environment},
            pass_fds=[listening.fileno()],
            stdout=log,
            stderr=log,
        )
        try:
            _wait(url, process, folder / "service.log")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, f"the service ended: {log.read_text()[-4000:]}"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", timeout=30).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the service does not answer: {log.read_text()[-4000:]}")

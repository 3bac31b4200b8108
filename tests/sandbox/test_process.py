"""When a server of the sandbox has ended: not before its port is free."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.process import _gone, end, is_free, launch, locked, pid_of

# Its first thread ends at once, and another goes on listening: so a server looks for a moment when it is told to end.
HALF_ENDED = """
import ctypes, socket, threading, time
listening = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=time.sleep, args=(60,)).start()
print(listening.getsockname()[1], flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_with_threads_left_has_not_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HALF_ENDED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        while (Path("/proc") / str(process.pid) / "cmdline").read_bytes():  # the test has a time limit
            time.sleep(0.01)
        try:
            assert not _gone(tmp_path, process.pid, 0.2)
            assert not is_free(port)
        finally:
            process.kill()
        assert _gone(tmp_path, process.pid, 5)
        assert is_free(port)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_server_whose_start_is_cut_off_by_a_signal_is_noted_for_whoever_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: signal.Signals
) -> None:
    real, started = subprocess.Popen, []

    def signalled(*words: Any, **options: Any) -> Any:
        started.append(real(*words, **options))
        signal.raise_signal(sign)
        return started[-1]

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]

    monkeypatch.setattr(subprocess, "Popen", signalled)
    with interrupting(sign), pytest.raises(KeyboardInterrupt), locked(tmp_path, "the server"):
        launch(tmp_path, "the server", command, _answers)
    try:
        assert pid_of(tmp_path) == started[0].pid
        assert end(tmp_path, "the server")
    finally:
        started[0].kill()
        started[0].wait()


@contextlib.contextmanager
def interrupting(sign: signal.Signals) -> Iterator[None]:
    before = signal.signal(sign, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(sign, before)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("HEAD", "/")
        return connection.getresponse().status == http.client.OK
    return False

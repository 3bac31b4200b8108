"""When a server of the sandbox has ended: not before its port is free."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.process import _gone, end, is_free, launch, locked, pid_of
from tests.signals import signalled_at_each_start

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
    tmp_path: Path, sign: signal.Signals
) -> None:
    def command(_port: int) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(60)", str(tmp_path)]

    with signalled_at_each_start(sign) as started, pytest.raises(KeyboardInterrupt), locked(tmp_path, "the server"):
        launch(tmp_path, "the server", command, lambda _port: False)
    try:
        assert pid_of(tmp_path) == started[0].pid
        assert end(tmp_path, "the server")
    finally:
        started[0].kill()
        started[0].wait()

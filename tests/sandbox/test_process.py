"""When a server of the sandbox has ended: not before its port is free."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from sandbox.process import _gone, is_free

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

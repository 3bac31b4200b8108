"""What supervisor starts for a tenant: reads the process's document and becomes its command.

So no secret is in a program file or in an argument, and the command sees none of supervisor's own variables but those
that say where programs and texts are. Runs alone, by its file: it imports nothing of ours.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path

INHERITED = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
_PR_SET_PDEATHSIG = 1
_MEGABYTE = 1024 * 1024


def main(argv: list[str]) -> int:
    document = json.loads(Path(argv[1]).read_text(encoding="utf-8"))
    _end_with_the_supervisor()
    _limit(int(document["memory_mb"]))
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | document["environment"]
    environment |= {"HOST": document["host"], "PORT": str(document["port"])}
    command = document["command"]
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - what the tenant is to run
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}\n")
    return 127


def _end_with_the_supervisor() -> None:
    # A supervisor that was killed would leave its processes behind, on the ports that its successor gives them again.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _limit(memory_mb: int) -> None:
    # What it allocates, not what it maps: libraries and files are mapped by the gigabyte and cost nothing.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * _MEGABYTE, memory_mb * _MEGABYTE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))

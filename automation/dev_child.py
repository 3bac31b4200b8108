"""`python -m automation.dev_child PARENT WORD...`: `tenantry WORD...` that is told to stop when its parent has gone.

A `tenantry dev` that was killed cannot stop anything any more; on Linux the kernel does it then. Decides nothing else.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> None:
    """Becomes the command. Never returns."""
    parent, words = int(arguments[0]), list(arguments[1:])
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(f"dev_child: {parent}, which started this, has gone already")
    os.execv(sys.executable, [sys.executable, "-m", "automation", *words])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])

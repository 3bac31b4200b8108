"""`python -m engine`: the command line in a process of its own. Ctrl-C asks to stop; twice stops at once.

At a question, the first one ends the command.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from engine.cli import console_streams, main
from engine.operation import CancelToken


def run() -> int:
    """The exit code of the process's own command line."""
    token = CancelToken()

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        if token.asking:
            raise KeyboardInterrupt
        if token.terminated.is_set():
            os._exit(1)
        token.signal()

    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    environment = dict(os.environ)
    # A program that ends takes its callback service with it; gRPC would say so among what users read.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    streams = console_streams(environment)
    try:
        return main(sys.argv[1:], cwd=Path.cwd(), environment=environment, streams=streams, cancel=token)
    except KeyboardInterrupt:
        streams.stderr.write("\nerror: there was no answer: nothing more was done\n")
        return 1


if __name__ == "__main__":
    sys.exit(run())

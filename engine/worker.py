"""The process of one operation: what runs in it. `process` starts it and speaks to it; it decides nothing itself.

Its command is on its command line, or, where it was started before anybody knew it, a line of JSON on its standard
input. It ends when that input does: an operation does not outlive who asked for it, as it would not in one process.
What the killed step leaves behind is in the state, as after any other kill.
"""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

#: Cycles are few and short-lived in an operation: looking for them at the usual rate is a third of its time.
_GARBAGE_THRESHOLD: Final = 100_000
ORPHANED: Final = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One command: its words, its folder, its environment."""

    words: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]


def run() -> int:
    """The exit code of the command that this process was started for."""
    gc.set_threshold(_GARBAGE_THRESHOLD, 50, 100)
    words, environment = sys.argv[1:], dict(os.environ)
    # A program that ends takes its callback service with it; gRPC would say so on the command's own stderr.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    order = Order(words=words, cwd=Path.cwd(), environment=environment) if words else _await_order()
    threading.Thread(target=_end_with_input, name="parent", daemon=True).start()
    return _obey(order)


def _obey(order: Order) -> int:
    from engine.cli import main
    from engine.operation import CancelToken
    from engine.streams import Streams

    token = CancelToken()

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        token.signal()

    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    # Blocked since before this process began, so that no signal comes too early to be understood.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    streams = Streams(stdin=io.StringIO(), stdout=sys.stdout, stderr=sys.stderr)
    return main(order.words, cwd=order.cwd, environment=order.environment, streams=streams, cancel=token)


def _await_order() -> Order:
    """Gets ready, then waits for the command. Ends the process where none comes."""
    body = _line()
    from engine import standby

    standby.start(body["packages"], project=body["project"], cwd=Path(body["cwd"]), environment=body["environment"])
    import engine.cli_operations
    import engine.deployment  # noqa: F401 - loaded while there is time

    body = _line()
    return Order(words=body["words"], cwd=Path(body["cwd"]), environment=body["environment"])


def _line() -> dict[str, Any]:
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        # Nobody wanted it after all.
        raise SystemExit(0)
    body: dict[str, Any] = json.loads(line)
    return body


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(ORPHANED)

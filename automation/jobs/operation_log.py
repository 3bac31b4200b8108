"""What the operation's own process writes into its worker's log: its lines, and each call of a provider.

Decides which lines there are. It never decides what a run is, and writes no rows: what users read is in `history`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from automation.steps import UNCHANGING_OPS, Done, Failed, RunEvent, RunState, Started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation.tracking import LogLine

LOG_VARIABLE = "TENANTRY_LOG_FD"
"""Names the descriptor that the worker passed on: its own log. Standard error is for whatever else prints."""


class OperationLog:
    """Watches a run: an observer of its lines, and `heard` of its events. May be told from any thread."""

    def __init__(self, log: Any, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._began: dict[str, float] = {}

    def changed(self, state: RunState) -> None:
        """Steps are told as lines, too."""

    def said(self, line: LogLine) -> None:
        """A line of the run's log."""
        say = {"warning": self._log.warning, "error": self._log.error}.get(line.level, self._log.info)
        say(line.message, **({"step": line.step} if line.step else {}))

    def heard(self, event: RunEvent) -> None:
        """An event of the engine: an operation on a custom resource is a call of its provider."""
        if isinstance(event, Started) and event.custom:
            self._began[event.urn] = self._clock()
        elif isinstance(event, Done | Failed) and (began := self._began.pop(event.urn, None)) is not None:
            kind, _, name = event.urn.rpartition("::")
            about = {
                "op": event.op,
                "type": kind.rpartition("::")[2].rpartition("$")[2],
                "name": name,
                "duration_ms": round((self._clock() - began) * 1000),
            }
            if isinstance(event, Failed):
                self._log.error("provider call failed", **about)
            elif event.op in UNCHANGING_OPS:
                self._log.debug("provider call", **about)
            else:
                self._log.info("provider call", **about)


def begin(*, operation: str, engine: str, **about: Any) -> OperationLog | None:
    """Opens the log that the worker passed on, and says what begins; None where there is none. Every line has `about`.

    Raises InputError for settings of the log that are wrong.
    """
    number = os.environ.pop(LOG_VARIABLE, "")
    if not number.isdigit():
        return None
    # The engine and its plugins are not to hold the worker's log open: they may outlive it.
    os.set_inheritable(int(number), False)
    stream = os.fdopen(int(number), "w", encoding="utf-8", buffering=1)
    import time

    with _without_rich():
        import structlog

        from automation.logs import configure_logging
    configure_logging("operation", stream=stream)
    # Bound to the logger and not to the context, which the engine's threads do not share.
    log = structlog.get_logger("tenantry.operation").bind(**about)
    log.info("operation began", operation=operation, engine=engine)
    return OperationLog(log, time.monotonic)


@contextmanager
def _without_rich() -> Iterator[None]:
    """structlog would load rich, for coloured traces that nobody sees here: a tenth of a second of each operation."""
    missing = object()
    before = sys.modules.get("rich", missing)
    if before is missing:
        sys.modules["rich"] = None  # type: ignore[assignment] # how Python says: not to be had
    try:
        yield
    finally:
        if before is missing:
            del sys.modules["rich"]

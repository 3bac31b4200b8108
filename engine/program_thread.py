"""The thread that a program runs in: it is started once, waited for with a limit, and says how the program ended.

It decides nothing about what the end means to the operation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.errors import EngineError, ProgramError
from engine.operation import Program, RunInfo
from engine.source import ProgramEnded

STOP_SECONDS = 30.0


class ProgramThread:
    """One run of a program. `ended` is called with its end, from its thread."""

    def __init__(self, program: Program, info: RunInfo, ended: Callable[[ProgramEnded], None]) -> None:
        self._program = program
        self._info = info
        self._ended = ended
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="program", daemon=True)
        self.error: EngineError | None = None

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self._program.run(self._info)
        except EngineError as failure:
            self.error = failure
        except Exception as failure:  # noqa: BLE001 - a program may raise anything, and the update must end all the same
            self.error = ProgramError(f"the program could not be run: {failure!r}", shown=False)
        self._ended(ProgramEnded(error=self.error))
        self._done.set()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def join(self) -> None:
        """Waits for its end, and brings it about where it does not come."""
        if not self._done.wait(STOP_SECONDS):
            self.stop()

    def stop(self) -> None:
        """Ends it."""
        self._program.cancel()
        self._done.wait(STOP_SECONDS)

"""How fast the machine is while something is measured.

The same work takes more CPU time on a virtual machine whose neighbours are busy, or whose other thread of the same core
is; by a fifth, and for minutes. So a fixed piece of work is done again and again beside each load, at the load's own
rhythm of short work and sleep, and what it takes says how slow the machine was meanwhile.
"""

from __future__ import annotations

import json
import threading
import time
from statistics import median
from types import TracebackType
from typing import Self

_PAUSE_SECONDS = 0.05
_ITEMS = 300


def piece() -> float:
    """The CPU seconds of a fixed piece of work, such as the sample application does; about half a millisecond."""
    before = time.thread_time()
    made = {str(number): [number] * 8 for number in range(_ITEMS)}
    json.loads(json.dumps(made))
    return time.thread_time() - before


class Yardstick:
    """As a context manager: does the piece in a thread of its own meanwhile, a hundredth of the time."""

    def __init__(self) -> None:
        self._taken: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="yardstick", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def piece_seconds(self) -> float:
        """What a piece took, in CPU seconds: the median, since one that was interrupted says nothing of the rest."""
        return median(self._taken)

    def _work(self) -> None:
        # At least once, however short the load.
        while True:
            self._taken.append(piece())
            if self._ended.wait(_PAUSE_SECONDS):
                return

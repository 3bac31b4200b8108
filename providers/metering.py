"""How many requests a run has sent to one server, and how many it may: what goes round in circles ends, and is counted.

A run is one process with one correlation id: its providers share the count. Decides when it is enough, sends nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from providers.connection import CORRELATION_ID
from providers.errors import BudgetError

REQUESTS_FILE = "TENANTRY_REQUESTS_FILE"
"""Names the file into which each request is written, as a line with its server's name: by that a run's record tells how
many there were (`automation.counting`). A request is sent whether it can be written or not."""
_meters: dict[tuple[str, str], Meter] = {}
_finding = threading.Lock()


class Meter:
    """Counts requests to the server that errors call `name`, and refuses the one after `limit`. Safe in threads."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._counted: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def sent(self) -> int:
        """Requests so far."""
        return sum(self.by_object.values())

    @property
    def by_object(self) -> Mapping[str, int]:
        """Requests so far, by what they were sent for."""
        with self._lock:
            return dict(self._counted)

    def count(self, what: str) -> None:
        """One more, for the object `what`. Raises BudgetError where there may be no more."""
        with self._lock:
            if sum(self._counted.values()) >= self._limit:
                most = ", ".join(f"{count} for {name}" for name, count in self._counted.most_common(3))
                raise BudgetError(
                    f"{what}: this run has sent {self._limit} requests to {self._name}, which is all that it may "
                    f"({most or 'none'}). Run up again to go on from here; if it comes again, raise requestsPerRun."
                )
            self._counted[what] += 1
        if path := os.environ.get(REQUESTS_FILE):
            with contextlib.suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{self._name}\n")


def meter_of(name: str, limit: int) -> Meter:
    """The meter of this run for the server that errors call `name`."""
    key = (os.environ.get(CORRELATION_ID, ""), name)
    with _finding:
        if key not in _meters:
            _meters[key] = Meter(name, limit)
        return _meters[key]

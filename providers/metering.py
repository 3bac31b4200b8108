"""How many requests a run has sent to one server, and how many it may: what goes round in circles ends, and is counted.

A run is one process with one correlation id: its providers share the count. Decides when it is enough, sends nothing.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping

from providers.connection import CORRELATION_ID
from providers.errors import BudgetError

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


def meter_of(name: str, limit: int) -> Meter:
    """The meter of this run for the server that errors call `name`."""
    key = (os.environ.get(CORRELATION_ID, ""), name)
    with _finding:
        if key not in _meters:
            _meters[key] = Meter(name, limit)
        return _meters[key]

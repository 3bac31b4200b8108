"""How many connections a process holds open for live events. Decides when there is no room for one more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from service.problems import Problem

RETRY_SECONDS = 5


class Readers:
    """How many connections this process holds open for live events."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place for one reader. Raises Problem 503 when all are taken."""
        if self._held >= self._limit:
            raise Problem(
                503,
                "Too many readers follow jobs live at this service.",
                hint="try again soon, or ask for the job now and then",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

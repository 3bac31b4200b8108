"""One answer for many who ask at once, given again for a moment: who asks often must not become what is asked's load.

Decides only how old an answer may be. What is asked, and how long that may take, is whoever asks' to decide.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

FRESH_SECONDS = 1.0

_Answer = TypeVar("_Answer")


class Fresh(Generic[_Answer]):
    """The last answer, and who is asking for the next one."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._asked_at = 0.0
        self._last: _Answer | None = None
        self._failed_at = 0.0
        self._failure: Exception | None = None

    async def get(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """An answer that is at most FRESH_SECONDS old. Many who want one at once wait for one, and share its failure.

        Whoever comes after a failure asks anew.
        """
        came = time.monotonic()
        async with self._lock:
            if self._failure is not None and came < self._failed_at:
                # Asked once more for each who waits, a question that hangs would keep the last of them for its
                # limit times their number.
                raise self._failure.with_traceback(None)
            if self._last is None or time.monotonic() - self._asked_at >= FRESH_SECONDS:
                self._last = await self._answered(ask)
                self._asked_at = time.monotonic()
            return self._last

    async def _answered(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        try:
            answer = await ask()
        except Exception as error:
            self._failure, self._failed_at = error, time.monotonic()
            raise
        self._failure = None
        return answer

"""How many requests a second one client may send: a bucket of tokens, as kubectl and the stock provider have it."""

import threading
import time
from collections.abc import Callable


class Limiter:
    """`burst` requests at once, and `qps` a second from then on. Safe to use from many threads."""

    def __init__(self, *, qps: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._qps = qps
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock()
        self._mutex = threading.Lock()

    def reserve(self) -> float:
        """Takes a token, and says how many seconds to wait before it may be used."""
        with self._mutex:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._qps)
            self._at = now
            self._tokens -= 1
            return max(0.0, -self._tokens / self._qps)

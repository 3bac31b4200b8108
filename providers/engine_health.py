"""What is said of an engine that tenants are made on (POS-2), whichever it is: online, degraded, offline, not set up.

Decides how long a look counts, and which error each state is. How an engine is looked at, is decided by each engine.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from providers.errors import (
    EngineDegradedError,
    EngineOfflineError,
    EngineUnfinishedError,
    NotReadyError,
    UnreachableError,
)


class Status(StrEnum):
    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    UNFINISHED = "setup-unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`words` say what is wrong, and nothing where it is online. `time_zone` is the engine's, such as Africa/Nairobi,
    empty where it does not say. `seconds` is how long the look took."""

    status: Status
    words: str = ""
    time_zone: str = ""
    seconds: float = 0.0


class Looks:
    """The last look at each engine, by its address: who asks often, asks the engine seldom. Safe in threads."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Health]] = {}
        self._lock = threading.Lock()

    def kept(self, address: str, seconds: float) -> Health | None:
        """The last one, if it is at most so old."""
        with self._lock:
            found = self._kept.get(address)
        return found[1] if found is not None and time.monotonic() - found[0] < seconds else None

    def take(self, address: str, look: Callable[[], Health]) -> Health:
        """A new one, which is kept."""
        begun = time.monotonic()
        found = dataclasses.replace(look(), seconds=time.monotonic() - begun)
        with self._lock:
            self._kept[address] = (time.monotonic(), found)
        return found


def demand_online(health: Health, *, unfinished: type[EngineUnfinishedError] = EngineUnfinishedError) -> None:
    """Raises EngineOfflineError, EngineDegradedError or `unfinished`."""
    errors: dict[Status, type[UnreachableError | NotReadyError]] = {
        Status.OFFLINE: EngineOfflineError,
        Status.DEGRADED: EngineDegradedError,
        Status.UNFINISHED: unfinished,
    }
    if health.status in errors:
        raise errors[health.status](health.words)

"""Faults on demand, and what was asked: which of a site's answers go wrong, how, and how often.

A fault says which requests it is for, which of them it spares first, and for how many it holds. Both are in memory:
a restart heals the site and forgets what was asked. What was asked holds no body, no query and no secret.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from sandbox.http import HTML, Answer, Request

_REMEMBERED = 100_000


class Kind(StrEnum):
    """LATENCY waits `seconds`, TOO_MANY is 429, ERROR a gateway's `status`, DROP a cut connection, MAINTENANCE 503.

    BUSY is a database's refusal of a transaction, of sites that pass it on.
    """

    LATENCY = "latency"
    TOO_MANY = "too_many"
    ERROR = "error"
    DROP = "drop"
    MAINTENANCE = "maintenance"
    BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """For requests of `method` (any if empty) with `where` in their path, decoded; the first `skip` of them are spared.

    Of a site that has one address for all, method and path are those of the object asked: `search`, `/res.partner`.

    `times` None holds until the site is healed. `after`: the work is done, and its answer is lost.
    """

    kind: Kind
    method: str = ""
    where: str = ""
    skip: int = 0
    times: int | None = None
    seconds: float = 0.0
    status: int = 502
    after: bool = False

    def told(self) -> dict[str, Any]:
        return asdict(self)


def fault_of(told: Mapping[str, Any]) -> Fault:
    """Raises TypeError or ValueError for what is no fault."""
    return Fault(**{**told, "kind": Kind(told["kind"])})


class Faults:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: list[tuple[Fault, list[int]]] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._set.append((fault, [0]))

    def heal(self) -> None:
        with self._lock:
            self._set.clear()

    def for_request(self, request: Request) -> tuple[float, Fault | None]:
        """(seconds to wait, the first other fault that holds). Counts the request."""
        return self.matching(request.method, unquote(request.path))

    def matching(self, method: str, path: str) -> tuple[float, Fault | None]:
        """As `for_request`."""
        waits, wrong = 0.0, None
        with self._lock:
            for fault, seen in self._set:
                if (fault.method or method) != method or fault.where not in path:
                    continue
                if fault.kind is not Kind.LATENCY and wrong is not None:
                    continue
                seen[0] += 1
                if seen[0] <= fault.skip or (fault.times is not None and seen[0] > fault.skip + fault.times):
                    continue
                if fault.kind is Kind.LATENCY:
                    waits += fault.seconds
                else:
                    wrong = fault
        return waits, wrong


def gateway_answer(status: int) -> Answer:
    """A gateway speaks before the site does, whatever is asked for."""
    return Answer(status=status, body=f"<html><h1>{status}</h1></html>\n", content_type=HTML)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`status` 0 is a connection that was cut; `correlation` what the caller's header said."""

    number: int
    method: str
    path: str
    status: int
    user: str
    correlation: str
    fault: str


class Log:
    """What was asked, oldest first. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: deque[Asked] = deque(maxlen=_REMEMBERED)
        self._number = 0

    def add(
        self, request: Request, *, status: int, user: str, fault: Fault | None, method: str = "", path: str = ""
    ) -> None:
        """`method` and `path` where they are others than the request's."""
        headers = request.headers
        with self._lock:
            self._number += 1
            row = Asked(
                number=self._number,
                method=method or request.method,
                path=path or unquote(request.path),
                status=status,
                user=user,
                correlation=headers.get("x-correlation-id") or headers.get("x-request-id") or "",
                fault=fault.kind.value if fault else "",
            )
            self._rows.append(row)

    def rows(self) -> list[Asked]:
        with self._lock:
            return list(self._rows)

    def forget(self) -> None:
        with self._lock:
            self._rows.clear()

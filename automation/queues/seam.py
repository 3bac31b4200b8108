"""The seam: what a queue does, whatever carries the messages: `procrastinate`, `rabbitmq`, or `memory`.

At least once: a message may come twice, and a message may come for a job that has ended or that another worker has. The
handler finds out from the job's row. Publishing is done when the broker has said so. Error tree: QueueError.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from automation.errors import TenantryError

Handler = Callable[[uuid.UUID], Awaitable[None]]


class QueueError(TenantryError):
    """The queue cannot be reached, or refuses; the message names it, never its password."""

    exit_code = 6
    kind = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A message that was none of ours, or that nobody could handle: kept aside with the reason. `body` is cut short."""

    at: datetime
    reason: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Messages that wait, and those that were parked. `oldest_seconds` is None where the broker does not tell."""

    waiting: int
    parked: int
    oldest_seconds: float | None = None


class Queue(Protocol):
    """A queue of job ids."""

    name: str
    """For people: `procrastinate on <database>` or `rabbitmq <host>/<queue>`."""

    async def open(self) -> None:
        """Connects, and makes what is missing: tables, or the quorum queue and its dead-letter queue. Idempotent."""

    async def publish(self, job: uuid.UUID) -> None:
        """Returns when the broker has the message safely. Raises QueueError within the time limit otherwise."""

    async def consume(self, handler: Handler, *, concurrency: int) -> None:
        """Calls `handler` for each message, at most `concurrency` at once, until `stop`.

        A message is done with when its handler has returned; one whose handler raised is delivered again, and parked
        after the fifth time. Lives through the loss of the broker: it connects again until stopped.
        """

    async def stop(self) -> None:
        """Takes no more messages; returns when the handlers that run have returned. Messages not begun stay queued."""

    async def depth(self) -> Depth:
        """How much waits. Raises QueueError."""

    async def parked(self, limit: int = 100) -> list[Parked]:
        """The messages that were parked, newest first."""

    async def close(self) -> None:
        """Lets go of connections. May be called twice."""

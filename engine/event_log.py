"""Where engine events go: a file of JSON lines, or a gRPC stream to whoever asked (`--event-log tcp://host:port`).

A sink adds `sequence` and `timestamp`; the last event of every operation is `cancelEvent`, which ends a reader's loop.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from engine.errors import EngineError, UsageError

if TYPE_CHECKING:
    from engine.rpc import events_pb2

Event = dict[str, Any]
_CLOSE_SECONDS: Final = 10.0


class EventSink(Protocol):
    """Takes one operation's events in order, from any thread."""

    def emit(self, event: Event) -> None: ...

    def close(self) -> None: ...


class NoEventLog:
    """Nobody asked."""

    def emit(self, event: Event) -> None:
        """Takes no notice."""

    def close(self) -> None:
        """Has nothing to close."""


class FileEventLog:
    """One JSON object a line, written through at once, because a reader follows the file."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._sequence = 0
        self._failure = ""
        try:
            self._file = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise UsageError(f"cannot write the event log {path}: {error.strerror}") from error

    def emit(self, event: Event) -> None:
        with self._lock:
            if self._file.closed or self._failure:
                return
            try:
                self._file.write(_stamped(event, self._sequence) + "\n")
                self._sequence += 1
            except OSError as error:
                # Told at the end: an update does not break off because its log cannot be written.
                self._failure = str(error.strerror or error)

    def close(self) -> None:
        with self._lock:
            try:
                self._file.close()
            except OSError as error:
                self._failure = self._failure or str(error.strerror or error)
        if self._failure:
            raise EngineError(f"the event log {self._file.name} is not complete: {self._failure}")


class GrpcEventLog:
    """A `pulumirpc.Events` stream. `close` waits until the reader has had all of it."""

    def __init__(self, address: str) -> None:
        import grpc

        from engine.rpc import CHANNEL_OPTIONS, events_pb2_grpc

        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._sequence = 0
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        stub = events_pb2_grpc.EventsStub(self._channel)
        self._call = stub.StreamEvents.future(self._requests())
        self._address = address

    def emit(self, event: Event) -> None:
        with self._lock:
            self._queue.put(_stamped(event, self._sequence))
            self._sequence += 1

    def close(self) -> None:
        import grpc

        self._queue.put(None)
        try:
            self._call.result(timeout=_CLOSE_SECONDS)
        except (grpc.RpcError, grpc.FutureTimeoutError) as error:
            raise EngineError(f"the event log at {self._address} did not take all events: {_reason(error)}") from error
        finally:
            self._channel.close()

    def _requests(self) -> Iterator[events_pb2.EventRequest]:
        from engine.rpc import events_pb2

        while (text := self._queue.get()) is not None:
            yield events_pb2.EventRequest(event=text)


def open_event_log(target: str, cwd: Path) -> EventSink:
    """The sink for the value of `--event-log`; empty is none."""
    if not target:
        return NoEventLog()
    if target.startswith("tcp://"):
        return GrpcEventLog(target.removeprefix("tcp://"))
    return FileEventLog(cwd / target)


def _stamped(event: Event, sequence: int) -> str:
    return json.dumps({"sequence": sequence, "timestamp": int(time.time()), **event})


def _reason(error: Exception) -> str:
    details = getattr(error, "details", None)
    return str(details()) if callable(details) else type(error).__name__

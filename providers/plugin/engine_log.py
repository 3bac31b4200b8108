"""What a plugin says to the engine that uses it: live messages beside a resource, and warnings.

Nothing depends on being heard: a message that does not get through is dropped. One thread sends, so that they arrive in
the order in which they were said. A warning is sent before the call that it came of is answered: the answer may be the
last that the engine waits for.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from dataclasses import dataclass
from typing import Any

import grpc

from providers.plugin.stubs import engine_pb2, engine_pb2_grpc

_SECONDS = 20.0
"""How long the engine may take to hear one message: on a machine that is busy its first connection takes a while."""
_CLOSING_SECONDS = 5.0


class EngineLog:
    """Connects at its first message. Safe to use from many threads."""

    def __init__(self, address: str = "") -> None:
        self._address = address
        self._sender: threading.Thread | None = None
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._mutex = threading.Lock()
        self._shown: dict[str, str] = {}
        self._warned: set[tuple[str, str]] = set()
        self._last_warning: threading.Event | None = None

    def connect(self, address: str) -> None:
        """From here on the engine at this address; where none is told, the one before stays."""
        with self._mutex:
            if address in {"", self._address}:
                return
            self._address = address
            # What was said to the one before is still sent to it, and is news to this one.
            self._waiting.put(None)
            self._sender, self._waiting = None, queue.SimpleQueue()
            self._shown.clear()
            self._warned.clear()

    def status(self, urn: str, message: str) -> None:
        """Shows it beside the resource until the next one."""
        with self._mutex:
            if self._shown.get(urn) != message:
                self._shown[urn] = message
                self._say(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, urn=urn, ephemeral=True))

    def warning(self, urn: str, message: str) -> None:
        """Says it once for each resource."""
        with self._mutex:
            if (urn, message) not in self._warned:
                self._warned.add((urn, message))
                said = engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=message, urn=urn)
                self._last_warning = self._say(said)

    def settle(self) -> None:
        """Waits for a while until every warning so far is sent."""
        if (sent := self._last_warning) is not None:
            sent.wait(_SECONDS)

    def close(self) -> None:
        """Waits for a while until what was said is sent."""
        with self._mutex:
            sender, self._sender = self._sender, None
            self._waiting.put(None)
        if sender is not None:
            sender.join(_CLOSING_SECONDS)

    def _say(self, request: Any) -> threading.Event | None:
        """What is set once the request is sent, or dropped; None where nobody is there to hear it."""
        if not self._address:
            return None
        if self._sender is None:
            self._sender = threading.Thread(target=self._send, args=(self._address, self._waiting), daemon=True)
            self._sender.start()
        sent = threading.Event()
        self._waiting.put((request, sent))
        return sent

    def _send(self, address: str, waiting: queue.SimpleQueue[Any]) -> None:
        with grpc.insecure_channel(address) as channel:
            stub = engine_pb2_grpc.EngineStub(channel)
            while (each := waiting.get()) is not None:
                request, sent = each
                with contextlib.suppress(grpc.RpcError):
                    stub.Log(request, timeout=_SECONDS)
                sent.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What one call says about its resource."""

    log: EngineLog
    urn: str

    def status(self, message: str) -> None:
        self.log.status(self.urn, message)

    def warning(self, message: str) -> None:
        self.log.warning(self.urn, message)

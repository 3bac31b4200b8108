"""What a plugin says to the engine that uses it: live messages beside a resource, and warnings.

Nothing depends on being heard: a message that does not get through is dropped.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import Any

import grpc

from providers.plugin.stubs import engine_pb2, engine_pb2_grpc

_SECONDS = 5.0


class EngineLog:
    """Connects at its first message. Safe to use from many threads."""

    def __init__(self, address: str = "") -> None:
        self._address = address
        self._stub: Any = None
        self._channel: grpc.Channel | None = None
        self._mutex = threading.Lock()
        self._shown: dict[str, str] = {}
        self._warned: set[tuple[str, str]] = set()

    def connect(self, address: str) -> None:
        """From here on the engine at this address; where none is told, the one before stays."""
        with self._mutex:
            if address and address != self._address:
                self._address, self._stub = address, None

    def status(self, urn: str, message: str) -> None:
        """Shows it beside the resource until the next one. Does not wait."""
        with self._mutex:
            if self._shown.get(urn) == message:
                return
            self._shown[urn] = message
        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, urn=urn, ephemeral=True)
        stub = self._connected()
        if stub is not None:
            stub.Log.future(request, timeout=_SECONDS)

    def warning(self, urn: str, message: str) -> None:
        """Says it once for each resource. Waits until the engine has it: this process may end soon."""
        with self._mutex:
            if (urn, message) in self._warned:
                return
            self._warned.add((urn, message))
        stub = self._connected()
        if stub is not None:
            with contextlib.suppress(grpc.RpcError):
                stub.Log(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=message, urn=urn), timeout=_SECONDS)

    def close(self) -> None:
        with self._mutex:
            if self._channel is not None:
                self._channel.close()
            self._channel, self._stub = None, None

    def _connected(self) -> Any:
        with self._mutex:
            if self._stub is None and self._address:
                self._channel = grpc.insecure_channel(self._address)
                self._stub = engine_pb2_grpc.EngineStub(self._channel)
            return self._stub


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What one call says about its resource."""

    log: EngineLog
    urn: str

    def status(self, message: str) -> None:
        self.log.status(self.urn, message)

    def warning(self, message: str) -> None:
        self.log.warning(self.urn, message)

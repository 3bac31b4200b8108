"""Calls into the program: the client of the Callbacks services that a program serves for its transforms and hooks.

A call lasts as long as the program's code does, but never longer than the operation: `end` breaks off what is under way
and lets nothing begin. This module knows nothing of what is called.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

import grpc

from engine.errors import CallbackError
from engine.operation import CancelToken
from engine.rpc import CHANNEL_OPTIONS, callback_pb2, callback_pb2_grpc

#: How long hooks may go on after the first signal, in seconds; what they do may matter to the state.
GRACE_SECONDS = 30.0
_LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Callback:
    """A function of the program: the address of its service, and its name there."""

    target: str
    token: str


#: The names that Go's gRPC gives status codes: `DeadlineExceeded` is DEADLINE_EXCEEDED.
STATUS_OF: Final = {"".join(map(str.capitalize, code.name.split("_"))): code for code in grpc.StatusCode} | {
    "Canceled": grpc.StatusCode.CANCELLED
}
_GO_NAMES: Final = {code: name for name, code in STATUS_OF.items()}


class Callbacks:
    """The connections of one operation to its program's services. Used from any thread."""

    def __init__(self, cancel: CancelToken) -> None:
        self._cancel = cancel
        self._channels: dict[str, grpc.Channel] = {}
        self._calls: set[Any] = set()
        self._lock = threading.Lock()
        self._ended = False
        self._watch: threading.Thread | None = None

    def invoke(self, callback: Callback, request: bytes) -> bytes:
        """The callback's answer. Raises CallbackError, whose text is a Go client's."""
        message = callback_pb2.CallbackInvokeRequest(token=callback.token, request=request)
        with self._lock:
            if self._ended:
                raise CallbackError("Canceled", "the operation is over")
            self._watch_for_signals()
            call = self._stub(callback.target).Invoke.future(message)
            self._calls.add(call)
        try:
            return bytes(call.result().response)
        except grpc.FutureCancelledError:
            raise CallbackError("Canceled", "the operation is over") from None
        except grpc.RpcError as error:
            raise CallbackError(_GO_NAMES[error.code()], error.details() or "") from error
        finally:
            self._calls.discard(call)

    def _stub(self, target: str) -> Any:
        channel = self._channels.get(target)
        if channel is None:
            channel = self._channels[target] = grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
        return callback_pb2_grpc.CallbacksStub(channel)

    def end(self) -> None:
        """Breaks off every call, and refuses the next ones."""
        with self._lock:
            self._ended = True
            calls = list(self._calls)
        for call in calls:
            call.cancel()

    def _watch_for_signals(self) -> None:
        # Not told by the token: that happens in signal handlers, where no lock may be waited for.
        if self._watch is None:
            self._watch = threading.Thread(target=self._end_when_signalled, name="callbacks", daemon=True)
            self._watch.start()

    def _end_when_signalled(self) -> None:
        while not self._cancel.requested.wait(_LOOK_SECONDS):
            if self._ended:
                return
        deadline = time.monotonic() + GRACE_SECONDS
        while not self._ended and time.monotonic() < deadline:
            if self._cancel.terminated.wait(_LOOK_SECONDS):
                break
        self.end()

    def close(self) -> None:
        self.end()
        for channel in self._channels.values():
            with contextlib.suppress(grpc.RpcError):
                channel.close()

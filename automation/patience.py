"""How long the server waits for a caller: uvicorn's protocol with an end to each wait that it lacks.

Decides when a connection is given up: no head of a request, no end of a request, or nobody who takes the answer. What a
body may hold, and that a late one is answered with 408, is decided by the service, which is told of no request that has
no head.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
REQUEST_SECONDS = 60.0
"""A whole request, body and all: longer than the service waits for one before it answers."""
READER_SECONDS = 60.0
"""How long a reader may take nothing of an answer that is more than buffers hold."""

_LATE = b"The request was not there in time.\n"


class PatientProtocol(H11Protocol):
    """HTTP/1.1 for one connection, that waits for nothing without an end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: asyncio.TimerHandle | None = None
        self._waiting_for: Any = None
        self._reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # Between two requests uvicorn's own, short time counts.
        if self.conn.their_state is h11.IDLE:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_reader()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reader is None:
            self._reader = self.loop.call_later(READER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_reader()
        super().resume_writing()

    def _wait(self) -> None:
        """Goes on waiting for what the caller owes, from when it began to owe it: more bytes give no more time."""
        state = self.conn.their_state
        if state is self._waiting_for and self._waiting is not None:
            return
        self._stop_waiting()
        seconds = {h11.IDLE: HEAD_SECONDS, h11.SEND_BODY: REQUEST_SECONDS}.get(state)
        if seconds is not None and not self.transport.is_closing():
            self._waiting_for = state
            self._waiting = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _stop_reader(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.transport.is_closing():
            return
        begun, _ended = self.conn.trailing_data
        # Whoever has not sent a byte, as a browser that connects ahead, expects no answer.
        if begun and self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE:
            headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
            answer = h11.Response(status_code=408, headers=headers, reason=b"Request Timeout")
            for event in (answer, h11.Data(data=_LATE), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

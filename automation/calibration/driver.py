"""Sends a load to the application: each session is a thread with a connection of its own, as a visitor's browser is.

Decides nothing about the load. A request that comes late is still sent: CPU is counted for all of them, over the time
that they stand for.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from automation.calibration.errors import CalibrationError
from automation.calibration.load import Request

REQUEST_SECONDS = 30.0
LATE_FACTOR = 10.0
"""A load may take so many times as long as it stands for, then it is given up: the machine is too slow for it."""
LATE_SECONDS = 60.0


class Visitors:
    """The sessions. As a context manager they are closed at the end, also when they are in the midst of it."""

    def __init__(self, port: int, requests: Sequence[Sequence[Request]]) -> None:
        """`requests` are each session's, to the application on a port of this machine."""
        self._port = port
        self._stop = threading.Event()
        self._begin = threading.Event()
        self._started = 0.0
        self._ready = threading.Semaphore(0)
        self._done = threading.Semaphore(0)
        self._close = threading.Event()
        self._faults: list[str] = []
        self._threads = [threading.Thread(target=self._visit, args=(mine,), daemon=True) for mine in requests]

    def __enter__(self) -> Self:
        """Opens all sessions, each with a request, so that each has its connection to the database."""
        try:
            for thread in self._threads:
                thread.start()
            self._await(self._ready, time.monotonic() + LATE_SECONDS, lambda: None)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._stop.set()
        self._begin.set()
        self._close.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(REQUEST_SECONDS)

    def send(self, seconds: float, watch: Callable[[], None]) -> None:
        """Sends it all; the sessions stay open. `watch` is called about twice a second meanwhile.

        Raises CalibrationError where a request is not answered with 200, or it takes far longer than `seconds`.
        """
        self._started = time.monotonic()
        self._begin.set()
        self._await(self._done, self._started + seconds * LATE_FACTOR + LATE_SECONDS, watch)

    def _await(self, each: threading.Semaphore, until: float, watch: Callable[[], None]) -> None:
        left = len(self._threads)
        while left:
            if each.acquire(timeout=0.5):
                left -= 1
            else:
                watch()
            if self._faults:
                raise CalibrationError(self._faults[0], hint="see what the application said, then calibrate again")
            if time.monotonic() > until:
                raise CalibrationError(
                    "the load takes far longer than the time that it stands for",
                    hint="ask for fewer customers, or use a machine with less to do",
                )

    def _visit(self, requests: Sequence[Request]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=REQUEST_SECONDS)
        try:
            self._ask(connection, Request(at=0, method="GET", path="/isp/account/0"))
            self._ready.release()
            self._begin.wait()
            for request in requests:
                if self._stop.wait(max(0.0, self._started + request.at - time.monotonic())):
                    return
                self._ask(connection, request)
            self._done.release()
            self._close.wait()
        except (OSError, http.client.HTTPException, CalibrationError) as error:
            if not self._stop.is_set():
                self._faults.append(f"the application did not answer: {type(error).__name__}: {error}")
        finally:
            with contextlib.suppress(OSError):
                connection.close()

    @staticmethod
    def _ask(connection: http.client.HTTPConnection, request: Request) -> None:
        connection.request(request.method, request.path, headers={"Content-Length": "0"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            said = body[:100].decode(errors="replace").strip()
            raise CalibrationError(f"{request.method} {request.path} was answered {answer.status}: {said}")

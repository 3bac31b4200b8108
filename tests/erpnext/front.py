"""A simulator's server in this process, which can go away in the middle of anything and come back."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Front:
    """Serves on loopback from the beginning. `port` stays."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._handler = handler
        self._lock = threading.Lock()
        self._running = False
        self._serve(0)
        self.port = int(self._server.server_address[1])

    def away(self) -> None:
        """From now on connections are refused, and those that are open are cut, whatever is being done."""
        with self._lock:
            if self._running:
                self._running = False
                self._server.shutdown()
                self._server.server_close()
                self._server.cut()

    def back(self) -> None:
        """It is there again, and has finished what it was at."""
        self._server.settle()
        with self._lock:
            if not self._running:
                self._serve(self.port)

    def _serve(self, port: int) -> None:
        self._server = _Server(("127.0.0.1", port), self._handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self._running = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._open: dict[socket.socket, threading.Thread] = {}

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self._open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.pop(request, None)

    def cut(self) -> None:
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def settle(self) -> None:
        """Waits until nothing is done for anybody any more."""
        for thread in list(self._open.values()):
            thread.join(10)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who was cut off has gone."""

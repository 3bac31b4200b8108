"""A tenant's container, as far as a gateway sees it: answers what it was asked, and streams until it may end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, dict[str, str], bytes]


class Upstream:
    """An HTTP server on loopback. `heard` has each request's method, path, headers and body."""

    def __init__(self, answer: Callable[[dict[str, Any]], Answer] | None = None, name: str = "tenant") -> None:
        self.heard: list[dict[str, Any]] = []
        self.go_on = threading.Event()
        self.begun = threading.Event()
        self._answer = answer
        self.name = name
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                request = {
                    "method": self.command,
                    "path": self.path,
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                    "body": self.rfile.read(length),
                }
                outer.heard.append(request)
                if self.path == "/stream":
                    outer._stream(self)
                    return
                status, headers, body = outer._answered(request)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def _answered(self, request: dict[str, Any]) -> Answer:
        if self._answer is not None:
            return self._answer(request)
        body = json.dumps({"name": self.name, "path": request["path"], "headers": request["headers"]}).encode()
        return 200, {"Content-Type": "application/json"}, body

    def _stream(self, handler: BaseHTTPRequestHandler) -> None:
        """Says `first`, waits until it may go on, and says `last`."""
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b"data: first\n\n")
        handler.wfile.flush()
        self.begun.set()
        self.go_on.wait(60)
        handler.wfile.write(b"data: last\n\n")
        handler.close_connection = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

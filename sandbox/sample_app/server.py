"""The application's HTTP server. Decides which path answers what; ends its requests before it ends itself."""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from sandbox.sample_app import parts
from sandbox.sample_app.isp import Isp, IspError, Session
from sandbox.sample_app.page import page

_DRAIN_SECONDS = 5.0
_MOST_BODY = 65_536


class Application(ThreadingHTTPServer):
    """Serves `env`'s tenant at its HOST and PORT."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.tenant = env.get("TENANT") or "Sample"
        host = env.get("HOST") or "127.0.0.1"
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.isp = Isp(env) if env.get("ISP_CUSTOMERS") else None
        self._open = 0
        self._count = threading.Lock()
        super().__init__((host, int(env.get("PORT") or 8080)), Handler)

    def counted(self, change: int) -> None:
        with self._count:
            self._open += change

    def drain(self) -> None:
        """Wait for the requests that are being answered."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._open and time.monotonic() < deadline:
            time.sleep(0.02)


class Handler(BaseHTTPRequestHandler):
    server: Application
    protocol_version = "HTTP/1.1"
    server_version = "sample-app"
    sys_version = ""
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self._session = Session(self.server.isp) if self.server.isp else None

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            if self._session:
                self._session.close()

    def do_GET(self) -> None:
        self.server.counted(1)
        try:
            self._answer(*self._found(urlsplit(self.path).path))
        finally:
            self.server.counted(-1)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > _MOST_BODY:
            # What follows is not known to be another request.
            self.close_connection = True
            self._answer(HTTPStatus.BAD_REQUEST, "text/plain", "No body is read here.\n")
            return
        self.rfile.read(int(length))
        self.do_GET()

    def _found(self, path: str) -> tuple[HTTPStatus, str, str]:
        env, tenant = self.server.env, self.server.tenant
        if path == "/health":
            return HTTPStatus.OK, "application/json", json.dumps({"status": "ok", "tenant": tenant})
        if self.server.isp and self._session and path.startswith("/isp/"):
            found = self.server.isp.answer(self._session, "GET" if self.command == "HEAD" else self.command, path)
            if found:
                return found
        if path not in {"/", "/parts"} or self.command == "POST":
            return HTTPStatus.NOT_FOUND, "text/plain", "There is nothing here.\n"
        used: dict[str, dict[str, Any]] = {
            "database": parts.database(env, visit=path == "/" and self.command == "GET"),
            "credential": parts.credential(env),
            "route": parts.route(env, lambda name: self.headers.get(name) or ""),
        }
        if path == "/":
            return HTTPStatus.OK, "text/html", page(tenant, used)
        works = all(part["ok"] for part in used.values())
        return HTTPStatus.OK if works else HTTPStatus.SERVICE_UNAVAILABLE, "application/json", json.dumps(used)

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        if self.close_connection:
            # Or its client would send the next request where nobody reads it.
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        # The path without its query, where a caller may have put what is nobody's business.
        words = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "said": format % args}
        if format.startswith('"%s"') and len(args) > 1:
            words = {"time": words["time"], "method": self.command, "path": urlsplit(self.path).path, "status": args[1]}
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Serve until TERM or INT."""
    try:
        application = Application(os.environ.copy())
    except IspError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except (OSError, ValueError, OverflowError) as error:
        sys.stderr.write(f"error: cannot listen at HOST and PORT: {error}\n")
        return 1

    def end(_signal: int, _frame: FrameType | None) -> None:
        # From a thread: it waits for the loop that this signal has interrupted.
        threading.Thread(target=application.shutdown).start()

    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, end)
    with application:
        application.serve_forever(poll_interval=0.1)
        application.drain()
        if application.isp:
            application.isp.close()
    return 0

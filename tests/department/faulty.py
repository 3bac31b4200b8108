"""A proxy before an HTTP API that carries out what a test tells it to: refuse, hang, or do it and not say so."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx

_KEPT = {"content-type", "etag", "location", "www-authenticate", "retry-after", "set-cookie"}
_DROPPED = {"host", "connection", "content-length", "accept-encoding"}


class Fault(StrEnum):
    """What becomes of a call."""

    REFUSE = "refuse"
    HANG = "hang"
    LOSE = "lose"
    DENY = "deny"
    """It is done, and the answer says that it was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Calls whose `METHOD /path` begins with a match of `pattern`, and whose body has one of `body`.

    The first `spared` of them get through.
    """

    pattern: re.Pattern[str]
    fault: Fault
    status: int = 500
    spared: int = 0
    times: int = 10_000
    body: re.Pattern[str] = re.compile("")


class FaultyApi:
    """Stands before `target`. Bodies name it by its own URL, so that a server's links lead through it again.

    `address` is one of this machine's, which it is reached at.
    """

    def __init__(self, target: str, address: str = "127.0.0.1") -> None:
        self.target = target.rstrip("/")
        self.calls: list[str] = []
        self._rule: Rule | None = None
        self._matched = 0
        self._lock = threading.Lock()
        self._free = threading.Event()
        self._client = httpx.Client(timeout=60, trust_env=False)
        self._server = ThreadingHTTPServer((address, 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://{address}:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[FaultyApi]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.heal()
            self._server.shutdown()
            thread.join(30)
            self._server.server_close()
            self._client.close()

    def breaks(self, pattern: str, fault: Fault = Fault.REFUSE, *, body: str = "", **more: Any) -> None:
        """From now on, calls that match go wrong."""
        with self._lock:
            self._matched = 0
            self._free.clear()
            self._rule = Rule(pattern=re.compile(pattern), fault=fault, body=re.compile(body), **more)

    def heal(self) -> None:
        """All calls get through again; those that hang are let go."""
        with self._lock:
            self._rule = None
            self._free.set()

    def _fault_of(self, call: str, body: str) -> Rule | None:
        with self._lock:
            self.calls.append(call)
            rule = self._rule
            if rule is None or rule.pattern.match(call) is None or rule.body.search(body) is None:
                return None
            self._matched += 1
            return rule if rule.spared < self._matched <= rule.spared + rule.times else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                rule = api._fault_of(f"{self.command} {self.path}", body.decode(errors="replace"))
                if rule is not None and rule.fault is Fault.HANG:
                    api._free.wait(300)
                    self.close_connection = True
                    return
                if rule is not None and rule.fault is Fault.REFUSE:
                    self._send(rule.status, {"content-type": "application/json"}, b'{"message": "the test says no"}')
                    return
                found = api._forward(self.command, self.path, dict(self.headers.items()), body)
                if rule is not None and rule.fault is Fault.DENY:
                    self._send(400, {"content-type": "application/json"}, b'{"message": "the test denies it"}')
                    return
                if rule is not None:
                    time.sleep(0.05)
                    self.close_connection = True
                    self.connection.close()
                    return
                headers = {name: value for name, value in found.headers.items() if name.lower() in _KEPT}
                self._send(found.status_code, headers, api._translated(found.content, api.target, api.url))

            def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value.replace(api.target, api.url))
                if status not in {204, 304}:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if status not in {204, 304} and self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Not to standard error."""

        return Handler

    def _forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        sent = {name: value for name, value in headers.items() if name.lower() not in _DROPPED}
        sent["Host"] = urlsplit(self.target).netloc
        # Caddy takes a change only from its own origin.
        if "Origin" in sent:
            sent["Origin"] = self.target
        return self._client.request(
            method, f"{self.target}{path}", headers=sent, content=self._translated(body, self.url, self.target)
        )

    @staticmethod
    def _translated(body: bytes, before: str, after: str) -> bytes:
        return body.replace(before.encode(), after.encode())

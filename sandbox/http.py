"""What a simulator is asked and what it answers, apart from any HTTP library; and what serves it over HTTP."""

import contextlib
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class BadBodyError(Exception):
    """The body of a request is no JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. Names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self) -> Any:
        """What the body says; nothing is an empty mapping. Raises BadBodyError."""
        if not self.body.strip():
            return {}
        try:
            return json.loads(self.body)
        except ValueError:
            raise BadBodyError from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int = 200
    body: Any = None
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)

    def raw(self) -> bytes:
        if self.content_type == JSON:
            return json.dumps(self.body, ensure_ascii=False).encode()
        return str(self.body or "").encode()


def handler_for(answer_to: Callable[[Request], Answer | None]) -> type[BaseHTTPRequestHandler]:
    """What serves a simulator: None cuts the connection without a word."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave together, at once: else a client waits 40 ms for the second half of each answer.
        disable_nagle_algorithm = True
        wbufsize = -1

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            answer = answer_to(Request(method=self.command, target=self.path, headers=headers, body=body))
            if answer is None:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            raw = answer.raw()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            if answer.status != 204:
                self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Nothing is logged: a path may hold what is nobody's business."""

    for method in METHODS:
        setattr(Handler, f"do_{method}", Handler.answer)
    return Handler

"""An authorization server that answers as it is told: what no real one does on request."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]
Behaviour = Callable[[str, str], Answer | None]


@dataclass(kw_only=True)
class Fake:
    """`behave(method, path)` is (status, body, headers); None stands for the usual answer."""

    behave: Behaviour = field(default_factory=lambda: lambda _method, _path: None)
    requests: list[tuple[str, str]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    port: int = 0

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def usual(self, path: str) -> Answer:
        if "/.well-known/" in path:
            return 200, {
                "issuer": self.issuer,
                "token_endpoint": f"{self.issuer}/token",
                "registration_endpoint": f"{self.issuer}/register",
                **self.metadata,
            }
        return 404, {}

    def counted(self, method: str, path: str) -> int:
        return self.requests.count((method, path))


@contextlib.contextmanager
def faking(behave: Behaviour | None = None, **metadata: Any) -> Iterator[Fake]:
    fake = Fake(metadata=metadata)
    if behave is not None:
        fake.behave = behave

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            """The tests' output is not its log."""

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fake.requests.append((self.command, self.path))
            status, body, *more = fake.behave(self.command, self.path) or fake.usual(self.path)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in (more[0] if more else {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the names that are called

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

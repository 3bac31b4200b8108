"""A gateway in front of the real API server that goes wrong as a test tells it to. Plain HTTP, on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.clusters import Cluster


@dataclass
class Gateway:
    """`faults` are answered one after the other, instead of passing requests on: a status and headers, or `reset`."""

    kubeconfig: str
    faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    always: int = 0
    """A status for every request, until it is 0 again; -1 cuts each connection."""


def status(code: int) -> bytes:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": f"made up: {code}"}
    return json.dumps(body).encode()


@contextmanager
def gateway(cluster: Cluster) -> Iterator[Gateway]:
    config = json.loads(cluster.kubeconfig.read_text())
    where = config["clusters"][0]["cluster"]
    upstream = httpx.Client(base_url=where["server"], verify=False, timeout=30)  # noqa: S501 - on loopback
    mutex = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
            pass

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with mutex:
                made.seen.append(f"{self.command} {self.path.partition('?')[0]}")
                code, headers = made.faults.pop(0) if made.faults else (made.always, {})
            if code < 0:
                self.close_connection = True
                self.connection.close()
                return
            if code:
                self.send(code, headers, status(code))
                return
            kept = {"authorization", "content-type", "accept"}
            passed = {name: value for name, value in self.headers.items() if name.lower() in kept}
            found = upstream.request(self.command, self.path, content=body, headers=passed)
            more = {name: found.headers[name] for name in ("Warning",) if name in found.headers}
            self.send(found.status_code, more, found.content)

        do_GET = do_PATCH = do_DELETE = do_POST = answer  # noqa: N815 - as they are called

        def send(self, code: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(code)
            for name, value in {
                **headers,
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{server.server_port}"}
    made = Gateway(kubeconfig=json.dumps(config))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
        upstream.close()

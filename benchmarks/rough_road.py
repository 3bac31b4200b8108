"""A way to a Kubernetes API server on which some requests go wrong in passing, as they do on a busy cluster.

Decides, by a seed, which request meets what: 429 with Retry-After, 503, a connection that is cut before the request is
passed on, or one that is cut after the server has done the work, so that its answer is lost. The rest is passed on as
it is, watches too. Loopback only.
"""

from __future__ import annotations

import http.client
import json
import random
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.certificates import self_signed

FAULTS = ("429", "503", "cut before", "cut after")
_SECONDS = 90.0
_HOST = "127.0.0.1"


class RoughRoad(ThreadingHTTPServer):
    """`met` counts what requests have met; `share` of them meet something."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, kubeconfig: Path, folder: Path, *, share: float, seed: int) -> None:
        self.met: Counter[str] = Counter()
        self._share, self._dice, self._lock = share, random.Random(seed), threading.Lock()
        config = json.loads(kubeconfig.read_text())
        own = config["clusters"][0]["cluster"]
        self.to = own["server"].removeprefix("https://")
        self.trust = ssl.create_default_context(cafile=own["certificate-authority"])
        shown = self_signed(_HOST)
        self._context = shown.server(folder)
        super().__init__((_HOST, 0), _Handler)
        own |= {"server": f"https://{_HOST}:{self.server_address[1]}", "certificate-authority": str(folder / "tls.crt")}
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(config))

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        connection.settimeout(_SECONDS)
        # The handshake is made by the connection's own thread, at its first read.
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes is nothing to tell."""

    def fault(self) -> str:
        """What this request meets, if anything."""
        with self._lock:
            found = self._dice.choice(FAULTS) if self._dice.random() < self._share else ""
            self.met[found or "nothing"] += 1
        return found


class _Handler(BaseHTTPRequestHandler):
    server: RoughRoad
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault()
        if fault == "cut before":
            self.close_connection = True
        elif fault in {"429", "503"}:
            self._refuse(int(fault))
        else:
            self._forward(body, answered=fault != "cut after")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815

    def _refuse(self, status: int) -> None:
        reason = "TooManyRequests" if status == 429 else "ServiceUnavailable"
        told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status}
        body = json.dumps(told | {"message": "the benchmark lets this one fail"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def _forward(self, body: bytes, *, answered: bool) -> None:
        passed = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        upstream = http.client.HTTPSConnection(self.server.to, context=self.server.trust, timeout=_SECONDS)
        try:
            upstream.request(self.command, self.path, body=body or None, headers=passed)
            answer = upstream.getresponse()
            if answered:
                self._answer(answer)
            else:
                answer.read1(1)
                self.close_connection = True
        except OSError:
            self.close_connection = True
        finally:
            upstream.close()

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        whole = answer.getheader("Content-Length")
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "date", "server"}:
                self.send_header(name, value)
        if whole is None:
            # As long as it comes: a watch.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        while part := answer.read1(65_536):
            self.wfile.write(part)
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: what was met is counted."""


@contextmanager
def rough_road(kubeconfig: Path, folder: Path, *, share: float, seed: int) -> Iterator[RoughRoad]:
    """The way, open until the end; its own kubeconfig is the one to use."""
    folder.mkdir(parents=True)
    with RoughRoad(kubeconfig, folder, share=share, seed=seed) as road:
        thread = threading.Thread(target=road.serve_forever, daemon=True)
        thread.start()
        try:
            yield road
        finally:
            with suppress(OSError):
                road.shutdown()
            thread.join(5)

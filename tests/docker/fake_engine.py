"""Servers that are no good Docker engine: one that answers as it is told, and a door to a real one that can be cut."""

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]
VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24"}


def told(status: int, body: object, **headers: str) -> Answer:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()


@contextmanager
def fake_engine(answer: Callable[[str, str], Answer]) -> Iterator[tuple[str, list[str]]]:
    """Where it is, and what it was asked. `answer` is given the method and the path; /version is answered rightly."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Nothing: a test's output is its own."""

        def _serve(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            asked.append(f"{self.command} {path}")
            status, headers, body = told(200, VERSION) if path == "/version" else answer(self.command, path)
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def silent_server() -> Iterator[str]:
    """Accepts, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def cutting_door(
    host: str, words: bytes, *, silently: bool = False, for_good: bool = False
) -> Iterator[tuple[str, threading.Event]]:
    """A way to the engine at `host`. The first request that holds `words` is carried out, and its answer never given.

    The event says that this has been. The connection ends there, or, `silently`, is left open while the door is; with
    `for_good`, those that come later are not served either.
    """
    cut, closed = threading.Event(), threading.Event()
    server = socket.create_server(("127.0.0.1", 0), backlog=50)

    def relay(client: socket.socket, engine: socket.socket) -> None:
        marked = False
        with client, engine, suppress(OSError):
            while True:
                for ready in select.select([client, engine], [], [])[0]:
                    data = ready.recv(65536)
                    marked = marked or (ready is client and words in data and not cut.is_set())
                    if ready is engine and marked:
                        # It has answered, so it has done it.
                        cut.set()
                    if not data:
                        return
                    if cut.is_set() and marked:
                        closed.wait(60 if silently else 0)
                        return
                    (engine if ready is client else client).sendall(data)

    def refuse(client: socket.socket) -> None:
        with client:
            closed.wait(60 if silently else 0)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                if for_good and cut.is_set():
                    threading.Thread(target=refuse, args=(client,), daemon=True).start()
                    continue
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(host.removeprefix("unix://"))
                threading.Thread(target=relay, args=(client, engine), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}", cut
    finally:
        closed.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)

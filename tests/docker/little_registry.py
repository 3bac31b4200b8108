"""As much of a registry (OCI distribution, version 2) as a Docker engine needs to push to it and to pull from it."""

import base64
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_UPLOAD = re.compile(r"/v2/.+/blobs/uploads/(\w*)")
_BLOB = re.compile(r"/v2/.+/blobs/(sha256:\w+)")
_MANIFEST = re.compile(r"/v2/(.+)/manifests/(.+)")


class LittleRegistry(ThreadingHTTPServer):
    """`login` is USER:PASSWORD, or empty where nobody signs in. `asked` are the calls that it answered."""

    daemon_threads = True

    def __init__(self, login: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.login = login
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LittleRegistry

    def log_message(self, *args: object) -> None:
        """Nothing: a test's output is its own."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.get("Length") or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _serve(self) -> None:
        body = self._read()
        path, _, query = self.path.partition("?")
        self.server.asked.append(f"{self.command} {path}")
        wanted = base64.b64encode(self.server.login.encode()).decode()
        if self.server.login and self.headers.get("Authorization") != f"Basic {wanted}":
            self._answer(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', WWW_Authenticate='Basic realm="little"')
        elif path == "/v2/":
            self._answer(200, b"{}")
        elif found := _UPLOAD.fullmatch(path):
            self._upload(found[1], query, body)
        elif found := _BLOB.fullmatch(path):
            blob = self.server.blobs.get(found[1])
            self._answer(404) if blob is None else self._answer(200, blob, Docker_Content_Digest=found[1])
        elif found := _MANIFEST.fullmatch(path):
            self._manifest(found[1], found[2], body)
        else:
            self._answer(404)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815 - http.server's names

    def _upload(self, upload: str, query: str, body: bytes) -> None:
        digest = dict(each.partition("=")[::2] for each in query.split("&")).get("digest", "").replace("%3A", ":")
        upload = upload or hashlib.sha256(str(len(self.server.asked)).encode()).hexdigest()[:16]
        self.server.blobs[upload] = self.server.blobs.get(upload, b"") + body
        if digest:
            self.server.blobs[digest] = self.server.blobs.pop(upload)
            self._answer(201, Docker_Content_Digest=digest, Location=f"/v2/x/blobs/{digest}")
            return
        end = max(len(self.server.blobs[upload]) - 1, 0)
        location = self.path.partition("?")[0].rpartition("/uploads/")[0] + f"/uploads/{upload}"
        self._answer(202, Location=location, Docker_Upload_UUID=upload, Range=f"0-{end}")

    def _manifest(self, name: str, reference: str, body: bytes) -> None:
        if self.command == "PUT":
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            for key in (reference, digest):
                self.server.manifests[name, key] = (self.headers.get("Content-Type") or "", body)
            self._answer(201, Docker_Content_Digest=digest, Location=self.path)
            return
        found = self.server.manifests.get((name, reference))
        if found is None:
            self._answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
            return
        digest = f"sha256:{hashlib.sha256(found[1]).hexdigest()}"
        self._answer(200, found[1], Content_Type=found[0], Docker_Content_Digest=digest)


@contextmanager
def little_registry(login: str = "") -> Iterator[Any]:
    server = LittleRegistry(login)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

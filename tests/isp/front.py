"""What stands for an ingress controller and a kubelet: requests for a host that an Ingress names reach an application.

The application runs here, with the variables of the tenant's own Secret.

It answers as ingress-nginx does: with the Ingress's own certificate where its Secret is there, else with that of the
region's authority; http leads to https where the Ingress asks for it; a host that no Ingress names is 404.
"""

from __future__ import annotations

import base64
import contextlib
import ssl
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from sandbox.sample_app.server import Application
from tests.certificates import Certificate, self_signed
from tests.clusters import Cluster

DOMAIN = "isp.example"
_INGRESSES = "/apis/networking.k8s.io/v1/ingresses"


class FrontDoor:
    """`address` serves https, `http_address` http; `ca` is the authority's file.

    `names` are addresses by those that only the cluster's DNS knows.
    """

    def __init__(self, cluster: Cluster, folder: Path, names: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._names = names
        self._folder = folder
        self._running: dict[str, Application] = {}
        self._lock = threading.Lock()
        own = self_signed(f"*.{DOMAIN}")
        self.ca, _ = own.files(folder)
        self._context = own.server(folder)
        self._context.sni_callback = self._chosen
        self._plain = self._server(secure=False)
        self._secure = self._server(secure=True)
        self.address = f"127.0.0.1:{self._secure.server_port}"
        self.http_address = f"127.0.0.1:{self._plain.server_port}"

    @contextlib.contextmanager
    def open(self) -> Iterator[FrontDoor]:
        servers = (self._plain, self._secure)
        threads = [threading.Thread(target=each.serve_forever, args=(0.05,), daemon=True) for each in servers]
        for each in threads:
            each.start()
        try:
            yield self
        finally:
            for server in (*servers, *self._running.values()):
                server.shutdown()
                server.server_close()
            for application in self._running.values():
                if application.isp is not None:
                    application.isp.close()
            for each in threads:
                each.join(10)

    def _server(self, *, secure: bool) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(secure=secure))
        server.daemon_threads = True
        if secure:
            server.socket = self._context.wrap_socket(server.socket, server_side=True)
        return server

    def _chosen(self, connection: ssl.SSLObject, host: str | None, _context: ssl.SSLContext) -> None:
        found = self._ingress(host or "")
        if found is None or not found["spec"].get("tls"):
            return
        space, name = found["metadata"]["namespace"], found["spec"]["tls"][0]["secretName"]
        secret = self._cluster.get(f"/api/v1/namespaces/{space}/secrets/{name}")
        if secret is not None:
            pair = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
            folder = self._folder / name
            folder.mkdir(exist_ok=True)
            connection.context = Certificate(cert=pair["tls.crt"], key=pair["tls.key"]).server(folder)

    def _ingress(self, host: str) -> dict[str, Any] | None:
        for each in self._cluster.items(_INGRESSES):
            if host in {rule.get("host") for rule in each["spec"]["rules"]}:
                return each
        return None

    def _application(self, ingress: dict[str, Any]) -> Application:
        """The tenant's, with the variables that its pods would have."""
        space = ingress["metadata"]["namespace"]
        [path] = ingress["spec"]["rules"][0]["http"]["paths"]
        name = path["backend"]["service"]["name"]
        secret = self._cluster.get(f"/api/v1/namespaces/{space}/secrets/{name}")
        assert secret is not None
        environment = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        for name, address in self._names.items():
            environment["DATABASE_URL"] = environment["DATABASE_URL"].replace(f"@{name}/", f"@{address}/")
        with self._lock:
            key = f"{space}/{name}/{secret['metadata']['resourceVersion']}"
            if key not in self._running:
                made = Application({**environment, "HOST": "127.0.0.1", "PORT": "0"})
                threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
                self._running[key] = made
            return self._running[key]

    def _handler(self, *, secure: bool) -> type[BaseHTTPRequestHandler]:
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host = (self.headers.get("Host") or "").partition(":")[0]
                found = door._ingress(host)
                if found is None:
                    self._answer(404, b"default backend - 404", {})
                    return
                annotations = found["metadata"].get("annotations") or {}
                if not secure and annotations.get("nginx.ingress.kubernetes.io/force-ssl-redirect") == "true":
                    self._answer(308, b"", {"Location": f"https://{host}{self.path}"})
                    return
                application = door._application(found)
                url = f"http://127.0.0.1:{application.server_port}{self.path}"
                got = httpx.get(url, timeout=10, trust_env=False)
                self._answer(got.status_code, got.content, {"Content-Type": got.headers.get("Content-Type", "")})

            def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Not to standard error."""

        return Handler

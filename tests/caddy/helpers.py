"""A region's file, a route's inputs, and a visitor who reaches tenants through the gateway as a browser would."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import yaml

from sandbox.caddy import EmbeddedCaddy, base_configuration

SECRET_NAME = "TENANTRY_BACKEND_TEST_GATEWAY"
SECRET = "a-secret-between-caddy-and-the-service"


def backends_file(folder: Path, caddy: EmbeddedCaddy, **gateway: Any) -> Path:
    """The file of TENANTRY_BACKENDS with the region `here`, whose gateway this Caddy is."""
    wanted = {"admin": caddy.admin, "domain": caddy.domain, "url": caddy.url, "caFile": str(caddy.ca_file)}
    region = {
        "database": {"host": "db", "user": "u", "name": "departments"},
        "oauth": {"issuer": "https://login.example"},
        "container": {"platform": "docker"},
        "n8n": {"url": "https://n8n.example", "keyFrom": "TENANTRY_BACKEND_N8N"},
        "gateway": {name: value for name, value in {**wanted, **gateway}.items() if value is not None},
    }
    path = folder / "backends.yaml"
    path.write_text(yaml.safe_dump({"regions": {"here": region}}))
    return path


def props(label: str = "acme", **changes: Any) -> dict[str, Any]:
    """A route's inputs, as the provider is given them."""
    given = {
        "region": "here",
        "label": label,
        "tenant_mark": f"tenantry/{label}",
        "upstream": "127.0.0.1:9",
        "auth": "none",
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def empty(caddy: EmbeddedCaddy) -> None:
    """Takes all tenants' routes out of the Caddy."""
    config = base_configuration(port=caddy.port, admin_port=caddy.admin_port)
    httpx.post(f"{caddy.admin}/load", json=config, timeout=60).raise_for_status()


class Visitor:
    """Whoever visits tenants' hosts; connections are made to the gateway, whatever a host's name resolves to."""

    def __init__(self, caddy: EmbeddedCaddy) -> None:
        self._port = urlsplit(caddy.url).port
        self._domain = caddy.domain
        self.context = ssl.create_default_context(cafile=str(caddy.ca_file))
        self.base = f"https://127.0.0.1:{self._port}"
        # Each change cuts idle connections: a browser would then connect again.
        self.client = httpx.Client(
            verify=self.context, timeout=30, limits=httpx.Limits(max_keepalive_connections=0), trust_env=False
        )

    def send(self, method: str, label: str, path: str = "/", **sent: Any) -> httpx.Response:
        headers = {"Host": self.host(label), **sent.pop("headers", {})}
        named = {"sni_hostname": f"{label}.{self._domain}"}
        return self.client.request(method, f"{self.base}{path}", headers=headers, extensions=named, **sent)

    def host(self, label: str) -> str:
        return f"{label}.{self._domain}:{self._port}"

    def socket(self) -> socket.socket:
        """A connection to the gateway, without TLS yet."""
        return socket.create_connection(("127.0.0.1", self._port or 0), timeout=30)

    def get(self, label: str, path: str = "/", **sent: Any) -> httpx.Response:
        return self.send("GET", label, path, **sent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

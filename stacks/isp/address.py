"""Where an ISP is reached, as its settings and its region say. Pure.

Decides host, scheme and port. A container on Docker without a gateway gets its port when it is made: only its state
says where it is.
"""

from __future__ import annotations

from providers.backends import IngressBackend, KubernetesBackend, RegionParts
from providers.caddy.probe import public_url
from stacks.isp.settings import Ingress

_PORTS = {"https": 443, "http": 80}


def url_of(slug: str, ingress: Ingress, parts: RegionParts) -> str | None:
    """The URL; None where nobody knows it before it is made."""
    if isinstance(parts.container, KubernetesBackend):
        return _in_cluster(slug, ingress, parts.container.ingress)
    if parts.gateway is None:
        return None
    return public_url(parts.gateway, ingress.host or f"{slug}.{parts.gateway.domain}")


def secure(ingress: Ingress, backend: IngressBackend) -> bool:
    """Whether it is served with TLS: `auto` is as the region has it."""
    return ingress.tls in {"issuer", "own"} or (ingress.tls == "auto" and backend.issuer is not None)


def _in_cluster(slug: str, ingress: Ingress, backend: IngressBackend) -> str | None:
    host = ingress.host or (f"{slug}.{backend.domain}" if backend.domain else None)
    if host is None:
        return None
    scheme, at = ("https", backend.address) if secure(ingress, backend) else ("http", backend.http_address)
    port = int(at.rpartition(":")[2]) if at else _PORTS[scheme]
    return f"{scheme}://{host}" if port == _PORTS[scheme] else f"{scheme}://{host}:{port}"

"""How an ISP is reached: its host, who makes its certificate, and its URL. Pure.

Decides what the region's ingress or gateway and the manifest's settings come to together, and which of them do not fit.
On Kubernetes it is an Ingress of its own host; on Docker the region's gateway, or the published port where it has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from providers.backends import DockerBackend, GatewayBackend, IngressBackend, KubernetesBackend, RegionParts
from providers.caddy.probe import public_url
from providers.errors import ConfigurationError
from stacks.isp.settings import Ingress

Certificate = Literal["issuer", "own", "gateway", "none"]
_FIELD = "customSettings.ingress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """`host` is empty where an ISP is reached at its published port, which only its state says: so is `url` then.

    `certificate` says who makes it: cert-manager's issuer of the region, the manifest (`own`), the gateway, or nobody.
    """

    host: str = ""
    certificate: Certificate = "none"
    url: str = ""


def entrance_of(slug: str, ingress: Ingress, parts: RegionParts) -> Entrance:
    """Raises ConfigurationError for what cannot be had in this region."""
    if isinstance(parts.container, KubernetesBackend):
        return _of_cluster(slug, ingress, parts.container.ingress)
    if isinstance(parts.container, DockerBackend):
        return _of_engine(slug, ingress, parts.gateway)
    platform = parts.container.platform if parts.container else "nothing"
    raise ConfigurationError(f"an ISP runs on kubernetes or docker, and this region's containers on {platform}.")


def _of_cluster(slug: str, ingress: Ingress, region: IngressBackend) -> Entrance:
    host = ingress.host or (f"{slug}.{region.domain}" if region.domain else "")
    if not host:
        raise ConfigurationError(
            f"{_FIELD}.host: the region's ingress has no domain, so an ISP has no host of its own. Give it one, "
            "or give the region container.ingress.domain."
        )
    if ingress.tls == "issuer" and region.issuer is None:
        raise ConfigurationError(
            f"{_FIELD}.tls: the region has no issuer of certificates. Give it container.ingress.issuer, or set tls "
            "to own or none."
        )
    if ingress.tls in {"own", "none"}:
        certificate: Certificate = "own" if ingress.tls == "own" else "none"
    else:
        certificate = "issuer" if region.issuer else "none"
    return Entrance(host=host, certificate=certificate, url=_url(host, certificate, region))


def _url(host: str, certificate: Certificate, region: IngressBackend) -> str:
    scheme, usual, at = ("http", 80, region.http_address) if certificate == "none" else ("https", 443, region.address)
    port = int(at.rpartition(":")[2]) if at else usual
    return f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"


def _of_engine(slug: str, ingress: Ingress, gateway: GatewayBackend | None) -> Entrance:
    if ingress.tls == "own":
        raise ConfigurationError(f"{_FIELD}.tls: on docker the gateway makes the certificates. Set tls to auto.")
    if gateway is None or (ingress.tls == "none" and gateway.url.startswith("https:")):
        if ingress.host or ingress.tls == "issuer":
            key = "host" if ingress.host else "tls"
            raise ConfigurationError(
                f"{_FIELD}.{key}: on docker a host and its certificate are the gateway's, which this ISP does not go "
                "through. Give the region a gateway and leave tls at auto, or leave this out."
            )
        return Entrance()
    host = f"{slug}.{gateway.domain}".lower()
    if ingress.host not in {None, host}:
        raise ConfigurationError(
            f"{_FIELD}.host: on docker the gateway serves {host}, and no other host. Leave it out."
        )
    secure = gateway.url.startswith("https:")
    if ingress.tls == "issuer" and not secure:
        raise ConfigurationError(f"{_FIELD}.tls: the region's gateway serves plain HTTP. Set tls to auto.")
    return Entrance(host=host, certificate="gateway" if secure else "none", url=public_url(gateway, host))

"""How the service is reached: Service, Ingress with TLS, and which pods may speak to which.

Decides that nobody reaches a worker, and only who is named reaches the service. Where the two may go is left open: the
servers of regions and webhooks' receivers are anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.installation.names import PORT_NAME, SERVICE, WORKER, Document, labels, metadata
from stacks.installation.settings import IngressPart, Platform

_SPACE = "kubernetes.io/metadata.name"


def service(platform: Platform) -> Document:
    """The service's address within the cluster. Port 80 leads to it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(platform, SERVICE, "service"),
        "spec": {
            "type": "ClusterIP",
            "selector": labels("service"),
            "ports": [{"name": PORT_NAME, "port": 80, "targetPort": PORT_NAME, "protocol": "TCP"}],
        },
    }


def ingress(platform: Platform, part: IngressPart) -> Document:
    """The way in from outside."""
    issued = {"cert-manager.io/cluster-issuer": part.tls.issuer} if part.tls and part.tls.issuer else {}
    backend = {"service": {"name": SERVICE, "port": {"name": PORT_NAME}}}
    rule = {"host": part.host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata(platform, SERVICE, "service", annotations={**part.annotations, **issued}),
        "spec": {
            **({"ingressClassName": part.class_name} if part.class_name else {}),
            "rules": [rule],
            **({"tls": [{"hosts": [part.host], "secretName": part.tls.secret}]} if part.tls else {}),
        },
    }


def policies(platform: Platform) -> list[Document]:
    """Who may reach the pods. The kubelet's probes pass without a rule: they come from the pod's own node."""
    reach = platform.reach
    # One list alone would shut out those of the other.
    spaces = (*reach.ingress_from, *reach.metrics_from) if reach.ingress_from else ()
    peers = {"from": [_space(name) for name in dict.fromkeys(spaces)]} if spaces else {}
    to_service = {**peers, "ports": [{"port": PORT_NAME, "protocol": "TCP"}]}
    return [_policy(platform, SERVICE, "service", [to_service]), _policy(platform, WORKER, "worker", [])]


def _space(name: str) -> Document:
    return {"namespaceSelector": {"matchLabels": {_SPACE: name}}}


def _policy(platform: Platform, name: str, component: str, entering: Sequence[Document]) -> Document:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(platform, name, component),
        "spec": {
            "podSelector": {"matchLabels": labels(component)},
            "policyTypes": ["Ingress"],
            **({"ingress": list(entering)} if entering else {}),
        },
    }

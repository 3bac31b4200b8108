"""Who may talk to an ISP's pods, and whom they may talk to: nobody, but for what follows. Pure.

Decides the rules of its NetworkPolicy: requests come from the ingress controller alone (a node's own probes are never
asked), and go to the cluster's DNS and to the tenant's database. A policy knows no names: a database that is named by
one is let through by its port.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from pulumi_kubernetes import meta
from pulumi_kubernetes import networking as net

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_DNS_NAMESPACE, _DNS_PORT = "kube-system", 53
_NODE_LOCAL_DNS = "169.254.20.10/32"
SOLVER = {"acme.cert-manager.io/http01-solver": "true"}
"""How cert-manager marks the pods that prove to an authority whose host it is."""
SOLVER_PORT = 8089


def closed(pods: Mapping[str, str] | None = None) -> net.v1.NetworkPolicySpecArgs:
    """Nothing in, nothing out: of these pods, or of the whole namespace."""
    return net.v1.NetworkPolicySpecArgs(pod_selector=_pods(pods or {}), policy_types=["Ingress", "Egress"])


def application(
    pods: Mapping[str, str], *, port: int, controller: str, database: tuple[str, int]
) -> net.v1.NetworkPolicySpecArgs:
    """What the application needs. `controller` is the namespace of the ingress controller."""
    return net.v1.NetworkPolicySpecArgs(
        pod_selector=_pods(pods),
        policy_types=["Ingress", "Egress"],
        ingress=[_from(controller, port)],
        egress=[_dns(), _database(*database)],
    )


def solver(*, controller: str) -> net.v1.NetworkPolicySpecArgs:
    """What cert-manager's solver needs: the authority's question, through the ingress controller."""
    return net.v1.NetworkPolicySpecArgs(
        pod_selector=_pods(SOLVER), policy_types=["Ingress"], ingress=[_from(controller, SOLVER_PORT)]
    )


def _pods(labels: Mapping[str, str]) -> meta.v1.LabelSelectorArgs:
    return meta.v1.LabelSelectorArgs(match_labels=dict(labels) or None)


def _from(namespace: str, port: int) -> net.v1.NetworkPolicyIngressRuleArgs:
    return net.v1.NetworkPolicyIngressRuleArgs(
        from_=[_namespace(namespace)], ports=[net.v1.NetworkPolicyPortArgs(port=port, protocol="TCP")]
    )


def _namespace(name: str) -> net.v1.NetworkPolicyPeerArgs:
    selector = meta.v1.LabelSelectorArgs(match_labels={NAMESPACE_LABEL: name})
    return net.v1.NetworkPolicyPeerArgs(namespace_selector=selector)


def _dns() -> net.v1.NetworkPolicyEgressRuleArgs:
    node_local = net.v1.NetworkPolicyPeerArgs(ip_block=net.v1.IPBlockArgs(cidr=_NODE_LOCAL_DNS))
    return net.v1.NetworkPolicyEgressRuleArgs(
        to=[_namespace(_DNS_NAMESPACE), node_local],
        ports=[net.v1.NetworkPolicyPortArgs(port=_DNS_PORT, protocol=protocol) for protocol in ("UDP", "TCP")],
    )


def _database(host: str, port: int) -> net.v1.NetworkPolicyEgressRuleArgs:
    ports = [net.v1.NetworkPolicyPortArgs(port=port, protocol="TCP")]
    try:
        cidr = str(ipaddress.ip_network(host))
    except ValueError:
        return net.v1.NetworkPolicyEgressRuleArgs(ports=ports)
    to = net.v1.NetworkPolicyPeerArgs(ip_block=net.v1.IPBlockArgs(cidr=cidr))
    return net.v1.NetworkPolicyEgressRuleArgs(to=[to], ports=ports)

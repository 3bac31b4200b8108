"""Which kinds are waited for, and how. Every other kind is ready when it is made, as with the stock provider.

By group and kind, of whatever version. More than the stock provider waits for: a CustomResourceDefinition and an
APIService, without which objects of theirs cannot be made.
"""

from providers.kubernetes.awaiting import network, others, running, storage, workloads
from providers.kubernetes.awaiting.documents import text
from providers.kubernetes.awaiting.verdict import DEFAULT_SECONDS, Rule
from providers.kubernetes.seam import Document

SHORT_SECONDS = 300.0
"""What the stock provider allows to storage, and to most deletions."""

_DEPLOYMENT = Rule(judge=workloads.deployment, queries=workloads.replica_sets_of, pods=workloads.pods_of)
_DAEMON_SET = Rule(judge=workloads.daemon_set, pods=workloads.pods_of)
_INGRESS = Rule(judge=network.ingress, queries=network.ingress_queries)

RULES: dict[tuple[str, str], Rule] = {
    ("apps", "Deployment"): _DEPLOYMENT,
    ("apps", "StatefulSet"): Rule(judge=workloads.stateful_set, pods=workloads.pods_of),
    ("apps", "DaemonSet"): _DAEMON_SET,
    ("", "ReplicationController"): Rule(judge=workloads.replication_controller, pods=workloads.pods_of),
    ("batch", "Job"): Rule(judge=running.job, pods=running.job_pods),
    ("", "Pod"): Rule(judge=running.pod),
    ("", "Service"): Rule(judge=network.service, queries=network.service_queries, pods=network.service_pods),
    ("networking.k8s.io", "Ingress"): _INGRESS,
    ("", "PersistentVolumeClaim"): Rule(judge=storage.claim, queries=storage.claim_queries, seconds=SHORT_SECONDS),
    ("", "PersistentVolume"): Rule(judge=storage.volume, seconds=SHORT_SECONDS),
    ("", "Namespace"): Rule(judge=others.namespace, seconds=SHORT_SECONDS),
    ("", "ResourceQuota"): Rule(judge=others.resource_quota, seconds=60.0),
    ("", "Secret"): Rule(judge=others.secret, seconds=30.0),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Rule(
        judge=others.custom_resource_definition, seconds=SHORT_SECONDS
    ),
    ("apiregistration.k8s.io", "APIService"): Rule(judge=others.api_service, seconds=SHORT_SECONDS),
}
_LONG_DELETIONS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicationController"}


def kind_of(obj: Document) -> tuple[str, str]:
    """Group and kind; the core's group is empty."""
    group, slash, _ = text(obj, "apiVersion").partition("/")
    return (group if slash else "", text(obj, "kind"))


def rule_of(obj: Document) -> Rule | None:
    return RULES.get(kind_of(obj))


def deletion_seconds(obj: Document) -> float:
    return DEFAULT_SECONDS if text(obj, "kind") in _LONG_DELETIONS else SHORT_SECONDS

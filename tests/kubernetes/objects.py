"""Inputs of resources, as a program gives them; and what a test does to an object behind the provider's back."""

from typing import Any

from tests.clusters import Cluster

APPLY = "application/apply-patch+yaml"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"
SERVICE = "kubernetes:core/v1:Service"
CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
QUOTA = "kubernetes:core/v1:ResourceQuota"
NAMESPACE = "kubernetes:core/v1:Namespace"


def pod_spec(**more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "app", "image": "registry.example/app:1"} | more]}


def deployment(namespace: str, name: str = "web", app: str = "web", **changes: Any) -> dict[str, Any]:
    container = changes.pop("container", {})
    labels = {"app": app}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod_spec(**container)},
    }
    metadata = {"name": name, "namespace": namespace} | changes.pop("metadata", {})
    return {"metadata": metadata, "spec": spec | changes}


def named(namespace: str, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": namespace} | more


def apply_as(cluster: Cluster, manager: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
    answer = cluster.call("PATCH", f"{path}?fieldManager={manager}&force=true", document, kind=APPLY)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def at(namespace: str, plural: str, name: str, group: str = "") -> str:
    root = f"/apis/{group}" if group else "/api/v1"
    return f"{root}/namespaces/{namespace}/{plural}/{name}"


def changed(diff: Any) -> dict[str, str]:
    """The paths of a Diff, and how each changes."""
    names = {0: "add", 1: "add-replace", 2: "delete", 3: "delete-replace", 4: "update", 5: "update-replace"}
    return {path: names[each.kind] for path, each in diff.detailedDiff.items()}

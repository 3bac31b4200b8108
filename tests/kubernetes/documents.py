"""Documents as a real API server gives them, cut down to what the await logic reads."""

from typing import Any

from providers.kubernetes.seam import Document

NAMESPACE = "shop"


def doc(api_version: str, kind: str, name: str, *, namespace: str = NAMESPACE, **parts: Any) -> Document:
    meta = {"name": name, "uid": f"uid-{name}", "generation": 2, **parts.pop("metadata", {})}
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **parts}


def conditions(**found: str) -> list[dict[str, Any]]:
    """`Available="True"`, or `Failed="True BackoffLimitExceeded its limit is reached"`."""
    listed = []
    for kind, words in found.items():
        status, _, rest = words.partition(" ")
        reason, _, message = rest.partition(" ")
        listed.append({"type": kind, "status": status, "reason": reason, "message": message})
    return listed


def deployment(*, name: str = "web", spec: dict[str, Any] | None = None, **status: Any) -> Document:
    """Observed; of two replicas with the labels app=NAME."""
    full_spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, **(spec or {})}
    metadata = {"annotations": {"deployment.kubernetes.io/revision": "3"}}
    return doc(
        "apps/v1",
        "Deployment",
        name,
        metadata=metadata,
        spec=full_spec,
        status={"observedGeneration": 2, "conditions": conditions(Available="True"), **status},
    )


def replica_set(name: str, revision: str, *, owner: str = "web", **status: Any) -> Document:
    metadata = {
        "labels": {"app": owner},
        "annotations": {"deployment.kubernetes.io/revision": revision},
        "ownerReferences": [{"kind": "Deployment", "uid": f"uid-{owner}", "controller": True}],
    }
    return doc("apps/v1", "ReplicaSet", name, metadata=metadata, status=status)


def pod(name: str = "web-1", *, owner: str = "", node: str = "node-1", app: str = "web", **status: Any) -> Document:
    """Running and ready, unless `status` says otherwise."""
    metadata: dict[str, Any] = {"labels": {"app": app}}
    if owner:
        metadata["ownerReferences"] = [{"kind": "ReplicaSet", "uid": f"uid-{owner}", "controller": True}]
    full = {"phase": "Running", "conditions": conditions(PodScheduled="True", Initialized="True", Ready="True")}
    spec = {"nodeName": node} if node else {}
    return doc("v1", "Pod", name, metadata=metadata, spec=spec, status={**full, **status})


def unready_pod(
    name: str = "web-1", *, state: dict[str, Any], last: dict[str, Any] | None = None, **more: Any
) -> Document:
    container = {
        "name": "app",
        "ready": False,
        "state": state,
        "lastState": last or {},
        "restartCount": 3 if last else 0,
    }
    found = conditions(PodScheduled="True", Initialized="True", Ready="False ContainersNotReady")
    return pod(name, conditions=found, containerStatuses=[container], **{"phase": "Pending", **more})


def slices(service: str, *ready: bool | None, terminating: int = 0) -> Document:
    endpoints: list[dict[str, Any]] = [{"conditions": {} if each is None else {"ready": each}} for each in ready]
    endpoints += [{"conditions": {"ready": False, "terminating": True}}] * terminating
    labels = {"kubernetes.io/service-name": service}
    return doc("discovery.k8s.io/v1", "EndpointSlice", f"{service}-x", metadata={"labels": labels}, endpoints=endpoints)


def event(
    reason: str, message: str, *, about: Document, kind: str = "Warning", at: str = "2026-01-01T00:00:00Z", **more: Any
) -> Document:
    involved = {"kind": about["kind"], "name": about["metadata"]["name"], "uid": about["metadata"]["uid"]}
    name = f"{involved['name']}.{reason}.{len(message)}.{at}"
    return doc(
        "v1",
        "Event",
        name,
        type=kind,
        reason=reason,
        message=message,
        involvedObject=involved,
        lastTimestamp=at,
        **more,
    )

"""When what keeps pods running is ready: Deployment, StatefulSet, DaemonSet, ReplicationController. Pure.

Decided from the object's own status; its pods only explain it. A Deployment that is paused, or an object of which no
pod is wanted, is ready as soon as its controller has seen it. A Deployment that has exceeded its progress deadline in
this wait is final, since its controller says so; one that was already past it when the wait began may yet recover
(its image is there by now), so it is given its time.
"""

from typing import Any

from providers.kubernetes.awaiting.documents import (
    annotations_of,
    condition,
    is_observed,
    is_true,
    labels_selector,
    missing,
    name_of,
    namespace_of,
    number,
    owned_by,
    part,
    selector,
    table,
    text,
    told,
    uid_of,
)
from providers.kubernetes.awaiting.verdict import Failed, Query, Ready, Related, Verdict, Waiting
from providers.kubernetes.seam import Document

REVISION = "deployment.kubernetes.io/revision"
REPLICA_SETS = "replicasets"
_UNSEEN = "Waiting for its controller to see the change"
_DEADLINE = "ProgressDeadlineExceeded"


def pods_of(obj: Document) -> str:
    """The label selector of its pods."""
    found = part(obj, "spec", "selector")
    if isinstance(found, dict) and not {"matchLabels", "matchExpressions"} & found.keys():
        return labels_selector(found)
    return selector(found)


def replica_sets_of(obj: Document) -> tuple[Query, ...]:
    return (
        Query(
            key=REPLICA_SETS,
            api_version=text(obj, "apiVersion"),
            kind="ReplicaSet",
            namespace=namespace_of(obj),
            labels=pods_of(obj),
            optional=True,
            telling=True,
        ),
    )


def new_replica_set(obj: Document, related: Related) -> Document | None:
    """The one of the Deployment's current revision."""
    ours = [each for each in related.get(REPLICA_SETS) or [] if owned_by(each, uid_of(obj))]
    revision = annotations_of(obj).get(REVISION)
    return next((each for each in ours if annotations_of(each).get(REVISION) == revision), None)


def deployment(obj: Document, related: Related, first: Document) -> Verdict:
    if not is_observed(obj):
        return Waiting(reason=_UNSEEN, step=(1, 2))
    if part(obj, "spec", "paused") is True:
        return Ready()
    progressing = condition(obj, "Progressing")
    if text(progressing, "reason") == _DEADLINE and _of_now(progressing, condition(first, "Progressing")):
        seconds = number(obj, "spec", "progressDeadlineSeconds", default=600)
        return Failed(reason=f"no progress within its deadline of {seconds} s{told(progressing)}{_refusals(obj)}")
    return _rolled_out(obj, related)


def _of_now(found: Document, first: Document) -> bool:
    return (text(found, "reason"), part(found, "lastUpdateTime")) != (
        text(first, "reason"),
        part(first, "lastUpdateTime"),
    )


def _rolled_out(obj: Document, related: Related) -> Verdict:
    wanted = number(obj, "spec", "replicas", default=1)
    there, updated, available = (
        number(obj, "status", each) for each in ("replicas", "updatedReplicas", "availableReplicas")
    )
    replica_set = new_replica_set(obj, related)
    what = f"ReplicaSet {name_of(replica_set)}" if replica_set else "its ReplicaSet"
    if updated < wanted:
        return Waiting(reason=f"Waiting for {what}: {updated}/{wanted} Pods made{_refusals(obj)}", step=(1, 2))
    if there > updated:
        old = there - updated
        ready = number(replica_set, "status", "readyReplicas") if replica_set else min(updated, available)
        if ready >= wanted:
            return Waiting(reason=f"Waiting for {old} old Pod{'s' * (old > 1)} to go", step=(2, 2))
        return Waiting(reason=f"Waiting for {what}: {ready}/{wanted} Pods ready, {old} old left", step=(1, 2))
    if there > wanted:
        return Waiting(reason=f"Waiting for Pods to go: {there} there, {wanted} wanted", step=(2, 2))
    if available < wanted:
        ready = number(obj, "status", "readyReplicas")
        if ready >= wanted:
            return Waiting(reason=f"Waiting for {what}: {available}/{wanted} Pods available", step=(1, 2))
        return Waiting(reason=f"Waiting for {what}: {ready}/{wanted} Pods ready", step=(1, 2))
    if wanted and not is_true(obj, "Available"):
        return Waiting(reason=f"Waiting for the Deployment to be available: {missing(obj, 'Available')}", step=(2, 2))
    return Ready()


def _refusals(obj: Document) -> str:
    """Why pods cannot even be made, as of a quota or an admission webhook."""
    found = condition(obj, "ReplicaFailure")
    return f"; Pods are refused{told(found)}" if text(found, "status") == "True" else ""


def stateful_set(obj: Document, _related: Related, _first: Document) -> Verdict:
    """Where pods are replaced by hand (OnDelete), or only some are (a partition), the revision is not waited for."""
    if not is_observed(obj):
        return Waiting(reason=_UNSEEN, step=(1, 2))
    wanted = number(obj, "spec", "replicas", default=1)
    there, ready = number(obj, "status", "replicas"), number(obj, "status", "readyReplicas")
    if text(obj, "spec", "updateStrategy", "type") != "OnDelete":
        renewed = max(wanted - number(obj, "spec", "updateStrategy", "rollingUpdate", "partition"), 0)
        updated = number(obj, "status", "updatedReplicas")
        if updated < renewed:
            revision = text(obj, "status", "updateRevision")
            return Waiting(reason=f"Waiting for revision {revision}: {updated}/{renewed} Pods updated", step=(1, 2))
    if there > wanted:
        return Waiting(reason=f"Waiting for Pods to go: {there} there, {wanted} wanted", step=(2, 2))
    if ready < wanted:
        return Waiting(reason=f"Waiting for Pods: {ready}/{wanted} ready", step=(1, 2))
    available = number(obj, "status", "availableReplicas", default=ready)
    if number(obj, "spec", "minReadySeconds") and available < wanted:
        return Waiting(reason=f"Waiting for Pods: {available}/{wanted} available", step=(2, 2))
    return Ready()


def daemon_set(obj: Document, _related: Related, _first: Document) -> Verdict:
    if not is_observed(obj):
        return Waiting(reason=_UNSEEN)
    status = table(obj, "status")
    wanted = number(status, "desiredNumberScheduled")
    by_hand = text(obj, "spec", "updateStrategy", "type") == "OnDelete"
    counts = (
        ("made", "currentNumberScheduled"),
        *(() if by_hand else (("updated", "updatedNumberScheduled"),)),
        ("ready", "numberReady"),
        ("available", "numberAvailable"),
    )
    for word, field in counts:
        if number(status, field) < wanted:
            return Waiting(reason=f"Waiting for Pods on {wanted} nodes: {number(status, field)}/{wanted} {word}")
    return Ready()


def replication_controller(obj: Document, _related: Related, _first: Document) -> Verdict:
    if not is_observed(obj):
        return Waiting(reason=_UNSEEN)
    wanted, available = number(obj, "spec", "replicas", default=1), number(obj, "status", "availableReplicas")
    there = number(obj, "status", "replicas")
    if available == wanted == there:
        return Ready()
    return Waiting(reason=f"Waiting for Pods: {available}/{wanted} available, {there} there{_refusals(obj)}")


def is_blamed(pod: dict[str, Any], obj: Document, related: Related) -> bool:
    """Whether the pod belongs to the revision that is waited for: an old one that fails explains nothing."""
    if text(obj, "kind") != "Deployment":
        return True
    replica_set = new_replica_set(obj, related)
    return replica_set is None or owned_by(pod, uid_of(replica_set))

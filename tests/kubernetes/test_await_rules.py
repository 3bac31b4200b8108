"""When an object is ready, by its document alone: a table for each kind."""

from typing import Any

import pytest

from providers.kubernetes.awaiting.network import SLICES
from providers.kubernetes.awaiting.rules import RULES, rule_of
from providers.kubernetes.awaiting.verdict import Failed, Ready, Related, Verdict, Waiting
from providers.kubernetes.awaiting.workloads import REPLICA_SETS
from providers.kubernetes.seam import Document
from tests.kubernetes.documents import conditions, deployment, doc, pod, replica_set, slices


def verdict(obj: Document, related: Related | None = None, first: Document | None = None) -> Verdict:
    rule = rule_of(obj)
    assert rule is not None
    return rule.judge(obj, related or {}, first or obj)


def check(found: Verdict, wanted: str | type[Ready]) -> None:
    """`wanted` is Ready, what a wait says, or `final: ` and what a failure says."""
    if isinstance(wanted, str) and wanted.startswith("final: "):
        assert isinstance(found, Failed)
        assert wanted.removeprefix("final: ") in found.reason
    elif isinstance(wanted, str):
        assert isinstance(found, Waiting), found
        assert wanted in found.message
    else:
        assert isinstance(found, Ready), found


_ALL = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
_LATE = "False ProgressDeadlineExceeded it has timed out"


@pytest.mark.parametrize(
    ("obj", "wanted"),
    [
        (deployment(**_ALL), Ready),
        (deployment(**_ALL, observedGeneration=1), "[1/2] Waiting for its controller to see"),
        (deployment(), "[1/2] Waiting for its ReplicaSet: 0/2 Pods made"),
        (deployment(replicas=1, updatedReplicas=1), "1/2 Pods made"),
        (deployment(replicas=2, updatedReplicas=2, readyReplicas=1, availableReplicas=1), "1/2 Pods ready"),
        (deployment(replicas=2, updatedReplicas=2, readyReplicas=2, availableReplicas=1), "1/2 Pods available"),
        (deployment(**{**_ALL, "replicas": 3}), "[2/2] Waiting for 1 old Pod to go"),
        (deployment(**{**_ALL, "replicas": 4}), "[2/2] Waiting for 2 old Pods to go"),
        (deployment(**_ALL, conditions=conditions(Available="False Few too few")), "Available is False (Few: too few)"),
        (deployment(**_ALL, conditions=[]), "condition Available is not there yet"),
        (deployment(spec={"replicas": 0}, conditions=[]), Ready),
        (deployment(spec={"replicas": 0}, **_ALL), "[2/2] Waiting for Pods to go: 2 there, 0 wanted"),
        (deployment(spec={"replicas": 1}, **_ALL), "Waiting for Pods to go: 2 there, 1 wanted"),
        (deployment(spec={"paused": True}), Ready),
        (deployment(spec={"paused": True}, observedGeneration=1), "see the change"),
        (
            deployment(spec={"replicas": None}, replicas=1, updatedReplicas=1, readyReplicas=1, availableReplicas=1),
            Ready,
        ),
        (
            deployment(conditions=conditions(ReplicaFailure="True FailedCreate exceeded quota: pods")),
            "Pods are refused (FailedCreate: exceeded quota: pods)",
        ),
        (deployment(conditions=conditions(ReplicaFailure="False Gone exceeded quota")), "0/2 Pods made"),
    ],
)
def test_a_deployment(obj: Document, wanted: Any) -> None:
    check(verdict(obj), wanted)


def test_a_deployment_names_the_replica_set_of_its_revision() -> None:
    found = [
        replica_set("web-old", "2", readyReplicas=2),
        replica_set("web-new", "3", readyReplicas=1),
        replica_set("other-new", "3", owner="other"),
    ]
    obj = deployment(replicas=3, updatedReplicas=2, readyReplicas=3, availableReplicas=3)
    check(verdict(obj, {REPLICA_SETS: found}), "[1/2] Waiting for ReplicaSet web-new: 1/2 Pods ready, 1 old left")


def test_a_deployment_that_exceeds_its_deadline_while_waited_for_is_final() -> None:
    before, now = (
        deployment(conditions=conditions(Progressing="True")),
        deployment(conditions=conditions(Progressing=_LATE)),
    )
    check(
        verdict(now, first=before), "final: no progress within its deadline of 600 s (ProgressDeadlineExceeded: it has"
    )


def test_a_deployment_that_had_exceeded_its_deadline_before_is_given_its_time() -> None:
    obj = deployment(conditions=conditions(Progressing=_LATE))
    check(verdict(obj, first=obj), "0/2 Pods made")
    again = deployment(conditions=[{**conditions(Progressing=_LATE)[0], "lastUpdateTime": "later"}])
    check(verdict(again, first=obj), "final: no progress")


def stateful(spec: dict[str, Any] | None = None, **status: Any) -> Document:
    full = {"replicas": 3, "selector": {"matchLabels": {"app": "db"}}, **(spec or {})}
    return doc(
        "apps/v1", "StatefulSet", "db", spec=full, status={"observedGeneration": 2, "updateRevision": "db-2", **status}
    )


_STRATEGY = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}


@pytest.mark.parametrize(
    ("obj", "wanted"),
    [
        (stateful(replicas=3, updatedReplicas=3, readyReplicas=3), Ready),
        (stateful(observedGeneration=1), "see the change"),
        (stateful(replicas=3, updatedReplicas=1, readyReplicas=3), "[1/2] Waiting for revision db-2: 1/3 Pods updated"),
        (stateful(replicas=3, updatedReplicas=3, readyReplicas=2), "[1/2] Waiting for Pods: 2/3 ready"),
        (stateful(replicas=4, updatedReplicas=4, readyReplicas=4), "Waiting for Pods to go: 4 there, 3 wanted"),
        (stateful({"updateStrategy": {"type": "OnDelete"}}, replicas=3, readyReplicas=3), Ready),
        (stateful({"updateStrategy": {"type": "OnDelete"}}, replicas=3, readyReplicas=1), "1/3 ready"),
        (stateful(_STRATEGY, replicas=3, updatedReplicas=1, readyReplicas=3), Ready),
        (stateful(_STRATEGY, replicas=3, updatedReplicas=0, readyReplicas=3), "0/1 Pods updated"),
        (
            stateful({"minReadySeconds": 5}, replicas=3, updatedReplicas=3, readyReplicas=3, availableReplicas=2),
            "2/3 available",
        ),
        (stateful({"replicas": 0}), Ready),
    ],
)
def test_a_stateful_set(obj: Document, wanted: Any) -> None:
    check(verdict(obj), wanted)


def daemon(spec: dict[str, Any] | None = None, **status: Any) -> Document:
    return doc("apps/v1", "DaemonSet", "agent", spec=spec or {}, status={"observedGeneration": 2, **status})


_ON_TWO = {"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberReady": 2, "numberAvailable": 2}


@pytest.mark.parametrize(
    ("obj", "wanted"),
    [
        (daemon(**_ON_TWO, updatedNumberScheduled=2), Ready),
        (daemon(**_ON_TWO, updatedNumberScheduled=1), "on 2 nodes: 1/2 updated"),
        (daemon({"updateStrategy": {"type": "OnDelete"}}, **_ON_TWO), Ready),
        (daemon(**{**_ON_TWO, "numberReady": 1}, updatedNumberScheduled=2), "1/2 ready"),
        (daemon(**{**_ON_TWO, "numberAvailable": 0}, updatedNumberScheduled=2), "0/2 available"),
        (daemon(**{**_ON_TWO, "currentNumberScheduled": 1}), "1/2 made"),
        (daemon(desiredNumberScheduled=0), Ready),
        (daemon(observedGeneration=1), "see the change"),
    ],
)
def test_a_daemon_set(obj: Document, wanted: Any) -> None:
    check(verdict(obj), wanted)


def a_job(spec: dict[str, Any] | None = None, **status: Any) -> Document:
    return doc("batch/v1", "Job", "migrate", spec=spec or {}, status=status)


@pytest.mark.parametrize(
    ("obj", "wanted"),
    [
        (a_job(conditions=conditions(Complete="True")), Ready),
        (
            a_job(conditions=conditions(Failed="True BackoffLimitExceeded 6 times")),
            "final: it has failed (BackoffLimit",
        ),
        (a_job(conditions=conditions(Failed="False")), "[1/2] Waiting for the Job to start"),
        (
            a_job(startTime="now", active=1, failed=2),
            "[2/2] Waiting for the Job to complete: 0/1 succeeded, 1 active, 2 f",
        ),
        (a_job({"completions": 4}, startTime="now", succeeded=3), "3/4 succeeded"),
        (a_job({"suspend": True}), Ready),
        (a_job({"suspend": True}, conditions=conditions(Failed="True DeadlineExceeded")), "final: it has failed"),
    ],
)
def test_a_job(obj: Document, wanted: Any) -> None:
    check(verdict(obj), wanted)


@pytest.mark.parametrize(
    ("obj", "wanted"),
    [
        (pod(), Ready),
        (pod(phase="Succeeded", conditions=[]), Ready),
        (
            pod(phase="Failed", reason="Evicted", message="the node was low on memory"),
            "final: the Pod has failed (Evicted: ",
        ),
        (pod(conditions=[]), "[1/3] Waiting for the Pod: condition PodScheduled is not there yet"),
        (pod(conditions=conditions(PodScheduled="False Unschedulable 0/1 nodes")), "False (Unschedulable: 0/1 nodes)"),
        (pod(conditions=conditions(PodScheduled="True")), "[2/3] Waiting for the Pod: condition Initialized"),
        (
            pod(conditions=conditions(PodScheduled="True", Initialized="True", Ready="False")),
            "[3/3] Waiting for the Pod",
        ),
        ({**pod(phase="Pending"), "spec": {"schedulingGates": [{"name": "x"}]}}, "scheduling gates"),
    ],
)
def test_a_pod(obj: Document, wanted: Any) -> None:
    check(verdict(obj), wanted)


def a_service(**spec: Any) -> Document:
    status = {"loadBalancer": {"ingress": spec.pop("addresses", [])}}
    return doc("v1", "Service", "web", spec={"selector": {"app": "web"}, **spec}, status=status)


@pytest.mark.parametrize(
    ("obj", "endpoints", "wanted"),
    [
        (a_service(), [slices("web", True)], Ready),
        (a_service(), [slices("web", None)], Ready),
        (a_service(), [slices("web", True, terminating=2)], Ready),
        (a_service(), [slices("web"), slices("web", True)], Ready),
        (a_service(), [], "[1/1] Waiting for endpoints: no Pod with an address matches the selector app=web"),
        (a_service(), [slices("web")], "no Pod with an address"),
        (a_service(), [slices("web", terminating=1)], "no Pod with an address"),
        (a_service(), [slices("other", True)], "no Pod with an address"),
        (a_service(), [slices("web", True, False)], "1 ready, 1 not ready"),
        (a_service(), [slices("web", False)], "0 ready, 1 not ready"),
        (a_service(selector=None), [], Ready),
        (a_service(selector={}), [], Ready),
        (a_service(clusterIP="None"), [], Ready),
        (a_service(type="ExternalName", externalName="example.org"), [], Ready),
        (a_service(type="LoadBalancer"), [], "[1/2] Waiting for endpoints"),
        (
            a_service(type="LoadBalancer"),
            [slices("web", True)],
            "[2/2] Waiting for the load balancer to have an address",
        ),
        (a_service(type="LoadBalancer", addresses=[{"ip": "192.0.2.1"}]), [slices("web", True)], Ready),
        (a_service(type="LoadBalancer", selector=None), [], "[1/1] Waiting for the load balancer"),
    ],
)
def test_a_service(obj: Document, endpoints: list[Document], wanted: Any) -> None:
    check(verdict(obj, {SLICES: endpoints}), wanted)


def an_ingress(*, addresses: list[dict[str, str]] | None = None, **spec: Any) -> Document:
    paths = [{"backend": {"service": {"name": name}}} for name in spec.pop("to", ("web",))]
    full = {"rules": [{"http": {"paths": paths}}], **spec}
    return doc(
        "networking.k8s.io/v1", "Ingress", "web", spec=full, status={"loadBalancer": {"ingress": addresses or []}}
    )


_ADDRESS = [{"ip": "192.0.2.1"}]


@pytest.mark.parametrize(
    ("obj", "services", "endpoints", "wanted"),
    [
        (an_ingress(addresses=_ADDRESS), [a_service()], [slices("web", True)], Ready),
        (an_ingress(addresses=_ADDRESS), [a_service()], [slices("web", True, False)], Ready),
        (
            an_ingress(),
            [a_service()],
            [slices("web", True)],
            "[2/2] Waiting for an ingress controller of the default class",
        ),
        (an_ingress(ingressClassName="nginx"), [a_service()], [slices("web", True)], "controller of class nginx"),
        (an_ingress(addresses=_ADDRESS), [], [], "[1/2] Waiting for Service web, to which it leads: there is none"),
        (an_ingress(addresses=_ADDRESS), [a_service()], [slices("web", False)], "no endpoint is ready, 1 are not"),
        (an_ingress(addresses=_ADDRESS), [a_service(type="ExternalName")], [], Ready),
        (an_ingress(addresses=_ADDRESS, to=(), defaultBackend={"service": {"name": "web"}}), [], [], "there is none"),
        (an_ingress(addresses=_ADDRESS, to=(), defaultBackend={"resource": {"name": "bucket"}}), [], [], Ready),
    ],
)
def test_an_ingress(obj: Document, services: list[Document], endpoints: list[Document], wanted: Any) -> None:
    check(verdict(obj, {"service/web": services, SLICES: endpoints}), wanted)


def test_an_ingress_asks_for_each_service_once_and_for_all_endpoints_together() -> None:
    rule = RULES["networking.k8s.io", "Ingress"]
    asked = rule.queries(an_ingress(to=("web", "api", "web")))
    assert [(each.kind, each.name) for each in asked] == [("Service", "web"), ("Service", "api"), ("EndpointSlice", "")]
    assert asked[-1].labels == "kubernetes.io/service-name in (web,api)"


def a_claim(phase: str, *, storage_class: str = "fast") -> Document:
    return doc("v1", "PersistentVolumeClaim", "data", spec={"storageClassName": storage_class}, status={"phase": phase})


def a_class(mode: str) -> Document:
    return doc("storage.k8s.io/v1", "StorageClass", "fast", namespace="", volumeBindingMode=mode)


@pytest.mark.parametrize(
    ("obj", "related", "wanted"),
    [
        (a_claim("Bound"), {}, Ready),
        (a_claim("Lost"), {}, "final: its PersistentVolume"),
        (
            a_claim("Pending"),
            {"storageclass": [a_class("Immediate")]},
            "bound to a PersistentVolume of StorageClass fast",
        ),
        (a_claim("Pending"), {"storageclass": [a_class("WaitForFirstConsumer")]}, Ready),
        (a_claim(""), {"storageclass": [a_class("WaitForFirstConsumer")]}, "Waiting for the claim"),
        (a_claim("Pending"), {"storageclass": []}, "there is no StorageClass fast"),
        (a_claim("Pending"), {"storageclass": None}, "bound to a PersistentVolume"),
        (a_claim("Pending"), {"storageclass": None, "consumer": [{"reason": "WaitForFirstConsumer"}]}, Ready),
        (a_claim("Pending", storage_class=""), {}, "without a StorageClass"),
    ],
)
def test_a_claim(obj: Document, related: Related, wanted: Any) -> None:
    check(verdict(obj, related), wanted)


@pytest.mark.parametrize(
    ("obj", "wanted"),
    [
        (doc("v1", "PersistentVolume", "v", namespace="", status={"phase": "Available"}), Ready),
        (doc("v1", "PersistentVolume", "v", namespace="", status={"phase": "Bound"}), Ready),
        (doc("v1", "PersistentVolume", "v", namespace="", status={}), "PersistentVolume v: it is not looked at yet"),
        (doc("v1", "Namespace", "n", namespace="", status={"phase": "Active"}), Ready),
        (doc("v1", "Namespace", "n", namespace="", status={"phase": "Terminating"}), "it is Terminating"),
        (doc("v1", "ResourceQuota", "q", spec={"hard": {"pods": "3"}}, status={"hard": {"pods": "3"}}), Ready),
        (doc("v1", "ResourceQuota", "q", spec={"hard": {"pods": "3"}}, status={}), "count what is used"),
        (doc("v1", "Secret", "s", type="Opaque"), Ready),
        (doc("v1", "Secret", "s", type="kubernetes.io/service-account-token"), "token to be filled in"),
        (doc("v1", "Secret", "s", type="kubernetes.io/service-account-token", data={"token": "eA=="}), Ready),
        (
            doc("apiextensions.k8s.io/v1", "CustomResourceDefinition", "c", status={"conditions": []}),
            "condition NamesAccepted is not there yet",
        ),
        (
            doc(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "c",
                status={"conditions": conditions(NamesAccepted="True", Established="True")},
            ),
            Ready,
        ),
        (doc("apiregistration.k8s.io/v1", "APIService", "a", status={}), "condition Available is not there yet"),
        (
            doc("apiregistration.k8s.io/v1", "APIService", "a", status={"conditions": conditions(Available="True")}),
            Ready,
        ),
        (
            doc(
                "v1",
                "ReplicationController",
                "r",
                spec={"replicas": 1},
                status={"observedGeneration": 2, "replicas": 1, "availableReplicas": 1},
            ),
            Ready,
        ),
        (doc("v1", "ReplicationController", "r", status={"observedGeneration": 2}), "0/1 available"),
    ],
)
def test_others(obj: Document, wanted: Any) -> None:
    check(verdict(obj), wanted)


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "ConfigMap"),
        ("v1", "ServiceAccount"),
        ("policy/v1", "PodDisruptionBudget"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("serving.example.org/v1", "Service"),
        ("example.org/v1", "Deployment"),
    ],
)
def test_what_is_not_waited_for(api_version: str, kind: str) -> None:
    assert rule_of(doc(api_version, kind, "x")) is None


@pytest.mark.parametrize("key", RULES, ids=str)
def test_a_document_without_a_status_is_judged(key: tuple[str, str]) -> None:
    """What a controller has not seen yet may lack anything."""
    group, kind = key
    rule = RULES[key]
    for bare in ({}, {"status": None, "spec": None}, {"status": {"conditions": None}}):
        obj = {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": {"name": "x"}, **bare}
        rule.queries(obj)
        rule.pods(obj)
        assert isinstance(rule.judge(obj, {}, obj), Ready | Waiting)

"""Waiting for objects of a real API server with its real controllers."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.kubernetes.awaiting import NotReady, await_deleted, await_ready
from providers.kubernetes.cluster import ApiCluster
from providers.kubernetes.config import resolve
from providers.kubernetes.seam import Document
from tests.clusters import Cluster, Power, lost_node

LONG = 90.0
SHORT = 4.0
"""Enough for what is wrong to show."""


class Waiting:
    """Applies objects and waits for them, as the provider does."""

    def __init__(self, api: ApiCluster, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.messages: list[str] = []

    def apply(self, api_version: str, kind: str, name: str, *, lies_in_none: bool = False, **parts: Any) -> Document:
        metadata = {"name": name, **parts.pop("metadata", {})}
        if not lies_in_none:
            metadata["namespace"] = self.namespace
        document = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}
        return self.api.apply(document, verb="create", manager="test", force=True)

    def ready(
        self, obj: Document, *, timeout: float = LONG, when: dict[str, Callable[[], object]] | None = None
    ) -> Document:
        """`when` a message with those words comes, something is done."""
        actions = dict(when or {})

        def report(message: str) -> None:
            self.messages.append(message)
            for words in [each for each in actions if each in message]:
                actions.pop(words)()

        found = await_ready(self.api, obj, timeout=timeout, report=report, cancelled=lambda: False)
        assert not actions, f"{actions} never came: {self.messages}"
        return found

    def why_not(self, obj: Document, *, timeout: float = SHORT) -> str:
        with pytest.raises(NotReady) as caught:
            self.ready(obj, timeout=timeout)
        return caught.value.reason

    def deployment(self, name: str, *, spec: dict[str, Any] | None = None, **pod: Any) -> Document:
        return self.apply("apps/v1", "Deployment", name, spec=workload(name, **(spec or {}), pod=pod))


def workload(name: str, *, pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A spec; what `pod` has but its `container` become annotations of the template (`fail`: `fake-kubelet/fail`)."""
    found = dict(pod or {})
    container = {"name": "app", "image": "example/app:1", **found.pop("container", {})}
    annotations = {f"fake-kubelet/{key.replace('_', '-')}": value for key, value in found.items()}
    template = {"metadata": {"labels": {"app": name}, "annotations": annotations}, "spec": {"containers": [container]}}
    return {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> Iterator[ApiCluster]:
    found = ApiCluster(resolve({"kubeconfig": str(kubeconfig)}, {}))
    yield found
    found.cancel()


@pytest.fixture
def waiting(api: ApiCluster, namespace: str) -> Waiting:
    return Waiting(api, namespace)


def test_a_deployment_is_made_changed_and_scaled_to_nothing(waiting: Waiting) -> None:
    first = waiting.ready(waiting.deployment("web"))
    assert first["status"]["availableReplicas"] == 2
    waiting.messages.clear()
    second = waiting.ready(waiting.deployment("web", container={"image": "example/app:2"}))
    assert second["status"]["updatedReplicas"] == second["status"]["replicas"] == 2
    assert second["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    last = waiting.ready(waiting.deployment("web", spec={"replicas": 0}, container={"image": "example/app:2"}))
    assert not last["status"].get("replicas")
    waiting.messages.clear()
    assert waiting.ready(last) is last
    assert waiting.messages == []


def test_a_paused_deployment_is_not_waited_for(waiting: Waiting) -> None:
    found = waiting.ready(waiting.deployment("web", spec={"paused": True}))
    assert not found["status"].get("replicas")


def test_an_image_that_cannot_be_pulled(waiting: Waiting) -> None:
    why = waiting.why_not(waiting.deployment("web", fail="manifest unknown"))
    assert "Waiting for ReplicaSet web-" in why
    assert "0/2 Pods ready" in why
    assert "container app: ImagePullBackOff" in why
    assert "Warning Failed (Pod web-" in why
    assert "manifest unknown" in why
    assert any("; pods web-" in message and "ImagePullBackOff" in message for message in waiting.messages)


@pytest.mark.parametrize(("code", "words"), [("3", "exit code 3,"), ("137", "exit code 137 (OOMKilled)")])
def test_a_container_that_crashes_again_and_again(waiting: Waiting, code: str, words: str) -> None:
    why = waiting.why_not(waiting.deployment("web", crash="boom", exit_code=code))
    assert "CrashLoopBackOff" in why
    assert words in why
    assert "Warning BackOff (Pod web-" in why


def test_a_container_that_recovers(waiting: Waiting) -> None:
    found = waiting.ready(waiting.deployment("web", crash="boom", crash_times="2"))
    assert found["status"]["availableReplicas"] == 2


def test_a_probe_that_does_not_pass(waiting: Waiting) -> None:
    why = waiting.why_not(waiting.deployment("web", unready="HTTP probe failed with statuscode: 500"))
    assert "it runs and is not ready: its readiness probe does not pass" in why
    assert "Warning Unhealthy" in why
    assert "statuscode: 500" in why


def test_pods_for_which_there_is_no_room(waiting: Waiting) -> None:
    container = {"resources": {"requests": {"cpu": "1000"}}}
    why = waiting.why_not(waiting.deployment("web", container=container))
    assert "it cannot be scheduled (Unschedulable: " in why
    assert "Insufficient cpu" in why


def test_pods_that_a_quota_refuses(waiting: Waiting) -> None:
    quota = waiting.ready(waiting.apply("v1", "ResourceQuota", "quota", spec={"hard": {"pods": "1"}}))
    assert quota["status"]["hard"] == {"pods": "1"}
    why = waiting.why_not(waiting.deployment("web"))
    assert "1/2 Pods made; Pods are refused (FailedCreate: " in why
    assert "exceeded quota: quota" in why
    why = waiting.why_not(waiting.apply("apps/v1", "StatefulSet", "db", spec=workload("db", serviceName="db")))
    assert "Warning FailedCreate (StatefulSet db" in why
    assert "exceeded quota: quota" in why


def test_a_deployment_past_its_deadline_ends_the_wait_and_the_next_wait_gives_it_time(waiting: Waiting) -> None:
    slow = waiting.deployment("web", spec={"progressDeadlineSeconds": 2}, fail="manifest unknown")
    why = waiting.why_not(slow, timeout=LONG)
    assert "is not ready: no progress within its deadline of 2 s (ProgressDeadlineExceeded: " in why
    assert "ImagePullBackOff" in why
    stuck = waiting.deployment("web", spec={"progressDeadlineSeconds": 2}, fail="manifest unknown")
    assert "is not ready after 1 s" in waiting.why_not(stuck, timeout=1)


def test_a_pod_on_a_node_that_is_lost(waiting: Waiting, cluster: Cluster) -> None:
    with lost_node(cluster, "fake-1") as node:
        spec = {"nodeName": node, "containers": [{"name": "app", "image": "example/app:1"}]}
        pod = waiting.apply("v1", "Pod", "stranded", spec=spec)
        why = waiting.why_not(pod)
        assert f"its node {node} is not ready (" in why
        waiting.api.delete(pod, propagation="Foreground")
        with pytest.raises(NotReady, match=f"it cannot end: its node {node} is not ready"):
            await_deleted(waiting.api, pod, timeout=SHORT, report=lambda _: None, cancelled=lambda: False)
    await_deleted(waiting.api, pod, timeout=LONG, report=lambda _: None, cancelled=lambda: False)


def test_a_pod_alone(waiting: Waiting) -> None:
    spec = {"containers": [{"name": "app", "image": "example/app:1"}]}
    assert waiting.ready(waiting.apply("v1", "Pod", "one", spec=spec))["status"]["phase"] == "Running"
    held = waiting.apply("v1", "Pod", "two", spec=spec, metadata={"annotations": {"fake-kubelet/hold": "true"}})
    why = waiting.why_not(held, timeout=1.5)
    assert "condition PodScheduled is not there yet" in why


def test_a_job_that_completes_and_one_that_fails(waiting: Waiting) -> None:
    def job(name: str, **annotations: str) -> Document:
        template = workload(name, pod=annotations)["template"]
        template["spec"]["restartPolicy"] = "Never"
        return waiting.apply("batch/v1", "Job", name, spec={"backoffLimit": 0, "template": template})

    assert waiting.ready(job("good"))["status"]["succeeded"] == 1
    why = waiting.why_not(job("bad", crash="no such table", exit_code="4"), timeout=LONG)
    assert "it has failed (BackoffLimitExceeded" in why
    assert "exit code 4" in why


def test_claims(waiting: Waiting) -> None:
    def claim(name: str, storage_class: str) -> Document:
        spec = {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
        return waiting.apply("v1", "PersistentVolumeClaim", name, spec=spec)

    assert waiting.ready(claim("at-once", "standard"))["status"]["phase"] == "Bound"
    assert waiting.ready(claim("with-a-pod", "waiting"))["status"]["phase"] == "Pending"
    why = waiting.why_not(claim("never", "no-such-class"))
    assert "there is no StorageClass no-such-class" in why


def test_a_stateful_set_and_a_daemon_set(waiting: Waiting) -> None:
    def stateful(image: str) -> Document:
        spec = workload("db", pod={"container": {"image": image}}, serviceName="db")
        return waiting.apply("apps/v1", "StatefulSet", "db", spec=spec)

    waiting.ready(stateful("example/db:1"))
    found = waiting.ready(stateful("example/db:2"))
    assert found["status"]["currentRevision"] == found["status"]["updateRevision"]
    spec = workload("agent")
    spec.pop("replicas")
    found = waiting.ready(waiting.apply("apps/v1", "DaemonSet", "agent", spec=spec))
    assert found["status"]["numberAvailable"] == 2


def test_a_service_and_an_ingress(waiting: Waiting, cluster: Cluster) -> None:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    held = {"annotations": {"fake-kubelet/hold": "true"}}
    service = waiting.apply("v1", "Service", "web", spec={**spec, "type": "LoadBalancer"}, metadata=held)
    path = f"/api/v1/namespaces/{waiting.namespace}/services/web"
    found = waiting.ready(
        service,
        when={
            "no Pod with an address matches the selector app=web": lambda: waiting.deployment("web"),
            "[2/2] Waiting for the load balancer": lambda: cluster.annotate(path, hold=None),
        },
    )
    assert found["status"]["loadBalancer"]["ingress"]
    backend = {"service": {"name": "later", "port": {"number": 80}}}
    rules = [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    ingress = waiting.apply("networking.k8s.io/v1", "Ingress", "web", spec={"rules": rules})
    later = {
        "Service later, to which it leads: there is none": lambda: waiting.apply("v1", "Service", "later", spec=spec)
    }
    assert waiting.ready(ingress, when=later)["status"]["loadBalancer"]["ingress"]


def test_a_definition_and_an_object_of_it_that_a_program_waits_for(waiting: Waiting, cluster: Cluster) -> None:
    group = f"{waiting.namespace}.example.org"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    names = {"kind": "Web", "plural": "webs"}
    definition = waiting.apply(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        f"webs.{group}",
        lies_in_none=True,
        spec={"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    )
    try:
        waiting.ready(definition)
        wishes = {"annotations": {"pulumi.com/waitFor": '["condition=Ready", "jsonpath={.status.phase}=Up"]'}}
        web = waiting.apply(f"{group}/v1", "Web", "one", metadata=wishes)
        path = f"/apis/{group}/v1/namespaces/{waiting.namespace}/webs/one/status"
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        found = waiting.ready(
            web,
            when={
                "[1/2] Waiting for condition Ready is not there yet": lambda: cluster.merge(path, {"status": ready}),
                "[2/2] Waiting for {.status.phase}": lambda: cluster.merge(path, {"status": {"phase": "Up"}}),
            },
        )
        assert found["status"]["phase"] == "Up"
    finally:
        waiting.api.delete(definition, propagation="Background")


def test_a_namespace_that_something_holds(waiting: Waiting, cluster: Cluster) -> None:
    inside = waiting.apply("v1", "Namespace", f"{waiting.namespace}-more", lies_in_none=True)
    waiting.ready(inside)
    name = inside["metadata"]["name"]
    held = {"metadata": {"name": "held", "finalizers": ["example.org/mine"]}}
    cluster.create(f"/api/v1/namespaces/{name}/configmaps", held)
    waiting.api.delete(inside, propagation="Foreground")
    told: list[str] = []

    def report(message: str) -> None:
        told.append(message)
        if "example.org/mine" in message:
            cluster.merge(f"/api/v1/namespaces/{name}/configmaps/held", {"metadata": {"finalizers": None}})

    await_deleted(waiting.api, inside, timeout=LONG, report=report, cancelled=lambda: False)
    assert any("configmaps. has 1 resource instances" in message for message in told), told
    assert waiting.api.get("v1", "Namespace", "", name) is None


def test_a_wait_that_is_cancelled_ends(waiting: Waiting) -> None:
    obj = waiting.deployment("web", hold="true")
    stop = threading.Event()
    with pytest.raises(NotReady, match="cancelled, apply again to go on"):
        await_ready(waiting.api, obj, timeout=LONG, report=lambda _: stop.set(), cancelled=stop.is_set)


def test_an_api_server_that_is_away_for_a_while(waiting: Waiting, power: Power) -> None:
    obj = waiting.deployment("web", crash="boom", crash_times="2")

    def leave() -> None:
        power("away")

        def back() -> None:
            time.sleep(3)
            power("start")

        threading.Thread(target=back).start()

    assert waiting.ready(obj, when={"0/2 Pods": leave})["status"]["availableReplicas"] == 2

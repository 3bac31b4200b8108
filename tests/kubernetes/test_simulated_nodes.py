"""What the fake kubelet promises to the tests that rely on it, on the real API server with its real controllers."""

import socket
from typing import Any

import pytest

from tests.clusters import Cluster, Power, lost_node


def pod(namespace: str, name: str, *, image: str = "example/app:1", **annotations: str) -> dict[str, Any]:
    named = {f"fake-kubelet/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "metadata": {"name": name, "namespace": namespace, "annotations": named, "labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": image}]},
    }


def ready(found: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in found["status"].get("conditions", []))


def state(found: dict[str, Any]) -> dict[str, Any]:
    statuses = found["status"].get("containerStatuses") or [{}]
    first: dict[str, Any] = statuses[0]
    return first


def waiting(found: dict[str, Any]) -> str:
    return str(state(found).get("state", {}).get("waiting", {}).get("reason", ""))


def messages(cluster: Cluster, namespace: str, name: str) -> dict[str, list[str]]:
    """The messages of an object's Events, by reason."""
    found: dict[str, list[str]] = {}
    for event in cluster.items(f"/api/v1/namespaces/{namespace}/events"):
        if event["involvedObject"]["name"] == name:
            found.setdefault(event["reason"], []).append(event["message"])
    return found


def until_told(cluster: Cluster, namespace: str, name: str, reason: str) -> list[str]:
    """Its messages of that reason: they come a little after the status."""
    cluster.until(f"/api/v1/namespaces/{namespace}", lambda _: reason in messages(cluster, namespace, name))
    return messages(cluster, namespace, name)[reason]


def test_a_deployment_comes_up_on_both_nodes_and_its_pods_leave_the_one_that_goes(
    cluster: Cluster, namespace: str
) -> None:
    template = pod(namespace, "web")
    deployment = {
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    pods = f"/api/v1/namespaces/{namespace}/pods"
    cluster.create(path, deployment)

    def all_available(found: dict[str, Any]) -> bool:
        return found["status"].get("availableReplicas") == 2

    cluster.until(f"{path}/web", all_available)
    assert {one["spec"]["nodeName"] for one in cluster.items(pods)} == {"fake-0", "fake-1"}
    stranded = next(one["metadata"]["name"] for one in cluster.items(pods) if one["spec"]["nodeName"] == "fake-1")
    with lost_node(cluster, "fake-1"):
        # Evicted, and never finished there; another takes its place on the node that is left.
        gone = cluster.until(f"{pods}/{stranded}", lambda found: found["metadata"].get("deletionTimestamp"))
        assert not ready(gone)
        cluster.until(f"{path}/web", all_available)
        assert cluster.get(f"{pods}/{stranded}")
        live = [one for one in cluster.items(pods) if one["metadata"]["name"] != stranded]
        assert {one["spec"]["nodeName"] for one in live} == {"fake-0"}
    cluster.until_gone(f"{pods}/{stranded}")


def test_an_image_that_cannot_be_pulled(cluster: Cluster, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    cluster.create(pods, pod(namespace, "told", fail="manifest unknown"))
    cluster.create(pods, pod(namespace, "nowhere", image="registry.invalid/app:1"))
    for name, why in (("told", "manifest unknown"), ("nowhere", "no such host")):
        found = cluster.until(f"{pods}/{name}", lambda found: waiting(found) == "ImagePullBackOff")
        assert found["status"]["phase"] == "Pending"
        assert not ready(found)
        assert why in state(found)["state"]["waiting"]["message"]
        assert any(why in one for one in until_told(cluster, namespace, name, "Failed"))


def test_a_container_that_crashes_until_it_does_not(cluster: Cluster, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    cluster.create(pods, pod(namespace, "always", crash="out of memory", exit_code="137"))
    cluster.create(pods, pod(namespace, "twice", crash="no database", crash_times="2"))
    found = cluster.until(
        f"{pods}/always", lambda found: waiting(found) == "CrashLoopBackOff" and state(found)["restartCount"] >= 2
    )
    assert not ready(found)
    ended = state(found)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (137, "OOMKilled", "out of memory")
    assert "restarting failed container app" in until_told(cluster, namespace, "always", "BackOff")[0]
    found = cluster.until(f"{pods}/twice", ready)
    assert state(found)["restartCount"] == 2
    assert state(found)["lastState"]["terminated"]["exitCode"] == 1


def test_a_pod_that_is_not_ready_and_one_that_is_held(cluster: Cluster, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    cluster.create(pods, pod(namespace, "held", hold="true"))
    cluster.create(pods, pod(namespace, "unready", unready="HTTP probe failed with statuscode: 503"))
    assert "503" in until_told(cluster, namespace, "unready", "Unhealthy")[0]
    found = cluster.until(f"{pods}/unready", lambda found: found["status"]["phase"] == "Running")
    assert not ready(found)
    held = cluster.get(f"{pods}/held")
    assert held is not None
    assert "nodeName" not in held["spec"]
    cluster.annotate(f"{pods}/unready", unready=None)
    cluster.annotate(f"{pods}/held", hold=None)
    cluster.until(f"{pods}/unready", ready)
    cluster.until(f"{pods}/held", ready)


def test_jobs_end_well_or_badly(cluster: Cluster, namespace: str) -> None:
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    for name, annotations in (("good", {}), ("bad", {"crash": "exit"})):
        template = pod(namespace, name, **annotations)
        template["spec"]["restartPolicy"] = "Never"
        cluster.create(path, {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template}})

    def conditions(found: dict[str, Any]) -> list[str]:
        return [c["type"] for c in found["status"].get("conditions", []) if c["status"] == "True"]

    cluster.until(f"{path}/good", lambda found: "Complete" in conditions(found))
    cluster.until(f"{path}/bad", lambda found: "Failed" in conditions(found))


@pytest.mark.parametrize("storage", ["standard", "waiting"])
def test_a_claim_is_bound_grows_and_leaves_no_volume(cluster: Cluster, namespace: str, storage: str) -> None:
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    asked = {"resources": {"requests": {"storage": "1Gi"}}}
    spec = {"storageClassName": storage, "accessModes": ["ReadWriteOnce"], **asked}
    cluster.create(claims, {"metadata": {"name": "data"}, "spec": spec})
    if storage == "waiting":
        until_told(cluster, namespace, "data", "WaitForFirstConsumer")
        user = pod(namespace, "user")
        user["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        cluster.create(f"/api/v1/namespaces/{namespace}/pods", user)
        cluster.until(f"/api/v1/namespaces/{namespace}/pods/user", ready)
    bound = cluster.until(f"{claims}/data", lambda found: found["status"]["phase"] == "Bound")
    volume = f"/api/v1/persistentvolumes/{bound['spec']['volumeName']}"
    cluster.merge(f"{claims}/data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    cluster.until(f"{claims}/data", lambda found: found["status"]["capacity"]["storage"] == "2Gi")
    if storage == "waiting":
        cluster.delete(f"/api/v1/namespaces/{namespace}/pods/user")
    cluster.delete(f"{claims}/data")
    cluster.until_gone(volume)


def test_what_no_node_takes_is_not_scheduled(cluster: Cluster, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    large = pod(namespace, "large")
    large["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100"}}
    elsewhere = pod(namespace, "elsewhere")
    elsewhere["spec"]["nodeSelector"] = {"disk": "none"}
    for one in (large, elsewhere):
        cluster.create(pods, one)
    assert until_told(cluster, namespace, "large", "FailedScheduling") == [
        "0/2 nodes are available: 2 Insufficient cpu."
    ]
    assert "didn't match" in until_told(cluster, namespace, "elsewhere", "FailedScheduling")[0]


def test_a_load_balancer_and_an_ingress_have_an_address(cluster: Cluster, namespace: str) -> None:
    services = f"/api/v1/namespaces/{namespace}/services"
    ingresses = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"
    cluster.create(services, {"metadata": {"name": "lb"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
    backend = {"service": {"name": "lb", "port": {"number": 80}}}
    cluster.create(ingresses, {"metadata": {"name": "way"}, "spec": {"defaultBackend": backend}})
    for path in (f"{services}/lb", f"{ingresses}/way"):
        found = cluster.until(path, lambda found: found["status"]["loadBalancer"].get("ingress"))
        assert found["status"]["loadBalancer"]["ingress"][0]["ip"]


def test_the_cluster_goes_and_comes_back_with_what_it_had(cluster: Cluster, namespace: str, power: Power) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    cluster.create(pods, pod(namespace, "before"))
    cluster.until(f"{pods}/before", ready)
    for command in ("kill", "away"):
        power(command)
        with pytest.raises(OSError, match="refused"):
            _connect(cluster)
        power("start")
        assert cluster.get(f"{pods}/before")
    cluster.create(pods, pod(namespace, "after"))
    cluster.until(f"{pods}/after", ready)


def _connect(cluster: Cluster) -> None:
    with socket.create_connection((cluster.host, cluster.port), timeout=5):
        pass

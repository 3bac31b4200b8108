"""What goes wrong on a cluster while an ISP is made: what is told, and that nothing with its label is left."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.clusters import Cluster, Power, lost_node
from tests.isp.on_cluster import ClusterPlace, cluster, front, kubeconfig, on_cluster, project
from tests.isp.yard import NOTHING, ONE, parts_of
from tests.kubernetes.conftest import power
from tests.kubernetes.gateway import gateway

__all__ = ["cluster", "front", "kubeconfig", "on_cluster", "power", "project"]
pytestmark = pytest.mark.timeout(900)
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
AWAY_SECONDS = 20
WAIT_SECONDS = 30
"""Of the step `container` here, instead of 90."""


def broken(place: ClusterPlace, step: str, *, seconds: int | None = WAIT_SECONDS) -> str:
    """The message of an `up` whose first create fails in `step`, and leaves nothing."""
    if seconds is not None:
        place.yard.environment["TENANTRY_STEPS"] = json.dumps({step: {"timeout": seconds}})
    failed = place.yard.up(code=3)
    assert failed["status"] == "rolled_back"
    assert failed["leftovers"] == []
    message = str(failed["error"]["message"])
    assert f"step '{step}' failed" in message
    assert place.yard.objects() == NOTHING
    assert place.left() == []
    return message


def test_an_image_that_cannot_be_pulled(on_cluster: ClusterPlace) -> None:
    on_cluster.write(image="registry.invalid/no-such:1")
    said = broken(on_cluster, "container")
    assert "ImagePullBackOff" in said or "ErrImagePull" in said
    assert "registry.invalid/no-such:1" in said


@contextmanager
def mutated(cluster: Cluster, slug: str, annotation: str, value: str) -> Iterator[None]:
    """Each pod of the tenant's bears this annotation from its beginning."""
    # As a part of a path of RFC 6901.
    key = annotation.replace("~", "~0").replace("/", "~1")
    expression = f"[JSONPatch{{op: 'add', path: '/metadata/annotations/{key}', value: '{value}'}}]"
    policy = {
        "metadata": {"name": f"test-{slug}"},
        "spec": {
            "matchConstraints": _of_tenant(slug, "", "pods"),
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    }
    binding = {"metadata": {"name": f"test-{slug}"}, "spec": {"policyName": f"test-{slug}"}}
    with _policies(cluster, "mutating", policy, binding):
        yield


@contextmanager
def denied(cluster: Cluster, slug: str, message: str) -> Iterator[None]:
    """No Deployment of the tenant's is let in."""
    policy = {
        "metadata": {"name": f"test-{slug}"},
        "spec": {
            "matchConstraints": _of_tenant(slug, "apps", "deployments"),
            "failurePolicy": "Fail",
            "validations": [{"expression": "false", "message": message}],
        },
    }
    binding = {
        "metadata": {"name": f"test-{slug}"},
        "spec": {"policyName": f"test-{slug}", "validationActions": ["Deny"]},
    }
    with _policies(cluster, "validating", policy, binding):
        yield


def _of_tenant(slug: str, group: str, kind: str) -> dict[str, Any]:
    return {
        "namespaceSelector": {"matchLabels": {"tenantry.dev/tenant": slug}},
        "resourceRules": [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [kind]}],
    }


@contextmanager
def _policies(cluster: Cluster, word: str, policy: dict[str, Any], binding: dict[str, Any]) -> Iterator[None]:
    paths = [f"{_ADMISSION}/{word}admissionpolic{ending}" for ending in ("ies", "ybindings")]
    name = policy["metadata"]["name"]
    try:
        for path, document in zip(paths, (policy, binding), strict=True):
            cluster.create(path, document)
        yield
    finally:
        for path in reversed(paths):
            cluster.delete(f"{path}/{name}")


def test_an_application_that_crashes_again_and_again(on_cluster: ClusterPlace) -> None:
    with mutated(on_cluster.cluster, on_cluster.yard.slug, "fake-kubelet/crash", "no such table"):
        said = broken(on_cluster, "container")
    assert "CrashLoopBackOff" in said or "exit code 1" in said


def test_a_deployment_that_is_not_let_in(on_cluster: ClusterPlace) -> None:
    with denied(on_cluster.cluster, on_cluster.yard.slug, "images must be signed"):
        said = broken(on_cluster, "container", seconds=None)
    assert "images must be signed" in said
    assert "Deployment" in said


def test_an_ingress_whose_controller_writes_no_address_is_tried_all_the_same(on_cluster: ClusterPlace) -> None:
    # As where hosts are in DNS, which the test's are not: what is told is what a user would see.
    on_cluster.region(ingress={"address": None, "httpAddress": None})
    on_cluster.yard.environment["HEALTH_CHECK_TIMEOUT"] = "10"
    failed = on_cluster.yard.up(code=3)
    assert "step 'health' failed" in failed["error"]["message"]
    assert [one["status"] for one in failed["steps"] if one["key"] == "configuration"] == ["rolled_back"]
    assert on_cluster.left() == []


def test_a_quota_that_is_too_small(on_cluster: ClusterPlace) -> None:
    cluster, shared = on_cluster.cluster, f"small-{on_cluster.yard.slug}"
    cluster.create("/api/v1/namespaces", {"metadata": {"name": shared}})
    cluster.until(f"/api/v1/namespaces/{shared}/serviceaccounts/default", bool)
    try:
        quota = {"metadata": {"name": "ops"}, "spec": {"hard": {"requests.cpu": "10m"}}}
        cluster.create(f"/api/v1/namespaces/{shared}/resourcequotas", quota)
        cluster.until(f"/api/v1/namespaces/{shared}/resourcequotas/ops", lambda found: found["status"].get("hard"))
        on_cluster.region(namespace=shared)
        said = broken(on_cluster, "container")
        assert "exceeded quota: ops" in said or "quota ops" in said
        assert "requests.cpu" in said
    finally:
        cluster.delete(f"/api/v1/namespaces/{shared}")


@contextmanager
def no_node(cluster: Cluster) -> Iterator[None]:
    with ExitStack() as stack:
        for node in ("fake-0", "fake-1"):
            stack.enter_context(lost_node(cluster, node))
        yield


def test_nodes_that_go(on_cluster: ClusterPlace) -> None:
    with no_node(on_cluster.cluster):
        assert "node" in broken(on_cluster, "container")


def test_nodes_that_go_later_are_told_by_its_health(on_cluster: ClusterPlace) -> None:
    yard = on_cluster.yard
    assert yard.up()["status"] == "succeeded"
    with no_node(on_cluster.cluster):
        on_cluster.cluster.until(
            on_cluster.path("deployments", group="/apis/apps/v1"),
            lambda found: not found["status"].get("availableReplicas"),
            seconds=120,
        )
        ok, seen = parts_of(yard.run("health", yard.slug, code=10))["workload"]
        assert not ok
        assert seen.startswith("0 of 1 replicas available: pod")


def test_an_api_server_that_is_away_for_a_while(on_cluster: ClusterPlace, power: Power) -> None:
    yard = on_cluster.yard
    power("away")
    back = threading.Timer(AWAY_SECONDS, power, ["start"])
    back.start()
    try:
        made = yard.up()
    finally:
        back.join(150)
    assert made["status"] == "succeeded"
    assert yard.objects() == ONE
    assert yard.status() == "active"


def test_an_api_server_that_has_too_much_to_do(on_cluster: ClusterPlace) -> None:
    yard = on_cluster.yard
    with gateway(on_cluster.cluster) as between:
        file = yard.project / "kubeconfig"
        file.write_text(between.kubeconfig)
        on_cluster.region(kubeconfig=str(file))
        between.faults += [(429, {"Retry-After": "1"})] * 12
        assert yard.up()["status"] == "succeeded"
        assert between.faults == []
        between.faults += [(503, {})] * 4
        assert yard.destroy()["leftovers"] == []
        assert between.faults == []
    on_cluster.region()
    assert on_cluster.left() == []


def test_an_answer_that_never_comes_ends_the_step_and_is_told(on_cluster: ClusterPlace) -> None:
    yard = on_cluster.yard
    yard.environment["TENANTRY_STEPS"] = json.dumps({"infrastructure": {"timeout": 8}})
    yard.environment["ROLLBACK_TIMEOUT"] = "20"
    with gateway(on_cluster.cluster) as between:
        file = yard.project / "kubeconfig"
        file.write_text(between.kubeconfig)
        on_cluster.region(kubeconfig=str(file))
        between.always = 503
        failed = yard.up(code=4)
        assert failed["status"] == "rollback_failed"
        assert "step 'infrastructure'" in failed["error"]["message"]
        assert any("unknown in region here" in one for one in failed["leftovers"])
    del yard.environment["TENANTRY_STEPS"]
    on_cluster.region()
    assert yard.destroy()["leftovers"] == []
    assert on_cluster.left() == []

"""An ISP on a real API server with its controllers: what there is of it, how it is reached, and that all of it goes."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.certificates import self_signed
from tests.isp.front import DOMAIN
from tests.isp.on_cluster import ClusterPlace, cluster, front, kubeconfig, on_cluster, project
from tests.isp.yard import NOTHING, ONE, parts_of

__all__ = ["cluster", "front", "kubeconfig", "on_cluster", "project"]
pytestmark = pytest.mark.timeout(600)
_APPS, _NET, _POLICY = "/apis/apps/v1", "/apis/networking.k8s.io/v1", "/apis/policy/v1"


def test_an_isp_on_a_cluster_from_nothing_to_nothing(on_cluster: ClusterPlace) -> None:
    yard = on_cluster.yard
    made = yard.up()
    assert made["status"] == "succeeded"
    assert yard.objects() == ONE
    assert yard.status() == "active"
    outputs = yard.outputs()
    assert outputs["namespace"] == on_cluster.space
    assert outputs["url"] == f"https://{yard.slug}.{DOMAIN}:{on_cluster.door.address.rpartition(':')[2]}"
    marks = on_cluster.get("secrets")["metadata"]
    assert marks["labels"]["tenantry.dev/tenant"] == yard.slug
    assert marks["labels"]["app.kubernetes.io/managed-by"] == "tenantry"
    assert marks["annotations"]["tenantry.dev/tenant"] == f"tenantry/{yard.slug}"
    report = parts_of(yard.run("health", yard.slug))
    assert report["workload"] == (True, "1 of 1 replicas available")
    assert report["database"] == (True, f"{yard.identifier}_app writes and reads")
    assert report["api"] == (True, f"200, as {yard.name!r}")
    ok, seen = report["tls"]
    assert ok
    assert seen.startswith(f"status 200; certificate for *.{DOMAIN}, valid from ")
    assert seen.endswith("days: renew it; http leads to https (308)")
    assert not yard.up("--expect-no-changes")["changed"]
    assert yard.run("refresh", yard.slug)["drift"] == []
    assert yard.destroy()["leftovers"] == []
    assert yard.objects() == NOTHING
    assert on_cluster.left() == []


def test_what_there_is_in_its_namespace(on_cluster: ClusterPlace) -> None:
    yard = on_cluster.yard
    yard.up()
    size = yard.outputs()
    cpu, memory = round(size["cpuCores"] * 1000), round(size["memoryGb"] * 1024)
    space = on_cluster.cluster.get(f"/api/v1/namespaces/{on_cluster.space}")
    assert space is not None
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    hard = on_cluster.get("resourcequotas")["spec"]["hard"]
    # Room for one more than there are, and for cert-manager's own.
    assert (hard["requests.cpu"], hard["limits.memory"]) == (f"{2 * cpu + 100}m", f"{2 * memory + 64}Mi")
    assert (hard["pods"], hard["persistentvolumeclaims"], hard["services.nodeports"]) == ("3", "1", "0")
    [limit] = on_cluster.get("limitranges")["spec"]["limits"]
    assert (limit["type"], limit["max"]["memory"]) == ("Container", f"{max(memory, 64)}Mi")
    assert on_cluster.get("serviceaccounts")["automountServiceAccountToken"] is False
    claim = on_cluster.get("persistentvolumeclaims")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["spec"]["resources"]["requests"]["storage"] == f"{size['storageGb']:g}Gi"
    deployment = on_cluster.get("deployments", group=_APPS)["spec"]
    assert deployment["strategy"]["type"] == "Recreate"
    pod = deployment["template"]["spec"]
    assert pod["serviceAccountName"] == on_cluster.name
    [app] = pod["containers"]
    assert app["resources"]["requests"] == app["resources"]["limits"]
    assert app["securityContext"]["readOnlyRootFilesystem"] is True
    assert {mount["mountPath"] for mount in app["volumeMounts"]} == {"/tmp", "/data"}
    assert {name for name in app if name.endswith("Probe")} == {"startupProbe", "readinessProbe", "livenessProbe"}
    # A start that its step is given time for is not cut off by the node.
    start = app["startupProbe"]
    assert start["failureThreshold"] * start["periodSeconds"] == 1200
    assert not on_cluster.cluster.get(on_cluster.path("poddisruptionbudgets", group=_POLICY))
    # Variables only in the secret, with the address that pods reach the database at.
    given = {key: base64.b64decode(value).decode() for key, value in on_cluster.get("secrets")["data"].items()}
    assert (given["ISP_PLAN"], given["ISP_CUSTOMERS"], given["ISP_DATA"]) == ("standard", "500", "/data")
    assert "@db.example:5432/" in given["DATABASE_URL"]


def test_nobody_comes_in_but_the_ingress_and_nothing_goes_out_but_what_it_needs(on_cluster: ClusterPlace) -> None:
    on_cluster.yard.up()
    closed = on_cluster.get("networkpolicies", f"{on_cluster.name}-closed", _NET)["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    own = on_cluster.get("networkpolicies", group=_NET)["spec"]
    [coming] = own["ingress"]
    assert coming["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]
    assert [port["port"] for port in coming["ports"]] == [8080]
    dns, database = own["egress"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert database == {"ports": [{"port": 5432, "protocol": "TCP"}]}
    ingress = on_cluster.get("ingresses", group=_NET)
    assert ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"] == "tests"
    assert ingress["spec"]["tls"] == [
        {"hosts": [f"{on_cluster.yard.slug}.{DOMAIN}"], "secretName": f"{on_cluster.name}-tls"}
    ]


def test_several_replicas_share_a_volume_and_may_go_one_at_a_time(on_cluster: ClusterPlace) -> None:
    on_cluster.write(settings={"replicas": 3}, planType="premium")
    on_cluster.yard.up()
    deployment = on_cluster.get("deployments", group=_APPS)
    assert deployment["status"]["availableReplicas"] == 3
    assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert on_cluster.get("persistentvolumeclaims")["spec"]["accessModes"] == ["ReadWriteMany"]
    assert on_cluster.get("poddisruptionbudgets", group=_POLICY)["spec"]["maxUnavailable"] == 1
    share = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]
    millicores = int(share.rstrip("m")) if share.endswith("m") else 1000 * int(share)
    assert 3 * millicores >= round(1000 * on_cluster.yard.outputs()["cpuCores"]) > 2 * millicores


def test_its_own_certificate_and_how_a_wrong_one_is_told(on_cluster: ClusterPlace, tmp_path: Any) -> None:
    yard = on_cluster.yard
    own = {"certificateFrom": "TENANTRY_BACKEND_OWN_CRT", "keyFrom": "TENANTRY_BACKEND_OWN_KEY", "tls": "own"}
    on_cluster.write(settings={"ingress": own})
    missing = yard.up(code=9)
    assert "TENANTRY_BACKEND_OWN_CRT, customSettings.ingress.certificateFrom" in missing["error"]["message"]
    right, other = self_signed(f"{yard.slug}.{DOMAIN}"), self_signed(f"else.{DOMAIN}")
    yard.environment |= {"TENANTRY_BACKEND_OWN_CRT": right.cert, "TENANTRY_BACKEND_OWN_KEY": other.key}
    assert "TENANTRY_BACKEND_OWN_KEY are no certificate" in yard.up(code=9)["error"]["message"]
    # Made for another host: it fits its key, and no user's browser would take it.
    yard.environment |= {"TENANTRY_BACKEND_OWN_CRT": other.cert, "HEALTH_CHECK_TIMEOUT": "10"}
    bundle = tmp_path / "authorities.pem"
    bundle.write_text(right.cert + other.cert)
    on_cluster.region(ingress={"caFile": str(bundle)})
    failed = yard.up(code=3)
    assert "step 'health' failed" in failed["error"]["message"]
    assert on_cluster.left() == []
    yard.environment |= {"TENANTRY_BACKEND_OWN_CRT": right.cert, "TENANTRY_BACKEND_OWN_KEY": right.key}
    yard.up()
    secret = on_cluster.get("secrets", f"{on_cluster.name}-tls")
    assert secret["type"] == "kubernetes.io/tls"
    assert f"certificate for {yard.slug}.{DOMAIN}" in parts_of(yard.run("health", yard.slug))["tls"][1]
    for text in yard.project.rglob("*.json*"):
        assert right.key.splitlines()[1] not in text.read_text(errors="replace")


def test_in_a_namespace_that_all_share_it_takes_what_is_its_own(on_cluster: ClusterPlace) -> None:
    yard, cluster = on_cluster.yard, on_cluster.cluster
    shared = f"shared-{yard.slug}"
    cluster.create("/api/v1/namespaces", {"metadata": {"name": shared}})
    cluster.until(f"/api/v1/namespaces/{shared}/serviceaccounts/default", bool)
    try:
        on_cluster.space = shared
        on_cluster.region(namespace=shared)
        yard.up()
        assert yard.outputs()["namespace"] == shared
        assert cluster.items(f"/api/v1/namespaces/{shared}/resourcequotas") == []
        closed = on_cluster.get("networkpolicies", f"{on_cluster.name}-closed", _NET)["spec"]
        assert closed["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": on_cluster.name}}
        assert yard.destroy()["leftovers"] == []
        assert on_cluster.left() == []
        assert cluster.get(f"/api/v1/namespaces/{shared}") is not None
    finally:
        cluster.delete(f"/api/v1/namespaces/{shared}")

"""Objects of many kinds on the real API server: made, unchanged, changed, read, removed."""

from typing import Any

import pytest

from tests.clusters import Cluster
from tests.kubernetes.objects import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    at,
    changed,
    deployment,
    named,
    pod_spec,
)
from tests.providers.plugin import UNKNOWN, Plugin, PluginError

BACKEND = {"service": {"name": "a", "port": {"number": 80}}}
RULE = {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "deployment": (
        DEPLOYMENT,
        {
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "a"}},
                "template": {
                    "metadata": {"labels": {"app": "a"}},
                    "spec": pod_spec(
                        resources={"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"cpu": 0.25}},
                        env=[{"name": "A", "value": "b"}],
                        ports=[{"containerPort": 80}],
                    ),
                },
            }
        },
    ),
    "stateful set": (
        STATEFUL_SET,
        {
            "spec": {
                "serviceName": "a",
                "replicas": 1,
                "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": "a"}}, "spec": pod_spec()},
            }
        },
    ),
    "service": (SERVICE, {"spec": {"selector": {"app": "nobody"}, "ports": [{"port": 80}], "type": "ClusterIP"}}),
    "ingress": ("kubernetes:networking.k8s.io/v1:Ingress", {"spec": {"rules": [{"host": "a.example"} | RULE]}}),
    "policy": (
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        {"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": [{}]}},
    ),
    "quota": ("kubernetes:core/v1:ResourceQuota", {"spec": {"hard": {"cpu": "0.5", "memory": "2048Mi"}}}),
    "limits": (
        "kubernetes:core/v1:LimitRange",
        {"spec": {"limits": [{"type": "Container", "default": {"cpu": 0.5}, "defaultRequest": {"cpu": "0.1"}}]}},
    ),
    "account": ("kubernetes:core/v1:ServiceAccount", {"automountServiceAccountToken": False}),
    "role": (
        "kubernetes:rbac.authorization.k8s.io/v1:Role",
        {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    ),
    "budget": (
        "kubernetes:policy/v1:PodDisruptionBudget",
        {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}},
    ),
    "autoscaler": (
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
        {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"},
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                    }
                ],
            }
        },
    ),
    "claim": (CLAIM, {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "0.5Gi"}}}}),
    "settings": (CONFIG_MAP, {"data": {"a": "b"}}),
    "secret": (SECRET, {"stringData": {"password": "hunter22"}, "data": {"other": "eA=="}}),
    "job": (
        "kubernetes:batch/v1:Job",
        {"spec": {"template": {"spec": pod_spec() | {"restartPolicy": "Never"}}, "backoffLimit": 1}},
    ),
    "cron job": (
        "kubernetes:batch/v1:CronJob",
        {
            "spec": {
                "schedule": "0 0 1 1 *",
                "jobTemplate": {"spec": {"template": {"spec": pod_spec() | {"restartPolicy": "Never"}}}},
            }
        },
    ),
    "pod": ("kubernetes:core/v1:Pod", {"spec": pod_spec()}),
}


@pytest.mark.parametrize("name", KINDS)
def test_it_is_made_as_asked_and_unchanged_the_second_time(plugin: Plugin, cluster: Cluster, name: str) -> None:
    token, body = KINDS[name]
    # Nothing is behind the service, nor behind the ingress.
    metadata = {"annotations": {"pulumi.com/skipAwait": str(name in {"service", "ingress"}).lower()}}
    inputs = {"metadata": metadata | {"labels": {"of": "test"}}, **body}
    made = plugin.create(token, "thing", **inputs)
    told = made.outputs["metadata"]
    assert made.id == f"{told['namespace']}/{told['name']}"
    assert told["name"].startswith("thing-")
    assert told["annotations"]["pulumi.com/autonamed"] == "true"
    assert "managedFields" not in told
    assert changed(plugin.diff(made, **inputs)) == {}
    # Nor does another spelling, or a default that is written out, make a change where the server sees none.
    assert plugin.refresh(made)
    assert changed(plugin.diff(made, **inputs)) == {}
    relabelled = inputs | {"metadata": metadata | {"labels": {"of": "tests"}}}
    assert changed(plugin.diff(made, **relabelled)) == {"metadata.labels.of": "update"}
    assert plugin.update(made, **relabelled)["metadata"]["labels"]["of"] == "tests"
    plugin.delete(made)
    if name in {"service", "ingress"}:
        plural = {"service": "services", "ingress": "ingresses"}[name]
        group = "" if name == "service" else "networking.k8s.io/v1"
        cluster.until_gone(at(told["namespace"], plural, told["name"], group))
    assert not plugin.refresh(made)
    # What is gone is no error.
    plugin.delete(made)


def test_another_spelling_is_no_change(plugin: Plugin, namespace: str) -> None:
    def web(cpu: Any, memory: str, **more: Any) -> dict[str, Any]:
        return deployment(namespace, container={"resources": {"limits": {"cpu": cpu, "memory": memory}}} | more)

    made = plugin.create(DEPLOYMENT, "web", **web("0.5", "1Gi"))
    assert changed(plugin.diff(made, **web("500m", "1024Mi"))) == {}
    assert changed(plugin.diff(made, **web(0.5, "1Gi", imagePullPolicy="IfNotPresent"))) == {}
    assert changed(plugin.diff(made, **web("0.6", "1Gi"))) == {
        "spec.template.spec.containers[0].resources.limits.cpu": "update"
    }


def test_a_change_is_told_by_its_path(plugin: Plugin, namespace: str) -> None:
    made = plugin.create(DEPLOYMENT, "web", **deployment(namespace))
    other = deployment(namespace, replicas=2, container={"image": "registry.example/app:2", "env": [{"name": "A"}]})
    diff = plugin.diff(made, **other)
    assert changed(diff) == {
        "spec.replicas": "update",
        "spec.template.spec.containers[0].env": "add",
        "spec.template.spec.containers[0].image": "update",
    }
    assert list(diff.diffs) == ["spec"]
    assert diff.deleteBeforeReplace
    plugin.update(made, **other)
    assert made.outputs["status"]["availableReplicas"] == 2
    # Left out, it goes.
    assert changed(plugin.diff(made, **deployment(namespace))) == {
        "spec.replicas": "update",
        "spec.template.spec.containers[0].env": "delete",
        "spec.template.spec.containers[0].image": "update",
    }


def test_what_is_ignored_stays_as_it_is(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    made = plugin.create(DEPLOYMENT, "web", **deployment(namespace))
    cluster.merge(at(namespace, "deployments", "web", "apps/v1"), {"spec": {"replicas": 3}})
    other = deployment(namespace, container={"image": "registry.example/app:2"})
    assert changed(plugin.diff(made, ignore=("spec.replicas",), **other)) == {
        "spec.template.spec.containers[0].image": "update"
    }


def test_without_a_namespace_it_lies_in_the_providers(plugin: Plugin, namespace: str) -> None:
    made = plugin.create(CONFIG_MAP, "a", metadata={"name": "a"}, data={"a": "b"})
    assert made.inputs["metadata"]["namespace"] == namespace
    # What lies in none has none.
    space = plugin.create(NAMESPACE, "space", metadata={"namespace": "nonsense"})
    assert "namespace" not in space.inputs["metadata"]
    assert space.id == space.outputs["metadata"]["name"]


def test_names(plugin: Plugin, namespace: str) -> None:
    first = plugin.check(CONFIG_MAP, "a")["metadata"]["name"]
    assert plugin.check(CONFIG_MAP, "a")["metadata"]["name"] == first
    assert plugin.check(CONFIG_MAP, "a", olds=plugin.check(CONFIG_MAP, "b"))["metadata"]["name"].startswith("b-")
    generated = plugin.check(CONFIG_MAP, "a", metadata={"generateName": "from-"})["metadata"]
    assert generated["name"].startswith("from-")
    assert "annotations" not in generated
    made = plugin.create(CONFIG_MAP, "a", metadata={"generateName": "from-"}, data={"a": "b"})
    assert changed(plugin.diff(made, metadata={"generateName": "from-"}, data={"a": "b"})) == {}
    longest = plugin.check(CONFIG_MAP, "x" * 300)["metadata"]["name"]
    assert len(longest) == 63


def test_a_preview_knows_what_is_not_known(plugin: Plugin, namespace: str) -> None:
    told = plugin.preview_create(SERVICE, "a", metadata={"name": "a"}, spec={"ports": [{"port": 80}]})
    assert told["spec"]["clusterIP"] == told["metadata"]["uid"] == told["status"] == UNKNOWN
    made = plugin.create(DEPLOYMENT, "web", **deployment(namespace))
    told = plugin.update(made, preview=True, **deployment(namespace, replicas=UNKNOWN))
    assert (told["spec"]["replicas"], told["metadata"]["resourceVersion"]) == (UNKNOWN, UNKNOWN)
    assert told["metadata"]["uid"] == made.outputs["metadata"]["uid"]
    assert changed(plugin.diff(made, **deployment(namespace, replicas=UNKNOWN))) == {"spec.replicas": "update"}
    with pytest.raises(PluginError, match="spec not known"):
        plugin.update(made, **deployment(namespace, replicas=UNKNOWN))


def test_an_unknown_kind_is_fine_in_a_preview_only(plugin: Plugin, namespace: str) -> None:
    token = "kubernetes:example.com/v1:Widget"
    told = plugin.preview_create(token, "w", apiVersion="example.com/v1", kind="Widget", spec={"size": 1})
    assert told["spec"] == {"size": 1.0}
    assert "namespace" not in told["metadata"]


def test_what_fits_no_schema_is_told_by_its_path(plugin: Plugin, namespace: str) -> None:
    with pytest.raises(PluginError, match=r"cannot create Deployment .*\.spec\.replica: field not declared in schema"):
        plugin.create(DEPLOYMENT, "web", **deployment(namespace, replica=1))
    with pytest.raises(PluginError, match="must be no more than 63"):
        plugin.create(SERVICE, "s", metadata={"name": "s" * 64}, spec={"ports": [{"port": 80}]})


def test_a_refresh_finds_what_somebody_changed(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    inputs = deployment(namespace, metadata={"labels": {"a": "b"}})
    made = plugin.create(DEPLOYMENT, "web", **inputs)
    path = at(namespace, "deployments", "web", "apps/v1")
    cluster.merge(path, {"metadata": {"annotations": {"somebody": "else"}}})
    assert plugin.refresh(made)
    # What nobody asked for is nobody's drift.
    assert changed(plugin.diff(made, **inputs)) == {}
    cluster.merge(path, {"spec": {"replicas": 2}, "metadata": {"labels": {"a": None}}})
    assert plugin.refresh(made)
    assert made.inputs["spec"]["replicas"] == 2
    assert "labels" not in made.inputs["metadata"] or "a" not in made.inputs["metadata"]["labels"]
    assert changed(plugin.diff(made, **inputs)) == {"spec.replicas": "update", "metadata.labels": "add"}


def test_a_refresh_finds_what_somebody_changed_in_a_secret(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    inputs = {"metadata": {"name": "s"}, "stringData": {"a": "right", "b": "same"}}
    made = plugin.create(SECRET, "s", **inputs)
    cluster.merge(at(namespace, "secrets", "s"), {"stringData": {"a": "wrong"}})
    assert plugin.refresh(made)
    assert made.inputs["stringData"]["value"] == {"a": "wrong", "b": "same"}
    assert changed(plugin.diff(made, **inputs)) == {"data.a": "update-replace"}


def test_an_import_reads_what_is_there(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    settings = {"metadata": {"name": "theirs", "labels": {"a": "b"}}, "data": {"x": "y"}}
    cluster.create(at(namespace, "configmaps", ""), settings)
    for object_id in (f"{namespace}/theirs", f"v1/ConfigMap/{namespace}/theirs", "theirs"):
        found = plugin.read(CONFIG_MAP, "theirs", object_id)
        assert found is not None
        assert found.id == f"{namespace}/theirs"
        assert found.inputs["data"] == {"x": "y"}
        assert set(found.inputs["metadata"]) == {"name", "namespace", "labels"}
    plugin.created.append(found)
    asked = {"metadata": named(namespace, "theirs", labels={"a": "b"}), "data": {"x": "y"}}
    assert changed(plugin.diff(found, **asked)) == {}
    assert plugin.read(CONFIG_MAP, "theirs", f"{namespace}/nobody") is None
    with pytest.raises(PluginError, match="give its id as"):
        plugin.read(CONFIG_MAP, "theirs", "a/b/c/d")


def test_an_imported_workload_is_as_asked(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    asked = deployment(namespace)
    cluster.create(at(namespace, "deployments", "", "apps/v1"), asked)
    cluster.until(
        at(namespace, "deployments", "web", "apps/v1"), lambda found: found["status"].get("availableReplicas")
    )
    found = plugin.read(DEPLOYMENT, "web", f"{namespace}/web")
    assert found is not None
    plugin.created.append(found)
    assert changed(plugin.diff(found, **asked)) == {}


def test_lists_charts_and_components_are_refused_by_name(plugin: Plugin) -> None:
    for token, words in (
        ("kubernetes:core/v1:ConfigMapList", "a resource of each of its items"),
        ("kubernetes:helm.sh/v3:Release", "helm template"),
    ):
        with pytest.raises(PluginError, match=words):
            plugin.check(token, "x", items=[])


def test_annotations_that_make_no_sense_are_refused_before_anything_is_made(plugin: Plugin) -> None:
    from tests.providers.plugin import CheckError

    annotations = {"pulumi.com/deletionPropagationPolicy": "sideways", "pulumi.com/timeoutSeconds": "soon"}
    with pytest.raises(CheckError, match="sideways"):
        plugin.check(CONFIG_MAP, "a", metadata={"annotations": annotations})
    with pytest.raises(CheckError, match="the name of the ConfigMap to change"):
        plugin.check("kubernetes:core/v1:ConfigMapPatch", "a", data={})

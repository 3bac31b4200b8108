"""What cannot be changed is replaced: as the server says, and as the stock provider does."""

from pathlib import Path
from typing import Any

import pytest

from tests.clusters import Cluster
from tests.kubernetes.objects import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    changed,
    deployment,
    named,
    pod_spec,
)
from tests.providers.plugin import UNKNOWN, Plugin, PluginError, Resource, plain

SKIP = {"annotations": {"pulumi.com/skipAwait": "true"}}


def stateful(**more: Any) -> dict[str, Any]:
    spec = {
        "serviceName": "a",
        "replicas": 0,
        "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": pod_spec()},
    }
    return {"metadata": {"name": "a"}, "spec": spec | more}


def claim(storage: str, **more: Any) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}}
    return {"metadata": {"name": "a"}, "spec": spec | more}


def job(image: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "a"},
        "spec": {"template": {"spec": pod_spec(image=image) | {"restartPolicy": "Never"}}},
    }


def service(**more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"} | SKIP, "spec": {"ports": [{"port": 80}]} | more}


def binding(role: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "a"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    }


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], list[str]]] = {
    "service name": (STATEFUL_SET, stateful(), stateful(serviceName="b", replicas=1), ["spec.serviceName"]),
    "volume templates": (
        STATEFUL_SET,
        stateful(),
        stateful(volumeClaimTemplates=[claim("1Gi") | {"metadata": {"name": "d"}}]),
        ["spec.volumeClaimTemplates"],
    ),
    "job": (
        "kubernetes:batch/v1:Job",
        job("a:1"),
        job("a:2"),
        ["spec.template.spec.containers[0].image"],
    ),
    "access of a claim": (CLAIM, claim("1Gi"), claim("1Gi", accessModes=["ReadWriteMany"]), ["spec.accessModes[0]"]),
    "smaller claim": (CLAIM, claim("2Gi"), claim("1Gi"), ["spec.resources.requests.storage"]),
    "cluster address": (SERVICE, service(), service(clusterIP="None"), ["spec.clusterIP"]),
    "role": (
        "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
        binding("a"),
        binding("b"),
        ["roleRef.name"],
    ),
    "settings": (
        CONFIG_MAP,
        {"metadata": {"name": "a"}, "data": {"x": "1"}},
        {"metadata": {"name": "a"}, "data": {"x": "2"}},
        ["data.x"],
    ),
    "secret": (
        SECRET,
        {"metadata": {"name": "a"}, "stringData": {"x": "1"}},
        {"metadata": {"name": "a"}, "stringData": {"x": "2"}},
        ["data.x"],
    ),
    "type of a secret": (
        SECRET,
        {"metadata": {"name": "a"}, "data": {}},
        {"metadata": {"name": "a"}, "data": {}, "type": "example.com/x"},
        ["type"],
    ),
    "storage class": (
        "kubernetes:storage.k8s.io/v1:StorageClass",
        {"provisioner": "example.com/x", "parameters": {"a": "b"}},
        {"provisioner": "example.com/x", "parameters": {"a": "c"}},
        ["parameters.a"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_replaced(plugin: Plugin, namespace: str, name: str) -> None:
    token, old, new, paths = CASES[name]
    made = plugin.create(token, "a", **old)
    diff = plugin.diff(made, **new)
    assert sorted(diff.replaces) == paths
    assert diff.deleteBeforeReplace == ("name" in old.get("metadata", {}))
    assert not plugin.diff(made, **old).replaces


def test_a_selector(plugin: Plugin, namespace: str) -> None:
    made = plugin.create(DEPLOYMENT, "web", **deployment(namespace))
    other = deployment(namespace, app="other")
    diff = plugin.diff(made, **other)
    assert list(diff.replaces) == ["spec.selector.matchLabels.app"]
    # What is wrong in another way as well is told.
    wrong = deployment(namespace, app="other")
    wrong["spec"]["template"]["metadata"]["labels"] = {"app": "third"}
    with pytest.raises(PluginError, match="`selector` does not match template `labels`"):
        plugin.diff(made, **wrong)


def test_another_name_or_place_is_another_object(plugin: Plugin, namespace: str) -> None:
    made = plugin.create(CONFIG_MAP, "a", metadata={"name": "a"}, data={"x": "1"})
    diff = plugin.diff(made, metadata={"name": "b"}, data={"x": "1"})
    assert list(diff.replaces) == ["metadata.name"]
    assert not diff.deleteBeforeReplace
    diff = plugin.diff(made, metadata=named("default", "a"), data={"x": "1"})
    assert list(diff.replaces) == ["metadata.namespace"]
    assert not plugin.diff(made, metadata=named(namespace, "a"), data={"x": "1"}).replaces


def test_an_automatic_name_lets_the_new_one_come_first(plugin: Plugin) -> None:
    made = plugin.create(CONFIG_MAP, "a", data={"x": "1"})
    diff = plugin.diff(made, data={"x": "2"})
    assert list(diff.replaces) == ["data.x"]
    assert not diff.deleteBeforeReplace


def test_a_claim_grows_in_place(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/a"
    made = plugin.create(CLAIM, "a", **claim("1Gi"))
    cluster.until(path, lambda found: found["status"].get("phase") == "Bound")
    plugin.refresh(made)
    assert changed(plugin.diff(made, **claim("1024Mi"))) == {}
    diff = plugin.diff(made, **claim("2Gi"))
    assert changed(diff) == {"spec.resources.requests.storage": "update"}
    assert plugin.update(made, **claim("2Gi"))["spec"]["resources"]["requests"]["storage"] == "2Gi"


def test_contents_change_in_place_where_the_provider_says_so(plugin: Plugin, kubeconfig: Path, namespace: str) -> None:
    plugin.configure(
        kubeconfig=str(kubeconfig), namespace=namespace, enableConfigMapMutable=True, enableSecretMutable="true"
    )
    settings = plugin.create(CONFIG_MAP, "a", metadata={"name": "a"}, data={"x": "1"})
    assert changed(plugin.diff(settings, metadata={"name": "a"}, data={"x": "2"})) == {"data.x": "update"}
    secret = plugin.create(SECRET, "a", metadata={"name": "a"}, stringData={"x": "1", "y": "1"})
    assert changed(plugin.diff(secret, metadata={"name": "a"}, stringData={"x": "2"})) == {
        "data.x": "update",
        "data.y": "delete",
    }
    told = plugin.update(secret, metadata={"name": "a"}, stringData={"x": "2"})
    assert told["data"]["value"] == {"x": "Mg=="}
    # What has sealed itself is replaced all the same.
    sealed = plugin.create(CONFIG_MAP, "b", metadata={"name": "b"}, data={"x": "1"}, immutable=True)
    assert list(plugin.diff(sealed, metadata={"name": "b"}, data={"x": "2"}, immutable=True).replaces) == ["data.x"]


def test_it_is_foreseen_where_a_value_is_not_known_yet(plugin: Plugin, namespace: str) -> None:
    made = plugin.create(CONFIG_MAP, "a", metadata={"name": "a"}, data={"x": "1"})
    assert list(plugin.diff(made, metadata={"name": "a"}, data={"x": UNKNOWN}).replaces) == ["data.x"]
    web = plugin.create(DEPLOYMENT, "web", **deployment(namespace))
    assert not plugin.diff(web, **deployment(namespace, container={"image": UNKNOWN})).replaces
    assert plugin.diff(web, **deployment(namespace, app=UNKNOWN)).replaces


def test_what_is_not_ready_is_replaced_where_the_program_says_so(
    plugin: Plugin, cluster: Cluster, namespace: str
) -> None:
    def web(**annotations: str) -> dict[str, Any]:
        broken = deployment(namespace, metadata={"annotations": annotations})
        broken["spec"]["template"]["metadata"]["annotations"] = {"fake-kubelet/fail": "no such image"}
        return broken

    with pytest.raises(PluginError) as raised:
        plugin.create(DEPLOYMENT, "web", timeout=3, **web())
    partial = raised.value.partial
    assert partial.id == f"{namespace}/web"
    made = Resource(
        "kubernetes:apps/v1:Deployment", "web", partial.id, plain(partial.inputs), plain(partial.properties)
    )
    plugin.created.append(made)
    assert not plugin.diff(made, **web()).replaces
    diff = plugin.diff(made, **web(**{"pulumi.com/replaceUnready": "true"}))
    assert list(diff.replaces) == ['metadata.annotations["pulumi.com/replaceUnready"]']
    # A refresh tells it as well.
    with pytest.raises(PluginError, match="no such image"):
        plugin.refresh(made)

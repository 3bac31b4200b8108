"""Whose an object, and whose a field is: nothing of somebody else's is changed, and nothing of ours is forgotten."""

from pathlib import Path
from typing import Any

import pytest

from tests.clusters import Cluster
from tests.kubernetes.objects import CONFIG_MAP, DEPLOYMENT, apply_as, at, changed, deployment, named
from tests.providers.plugin import Plugin, PluginError

PATCH = "kubernetes:core/v1:ConfigMapPatch"


def config_map(namespace: str, name: str = "settings", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named(namespace, name), "data": data}


def test_what_somebody_else_made_is_not_taken(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    apply_as(cluster, "kubectl", at(namespace, "configmaps", "settings"), config_map(namespace, a="theirs"))
    with pytest.raises(PluginError, match=r"exists already and this resource did not make it.*kubectl") as raised:
        plugin.create(CONFIG_MAP, "settings", metadata={"name": "settings"}, data={"a": "ours"})
    assert f"ConfigMap {namespace}/settings" in str(raised.value)
    found = cluster.get(at(namespace, "configmaps", "settings"))
    assert found is not None
    assert found["data"] == {"a": "theirs"}


def test_it_is_taken_where_the_provider_says_so(
    plugin: Plugin, cluster: Cluster, namespace: str, kubeconfig: Path
) -> None:
    apply_as(cluster, "kubectl", at(namespace, "configmaps", "settings"), config_map(namespace, a="theirs", b="kept"))
    plugin.configure(kubeconfig=str(kubeconfig), upsertExistingObjects=True, enablePatchForce=True)
    made = plugin.create(CONFIG_MAP, "settings", metadata=named(namespace, "settings"), data={"a": "ours"})
    assert made.outputs["data"] == {"a": "ours", "b": "kept"}


def test_what_a_killed_run_left_is_taken_up(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    inputs = {"metadata": {"name": "settings"}, "data": {"a": "b"}}
    plugin.create(CONFIG_MAP, "settings", keep=False, **inputs)
    # The engine knows nothing of it: the run was killed before the state was written.
    again = plugin.create(CONFIG_MAP, "settings", **inputs | {"data": {"a": "c"}})
    assert again.outputs["data"] == {"a": "c"}
    assert len(cluster.items(f"/api/v1/namespaces/{namespace}/configmaps", labelSelector="")) == 2  # and the cluster's


def test_a_field_of_somebody_elses_is_a_conflict_that_names_him(
    plugin: Plugin, cluster: Cluster, namespace: str
) -> None:
    made = plugin.create(DEPLOYMENT, "web", **deployment(namespace))
    path = at(namespace, "deployments", "web", "apps/v1")
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}}
    apply_as(cluster, "night-watch", path, scaled)
    with pytest.raises(PluginError, match=r"cannot update Deployment .*'night-watch' has \.spec\.replicas") as raised:
        plugin.update(made, **deployment(namespace, replicas=2))
    assert 'pulumi.com/patchForce: "true"' in str(raised.value)
    forced = deployment(namespace, replicas=2, metadata={"annotations": {"pulumi.com/patchForce": "true"}})
    assert plugin.update(made, **forced)["spec"]["replicas"] == 2


def test_a_comparison_is_no_conflict(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    made = plugin.create(DEPLOYMENT, "web", **deployment(namespace))
    cluster.merge(at(namespace, "deployments", "web", "apps/v1"), {"spec": {"replicas": 3}})
    assert plugin.refresh(made)
    assert changed(plugin.diff(made, **deployment(namespace))) == {"spec.replicas": "update"}


def test_a_manager_of_the_programs_own(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    inputs: dict[str, Any] = {"metadata": {"name": "settings"}, "data": {"a": "b", "c": "d"}}
    made = plugin.create(CONFIG_MAP, "settings", **inputs)
    own = {"name": "settings", "annotations": {"pulumi.com/patchFieldManager": "mine", "pulumi.com/patchForce": "true"}}
    assert plugin.update(made, metadata=own, data={"a": "b"})["__fieldManager"] == "mine"
    found = cluster.get(at(namespace, "configmaps", "settings"))
    assert found is not None
    assert {entry["manager"] for entry in found["metadata"]["managedFields"]} == {"mine"}
    # What the manager of before had, and this one does not ask for, goes with it.
    assert found["data"] == {"a": "b"}


def test_a_patch_sets_fields_of_what_is_there_and_gives_them_up(
    plugin: Plugin, cluster: Cluster, namespace: str
) -> None:
    path = at(namespace, "configmaps", "settings")
    apply_as(cluster, "kubectl", path, config_map(namespace, a="theirs"))
    made = plugin.create(PATCH, "more", metadata={"name": "settings"}, data={"b": "ours"})
    assert made.outputs["data"] == {"a": "theirs", "b": "ours"}
    assert changed(plugin.diff(made, metadata={"name": "settings"}, data={"b": "ours"})) == {}
    diff = plugin.diff(made, metadata={"name": "settings"}, data={"b": "new", "c": "more"})
    # Contents of a patched object are not the patch's to replace.
    assert changed(diff) == {"data.b": "update", "data.c": "add"}
    assert plugin.update(made, metadata={"name": "settings"}, data={"c": "more"})["data"] == {
        "a": "theirs",
        "c": "more",
    }
    assert plugin.refresh(made)
    assert made.inputs["data"] == {"c": "more"}
    plugin.delete(made)
    found = cluster.get(path)
    assert found is not None
    assert found["data"] == {"a": "theirs"}
    cluster.delete(path)
    plugin.delete(made)


def test_a_patch_conflicts_as_well(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    apply_as(cluster, "kubectl", at(namespace, "configmaps", "settings"), config_map(namespace, a="theirs"))
    with pytest.raises(PluginError, match=r"'kubectl' has \.data\.a"):
        plugin.create(PATCH, "more", metadata={"name": "settings"}, data={"a": "ours"})
    force = {"name": "settings", "annotations": {"pulumi.com/patchForce": "true"}}
    assert plugin.create(PATCH, "more", metadata=force, data={"a": "ours"}).outputs["data"] == {"a": "ours"}


def test_a_deletion_leaves_what_somebody_else_made_since(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    path = at(namespace, "configmaps", "settings")
    made = plugin.create(CONFIG_MAP, "settings", metadata={"name": "settings"}, data={"a": "b"})
    cluster.delete(path)
    cluster.until_gone(path)
    apply_as(cluster, "kubectl", path, config_map(namespace, a="theirs"))
    plugin.delete(made)
    found = cluster.get(path)
    assert found is not None
    assert "deletionTimestamp" not in found["metadata"]


def test_a_change_leaves_what_somebody_else_made_since(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    path = at(namespace, "configmaps", "settings")
    made = plugin.create(CONFIG_MAP, "settings", metadata={"name": "settings"}, data={"a": "b"})
    cluster.delete(path)
    cluster.until_gone(path)
    apply_as(cluster, "kubectl", path, config_map(namespace, a="theirs"))
    labelled = {"metadata": {"name": "settings", "labels": {"a": "b"}}, "data": {"a": "b"}}
    with pytest.raises(PluginError, match=r"another object than before.*kubectl"):
        plugin.update(made, **labelled)
    # Gone, and not made again by anybody, it is made anew.
    cluster.delete(path)
    cluster.until_gone(path)
    assert plugin.update(made, **labelled)["data"] == {"a": "b"}


def test_what_is_being_deleted_is_waited_for(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    path = at(namespace, "configmaps", "settings")
    body = config_map(namespace, a="b")
    body["metadata"]["finalizers"] = ["example.com/slow"]
    apply_as(cluster, "kubectl", path, body)
    cluster.delete(path)
    import threading

    timer = threading.Timer(1.0, lambda: cluster.merge(path, {"metadata": {"finalizers": None}}))
    timer.start()
    made = plugin.create(CONFIG_MAP, "settings", metadata={"name": "settings"}, data={"a": "new"})
    timer.join()
    assert made.outputs["data"] == {"a": "new"}


def test_propagation_as_asked(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    annotations = {"pulumi.com/deletionPropagationPolicy": "orphan"}
    made = plugin.create(DEPLOYMENT, "web", **deployment(namespace, metadata={"annotations": annotations}))
    plugin.delete(made)
    left = cluster.items(f"/apis/apps/v1/namespaces/{namespace}/replicasets")
    assert len(left) == 1
    assert "ownerReferences" not in left[0]["metadata"]

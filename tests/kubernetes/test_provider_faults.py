"""What goes wrong between the provider and the server: told in one clear line, tried again for a while, no secret."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clusters import Cluster, Power
from tests.kubernetes.gateway import Gateway, gateway
from tests.kubernetes.objects import CONFIG_MAP, DEPLOYMENT, QUOTA, SECRET, at, deployment, named
from tests.providers.plugin import Plugin, PluginError, launch, secret

INPUTS: dict[str, Any] = {"metadata": {"name": "a"}, "data": {"x": "y"}}
WORD = "hunter2-of-the-tenant"


@pytest.fixture
def faulty(cluster: Cluster, plugin: Plugin, namespace: str) -> Iterator[Gateway]:
    """The plugin's way to the server goes through it."""
    with gateway(cluster) as made:
        plugin.configure(kubeconfig=made.kubeconfig, namespace=namespace)
        yield made
        made.faults.clear()
        made.always = 0
        for resource in reversed(plugin.created.copy()):
            plugin.delete(resource)


@pytest.mark.parametrize(
    "faults",
    [
        [(429, {"Retry-After": "1"})],
        [(503, {}), (502, {})],
        [(500, {}), (504, {})],
        [(-1, {}), (-1, {})],
    ],
    ids=["too many", "overloaded", "in trouble", "cut"],
)
def test_what_passes_is_tried_again(plugin: Plugin, faulty: Gateway, faults: list[tuple[int, dict[str, str]]]) -> None:
    plugin.check(CONFIG_MAP, "a", **INPUTS)
    before = len(faulty.seen)
    faulty.faults = list(faults)
    made = plugin.create(CONFIG_MAP, "a", **INPUTS)
    assert made.outputs["data"] == {"x": "y"}
    assert len(faulty.seen) == before + len(faults) + 2, "each fault is one more request"
    faulty.faults = list(faults)
    plugin.delete(made)


HASTY = {"TENANTRY_KUBERNETES_PATIENCE": "8"}


def test_what_does_not_pass_is_told_after_a_while(cluster: Cluster, namespace: str) -> None:
    with gateway(cluster) as made:
        plugin = launch(module="providers.kubernetes", env={**os.environ, **HASTY})
        try:
            plugin.configure(kubeconfig=made.kubeconfig, namespace=namespace)
            plugin.check(CONFIG_MAP, "a", **INPUTS)
            made.always = 503
            with pytest.raises(PluginError, match=r"made up: 503\. It was tried for 8 s: retry later"):
                plugin.call("Read", _read(namespace), timeout=100)
            made.always = -1
            with pytest.raises(PluginError, match=r"no API server answers at .*tried for 8 s: see that it runs"):
                plugin.call("Read", _read(namespace), timeout=100)
            # It is known to be away: nobody waits as long again.
            with pytest.raises(PluginError, match="tried for 5 s"):
                plugin.call("Read", _read(namespace), timeout=20)
            made.always = 0
            assert not plugin.call("Read", _read(namespace), timeout=20).id
        finally:
            plugin.stop()


def _read(namespace: str) -> Any:
    from pulumi.runtime.proto import provider_pb2

    urn = f"urn:pulumi:dev::tests::{CONFIG_MAP}::a"
    return provider_pb2.ReadRequest(id=f"{namespace}/none", urn=urn)


def test_a_server_that_is_away_for_a_while_is_waited_for(
    plugin: Plugin, cluster: Cluster, power: Power, namespace: str
) -> None:
    import threading

    made = plugin.create(CONFIG_MAP, "a", **INPUTS)
    power("away")
    timer = threading.Timer(20.0, lambda: power("start"))
    timer.start()
    try:
        assert plugin.refresh(made)
        again = plugin.create(CONFIG_MAP, "b", metadata={"name": "b"}, data={})
        assert again.id == f"{namespace}/b"
    finally:
        timer.join()


def test_what_cannot_be_reached_is_dropped_where_the_provider_says_so(cluster: Cluster, namespace: str) -> None:
    with gateway(cluster) as made:
        plugin = launch(module="providers.kubernetes", env={**os.environ, **HASTY})
        try:
            plugin.configure(kubeconfig=made.kubeconfig, namespace=namespace)
            there = plugin.create(CONFIG_MAP, "a", **INPUTS)
            options = {"deleteUnreachable": True, "skipUpdateUnreachable": True}
            plugin.configure(kubeconfig=made.kubeconfig, namespace=namespace, **options)
            plugin.check(CONFIG_MAP, "a", **INPUTS)
            made.always = -1
            changed = INPUTS | {"data": {"x": "z"}}
            news = plugin.check(CONFIG_MAP, "a", olds=there.inputs, **changed)
            assert news["data"] == {"x": "z"}
            from pulumi.runtime.proto import provider_pb2

            from tests.providers.plugin import struct

            request = provider_pb2.DeleteRequest(id=there.id, urn=there.urn, properties=struct(there.outputs))
            plugin.call("Delete", request, timeout=100)
            assert not plugin.diff(there, **changed).diffs
            assert plugin.update(there, **changed)["data"] == {"x": "y"}
        finally:
            plugin.stop()


def test_an_admission_policy_that_denies_is_named(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    root = "/apis/admissionregistration.k8s.io/v1"
    name = f"no-latest-{namespace}"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    space = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    policy = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": space},
        "validations": [{"expression": "!('bad' in object.data)", "message": "bad data are not allowed here"}],
    }
    cluster.create(f"{root}/validatingadmissionpolicies", {"metadata": {"name": name}, "spec": policy})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    cluster.create(f"{root}/validatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": binding})
    try:
        bad = {"metadata": {"name": "bad"}, "data": {"bad": "x"}}
        _until_in_force(cluster, namespace)
        with pytest.raises(PluginError) as raised:
            plugin.create(CONFIG_MAP, "bad", **bad)
        said = f"cannot create ConfigMap {namespace}/bad: admission policy '{name}' denies it: bad data are not allowed"
        assert str(raised.value) == f"{said} here"
    finally:
        cluster.delete(f"{root}/validatingadmissionpolicybindings/{name}")
        cluster.delete(f"{root}/validatingadmissionpolicies/{name}")


def _until_in_force(cluster: Cluster, namespace: str) -> None:
    """A policy is in force some moments after it is made."""
    import time

    end = time.monotonic() + 30
    while time.monotonic() < end:
        body = {"metadata": {"name": "probe"}, "data": {"bad": "x"}}
        url = f"/api/v1/namespaces/{namespace}/configmaps?dryRun=All"
        if cluster._client.post(url, json=body).status_code == 422:
            return
        time.sleep(0.1)
    raise AssertionError("the policy never came into force")


def test_a_quota_that_is_used_up_is_named(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    plugin.create(QUOTA, "few", metadata={"name": "few"}, spec={"hard": {"count/secrets": "1"}})
    plugin.create(SECRET, "a", metadata={"name": "a"}, stringData={"x": WORD})
    with pytest.raises(PluginError) as raised:
        plugin.create(SECRET, "b", metadata={"name": "b"}, stringData={"x": WORD})
    said = str(raised.value)
    assert said.startswith(f"cannot create Secret {namespace}/b: quota 'few' is used up (requested: count/secrets=1")
    assert WORD not in said


def test_no_secret_in_what_the_server_says(plugin: Plugin, namespace: str) -> None:
    encoded = secret({"x": base64.b64encode(WORD.encode()).decode()})
    with pytest.raises(PluginError, match="a valid config key") as raised:
        plugin.create(CONFIG_MAP, "a", metadata={"name": "a"}, data={f"no {WORD}!": "x"}, binaryData=encoded)
    assert "ConfigMap" in str(raised.value)
    assert "[secret]" in str(raised.value)
    assert WORD not in str(raised.value)
    bad = deployment(namespace, container={"image": secret(WORD + " "), "imagePullPolicy": WORD})
    bad["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = secret(WORD)
    with pytest.raises(PluginError) as raised:
        plugin.create(DEPLOYMENT, "web", **bad)
    assert "[secret]" in str(raised.value)
    assert WORD not in str(raised.value)


def test_secrets_stay_where_they_lie(plugin: Plugin, namespace: str) -> None:
    container = {"env": [{"name": "A", "value": secret(WORD)}]}
    inputs = deployment(namespace, container=container, metadata={"annotations": {"open": "x", "hidden": secret(WORD)}})
    made = plugin.create(DEPLOYMENT, "web", **inputs)
    spec = made.outputs["spec"]["template"]["spec"]
    assert spec["containers"]["4dabf18193072939515e22adb298388d"]
    assert spec["restartPolicy"] == "Always"
    assert made.outputs["metadata"]["annotations"]["hidden"]["value"] == WORD
    assert made.outputs["metadata"]["annotations"]["open"] == "x"
    assert plugin.refresh(made)
    assert made.inputs["metadata"]["annotations"]["hidden"]["value"] == WORD


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"users": [{"name": "admin", "user": {"token": "wrong"}}]}, "does not know this user"),
        ({"users": []}, "has no user 'admin'"),
        ({"current-context": ""}, "no current-context"),
        ({"clusters": [{"name": "test", "cluster": {"server": "https://127.0.0.1:1"}}]}, "no API server answers"),
    ],
)
def test_a_kubeconfig_that_does_not_work(kubeconfig: Path, change: dict[str, Any], words: str) -> None:
    config = json.loads(kubeconfig.read_text())
    config |= change
    plugin = launch(module="providers.kubernetes", env={**os.environ, **HASTY})

    def read() -> None:
        plugin.configure(kubeconfig=json.dumps(config))
        plugin.call("Read", _read("default"), timeout=100)

    try:
        with pytest.raises(PluginError, match=words) as raised:
            read()
        assert "wrong" not in str(raised.value)
    finally:
        plugin.stop()


def test_a_certificate_that_nobody_vouches_for(kubeconfig: Path, tmp_path: Path) -> None:
    config = json.loads(kubeconfig.read_text())
    del config["clusters"][0]["cluster"]["certificate-authority"]
    plugin = launch(module="providers.kubernetes")
    try:
        plugin.configure(kubeconfig=json.dumps(config))
        with pytest.raises(PluginError, match=r"no TLS with the API server at .*certificate-authority"):
            plugin.call("Read", _read("default"), timeout=20)
    finally:
        plugin.stop()


def test_a_user_without_rights(plugin: Plugin, cluster: Cluster, kubeconfig: Path, namespace: str) -> None:
    token = cluster.call(
        "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", {"spec": {"expirationSeconds": 600}}
    ).json()["status"]["token"]
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    plugin.configure(kubeconfig=json.dumps(config), namespace=namespace)
    with pytest.raises(PluginError, match=r"cannot get resource .configmaps.*Give this user that right \(RBAC\)"):
        plugin.create(CONFIG_MAP, "a", **INPUTS)
    plugin.configure(kubeconfig=str(kubeconfig), namespace=namespace)


def test_a_call_that_waits_ends_when_the_engine_asks(cluster: Cluster, kubeconfig: Path, namespace: str) -> None:
    import threading

    plugin = launch(module="providers.kubernetes")
    try:
        plugin.configure(kubeconfig=str(kubeconfig), namespace=namespace)
        broken = deployment(namespace)
        broken["spec"]["template"]["metadata"]["annotations"] = {"fake-kubelet/fail": "no such image"}
        path = at(namespace, "deployments", "web", "apps/v1")

        def cancel() -> None:
            # Once it waits for it.
            cluster.until(path, lambda found: found["status"].get("unavailableReplicas"))
            plugin.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(PluginError, match="cancelled") as raised:
            plugin.create(DEPLOYMENT, "web", timeout=50, **broken)
        canceller.join()
        assert raised.value.partial.id == f"{namespace}/web"
        with pytest.raises(PluginError, match="cancelled"):
            plugin.check(CONFIG_MAP, "a", **INPUTS)
    finally:
        plugin.stop()


def test_a_namespace_that_comes_a_moment_later(plugin: Plugin, cluster: Cluster, namespace: str) -> None:
    import threading

    late = f"{namespace}-late"
    timer = threading.Timer(2.0, lambda: cluster.create("/api/v1/namespaces", {"metadata": {"name": late}}))
    timer.start()
    try:
        made = plugin.create(CONFIG_MAP, "a", metadata=named(late, "a"), data={})
        assert made.id == f"{late}/a"
        plugin.delete(made)
        assert cluster.get(at(late, "configmaps", "a")) is None
    finally:
        timer.join()
        cluster.delete(f"/api/v1/namespaces/{late}")

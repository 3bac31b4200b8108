"""Programs with `pulumi_kubernetes`, run by the embedded engine, which finds this plugin by its entry point."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from tests.clusters import Cluster
from tests.embedded import stacks_in
from tests.kubernetes.objects import at

WORD = "hunter2-of-the-tenant"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return stacks_in(tmp_path, monkeypatch)


@pytest.fixture
def provider(kubeconfig: Path, namespace: str) -> Callable[..., pulumi.ResourceOptions]:
    def made(**options: Any) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            provider=kubernetes.Provider("cluster", kubeconfig=kubeconfig.read_text(), namespace=namespace, **options)
        )

    return made


def counts(result: Any) -> dict[str, int]:
    return dict(result.summary.resource_changes)


def deployment(name: str, opts: pulumi.ResourceOptions, *, replicas: int, env: Any, note: str = "") -> Any:
    labels = {"app": name}
    return kubernetes.apps.v1.Deployment(
        name,
        metadata={"name": name, "annotations": {"note": note} if note else {}},
        spec={
            "replicas": replicas,
            "selector": {"match_labels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "registry.example/app:1", "env": env}]},
            },
        },
        opts=opts,
    )


def test_up_no_op_change_drift_destroy(
    provider: Any, cluster: Cluster, namespace: str, stack: Any, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"replicas": 1, "word": WORD}

    def program() -> None:
        opts = provider(enable_secret_mutable=True, enable_patch_force=True)
        secret = kubernetes.core.v1.Secret(
            "word", string_data={"word": pulumi.Output.secret(settings["word"])}, opts=opts
        )
        env = [{"name": "WORD", "value": pulumi.Output.secret(WORD)}]
        web = deployment("web", opts, replicas=settings["replicas"], env=env)
        service = kubernetes.core.v1.Service(
            "web",
            metadata={"name": "web"},
            spec={"selector": {"app": "web"}, "ports": [{"port": 80}]},
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[web])),
        )
        pulumi.export("address", service.spec.cluster_ip)
        pulumi.export("secret", secret.metadata.name)
        pulumi.export("word", secret.string_data)
        pulumi.export("ready", web.status.available_replicas)

    made = stack(program)
    assert made.preview().change_summary == {"create": 5}
    assert cluster.get(at(namespace, "deployments", "web", "apps/v1")) is None
    said: list[str] = []
    try:
        first = made.up(on_output=said.append)
        assert first.outputs["ready"].value == 1
        assert first.outputs["address"].value.startswith("10.")
        assert first.outputs["word"].secret
        name = first.outputs["secret"].value
        assert name.startswith("word-")
        assert counts(made.up()) == {"same": 5}
        settings |= {"replicas": 2, "word": f"{WORD}-new"}
        assert counts(made.up(on_output=said.append)) == {"same": 3, "update": 2}
        found = cluster.get(at(namespace, "secrets", name))
        assert found is not None
        cluster.merge(at(namespace, "deployments", "web", "apps/v1"), {"spec": {"replicas": 5}})
        assert counts(made.refresh()) == {"same": 4, "update": 1}
        assert counts(made.up()) == {"same": 4, "update": 1}
        changed = cluster.get(at(namespace, "deployments", "web", "apps/v1"))
        assert changed is not None
        assert changed["spec"]["replicas"] == 2
        assert_nowhere(tmp_path, WORD, "aHVudGVyMi1vZi10aGUtdGVuYW50")
        assert WORD not in "".join(said)
    finally:
        made.destroy()
    for plural, group in (("deployments", "apps/v1"), ("services", ""), ("secrets", "")):
        path = at(namespace, plural, "", group).rstrip("/")
        assert cluster.items(path) == []


def assert_nowhere(folder: Path, *words: str) -> None:
    states = list((folder / "state").rglob("*.json"))
    assert states
    for state in states:
        text = state.read_text()
        assert not [word for word in words if word in text], state


def test_what_is_waited_for_is_told_while_it_lasts(provider: Any, cluster: Cluster, namespace: str, stack: Any) -> None:
    def program() -> None:
        opts = pulumi.ResourceOptions.merge(
            provider(), pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="4s", update="4s"))
        )
        labels = {"app": "web"}
        kubernetes.apps.v1.Deployment(
            "web",
            metadata={"name": "web"},
            spec={
                "replicas": 1,
                "selector": {"match_labels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": {"fake-kubelet/fail": "no such image"}},
                    "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]},
                },
            },
            opts=opts,
        )

    made = stack(program)
    said: list[str] = []
    events: list[Any] = []
    try:
        with pytest.raises(pulumi.automation.CommandError, match="no such image"):
            made.up(on_output=said.append, on_event=events.append)
        live = [line for line in said if "kubernetes:apps/v1:Deployment web: " in line]
        assert [line for line in live if "[1/2]" in line or "Waiting" in line or "waiting" in line], said
        ephemeral = [e.diagnostic_event for e in events if e.diagnostic_event and e.diagnostic_event.ephemeral]
        assert {each.urn.rpartition("::")[2] for each in ephemeral} == {"web"}
        # It is kept track of, and tried again.
        deployments = [r for r in made.export_stack().deployment["resources"] if r["type"].endswith("Deployment")]
        assert [bool(each.get("initErrors")) for each in deployments] == [True]
        path = at(namespace, "deployments", "web", "apps/v1")
        assert cluster.get(path) is not None
        with pytest.raises(pulumi.automation.CommandError, match="no such image"):
            made.up()
    finally:
        made.destroy()
    assert cluster.get(path) is None


def test_a_kind_that_the_same_program_defines(provider: Any, cluster: Cluster, namespace: str, stack: Any) -> None:
    group = f"{namespace}.example.com"
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {"size": {"type": "integer", "default": 3}, "color": {"type": "string"}},
            }
        },
    }
    color = {"is": "red"}

    def program() -> None:
        opts = provider()
        kind = kubernetes.apiextensions.v1.CustomResourceDefinition(
            "widgets",
            metadata={"name": f"widgets.{group}"},
            spec={
                "group": group,
                "scope": "Namespaced",
                "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            },
            opts=opts,
        )
        kubernetes.apiextensions.CustomResource(
            "mine",
            api_version=f"{group}/v1",
            kind="Widget",
            metadata={"name": "mine"},
            spec={"color": color["is"]},
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[kind])),
        )

    made = stack(program)
    assert made.preview().change_summary == {"create": 4}
    try:
        made.up()
        path = at(namespace, "widgets", "mine", f"{group}/v1")
        found = cluster.get(path)
        assert found is not None
        assert found["spec"] == {"color": "red", "size": 3}
        assert counts(made.up()) == {"same": 4}
        color["is"] = "blue"
        assert counts(made.up()) == {"same": 3, "update": 1}
    finally:
        made.destroy()
    assert cluster.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}") is None


YAML = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  annotations: {{since: 2020-01-01}}
data: {{a: b}}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Secret
  metadata: {{name: {name}}}
  stringData: {{word: {word}}}
"""


def test_yaml_from_files_and_texts(provider: Any, cluster: Cluster, namespace: str, stack: Any, tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(YAML.format(name="from-file", word=WORD))

    def program() -> None:
        found = provider()
        opts = pulumi.ResourceOptions(providers={"kubernetes": found.provider})
        kubernetes.yaml.ConfigFile("file", file=str(file), opts=opts)
        kubernetes.yaml.ConfigGroup("group", yaml=[YAML.format(name="from-text", word=WORD)], opts=opts)

    made = stack(program)
    try:
        made.up()
        for name in ("from-file", "from-text"):
            found = cluster.get(at(namespace, "configmaps", name))
            assert found is not None
            assert found["metadata"]["annotations"] == {"since": "2020-01-01"}
            assert cluster.get(at(namespace, "secrets", name)) is not None
        assert set(counts(made.up())) == {"same"}
        assert_nowhere(tmp_path, WORD)
    finally:
        made.destroy()
    assert cluster.get(at(namespace, "configmaps", "from-file")) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda opts: kubernetes.helm.v3.Release("x", chart="y", opts=opts),
            "helm.sh/v3:Release is not served",
        ),
        (lambda opts: kubernetes.yaml.v2.ConfigFile("x", file="y", opts=opts), "use ConfigFile or ConfigGroup of"),
        (lambda opts: kubernetes.helm.v4.Chart("x", chart="y", opts=opts), "helm template"),
    ],
)
def test_what_is_not_served_is_refused_by_name(provider: Any, stack: Any, make: Any, words: str) -> None:
    made = stack(lambda: make(provider()) and None)
    with pytest.raises(pulumi.automation.CommandError, match=words):
        made.up()
    made.destroy()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"enable_server_side_apply": False}, "only server-side apply is served"),
        ({"render_yaml_to_directory": "out"}, "rendering to files is not served"),
        ({"helm_release_settings": {"driver": "secret"}}, "Helm is not served"),
    ],
)
def test_options_that_are_not_served_are_refused_by_name(
    provider: Any, stack: Any, options: dict[str, Any], words: str
) -> None:
    made = stack(lambda: provider(**options) and None)
    with pytest.raises(pulumi.automation.CommandError, match=words):
        made.up()


def test_settings_with_automatic_names_are_replaced_before_the_old_go(
    provider: Any, cluster: Cluster, namespace: str, stack: Any
) -> None:
    data = {"a": "1"}

    def program() -> None:
        opts = provider()
        settings = kubernetes.core.v1.ConfigMap("settings", data=dict(data), opts=opts)
        pulumi.export("name", settings.metadata.name)

    made = stack(program)
    try:
        first = made.up().outputs["name"].value
        data["a"] = "2"
        ops: list[str] = []

        def seen(event: Any) -> None:
            if event.resource_pre_event and "ConfigMap" in event.resource_pre_event.metadata.urn:
                ops.append(str(event.resource_pre_event.metadata.op).rpartition(".")[2])

        second = made.up(on_event=seen).outputs["name"].value
        assert second != first
        assert ops[0].lower().replace("_", "-") == "create-replacement"
        assert cluster.get(at(namespace, "configmaps", first)) is None
        found = cluster.get(at(namespace, "configmaps", second))
        assert found is not None
        assert found["data"] == {"a": "2"}
    finally:
        made.destroy()


def test_an_object_that_its_replacement_would_be_is_not_removed_after_it(
    provider: Any, cluster: Cluster, namespace: str, stack: Any
) -> None:
    """Replaced by somebody's word alone, it is not deleted first; under the same name there is one object only."""

    def program() -> None:
        kubernetes.core.v1.ConfigMap("settings", metadata={"name": "settings"}, data={"a": "1"}, opts=provider())

    made = stack(program)
    path = at(namespace, "configmaps", "settings")
    try:
        made.up()
        urn = next(r["urn"] for r in made.export_stack().deployment["resources"] if "ConfigMap" in r["type"])
        made.up(replace=[urn])
        assert cluster.get(path) is not None
        assert counts(made.up()) == {"same": 3}
    finally:
        made.destroy()
    assert cluster.get(path) is None


def test_another_version_of_the_api_is_the_same_object(
    provider: Any, cluster: Cluster, namespace: str, stack: Any
) -> None:
    version = {"is": "v1"}

    def program() -> None:
        opts = provider()
        scaled = {"api_version": "apps/v1", "kind": "Deployment", "name": "none"}
        api = getattr(kubernetes.autoscaling, version["is"])
        api.HorizontalPodAutoscaler(
            "web", metadata={"name": "web"}, spec={"max_replicas": 3, "scale_target_ref": scaled}, opts=opts
        )

    made = stack(program)
    path = at(namespace, "horizontalpodautoscalers", "web", "autoscaling/v2")
    try:
        made.up()
        before = cluster.get(path)
        version["is"] = "v2"
        made.up()
        after = cluster.get(path)
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert counts(made.up()) == {"same": 3}
    finally:
        made.destroy()
    assert cluster.get(path) is None


def test_a_run_that_was_killed_leaves_one_object(
    provider: Any, cluster: Cluster, namespace: str, stack: Any, tmp_path: Path
) -> None:
    def program() -> None:
        kubernetes.core.v1.ConfigMap("settings", data={"a": "1"}, opts=provider())

    made = stack(program)
    made.up()
    state = next(path for path in (tmp_path / "state").rglob("dev.json") if "stacks" in path.parts)
    # As if the run had been killed before it wrote what it made.
    body = json.loads(state.read_text())
    body["checkpoint"]["latest"]["resources"] = [
        each for each in body["checkpoint"]["latest"]["resources"] if "ConfigMap" not in each["type"]
    ]
    state.write_text(json.dumps(body))
    try:
        assert counts(made.up())["create"] == 1
        assert len(cluster.items(f"/api/v1/namespaces/{namespace}/configmaps")) == 2  # and the cluster's own
    finally:
        made.destroy()


def test_a_provider_of_the_default_configuration(
    kubeconfig: Path, cluster: Cluster, namespace: str, stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))

    def program() -> None:
        kubernetes.core.v1.ConfigMap("settings", metadata={"name": "settings"}, data={"a": "1"})

    made = stack(program)
    made.set_config("kubernetes:namespace", pulumi.automation.ConfigValue(namespace))
    try:
        made.up()
        assert cluster.get(at(namespace, "configmaps", "settings")) is not None
    finally:
        made.destroy()


def test_an_existing_object_is_imported(provider: Any, cluster: Cluster, namespace: str, stack: Any) -> None:
    cluster.create(at(namespace, "configmaps", ""), {"metadata": {"name": "theirs"}, "data": {"a": "b"}})

    def program() -> None:
        opts = pulumi.ResourceOptions.merge(provider(), pulumi.ResourceOptions(import_=f"{namespace}/theirs"))
        kubernetes.core.v1.ConfigMap("theirs", metadata={"name": "theirs"}, data={"a": "b"}, opts=opts)

    made = stack(program)
    try:
        assert counts(made.up())["import"] == 1
        assert counts(made.up()) == {"same": 3}
    finally:
        made.destroy()
    assert cluster.get(at(namespace, "configmaps", "theirs")) is None


def test_warnings_of_the_server_are_the_users(provider: Any, stack: Any) -> None:
    """Endpoints are deprecated since 1.33."""
    old = {"metadata": {"name": "old"}, "subsets": []}

    def program() -> None:
        kubernetes.core.v1.Endpoints("old", metadata=old["metadata"], opts=provider())

    made = stack(program)
    events: list[Any] = []
    try:
        made.up(on_event=events.append)
        told = [e.diagnostic_event for e in events if e.diagnostic_event]
        assert [each for each in told if each.severity == "warning" and "deprecated" in each.message]
    finally:
        made.destroy()

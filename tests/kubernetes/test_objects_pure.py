"""The pure parts: types, documents, secrets and their places, marks, ids."""

from typing import Any

import pytest

from providers.kubernetes.decoding import decode
from providers.kubernetes.marks import is_ours, manager_of
from providers.kubernetes.objects import (
    document_of,
    hidden_texts,
    id_of,
    parse_id,
    propagation_of,
    sendable,
    shown,
    veiled,
)
from providers.kubernetes.tokens import Type, refuse_foreign, type_of
from providers.plugin.errors import RefusedError
from providers.plugin.wire import Bag, encode
from providers.plugin.wire import decode as from_wire

APPS = "kubernetes:apps/v1:"


@pytest.mark.parametrize(
    ("token", "values", "wanted"),
    [
        (APPS + "Deployment", {"apiVersion": "apps/v1", "kind": "Deployment"}, ("apps/v1", "Deployment", False)),
        ("kubernetes:core/v1:Service", {}, ("v1", "Service", False)),
        ("kubernetes:core/v1:Service", {"apiVersion": "v1", "kind": "Service"}, ("v1", "Service", False)),
        (APPS + "DeploymentPatch", {"apiVersion": "apps/v1", "kind": "Deployment"}, ("apps/v1", "Deployment", True)),
        (APPS + "DeploymentPatch", {}, ("apps/v1", "Deployment", True)),
        ("kubernetes:x.io/v1:Patch", {"kind": "Patch"}, ("x.io/v1", "Patch", False)),
        ("kubernetes:x.io/v1:DiskPatch", {"kind": "DiskPatch"}, ("x.io/v1", "DiskPatch", False)),
        ("kubernetes:x.io/v1:AllowList", {"kind": "AllowList", "spec": {}}, ("x.io/v1", "AllowList", False)),
        ("kubernetes:rbac.authorization.k8s.io/v1:Role", {}, ("rbac.authorization.k8s.io/v1", "Role", False)),
    ],
)
def test_what_a_type_means(token: str, values: dict[str, Any], wanted: tuple[str, str, bool]) -> None:
    found = type_of(token, values)
    assert (found.api_version, found.kind, found.patch) == wanted


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (APPS + "DeploymentList", "make a resource of each of its items"),
        ("kubernetes:helm.sh/v3:Release", "helm template"),
        ("kubernetes:kustomize/v2:Directory", "kubectl kustomize"),
        ("kubernetes:yaml/v2:ConfigFile", "ConfigFile or ConfigGroup of pulumi_kubernetes.yaml"),
        ("kubernetes:Deployment", "no apiVersion and kind"),
        ("docker:index/container:Container", "no apiVersion and kind"),
    ],
)
def test_what_is_refused_says_what_to_do_instead(token: str, words: str) -> None:
    with pytest.raises(RefusedError, match=token) as raised:
        type_of(token, {"items": []})
    assert words in str(raised.value)


def test_functions_of_helm_and_kustomize_are_refused_by_name() -> None:
    with pytest.raises(RefusedError, match="function kubernetes:helm:template"):
        refuse_foreign("kubernetes:helm:template", "function")
    with pytest.raises(RefusedError, match="function kubernetes:kustomize:directory"):
        refuse_foreign("kubernetes:kustomize:directory", "function")


def test_a_document_has_no_nulls_and_nothing_of_the_engines() -> None:
    values = {"__fieldManager": "x", "metadata": {"name": "a", "labels": None}, "spec": {"list": [{"b": None}]}}
    assert document_of(Type(api_version="v1", kind="Thing"), values) == {
        "apiVersion": "v1",
        "kind": "Thing",
        "metadata": {"name": "a"},
        "spec": {"list": [{}]},
    }


def test_texts_of_a_secret_are_sent_encoded() -> None:
    secret = {"kind": "Secret", "data": {"a": "eA=="}, "stringData": {"a": "over", "b": "\u00fc"}, "status": {}}
    assert sendable(secret) == {"kind": "Secret", "data": {"a": "b3Zlcg==", "b": "w7w="}}
    assert sendable({"kind": "Other", "stringData": {"a": "b"}}) == {"kind": "Other", "stringData": {"a": "b"}}


def test_secrets_keep_their_place() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hidden"}
    from google.protobuf.struct_pb2 import Struct

    wire = Struct()
    wire.update({"metadata": {"name": "n"}, "spec": {"open": 1, "deep": {"key": secret}, "list": [{"a": secret}]}})
    inputs = from_wire(wire)
    assert inputs.places == {("spec", "deep", "key"), ("spec", "list")}
    live = {"metadata": {"name": "n", "uid": "u"}, "spec": {"open": 1, "deep": {"key": "hidden"}, "list": [{"a": 1}]}}
    outputs = shown(live, inputs=inputs, type_=Type(api_version="x/v1", kind="X"), manager="m")
    told = from_wire(encode(outputs))
    assert told.places == inputs.places
    assert "hidden" in hidden_texts([inputs])
    assert "aGlkZGVu" in hidden_texts([inputs])
    assert "n" not in hidden_texts([inputs])


def test_the_contents_of_a_secret_are_secret_unasked() -> None:
    values = {"kind": "Secret", "data": {"a": "aHVudGVyMg=="}, "metadata": {"name": "n"}}
    bag = veiled(values, Bag(values=values))
    assert bag.secret == {"data"}
    assert {"hunter2", "aHVudGVyMg=="} <= hidden_texts([bag])


def test_ids() -> None:
    kind = Type(api_version="apps/v1", kind="Deployment")
    assert id_of({"metadata": {"name": "a", "namespace": "b"}}) == "b/a"
    assert id_of({"metadata": {"name": "a"}}) == "a"
    assert parse_id(kind, "apps/v1/Deployment/b/a") == parse_id(kind, "b/a") == ("b", "a")
    assert parse_id(kind, "a") == ("", "a")
    for wrong in ("", "a/", "x/y/z", "v1/Service/b/a"):
        with pytest.raises(RefusedError, match="give its id as"):
            parse_id(kind, wrong)


def test_whose_an_object_is() -> None:
    urn = "urn:pulumi:dev::tests::pkg:a:Parent$kubernetes:extensions/v1beta1:Ingress::web"
    manager = manager_of(urn, {})
    assert manager.startswith("pulumi-kubernetes-")
    # Another version of the API is the same object, another name is not.
    assert manager_of(urn.replace("extensions/v1beta1", "networking.k8s.io/v1"), {}) == manager
    assert manager_of(urn.replace("::web", "::api"), {}) != manager
    assert manager_of(urn.replace(":dev:", ":prod:"), {}) != manager
    assert manager_of(urn, {}, {"__fieldManager": "known"}) == "known"
    assert manager_of(urn, {"metadata": {"annotations": {"pulumi.com/patchFieldManager": "mine"}}}) == "mine"
    applied = {"metadata": {"managedFields": [{"manager": manager, "operation": "Apply"}]}}
    assert is_ours(applied, manager)
    assert not is_ours({"metadata": {"managedFields": [{"manager": manager, "operation": "Update"}]}}, manager)


def test_propagation() -> None:
    def of(word: str | None) -> str:
        annotations = {} if word is None else {"pulumi.com/deletionPropagationPolicy": word}
        return propagation_of({"kind": "Job", "metadata": {"name": "a", "annotations": annotations}})

    assert (of(None), of("orphan"), of("Background")) == ("Foreground", "Orphan", "Background")
    with pytest.raises(RefusedError, match="'sideways': give foreground"):
        of("sideways")


def test_yaml_is_read_as_kubernetes_reads_it() -> None:
    text = "a: 2020-01-01\nb: yes\nc: 0644\n---\n---\nkind: List\n"
    assert decode(Bag(values={"text": text})).values == {
        "result": [{"a": "2020-01-01", "b": True, "c": 420}, {"kind": "List"}]
    }
    times = "a: 22:22\nb: 1:30:00\nc: 190:20:30.15\nd: =\ne: 1_000\nf: 1.5\n"
    assert decode(Bag(values={"text": times})).values == {
        "result": [{"a": "22:22", "b": "1:30:00", "c": "190:20:30.15", "d": "=", "e": 1000, "f": 1.5}]
    }
    hidden = decode(Bag(values={"text": "a: b"}, secret=frozenset({"text"})))
    assert hidden.secret == {"result"}
    for text, words in (("a: [", "at line 1"), ("- a", "holds a list"), ("x\n", "holds a str")):
        with pytest.raises(RefusedError, match=words):
            decode(Bag(values={"text": text}))

"""The provider's configuration, kubeconfigs, the rate of requests, and what the server says. No server is needed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from providers.kubernetes.config import SPEC, check, replaces, resolve
from providers.kubernetes.errors import (
    ApiError,
    Doing,
    ImmutableError,
    MissingError,
    NotYetError,
    OwnershipError,
    from_answer,
)
from providers.kubernetes.kubeconfig import choose
from providers.kubernetes.limiter import Limiter
from providers.plugin.errors import AccessError, ProviderError, RefusedError
from providers.plugin.wire import UNKNOWN, Bag


def kubeconfig(*, server: str = "https://a.example", user: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "c1", "cluster": {"server": server}}, {"name": "c2", "cluster": {"server": "https://b"}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c1", "user": "u", "namespace": "shop"}},
            {"name": "two", "context": {"cluster": "c2", "user": "u"}},
        ],
        "users": [{"name": "u", "user": user or {"token": "t0ken"}}],
    } | more


def chosen(given: str = "", env: dict[str, str] | None = None, context: str = "", cluster: str = "") -> Any:
    return choose(given, context=context, cluster=cluster, env=env or {"HOME": "/nonexistent"})


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_contents_as_yaml_and_json(write: Any) -> None:
    found = chosen(write(kubeconfig()))
    assert (found.server, found.namespace) == ("https://a.example", "shop")
    assert chosen(write(kubeconfig()), context="two").server == "https://b"
    assert chosen(write(kubeconfig()), cluster="c2").server == "https://b"


def test_where_it_is_looked_for(tmp_path: Path) -> None:
    home = tmp_path / ".kube"
    home.mkdir()
    (home / "config").write_text(json.dumps(kubeconfig(server="https://home")))
    other = tmp_path / "other"
    other.write_text(json.dumps(kubeconfig(server="https://other")))
    env = {"HOME": str(tmp_path)}
    assert chosen(env=env).server == "https://home"
    assert chosen(env=env | {"KUBECONFIG": str(other)}).server == "https://other"
    assert chosen(str(home / "config"), env=env | {"KUBECONFIG": str(other)}).server == "https://home"
    inside = {"HOME": "/nonexistent", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert chosen(env=inside).document is None
    with pytest.raises(RefusedError, match="set KUBECONFIG"):
        chosen()
    with pytest.raises(RefusedError, match="no kubeconfig at /nonexistent/x"):
        chosen("/nonexistent/x")


def test_several_files_are_one(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    users = {"users": [{"name": "v", "user": {"token": "x"}}]}
    first.write_text(yaml.safe_dump(kubeconfig(**{"current-context": "", "contexts": []})))
    second.write_text(yaml.safe_dump(kubeconfig(server="https://not-this", **users)))
    found = chosen(env={"KUBECONFIG": f"{first}:{tmp_path / 'none'}:{second}"})
    assert found.server == "https://a.example"
    assert found.document is not None
    assert found.document["users"][0]["user"] == {"token": "t0ken"}


def test_files_that_it_names_lie_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "config"
    clusters = [{"name": "c1", "cluster": {"server": "https://a", "certificate-authority": "ca.crt"}}]
    path.write_text(json.dumps(kubeconfig(user={"client-key": "/abs/key"}, clusters=clusters)))
    document = chosen(str(path)).document
    assert document["clusters"][0]["cluster"]["certificate-authority"] == str(tmp_path / "ca.crt")
    assert document["users"][0]["user"]["client-key"] == "/abs/key"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "neither YAML nor JSON"),
        ("a: t0ken\nb: [", "line 2"),
        ('{"a": 1}', "no list `clusters`"),
        (json.dumps(kubeconfig(**{"current-context": ""})), "give the provider's `context`"),
        (json.dumps(kubeconfig(**{"current-context": "three"})), "no context 'three' .there are: one, two."),
        (json.dumps(kubeconfig(users=[])), "no user 'u'"),
        (json.dumps(kubeconfig(server="")), "has no server"),
        (json.dumps(kubeconfig(user={"token": "t0ken", "as": "intern"})), "user 'u' is to act as another"),
        (json.dumps(kubeconfig(user={"token": "t0ken", "as-groups": ["few"]})), "user 'u' is to act as another"),
    ],
)
def test_what_is_wrong_with_it_is_told_without_its_contents(text: str, words: str) -> None:
    with pytest.raises(RefusedError, match=words) as raised:
        chosen(text)
    assert "t0ken" not in str(raised.value)


def test_the_configuration_is_every_property_of_the_sdk() -> None:
    import inspect
    import re

    import pulumi_kubernetes

    offered = set(inspect.signature(pulumi_kubernetes.ProviderArgs.__init__).parameters) - {"__self__"}
    assert {prop.name for prop in SPEC} == {re.sub(r"_(\w)", lambda found: found[1].upper(), each) for each in offered}


def test_what_is_asked_for_is_what_is_set() -> None:
    text = json.dumps(kubeconfig())
    args = {
        "kubeconfig": text,
        "enableConfigMapMutable": "true",
        "enablePatchForce": True,
        "kubeClientSettings": '{"qps": 7.5, "burst": 9, "timeout": 11}',
    }
    found = resolve(args, {})
    assert (found.qps, found.burst, found.timeout, found.force) == (7.5, 9, 11.0, True)
    assert found.mutable == {"ConfigMap"}
    assert found.namespace == "shop"
    plain = resolve({"kubeconfig": text, "namespace": "other"}, {"PULUMI_K8S_ENABLE_SECRET_MUTABLE": "1"})
    assert (plain.qps, plain.burst, plain.patience, plain.mutable) == (50.0, 100, 60.0, {"Secret"})
    assert plain.namespace == "other"
    assert resolve({"kubeconfig": text}, {"TENANTRY_KUBERNETES_PATIENCE": "5"}).patience == 5
    for wrong in ({"kubeClientSettings": '{"qps": 0}'}, {"kubeClientSettings": '{"qps": "many"}'}):
        with pytest.raises(RefusedError, match=r"qps is .*: give a positive number"):
            resolve({"kubeconfig": text} | wrong, {})
    with pytest.raises(RefusedError, match="kubeconfig is not known"):
        resolve({"kubeconfig": UNKNOWN}, {})


def test_what_is_refused() -> None:
    _, failures = check(Bag(values={"enableServerSideApply": "false", "renderYamlToDirectory": "x", "nonsense": 1}))
    assert {name for name, _ in failures} == {"enableServerSideApply", "renderYamlToDirectory", "nonsense"}
    _, failures = check(
        Bag(values={"enableServerSideApply": True, "alwaysRender": False, "suppressHelmHookWarnings": True})
    )
    assert failures == []


def test_a_kubeconfig_is_a_secret_and_a_path_is_not() -> None:
    assert check(Bag(values={"kubeconfig": json.dumps(kubeconfig())}))[0].secret == {"kubeconfig"}
    assert check(Bag(values={"kubeconfig": "/etc/kubeconfig"}))[0].secret == frozenset()


def test_another_cluster_means_other_objects() -> None:
    one, two = json.dumps(kubeconfig()), json.dumps(kubeconfig(server="https://elsewhere"))
    assert replaces({"kubeconfig": one}, {"kubeconfig": two}, {})
    assert replaces({"kubeconfig": one}, {"kubeconfig": one, "context": "two"}, {})
    assert not replaces({"kubeconfig": one}, {"kubeconfig": json.dumps(kubeconfig(user={"token": "new"}))}, {})
    assert not replaces({"kubeconfig": one}, {"kubeconfig": "/nonexistent"}, {})
    named = {"clusterIdentifier": "x"}
    assert not replaces({"kubeconfig": one} | named, {"kubeconfig": two} | named, {})
    assert replaces({"kubeconfig": one} | named, {"kubeconfig": one}, {})


@given(st.floats(1, 100), st.integers(1, 20), st.integers(1, 60))
def test_no_more_requests_than_allowed(qps: float, burst: int, asked: int) -> None:
    now = [0.0]
    limiter = Limiter(qps=qps, burst=burst, clock=lambda: now[0])
    waits = [limiter.reserve() for _ in range(asked)]
    assert waits[:burst] == [0.0] * min(asked, burst)
    for index, wait in enumerate(waits[burst:], start=1):
        assert wait == pytest.approx(index / qps)
    now[0] = 1000.0
    assert limiter.reserve() == 0.0


DOING = Doing(verb="create", subject="Deployment shop/web", host="https://a.example", hide=frozenset({"hunter2"}))


def answer(status: int, message: str, *, causes: Any = (), reason: str = "", after: float = 0) -> ProviderError:
    details = {"causes": list(causes)}
    return from_answer(
        DOING, status, {"kind": "Status", "message": message, "reason": reason, "details": details}, after
    )


@pytest.mark.parametrize(
    ("status", "message", "kind", "retry", "words"),
    [
        (429, "too many", ApiError, True, "too many"),
        (503, "", ApiError, True, "answered 503"),
        (
            500,
            "failed to create typed patch object (x): .spec.foo: field not declared in schema",
            ApiError,
            False,
            "foo",
        ),
        (404, 'deployments.apps "web" not found', MissingError, False, "not found"),
        (404, 'namespaces "shop" not found', NotYetError, False, "Create it first"),
        (403, 'pods "a" is forbidden: error looking up service account shop/default: x', NotYetError, False, "first"),
        (401, "Unauthorized", AccessError, False, "does not know this user"),
        (403, 'x is forbidden: User "u" cannot patch resource "deployments"', AccessError, False, "RBAC"),
        (
            403,
            "x is forbidden: exceeded quota: q, requested: a=1, used: a=1, limited: a=1",
            ApiError,
            False,
            "quota 'q'",
        ),
        (
            400,
            'admission webhook "w.example" denied the request: no\nway',
            ApiError,
            False,
            "'w.example' denies it: no way",
        ),
        (409, "the object has been modified; please apply your changes", ApiError, True, "modified"),
        (409, "another kind of conflict", ApiError, False, "another"),
        (400, "says hunter2", ApiError, False, r"says \[secret\]"),
    ],
)
def test_what_the_server_says(status: int, message: str, kind: type, retry: bool, words: str) -> None:
    error = answer(status, message)
    assert type(error) is kind
    assert error.retry is retry
    assert str(error).startswith("cannot create Deployment shop/web: ")
    assert "\n" not in str(error)
    with pytest.raises(kind, match=words):
        raise error


def test_what_is_no_answer_of_kubernetes() -> None:
    assert "answered 502" in str(from_answer(DOING, 502, "<html>"))
    error = from_answer(DOING, 429, None, 3.0)
    assert isinstance(error, ApiError)
    assert error.after == 3.0


def test_a_conflict_names_everybody() -> None:
    causes = [
        {"reason": "FieldManagerConflict", "message": 'conflict with "hpa" using v1', "field": ".spec.replicas"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl-edit"', "field": ".spec.a"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl-edit"', "field": ".spec.b"},
    ]
    error = answer(409, "Apply failed with 3 conflicts", causes=causes)
    assert type(error) is OwnershipError
    said = "field manager 'hpa' has .spec.replicas and field manager 'kubectl-edit' has .spec.a, .spec.b"
    assert said in str(error)


def test_what_cannot_be_changed() -> None:
    immutable = {
        "reason": "FieldValueInvalid",
        "message": "Invalid value: x: field is immutable",
        "field": "spec.selector",
    }
    wrong = {"reason": "FieldValueInvalid", "message": "Invalid value: must be positive", "field": "spec.replicas"}
    error = answer(422, "x is invalid: spec.selector: field is immutable", causes=[immutable])
    assert isinstance(error, ImmutableError)
    assert error.fields == ("spec.selector",)
    # Where something else is wrong as well, another object would be no better.
    assert type(answer(422, "x is invalid: field is immutable, ...", causes=[immutable, wrong])) is ApiError


def test_it_starts_without_loading_the_sdk() -> None:
    code = (
        "import sys, providers.plugin.server, providers.kubernetes.service;"
        "print(sorted({'pulumi', 'kubernetes', 'pydantic', 'urllib3'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"

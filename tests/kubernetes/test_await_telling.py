"""What is told of pods, nodes and events, and what is never told."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.kubernetes.awaiting.confidential import SHORTEST, hidden, secret_names, secrets_of
from providers.kubernetes.awaiting.documents import selector
from providers.kubernetes.awaiting.events import event_lines
from providers.kubernetes.awaiting.explaining import Explainer
from providers.kubernetes.awaiting.pods import trouble, troubles
from providers.kubernetes.awaiting.rules import rule_of
from providers.kubernetes.seam import Document
from providers.plugin.errors import UnreachableError
from tests.kubernetes.documents import conditions, deployment, doc, event, pod, unready_pod
from tests.kubernetes.fake_cluster import FakeCluster

_CRASHED = {"terminated": {"exitCode": 1, "reason": "Error", "message": "password is hunter22"}}
_KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
_BACKING_OFF = "back-off 20s restarting failed container"
_BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": f"{_BACKING_OFF}=app in pod web-1_shop(0-1)"}}
_UNSCHEDULED = conditions(PodScheduled="False Unschedulable 0/3 nodes: insufficient cpu")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (pod(), ""),
        (pod(phase="Succeeded", conditions=[]), ""),
        (unready_pod(state={"waiting": {"reason": "ContainerCreating"}}), "container app: ContainerCreating"),
        (
            unready_pod(state={"waiting": {"reason": "ErrImagePull", "message": "no"}}),
            "container app: ErrImagePull: no",
        ),
        (
            unready_pod(state=_BACK_OFF, last=_CRASHED),
            f"container app: CrashLoopBackOff: {_BACKING_OFF}; last time it ended with exit code 1, 3 restarts",
        ),
        (
            unready_pod(state=_BACK_OFF, last=_KILLED),
            f"container app: CrashLoopBackOff: {_BACKING_OFF}; last time it ended with exit code 137 (OOMKilled)",
        ),
        (unready_pod(state=_CRASHED), "container app: it ended with exit code 1"),
        (
            unready_pod(state={"running": {}}, phase="Running"),
            "container app: it runs and is not ready: its readiness probe does not pass",
        ),
        (pod(node="", phase="Pending", conditions=_UNSCHEDULED), "it cannot be scheduled (Unschedulable: 0/3 nodes"),
        (pod(node="", phase="Pending", conditions=[]), "no scheduler has placed it yet"),
        (pod(phase="Pending", conditions=[]), "node node-1 has not started it yet"),
        (pod(phase="Failed", reason="Evicted", message="low on memory"), "it has failed (Evicted: low on memory)"),
        (pod(phase="Running", conditions=conditions(Ready="False")), "it is not ready yet"),
    ],
)
def test_what_is_wrong_with_a_pod(found: Document, words: str) -> None:
    assert trouble(found, {}).startswith(words)
    assert bool(trouble(found, {})) == bool(words)


def test_what_a_container_wrote_is_not_told() -> None:
    assert "hunter22" not in trouble(unready_pod(state=_BACK_OFF, last=_CRASHED), {})
    assert "hunter22" not in trouble(unready_pod(state=_CRASHED), {})


def test_an_init_container_comes_first() -> None:
    found = pod(
        phase="Pending",
        conditions=conditions(PodScheduled="True", Initialized="False"),
        initContainerStatuses=[
            {"name": "first", "ready": True, "state": {"terminated": {"exitCode": 0}}},
            {"name": "second", "ready": False, "state": {"terminated": {"exitCode": 3, "reason": "Error"}}},
        ],
        containerStatuses=[{"name": "app", "ready": False, "state": {"waiting": {"reason": "PodInitializing"}}}],
    )
    assert trouble(found, {}).startswith("init container second: it ended with exit code 3; container app: PodInit")


def test_a_node_that_is_not_ready_or_gone() -> None:
    late = conditions(Ready="Unknown NodeStatusUnknown Kubelet stopped posting node status.")
    node = doc("v1", "Node", "node-1", namespace="", status={"conditions": late})
    assert "its node node-1 is not ready (NodeStatusUnknown: Kubelet stopped" in trouble(pod(), {"node-1": node})
    assert trouble(pod(), {"node-1": None}) == "its node node-1 is gone"
    ready = doc("v1", "Node", "node-1", namespace="", status={"conditions": conditions(Ready="True")})
    assert trouble(pod(), {"node-1": ready}) == ""


def test_pods_with_the_same_trouble_are_told_together() -> None:
    pulling = {"waiting": {"reason": "ImagePullBackOff"}}
    found = [unready_pod(f"web-{number}", state=pulling) for number in range(5)]
    found.append(pod("web-9", node="", phase="Pending", conditions=[]))
    assert troubles([*found, pod("fine")], {}) == [
        "pods web-0, web-1, web-2 and 2 more: container app: ImagePullBackOff",
        "pod web-9: no scheduler has placed it yet",
    ]


def test_events_are_told_warnings_first_newest_first_and_each_once() -> None:
    web = pod("web-6ccf444d77-b5b9t")
    other = pod("web-6ccf444d77-hs7wz")
    found = [
        event("Pulling", "pulling image", about=web, kind="Normal", at="2026-01-01T00:00:09Z"),
        event("Scheduled", "to node-1", about=web, kind="Normal", at="2026-01-01T00:00:09Z"),
        event("BackOff", "back-off in pod web-6ccf444d77-b5b9t", about=web, at="2026-01-01T00:00:01Z", count=3),
        event("BackOff", "back-off in pod web-6ccf444d77-hs7wz", about=other, at="2026-01-01T00:00:02Z", count=7),
        event("FailedMount", "no volume\n  there", about=web, at="2026-01-01T00:00:05Z"),
    ]
    assert event_lines(found) == [
        "Warning FailedMount (Pod web-6ccf444d77-b5b9t): no volume there",
        "Warning BackOff (Pod web-6ccf444d77-hs7wz, 7 times): back-off in pod web-6ccf444d77-hs7wz",
        "Normal Pulling (Pod web-6ccf444d77-b5b9t): pulling image",
    ]


def test_refusals_of_pods_that_differ_by_their_generated_name_are_one() -> None:
    owner = doc("apps/v1", "ReplicaSet", "web-6ccf444d77")
    found = [
        event("FailedCreate", f'{prefix}pods "web-6ccf444d77-{suffix}" is forbidden: exceeded quota', about=owner)
        for prefix, suffix in (("", "b5b9t"), ("(combined from similar events): ", "lfq64"), ("", "qs9wz"))
    ]
    assert len(event_lines(found)) == 1


def test_events_are_bounded() -> None:
    found = [event("Failed", f"number {number} " + "x" * 1000, about=pod()) for number in range(50)]
    lines = event_lines(found)
    assert len(lines) == 5
    assert max(map(len, lines)) < 400


@given(
    times=st.lists(st.datetimes(), min_size=1, max_size=8),
    kinds=st.lists(st.sampled_from(["Warning", "Normal"]), min_size=8, max_size=8),
)
def test_no_warning_comes_after_an_event_that_is_none(times: list[Any], kinds: list[str]) -> None:
    found = [
        event("Reason", f"number {number}", about=pod(), kind=kinds[number], at=at.isoformat())
        for number, at in enumerate(times)
    ]
    told = [line.split()[0] for line in event_lines(found, limit=8)]
    assert told == sorted(told, reverse=True)
    assert len(told) == len(found)


# --- secrets

_PASSWORD = "s3cr3t-value"
_ENCODED = base64.b64encode(_PASSWORD.encode()).decode()


def using(**container: Any) -> Document:
    template = {"spec": {"containers": [{"name": "app", **container}]}}
    return deployment(spec={"template": template})


def test_what_is_secret_about_an_object() -> None:
    assert _PASSWORD in secrets_of(doc("v1", "Secret", "s", stringData={"p": _PASSWORD}))
    assert {_PASSWORD, _ENCODED} <= set(secrets_of(doc("v1", "Secret", "s", data={"p": _ENCODED})))
    named = using(env=[{"name": "DB_PASSWORD", "value": _PASSWORD}, {"name": "MODE", "value": "production"}])
    assert secrets_of(named) == (_PASSWORD,)
    assert secrets_of(doc("v1", "ConfigMap", "c", data={"p": _ENCODED})) == ()


def test_a_secret_of_several_lines_is_known_by_each() -> None:
    assert "line one" in secrets_of(doc("v1", "Secret", "s", stringData={"key": "line one\nline two"}))


def test_the_secrets_that_pods_use_are_named() -> None:
    spec = {
        "containers": [
            {
                "envFrom": [{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "no"}}],
                "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "b", "key": "k"}}}],
            }
        ],
        "initContainers": [{"envFrom": [{"secretRef": {"name": "a"}}]}],
        "volumes": [{"secret": {"secretName": "c"}}, {"projected": {"sources": [{"secret": {"name": "d"}}]}}],
    }
    assert secret_names(deployment(spec={"template": {"spec": spec}})) == ("a", "b", "c", "d")
    assert secret_names(doc("v1", "Pod", "p", spec=spec)) == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("cannot reach postgres://web:hunter22@db/x", "cannot reach postgres://web:[secret]@db/x"),
        ("started with --password=hunter22, so", "started with --password=[secret], so"),
        ("token: abcdef", "token: [secret]"),
        ('secret "web-config" not found', 'secret "web-config" not found'),
        ("nothing of the kind", "nothing of the kind"),
    ],
)
def test_what_looks_like_a_password_is_hidden(words: str, shown: str) -> None:
    assert hidden(words, ()) == shown


@given(
    value=st.text(min_size=SHORTEST).filter(lambda each: len(each.strip()) >= SHORTEST),
    before=st.text(),
    after=st.text(),
)
def test_no_value_of_a_secret_is_told(value: str, before: str, after: str) -> None:
    secret = doc("v1", "Secret", "s", stringData={"p": value})
    assert value not in hidden(f"{before}{value}{after}", secrets_of(secret)).replace("[secret]", "")


def explain(cluster: FakeCluster, obj: Document) -> str:
    return Explainer(cluster=cluster, rule=rule_of(obj)).account(obj, {})


def test_a_probe_that_prints_a_secret_of_the_pod() -> None:
    bad = unready_pod(state={"running": {}}, phase="Running")
    obj = using(envFrom=[{"secretRef": {"name": "db"}}])
    unhealthy = event("Unhealthy", f"Readiness probe failed: login as web {_PASSWORD} refused", about=bad)
    cluster = FakeCluster(bad, unhealthy, doc("v1", "Secret", "db", data={"p": _ENCODED}))
    assert "Readiness probe failed: login as web [secret] refused" in explain(cluster, obj)
    cluster.forbidden = {"Secret"}
    words = explain(cluster, obj)
    assert _PASSWORD not in words
    assert "what the container wrote is not told: the Secrets that it may quote cannot be read" in words


def test_a_secret_at_which_a_long_message_is_cut() -> None:
    bad = unready_pod(state={"running": {}}, phase="Running")
    obj = using(envFrom=[{"secretRef": {"name": "db"}}])
    long = event("Unhealthy", "x" * 294 + _PASSWORD + "y" * 100, about=bad)
    cluster = FakeCluster(bad, long, doc("v1", "Secret", "db", data={"p": _ENCODED}))
    words = explain(cluster, obj)
    assert "x" * 294 in words
    assert _PASSWORD[:3] not in words


def test_live_messages_hide_secrets_too() -> None:
    bad = unready_pod(state={"waiting": {"reason": "CreateContainerError", "message": f"bad value {_PASSWORD}"}})
    obj = using(env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}])
    cluster = FakeCluster(bad, doc("v1", "Secret", "db", data={"p": _ENCODED}))
    assert Explainer(cluster=cluster, rule=rule_of(obj)).live(obj, {}) == (
        "pod web-1: its node node-1 is gone; container app: CreateContainerError: bad value [secret]"
    )


def test_events_of_an_object_of_the_same_name_before_are_not_of_this_one() -> None:
    old = deployment()
    old["metadata"]["uid"] = "of-before"
    cluster = FakeCluster(event("Failed", "long ago", about=old), event("Failed", "just now", about=deployment()))
    assert "just now" in explain(cluster, deployment())
    assert "long ago" not in explain(cluster, deployment())


@pytest.mark.parametrize(
    ("found", "query"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, "a in (1,2)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, "a notin (1)"),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, "a=1,b"),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, "!b"),
        (None, ""),
        ({}, ""),
    ],
)
def test_selectors(found: Any, query: str) -> None:
    assert selector(found) == query


def test_a_server_that_goes_while_it_explains_is_asked_once() -> None:
    bad = [
        unready_pod(f"web-{number}", state={"running": {}}, phase="Running", node=f"n{number}") for number in range(3)
    ]
    cluster = FakeCluster(*bad)
    cluster.forbidden = {"Node"}
    explainer = Explainer(cluster=cluster, rule=rule_of(deployment()))
    cluster.failing.append(UnreachableError("away"))
    assert explainer.account(deployment(), {}) == ""
    assert cluster.asked == [("list", "Pod")]
    assert "it runs and is not ready" in explainer.account(deployment(), {})

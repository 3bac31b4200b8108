"""How a wait goes and how it ends, against a cluster in memory."""

import threading
from typing import Any

import pytest

from providers.kubernetes.awaiting import NotReady, await_deleted, await_ready, loop
from providers.kubernetes.awaiting.errors import AwaitCancelledError
from providers.kubernetes.seam import Document
from providers.plugin.errors import AccessError, CancelledError, UnreachableError
from tests.kubernetes.documents import conditions, deployment, doc, event, pod, replica_set, slices, unready_pod
from tests.kubernetes.fake_cluster import FakeCluster

LONG = 60.0
SHORT = 0.4
_DONE = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
_AWAY = UnreachableError("the API server does not answer: connection refused")


class Teller:
    """What was reported; runs an action when a message with some words in it comes."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.actions: list[tuple[str, Any]] = []

    def when(self, words: str, action: Any) -> "Teller":
        self.actions.append((words, action))
        return self

    def __call__(self, message: str) -> None:
        self.messages.append(message)
        for each in self.actions.copy():
            if each[0] in message:
                self.actions.remove(each)
                each[1]()


@pytest.fixture(autouse=True)
def explained_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "EXPLAIN_AFTER", 0.0)
    monkeypatch.setattr(loop, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(loop, "LONGEST_PAUSE", 0.1)


def wait(cluster: FakeCluster, obj: Document, tell: Teller | None = None, *, timeout: float = LONG) -> Document:
    return await_ready(cluster, obj, timeout=timeout, report=tell or Teller(), cancelled=lambda: False)


def test_what_is_ready_when_it_is_applied_asks_for_nothing() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment(**_DONE))
    assert wait(cluster, obj) == obj
    assert cluster.asked == []


def test_what_is_not_waited_for_asks_for_nothing() -> None:
    cluster = FakeCluster()
    config = cluster.put(doc("v1", "ConfigMap", "c"))
    assert wait(cluster, config) == config
    assert cluster.asked == []


def test_the_answer_is_the_object_as_it_became_ready() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment())
    tell = Teller().when("0/2 Pods made", lambda: cluster.put(deployment(**_DONE)))
    assert wait(cluster, obj, tell)["status"]["readyReplicas"] == 2


def test_each_message_is_told_once() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment())
    half = {**_DONE, "readyReplicas": 1, "availableReplicas": 1}
    looks = iter(range(100))

    def touch() -> None:
        for _ in range(3):
            cluster.put(deployment(**half, seen=next(looks)))

    tell = Teller().when("0/2 Pods made", touch)
    timer = threading.Timer(SHORT, lambda: cluster.put(deployment(**_DONE)))
    timer.start()
    wait(cluster, obj, tell)
    timer.join()
    assert len(tell.messages) == len(set(tell.messages)) == 2


def test_a_time_out_says_what_is_missing_and_shows_pods_nodes_and_events() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    bad = unready_pod("web-new-1", state=waiting, owner="web-new")
    old = unready_pod("web-old-1", state={"waiting": {"reason": "OfTheOldOne"}}, owner="web-old")
    obj = deployment(replicas=2, updatedReplicas=2)
    cluster = FakeCluster(replica_set("web-new", "3"), replica_set("web-old", "2"), bad, old)
    cluster.put(event("Failed", "cannot pull it", about=bad, count=4))
    cluster.put(event("BackOff", "of another pod", about=old))
    with pytest.raises(NotReady) as caught:
        wait(cluster, cluster.put(obj), timeout=SHORT)
    words = caught.value.reason
    assert words.startswith(
        "Deployment shop/web is not ready after 0.4 s: [1/2] Waiting for ReplicaSet web-new: 0/2 Pods"
    )
    assert "Pod web-new-1: its node node-1 is gone; container app: ImagePullBackOff: Back-off pulling image" in words
    assert "Last events: Warning Failed (Pod web-new-1, 4 times): cannot pull it" in words
    assert "pulumi.com/timeoutSeconds" in words
    assert "OfTheOldOne" not in words
    assert "of another pod" not in words
    assert "\n" not in words
    assert caught.value.last["metadata"]["name"] == "web"
    assert caught.value.object_id == "shop/web"


def test_without_time_it_is_one_look() -> None:
    cluster = FakeCluster()
    with pytest.raises(NotReady) as caught:
        wait(cluster, cluster.put(deployment()), timeout=0)
    assert caught.value.reason == "Deployment shop/web is not ready: [1/2] Waiting for its ReplicaSet: 0/2 Pods made"
    assert ("watch", "Deployment") not in cluster.asked


def test_what_is_final_ends_at_once() -> None:
    cluster = FakeCluster()
    obj = cluster.put(doc("batch/v1", "Job", "migrate"))
    failed = doc("batch/v1", "Job", "migrate", status={"conditions": conditions(Failed="True BackoffLimitExceeded")})
    with pytest.raises(NotReady, match=r"Job shop/migrate is not ready: it has failed \(BackoffLimitExceeded\)"):
        wait(cluster, obj, Teller().when("to start", lambda: cluster.put(failed)))


def test_a_job_that_removes_itself_when_it_is_complete() -> None:
    cluster = FakeCluster()
    obj = cluster.put(doc("batch/v1", "Job", "migrate"))
    done = doc("batch/v1", "Job", "migrate", status={"conditions": conditions(Complete="True")})

    def finish() -> None:
        cluster.put(done)
        cluster.remove(done)

    assert wait(cluster, obj, Teller().when("to start", finish))["status"] == done["status"]


def test_an_object_that_is_removed_meanwhile() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment())
    with pytest.raises(NotReady, match="Deployment shop/web is not ready: it was removed while it was waited for"):
        wait(cluster, obj, Teller().when("0/2", lambda: cluster.remove(obj)))


def test_an_object_that_is_replaced_meanwhile() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment())
    other = deployment()
    other["metadata"]["uid"] = "another"
    with pytest.raises(NotReady, match="it was replaced by another of its name"):
        wait(cluster, obj, Teller().when("0/2", lambda: cluster.put(other)))


def test_an_api_server_that_is_away_ends_no_wait() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment())
    cluster.expired = 1_000

    def leave() -> None:
        cluster.failing.extend([_AWAY] * 5)
        cluster.put(deployment(**_DONE))

    tell = Teller().when("0/2 Pods made", leave)
    assert wait(cluster, obj, tell)["status"]["readyReplicas"] == 2
    assert "Waiting for the API server, which does not answer: " + str(_AWAY) in tell.messages


def test_a_time_out_while_the_api_server_is_away_says_both() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment())
    cluster.expired = 1_000
    with pytest.raises(NotReady) as caught:
        wait(cluster, obj, Teller().when("0/2", lambda: cluster.failing.extend([_AWAY] * 1_000)), timeout=SHORT)
    assert "0/2 Pods made. The API server has not answered for" in caught.value.reason
    assert "connection refused" in caught.value.reason


def test_watches_that_expire_are_begun_again() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment())
    cluster.expired = 2
    timer = threading.Timer(SHORT, lambda: cluster.put(deployment(**_DONE)))
    timer.start()
    assert wait(cluster, obj)["status"]["readyReplicas"] == 2
    timer.join()
    assert cluster.asked.count(("watch", "Deployment")) >= 3


def test_without_the_right_to_watch_it_is_looked_at_all_the_same() -> None:
    class Unwatched(FakeCluster):
        def watch(self, *args: Any, **kwargs: Any) -> Any:
            self.asked.append(("watch", args[1]))
            raise AccessError("cannot watch: forbidden")

    cluster = Unwatched()
    obj = cluster.put(deployment())
    tell = Teller().when("0/2", lambda: cluster.put(deployment(**_DONE)))
    assert wait(cluster, obj, tell)["status"]["readyReplicas"] == 2
    assert cluster.asked.count(("watch", "Deployment")) == 1


def test_who_may_not_read_pods_events_and_nodes_is_told_what_is_missing() -> None:
    cluster = FakeCluster()
    cluster.forbidden = {"Pod", "Event", "Node", "ReplicaSet"}
    with pytest.raises(NotReady, match=r"Waiting for its ReplicaSet: 0/2 Pods made\. Mend that"):
        wait(cluster, cluster.put(deployment()), timeout=SHORT)


def test_who_may_not_read_what_decides_is_told_so() -> None:
    cluster = FakeCluster()
    cluster.forbidden = {"EndpointSlice"}
    service = cluster.put(doc("v1", "Service", "web", spec={"selector": {"app": "web"}}))
    with pytest.raises(NotReady, match="Service shop/web cannot be waited for: cannot list EndpointSlice: forbidden"):
        wait(cluster, service)


def test_a_service_is_ready_when_its_endpoints_change() -> None:
    cluster = FakeCluster(unready_pod(state={"running": {}}, phase="Running"))
    service = cluster.put(doc("v1", "Service", "web", spec={"selector": {"app": "web"}}))
    tell = Teller().when("readiness probe", lambda: cluster.put(slices("web", True)))
    assert wait(cluster, service, tell) == service


def test_a_wait_that_is_cancelled_keeps_the_object() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment())
    asked = threading.Event()
    with pytest.raises(AwaitCancelledError) as caught:
        await_ready(cluster, obj, timeout=LONG, report=Teller().when("0/2", asked.set), cancelled=asked.is_set)
    assert isinstance(caught.value, NotReady)
    assert caught.value.last == obj


def test_a_client_that_is_cancelled_ends_the_wait() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment())
    cluster.expired = 1_000
    stop = Teller().when("0/2", lambda: cluster.failing.append(CancelledError("cancelled")))  # type: ignore[arg-type]
    with pytest.raises(AwaitCancelledError, match="Deployment shop/web is not ready: cancelled"):
        wait(cluster, obj, stop)


def test_the_programs_own_words_come_before_what_is_built_in() -> None:
    cluster = FakeCluster()
    obj = deployment()
    obj["metadata"]["annotations"]["pulumi.com/waitFor"] = "jsonpath={.status.phase}=Done"
    stored = cluster.put(obj)
    done = {**obj, "status": {"phase": "Done"}}
    tell = Teller().when("{.status.phase}: it is not there yet", lambda: cluster.put(done))
    assert wait(cluster, stored, tell)["status"] == {"phase": "Done"}


def test_an_object_that_was_not_answered_by_the_server_is_asked_for() -> None:
    cluster = FakeCluster()
    cluster.put(deployment(**_DONE))
    bare = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}}
    assert wait(cluster, bare)["status"]["readyReplicas"] == 2


# --- deletion


def delete(cluster: FakeCluster, obj: Document, tell: Teller | None = None, *, timeout: float = LONG) -> None:
    await_deleted(cluster, obj, timeout=timeout, report=tell or Teller(), cancelled=lambda: False)


def going(obj: Document, **parts: Any) -> Document:
    return {**obj, **parts, "metadata": {**obj["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}


def test_what_is_gone_is_gone() -> None:
    cluster = FakeCluster()
    delete(cluster, deployment())
    assert cluster.asked == [("get", "Deployment")]


def test_another_of_the_same_name_is_not_what_was_deleted() -> None:
    cluster = FakeCluster()
    obj = cluster.put(deployment())
    other = deployment()
    other["metadata"]["uid"] = "another"
    cluster.put(other)
    delete(cluster, obj)


def test_a_deletion_is_waited_for() -> None:
    cluster = FakeCluster()
    obj = cluster.put(going(deployment(replicas=2)))
    tell = Teller().when("Waiting for it to go: 2 Pods left", lambda: cluster.remove(obj))
    delete(cluster, obj, tell)
    assert len(tell.messages) == 1


def test_a_namespace_that_stays_says_what_is_left_in_it() -> None:
    found = conditions(
        NamespaceDeletionDiscoveryFailure="False",
        NamespaceContentRemaining="True SomeResourcesRemain Some resources are remaining: pods. has 1",
        NamespaceFinalizersRemaining="True SomeFinalizersRemain Some content has finalizers: a.example/b in 1 instance",
    )
    bare = doc("v1", "Namespace", "shop", namespace="", spec={"finalizers": ["kubernetes"]})
    cluster = FakeCluster()
    obj = cluster.put(going(bare, status={"phase": "Terminating", "conditions": found}))
    with pytest.raises(NotReady) as caught:
        delete(cluster, obj, timeout=SHORT)
    assert "Namespace shop is not gone after 0.4 s: Waiting for it to go: Some resources are remaining: pods." in str(
        caught.value
    )
    assert "a.example/b in 1 instance" in caught.value.reason


def test_finalizers_are_named() -> None:
    cluster = FakeCluster()
    claim = going(doc("v1", "PersistentVolumeClaim", "data"))
    claim["metadata"]["finalizers"] = ["kubernetes.io/pvc-protection", "example.org/own"]
    with pytest.raises(
        NotReady, match=r"finalizers: kubernetes\.io/pvc-protection \(a Pod uses it\), example\.org/own"
    ):
        delete(cluster, cluster.put(claim), timeout=SHORT)


def test_a_deletion_that_nobody_began() -> None:
    cluster = FakeCluster()
    with pytest.raises(NotReady, match="its deletion has not begun"):
        delete(cluster, cluster.put(deployment()), timeout=SHORT)


def test_a_pod_that_cannot_end_because_its_node_is_gone() -> None:
    cluster = FakeCluster()
    obj = cluster.put(going(pod(node="lost")))
    with pytest.raises(NotReady, match="Pod web-1: it cannot end: its node lost is gone"):
        delete(cluster, obj, timeout=SHORT)

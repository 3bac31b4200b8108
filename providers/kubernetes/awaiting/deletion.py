"""Waits until an object is gone, and says what holds it: finalizers, a namespace's contents, pods that do not end.

One of the same name with another uid is a new object: ours is gone.
"""

from dataclasses import dataclass, field

from providers.kubernetes.awaiting.documents import (
    condition,
    items,
    name_of,
    namespace_of,
    number,
    part,
    text,
    uid_of,
)
from providers.kubernetes.awaiting.explaining import Explainer
from providers.kubernetes.awaiting.rules import rule_of
from providers.kubernetes.awaiting.verdict import Query, Ready, Verdict, Waiting
from providers.kubernetes.awaiting.watches import Heard
from providers.kubernetes.seam import Cluster, Document, EventKind

_OF_NAMESPACES = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
)
"""Conditions that say what holds a namespace; the last two are what a reader wants to know."""
_FINALIZERS = {
    "foregroundDeletion": "what it owns goes first",
    "kubernetes": "what lies in it goes first",
    "orphan": "what it owns is being set free",
    "kubernetes.io/pvc-protection": "a Pod uses it",
    "kubernetes.io/pv-protection": "a claim uses it",
    "service.kubernetes.io/load-balancer-cleanup": "its load balancer is being removed",
}


def holding(obj: Document) -> str:
    """What keeps an object there that is to go. Pure."""
    if not text(obj, "metadata", "deletionTimestamp"):
        return "its deletion has not begun"
    said = [
        text(found, "message") for kind in _OF_NAMESPACES if text(found := condition(obj, kind), "status") == "True"
    ]
    finalizers = [*items(obj, "metadata", "finalizers"), *items(obj, "spec", "finalizers")]
    if finalizers and not said:
        named = (f"{each} ({_FINALIZERS[each]})" if each in _FINALIZERS else str(each) for each in map(str, finalizers))
        said.append(f"finalizers: {', '.join(named)}")
    if (left := number(obj, "status", "replicas")) and part(obj, "spec", "replicas") is not None:
        said.append(f"{left} Pods left")
    if text(obj, "kind") == "Pod":
        said.append(f"its containers have {number(obj, 'metadata', 'deletionGracePeriodSeconds')} s to end")
    return "; ".join(filter(None, said)) or "its controllers are still at it"


@dataclass(slots=True, kw_only=True)
class Deletion:
    """A task of the loop."""

    cluster: Cluster
    last: Document
    goal: str = "is not gone"
    _explainer: Explainer = field(init=False)

    def __post_init__(self) -> None:
        self._explainer = Explainer(cluster=self.cluster, rule=rule_of(self.last))

    def look(self, heard: Heard | None, *, telling: bool) -> Verdict:  # noqa: ARG002 - as a task is looked at
        if heard is not None and heard.event is not None:
            found = None if heard.event.kind is EventKind.DELETED else heard.event.obj
        else:
            found = self.cluster.get(
                text(self.last, "apiVersion"), text(self.last, "kind"), namespace_of(self.last), name_of(self.last)
            )
        if found is None or uid_of(self.last) not in {"", uid_of(found)}:
            return Ready()
        self.last = found
        return Waiting(reason=f"Waiting for it to go: {holding(found)}")

    def live(self) -> str:
        return self._explainer.live(self.last, {})

    def account(self) -> str:
        return self._explainer.account(self.last, {})

    def hide(self, words: str) -> str:
        return self._explainer.hide(self.last, words)

    def watched(self) -> tuple[Query, ...]:
        return ()

"""Asks the cluster why an object is not ready: its pods, their nodes, and the events of both.

Decides how much is asked, and that what may not be read is left out: an explanation is never what a wait fails by.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from providers.kubernetes.awaiting.confidential import hidden, secret_names, secrets_of
from providers.kubernetes.awaiting.documents import name_of, namespace_of, text, uid_of
from providers.kubernetes.awaiting.events import EVENTS_SHOWN, event_lines
from providers.kubernetes.awaiting.pods import is_ending, is_fine, node_of, trouble, troubles
from providers.kubernetes.awaiting.verdict import Related, Rule
from providers.kubernetes.awaiting.workloads import REPLICA_SETS, is_blamed, new_replica_set
from providers.kubernetes.seam import Cluster, Document
from providers.plugin.errors import CancelledError, ProviderError

T = TypeVar("T")

_PODS_ASKED = 3
_NODES_ASKED = 5
_SECRETS_ASKED = 10
_LIVE_TROUBLES = 2
_TOLD_TROUBLES = 4


@dataclass(slots=True, kw_only=True)
class Explainer:
    """Of one object, during one wait."""

    cluster: Cluster
    rule: Rule | None
    _secrets: tuple[str, ...] | None = field(init=False, default=None)
    _all_known: bool = field(init=False, default=True)
    _away: bool = field(init=False, default=False)
    """Whether the server stopped answering during this explanation: it is asked no more, since each call takes time."""

    def live(self, obj: Document, related: Related) -> str:
        """What the pods lack just now; else the last warning about the object itself."""
        self._away = False
        pods = self._pods(obj, related)
        if found := troubles(pods, self._nodes(pods)):
            self._knows_secrets(obj)
            return self.hide(obj, "; ".join(found[:_LIVE_TROUBLES]))
        return "".join(self._event_lines(obj, self._events([obj], warnings=True), limit=1))

    def account(self, obj: Document, related: Related) -> str:
        """All there is to say at the end: pods, containers, nodes, and the last events."""
        self._away = False
        pods = self._pods(obj, related)
        nodes = self._nodes(pods)
        lines = troubles(pods, nodes)[:_TOLD_TROUBLES]
        blamed = [pod for pod in pods if trouble(pod, nodes)][:_PODS_ASKED]
        replica_set = new_replica_set(obj, related) if REPLICA_SETS in related else None
        subjects = [*blamed, *([replica_set] if replica_set else []), *([] if text(obj, "kind") == "Pod" else [obj])]
        events = self._event_lines(obj, self._events(subjects))
        if events:
            lines.append(f"last events: {'; '.join(events)}")
        return self.hide(obj, ". ".join(each[0].upper() + each[1:].rstrip(". ") for each in lines))

    def hide(self, obj: Document, words: str) -> str:
        """`words` without what the object, or the Secrets that its pods use, keep secret. Asks nothing."""
        return hidden(words, self._secrets if self._secrets is not None else secrets_of(obj))

    def _event_lines(self, obj: Document, events: list[Document], *, limit: int = EVENTS_SHOWN) -> list[str]:
        quoting = self._knows_secrets(obj)
        return event_lines(events, limit=limit, quoting=quoting, hide=lambda words: self.hide(obj, words))

    def _pods(self, obj: Document, related: Related) -> list[Document]:
        """Those that can be to blame."""
        if text(obj, "kind") == "Pod":
            return [obj]
        labels = self.rule.pods(obj) if self.rule else ""
        if not labels:
            return []
        found = self._list("Pod", namespace_of(obj), labels=labels)
        return [pod for pod in found if is_blamed(pod, obj, related)]

    def _nodes(self, pods: Iterable[Document]) -> dict[str, Document | None]:
        wanted = [node_of(pod) for pod in pods if node_of(pod) and (is_ending(pod) or not is_fine(pod))]
        found: dict[str, Document | None] = {}
        for name in list(dict.fromkeys(wanted))[:_NODES_ASKED]:
            for node in self._get("Node", "", name):
                found[name] = node
        return found

    def _events(self, subjects: Iterable[Document], *, warnings: bool = False) -> list[Document]:
        found: list[Document] = []
        for subject in subjects:
            if name := name_of(subject):
                fields = f"involvedObject.kind={text(subject, 'kind')},involvedObject.name={name}"
                # An object of that name that was there before is not this one.
                fields += f",involvedObject.uid={uid_of(subject)}" if uid_of(subject) else ""
                fields += ",type=Warning" if warnings else ""
                found += self._list("Event", namespace_of(subject) or "default", fields=fields)
        return found

    def _knows_secrets(self, obj: Document) -> bool:
        """Whether all Secrets that its pods use are known, so that they can be taken out. Read once."""
        if self._secrets is None:
            names = secret_names(obj)
            used = [found for name in names[:_SECRETS_ASKED] for found in self._get("Secret", namespace_of(obj), name)]
            self._all_known = len(used) == len(names)
            self._secrets = secrets_of(obj, filter(None, used))
        return self._all_known

    def _get(self, kind: str, namespace: str, name: str) -> list[Document | None]:
        """The object, or None where there is none; nothing where it cannot be read."""
        return self._asked(lambda: [self.cluster.get("v1", kind, namespace, name)])

    def _list(self, kind: str, namespace: str, *, labels: str = "", fields: str = "") -> list[Document]:
        return self._asked(lambda: self.cluster.list("v1", kind, namespace, labels=labels, fields=fields))

    def _asked(self, ask: Callable[[], list[T]]) -> list[T]:
        """The answer, unless the server is away; what may not be read is left out."""
        if self._away:
            return []
        try:
            return ask()
        except CancelledError:
            raise
        except ProviderError as error:
            self._away = error.retry
            return []

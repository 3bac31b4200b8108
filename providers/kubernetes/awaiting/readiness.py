"""Waits until an object is ready, as its rule, or the program's own words, say it. Decides what is looked at for that.

An object that is removed or replaced by another meanwhile will not be ready any more, except where it was when it went,
as a Job that removes itself.
"""

from dataclasses import dataclass, field

from providers.kubernetes.awaiting.documents import name_of, namespace_of, text, title, uid_of
from providers.kubernetes.awaiting.errors import NotReady
from providers.kubernetes.awaiting.explaining import Explainer
from providers.kubernetes.awaiting.loop import object_id
from providers.kubernetes.awaiting.verdict import Query, Ready, Related, Rule, Verdict
from providers.kubernetes.awaiting.watches import Heard
from providers.kubernetes.seam import Cluster, Document, EventKind
from providers.plugin.errors import AccessError


@dataclass(slots=True, kw_only=True)
class Readiness:
    """A task of the loop. `last` begins as what the server answered when the object was applied."""

    cluster: Cluster
    rule: Rule
    last: Document
    goal: str = "is not ready"
    _first: Document = field(init=False)
    _related: Related = field(init=False, default_factory=dict)
    _explainer: Explainer = field(init=False)
    _looked: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._first = self.last
        self._explainer = Explainer(cluster=self.cluster, rule=self.rule)

    def look(self, heard: Heard | None, *, telling: bool) -> Verdict:
        gone = self._renew(heard)
        self._related = {each.key: self._ask(each, telling=telling) for each in self.rule.queries(self.last)}
        verdict = self.rule.judge(self.last, self._related, self._first)
        if gone and not isinstance(verdict, Ready):
            reason = (
                f"{title(self.last)} {self.goal}: {gone} while it was waited for. See what removes it, then apply again"
            )
            raise NotReady(reason, last=self.last, object_id=object_id(self.last))
        return verdict

    def live(self) -> str:
        return self._explainer.live(self.last, self._related)

    def account(self) -> str:
        queries = self.rule.queries(self.last)
        self._related = {
            **self._related,
            **{each.key: self._ask(each, telling=True) for each in queries if each.telling},
        }
        return self._explainer.account(self.last, self._related)

    def hide(self, words: str) -> str:
        return self._explainer.hide(self.last, words)

    def watched(self) -> tuple[Query, ...]:
        return tuple(each for each in self.rule.queries(self.last) if each.watched)

    def _renew(self, heard: Heard | None) -> str:
        """Takes what was heard as it is, or asks; says what has become of the object where it is gone."""
        first, self._looked = not self._looked, True
        if first and uid_of(self.last):
            return ""
        if heard is not None and heard.event is not None:
            found: Document | None = heard.event.obj
            ended = heard.event.kind is EventKind.DELETED
        else:
            found = self.cluster.get(
                text(self.last, "apiVersion"), text(self.last, "kind"), namespace_of(self.last), name_of(self.last)
            )
            ended = found is None
        if found is not None and uid_of(self.last) not in {"", uid_of(found)}:
            return "it was replaced by another of its name"
        self.last = found if found is not None else self.last
        return "it was removed" if ended else ""

    def _ask(self, query: Query, *, telling: bool) -> list[Document] | None:
        if query.telling and not telling:
            return None
        try:
            if query.name:
                found = self.cluster.get(query.api_version, query.kind, query.namespace, query.name)
                return [] if found is None else [found]
            return self.cluster.list(
                query.api_version, query.kind, query.namespace, labels=query.labels, fields=query.fields
            )
        except AccessError:
            if query.optional:
                return None
            raise

"""The real cluster: reads, watches, applies and deletes objects. Decides nothing about them."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from typing import Any

from providers.kubernetes.awaiting.documents import name_of, namespace_of, title
from providers.kubernetes.config import Config
from providers.kubernetes.discovery import Discovery, Kind
from providers.kubernetes.errors import ApiError, Doing, MissingError
from providers.kubernetes.seam import Document, Event, EventKind, WatchExpiredError
from providers.kubernetes.transport import APPLY, Transport
from providers.plugin.errors import ProviderError, RefusedError

_GONE = 410
_PAUSE_SECONDS = 1.0
_IMPATIENCE_SECONDS = 2.0


class ApiCluster:
    """A `seam.Cluster`, and what changes objects. Safe to use from many threads."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._transport = Transport(config)
        self._discovery = Discovery(self._transport)
        self.patience: float | None = None

    def cancelled(self) -> bool:
        return self._transport.cancelled()

    def cancel(self) -> None:
        self._transport.cancel()

    def pause(self, seconds: float) -> None:
        """Raises CancelledError once the engine has asked to stop."""
        self._transport.pause(seconds)

    def impatient(self) -> ApiCluster:
        """The same cluster for who looks again himself: that the server is away is told soon, not after a minute."""
        found = copy.copy(self)
        found.patience = _IMPATIENCE_SECONDS
        return found

    def kind_of(self, api_version: str, kind: str) -> Kind | None:
        """How the server serves it; None where it knows no such kind."""
        return self._discovery.find(api_version, kind, patience=self.patience)

    # Reading.

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Document | None:
        found = self.kind_of(api_version, kind)
        if found is None:
            return None
        doing = self._doing("read", f"{kind} {_place(namespace, name)}")
        try:
            answer: Document = self._transport.request(
                "GET", found.path(namespace, name), doing, patience=self.patience
            )
        except MissingError:
            return None
        return answer

    def list(
        self, api_version: str, kind: str, namespace: str, *, labels: str = "", fields: str = ""
    ) -> list[Document]:
        found = self.kind_of(api_version, kind)
        if found is None:
            return []
        query = {key: value for key, value in {"labelSelector": labels, "fieldSelector": fields}.items() if value}
        doing = self._doing("list", f"{kind} in {namespace or 'all namespaces'}")
        answer = self._transport.request("GET", found.path(namespace), doing, query=query, patience=self.patience)
        return [{"apiVersion": api_version, "kind": kind} | item for item in answer.get("items") or []]

    def watch(
        self,
        api_version: str,
        kind: str,
        namespace: str,
        *,
        name: str = "",
        labels: str = "",
        since: str,
        seconds: float,
    ) -> Iterator[Event]:
        found = self.kind_of(api_version, kind)
        if found is None:
            return
        query = {"watch": "true", "resourceVersion": since, "allowWatchBookmarks": "true"}
        query["timeoutSeconds"] = str(max(1, round(seconds)))
        if name:
            query["fieldSelector"] = f"metadata.name={name}"
        if labels:
            query["labelSelector"] = labels
        doing = self._doing("watch", f"{kind} {_place(namespace, name)}")
        with (
            self._ending_where_it_breaks(),
            self._transport.stream(found.path(namespace), doing, query=query, seconds=seconds + 1) as sent,
        ):
            for each in sent:
                yield _event(each)

    def listable(self) -> tuple[Kind, ...]:
        """All kinds of objects that can be listed."""
        return self._discovery.listable()

    # Changing.

    def apply(
        self,
        document: Document,
        *,
        verb: str,
        manager: str,
        force: bool,
        dry_run: bool = False,
        hide: frozenset[str] = frozenset(),
    ) -> Document:
        """The object as it then is. `hide` appears in no error.

        Raises OwnershipError, ImmutableError, NotYetError and whatever else is wrong.
        """
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        doing = self._doing(verb, title(document), hide=hide)
        path = self._required(document).path(namespace_of(document), name_of(document))
        answer: Document = self._transport.request("PATCH", path, doing, query=query, body=document, content_type=APPLY)
        return answer

    def delete(self, document: Document, *, propagation: str, uid: str = "") -> None:
        """Deletes it, if it has that uid. What is gone already is no error. Raises ApiError with status 409."""
        found = self.kind_of(str(document["apiVersion"]), str(document["kind"]))
        if found is None:
            return
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        with contextlib.suppress(MissingError):
            path = found.path(namespace_of(document), name_of(document))
            self._transport.request("DELETE", path, self._doing("delete", title(document)), body=body)

    @contextlib.contextmanager
    def _ending_where_it_breaks(self) -> Iterator[None]:
        try:
            yield
        except ProviderError as error:
            if isinstance(error, ApiError) and error.status == _GONE:
                raise WatchExpiredError from None
            if not error.retry:
                raise
            # Whoever watches looks again at once.
            self.pause(_PAUSE_SECONDS)

    def _required(self, document: Document) -> Kind:
        api_version, kind = str(document["apiVersion"]), str(document["kind"])
        found = self.kind_of(api_version, kind)
        if found is None:
            raise RefusedError(
                f"the API server at {self._transport.host} knows no kind {kind} of {api_version}. Install its "
                f"CustomResourceDefinition first, or correct the apiVersion"
            )
        return found

    def _doing(self, verb: str, subject: str, hide: frozenset[str] = frozenset()) -> Doing:
        return Doing(verb=verb, subject=subject, host=self._transport.host, hide=hide)


def _place(namespace: str, name: str) -> str:
    return f"'{namespace}/{name}'" if namespace and name else f"'{name or namespace}'"


def _event(sent: Mapping[str, Any]) -> Event:
    obj = sent.get("object") or {}
    if sent.get("type") in EventKind.__members__:
        return Event(kind=EventKind(sent["type"]), obj=obj)
    # The server's own word for a version that it has forgotten, among others; looking again mends them all.
    raise WatchExpiredError

"""A cluster in memory, as the await logic sees one. It stores documents, counts versions and tells watchers.

It does what a test makes it do and no more: no controller runs in it. Trouble is ordered: `failing` answers the next
calls with errors, `forbidden` refuses kinds, `expired` ends the next watches with 410.
"""

import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from providers.kubernetes.seam import Document, Event, EventKind, WatchExpiredError
from providers.plugin.errors import AccessError, ProviderError

_Key = tuple[str, str, str, str]


class FakeCluster:
    def __init__(self, *docs: Document) -> None:
        self.failing: deque[ProviderError] = deque()
        self.forbidden: set[str] = set()
        self.expired = 0
        self.asked: list[tuple[str, str]] = []
        self._docs: dict[_Key, Document] = {}
        self._log: list[tuple[int, Event]] = []
        self._version = 0
        self._changed = threading.Condition()
        for doc in docs:
            self.put(doc)

    def put(self, doc: Document) -> Document:
        with self._changed:
            self._version += 1
            meta = {"uid": f"uid-{doc['metadata']['name']}", **doc["metadata"], "resourceVersion": str(self._version)}
            stored = {**doc, "metadata": meta}
            known = _key(stored) in self._docs
            self._docs[_key(stored)] = stored
            kind = EventKind.MODIFIED if known else EventKind.ADDED
            self._log.append((self._version, Event(kind=kind, obj=stored)))
            self._changed.notify_all()
            return stored

    def remove(self, doc: Document) -> None:
        with self._changed:
            self._version += 1
            gone = self._docs.pop(_key(doc))
            gone = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self._version)}}
            self._log.append((self._version, Event(kind=EventKind.DELETED, obj=gone)))
            self._changed.notify_all()

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Document | None:
        self._answer("get", kind)
        with self._changed:
            return self._docs.get((api_version, kind, namespace, name))

    def list(
        self, api_version: str, kind: str, namespace: str, *, labels: str = "", fields: str = ""
    ) -> list[Document]:
        self._answer("list", kind)
        with self._changed:
            found = [doc for key, doc in self._docs.items() if key[:2] == (api_version, kind)]
        in_namespace = [doc for doc in found if namespace in {"", doc["metadata"].get("namespace", "")}]
        return [doc for doc in in_namespace if _labelled(doc, labels) and _has_fields(doc, fields)]

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
        self._answer("watch", kind)
        if self.expired:
            self.expired -= 1
            raise WatchExpiredError
        end, version = time.monotonic() + seconds, int(since)
        while (left := end - time.monotonic()) > 0:
            with self._changed:
                news = [(at, event) for at, event in self._log if at > version]
                if not news:
                    self._changed.wait(left)
                    continue
            for at, event in news:
                version = at
                doc = event.obj
                where = (doc["apiVersion"], doc["kind"], doc["metadata"].get("namespace", ""))
                named = name in {"", doc["metadata"]["name"]}
                if where == (api_version, kind, namespace) and named and _labelled(doc, labels):
                    yield event

    def _answer(self, verb: str, kind: str) -> None:
        self.asked.append((verb, kind))
        if kind in self.forbidden:
            raise AccessError(f"cannot {verb} {kind}: forbidden")
        if self.failing and verb != "watch":
            raise self.failing.popleft()


def _key(doc: Document) -> _Key:
    meta = doc["metadata"]
    return (doc["apiVersion"], doc["kind"], meta.get("namespace", ""), meta["name"])


def _labelled(doc: Document, selector: str) -> bool:
    found = doc["metadata"].get("labels", {})
    for term in re.split(r",(?![^(]*\))", selector) if selector else []:
        if inside := re.fullmatch(r"(\S+) in \(([^)]*)\)", term):
            if found.get(inside[1]) not in inside[2].split(","):
                return False
        else:
            key, _, value = term.partition("=")
            if found.get(key) != value:
                return False
    return True


def _has_fields(doc: Document, selector: str) -> bool:
    for term in selector.split(",") if selector else []:
        path, _, value = term.partition("=")
        found: Any = doc
        for step in path.split("."):
            found = found.get(step, "") if isinstance(found, dict) else ""
        if found != value:
            return False
    return True

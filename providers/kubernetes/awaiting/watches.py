"""Hears of changes while somebody waits: a watch of the object, and of what its verdict needs.

A watch only makes a wait shorter: one that ends, expires or breaks is begun again, ever more slowly, and without any
the object is still looked at from time to time. So an error of a watch is no error of the wait; a look tells it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from providers.kubernetes.awaiting.documents import name_of, namespace_of, text
from providers.kubernetes.awaiting.verdict import Query
from providers.kubernetes.seam import Cluster, Document, Event, EventKind, WatchExpiredError
from providers.plugin.errors import AccessError, ProviderError

WATCH_SECONDS = 10.0
"""How long one watch lasts; its thread may outlast the wait by as much."""
_SHORTEST_GAP = 0.1
_LONGEST_GAP = 5.0
_STEP = 0.1
_ANY = "0"
"""The resourceVersion to watch from whatever the server has at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """`event` is the object's own newest, where it was that; something else that matters changed otherwise."""

    event: Event | None = None


class Watches:
    """Begun at once; `stop` lets the threads end by themselves."""

    def __init__(self, cluster: Cluster, obj: Document, queries: tuple[Query, ...]) -> None:
        self._cluster = cluster
        self._since = text(obj, "metadata", "resourceVersion") or _ANY
        self._mutex = threading.Lock()
        self._heard: Heard | None = None
        self._wake = threading.Event()
        self._stopped = threading.Event()
        own = Query(
            key="",
            api_version=text(obj, "apiVersion"),
            kind=text(obj, "kind"),
            namespace=namespace_of(obj),
            name=name_of(obj),
        )
        for query in (own, *queries):
            threading.Thread(target=self._run, args=(query,), daemon=True, name=f"watch {query.kind}").start()

    def stop(self) -> None:
        self._stopped.set()

    def seen(self, obj: Document) -> None:
        """The object was looked at: from there on there is more to hear."""
        with self._mutex:
            self._since = text(obj, "metadata", "resourceVersion") or _ANY

    def wait(self, seconds: float, cancelled: Callable[[], bool]) -> Heard | None:
        """What was heard, or None after `seconds`, or at once when cancelled."""
        end = time.monotonic() + seconds
        while not cancelled() and (left := end - time.monotonic()) > 0:
            if self._wake.wait(min(_STEP, left)):
                with self._mutex:
                    heard, self._heard = self._heard, None
                    self._wake.clear()
                return heard
        return None

    def _run(self, query: Query) -> None:
        gap = _SHORTEST_GAP
        while not self._stopped.is_set():
            begun = time.monotonic()
            try:
                self._watch(query)
            except WatchExpiredError:
                # The next look is from the server itself, and says from where to go on.
                with self._mutex:
                    self._since = _ANY
                self._tell(Heard())
            except AccessError:
                return
            except ProviderError:
                gap = min(gap * 2, _LONGEST_GAP)
            if time.monotonic() - begun > WATCH_SECONDS / 2:
                gap = _SHORTEST_GAP
            self._stopped.wait(gap)
            gap = min(gap * 2, _LONGEST_GAP)

    def _watch(self, query: Query) -> None:
        own = not query.key
        with self._mutex:
            since = self._since if own else _ANY
        # From any version the server begins with what it remembers, which may be old: that is only a hint to look.
        exact = own and since != _ANY
        events = self._cluster.watch(
            query.api_version,
            query.kind,
            query.namespace,
            name=query.name,
            labels=query.labels,
            since=since,
            seconds=WATCH_SECONDS,
        )
        for event in events:
            if self._stopped.is_set():
                return
            if own and exact:
                self.seen(event.obj)
            if event.kind is not EventKind.BOOKMARK:
                self._tell(Heard(event=event if exact else None))

    def _tell(self, heard: Heard) -> None:
        with self._mutex:
            # The object's own news says most; a hint beside it is answered by the same look.
            if self._heard is None or heard.event is not None:
                self._heard = heard
            self._wake.set()

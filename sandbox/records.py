"""A simulated site's documents: in memory to be asked fast, and in SQLite so that a restart finds them.

A request's changes are kept whole or not at all. Decides names of rows and times; never what is allowed.
"""

import contextlib
import copy
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.store import Store

Doc = dict[str, Any]
_SERIES = "#series"
_TIME = "%Y-%m-%d %H:%M:%S.%f"


class Records:
    """One thread at a time. What `each` and `look` give must not be changed; `get` gives a copy."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._kept: dict[str, dict[str, Doc]] = {}
        self._undo: list[tuple[str, str, Doc | None]] = []
        last = "1970-01-01 00:00:00.000000"
        for doctype, name, body in store.everything():
            self._kept.setdefault(doctype, {})[name] = body
            last = max(last, body.get("modified") or last)
        self._last = datetime.strptime(last, _TIME).replace(tzinfo=UTC)

    def close(self) -> None:
        self._store.close()

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """All changes inside, or none where it ends with an error."""
        self._undo.clear()
        try:
            with self._store.transaction():
                yield
        except BaseException:
            for doctype, name, before in reversed(self._undo):
                if before is None:
                    self._kept[doctype].pop(name, None)
                else:
                    self._kept[doctype][name] = before
            raise

    def look(self, doctype: str, name: str) -> Mapping[str, Any] | None:
        return self._kept.get(doctype, {}).get(name)

    def get(self, doctype: str, name: str) -> Doc | None:
        found = self.look(doctype, name)
        return None if found is None else copy.deepcopy(dict(found))

    def each(self, doctype: str, **having: Any) -> Iterator[Mapping[str, Any]]:
        """Those whose fields are as said, oldest first."""
        for doc in list(self._kept.get(doctype, {}).values()):
            if all(doc.get(field) == value for field, value in having.items()):
                yield doc

    def first(self, doctype: str, **having: Any) -> Mapping[str, Any] | None:
        return next(self.each(doctype, **having), None)

    def put(self, doctype: str, name: str, doc: Doc) -> None:
        kept = self._kept.setdefault(doctype, {})
        self._undo.append((doctype, name, kept.get(name)))
        kept[name] = doc
        self._store.put(doctype, name, doc)

    def delete(self, doctype: str, name: str) -> None:
        kept = self._kept.setdefault(doctype, {})
        if name in kept:
            self._undo.append((doctype, name, kept.pop(name)))
            self._store.delete(doctype, name)

    def now(self) -> str:
        """As Frappe writes it, with microseconds; later at each call, so that `modified` tells two changes apart."""
        moment = max(datetime.fromtimestamp(self._clock(), UTC), self._last + timedelta(microseconds=1))
        self._last = moment
        return moment.strftime(_TIME)

    def seconds(self) -> float:
        return self._clock()

    def hash(self) -> str:
        return secrets.token_hex(5)

    def next_of(self, series: str) -> int:
        """1, 2, 3 ... for a naming series; a request that fails gives its number back."""
        value = int((self.look(_SERIES, series) or {"value": 0})["value"]) + 1
        self.put(_SERIES, series, {"value": value})
        return value

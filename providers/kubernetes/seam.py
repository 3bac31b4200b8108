"""What the rest of this package needs of a cluster to look at it. Decides nothing; `cluster` is the real one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

Document = dict[str, Any]
"""An object as the server's JSON has it."""

Report = Callable[[str], None]
"""Shows a message beside the resource, in place of the one before."""

Cancelled = Callable[[], bool]
"""Whether the engine asked to stop."""


class EventKind(StrEnum):
    """The server's own words for what became of a watched object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`obj` is the object as it is now, or as it was last when it is deleted; a bookmark has only a resourceVersion."""

    kind: EventKind
    obj: Document


class WatchExpiredError(Exception):
    """The resourceVersion to watch from is too old (410 Gone): get or list again, and watch from there."""


class Cluster(Protocol):
    """Transient trouble is retried inside, within a bound; what is left is a ProviderError in one line.

    `namespace` is empty for what lies in none; `list` and `watch` then look at all namespaces.
    """

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Document | None:
        """The object, or None where there is none, or no such kind."""
        ...

    def list(
        self, api_version: str, kind: str, namespace: str, *, labels: str = "", fields: str = ""
    ) -> list[Document]:
        """Objects that match the selectors; each with its apiVersion and kind."""
        ...

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
        """What happens after resourceVersion `since`, for at most `seconds`. Raises WatchExpiredError.

        It ends early, without an error, where the server ends it or the connection breaks.
        """
        ...

"""Which events are told, and how. Pure: warnings first, the newest first, each once, a few."""

import re
from collections.abc import Callable, Iterable

from providers.kubernetes.awaiting.documents import number, text
from providers.kubernetes.seam import Document

EVENTS_SHOWN = 5
_LONGEST = 300
_COMBINED = "(combined from similar events): "
_GENERATED = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b")
"""What the API server appends to make a name."""
_SAYS_NOTHING = {"ScalingReplicaSet", "SuccessfulCreate", "SuccessfulDelete", "Scheduled"}
_WRITTEN_BY_CONTAINERS = {"Unhealthy", "ProbeWarning", "FailedPostStartHook", "FailedPreStopHook"}
"""What a command in the container wrote stands in these."""


def event_lines(
    events: Iterable[Document],
    *,
    limit: int = EVENTS_SHOWN,
    quoting: bool = True,
    hide: Callable[[str], str] = str,
) -> list[str]:
    """`quoting`: whether what a container may have written is told; `hide` takes out what is secret."""
    newest = sorted((each for each in events if text(each, "reason") not in _SAYS_NOTHING), key=_time, reverse=True)
    ordered = sorted(newest, key=lambda each: text(each, "type") != "Warning")
    told: dict[str, str] = {}
    for event in ordered:
        told.setdefault(_same(event), _line(event, quoting=quoting, hide=hide))
    return list(told.values())[:limit]


def _time(event: Document) -> str:
    """When it was last seen. RFC 3339 in UTC throughout, which sorts as text."""
    places = (
        ("series", "lastObservedTime"),
        ("lastTimestamp",),
        ("eventTime",),
        ("firstTimestamp",),
        ("metadata", "creationTimestamp"),
    )
    return max(text(event, *place) for place in places)


def _same(event: Document) -> str:
    """What two events share that say the same, be it of two pods."""
    words = text(event, "message").removeprefix(_COMBINED)
    for own in (text(event, "involvedObject", "name"), text(event, "involvedObject", "uid")):
        if own:
            words = words.replace(own, "")
    words = _GENERATED.sub("", words)
    return "\n".join((text(event, "type"), text(event, "reason"), text(event, "involvedObject", "kind"), words))


def _line(event: Document, *, quoting: bool, hide: Callable[[str], str]) -> str:
    count = max(number(event, "count"), number(event, "series", "count"))
    times = f", {count} times" if count > 1 else ""
    who = f"{text(event, 'involvedObject', 'kind')} {text(event, 'involvedObject', 'name')}"
    message = " ".join(text(event, "message").removeprefix(_COMBINED).split())
    if text(event, "reason") in _WRITTEN_BY_CONTAINERS and not quoting:
        message = "what the container wrote is not told: the Secrets that it may quote cannot be read"
    # Before it is cut: of half a secret nobody knows that it is one.
    message = hide(message)
    if len(message) > _LONGEST:
        message = message[:_LONGEST] + "..."
    return f"{text(event, 'type')} {text(event, 'reason')} ({who}{times}): {message}"

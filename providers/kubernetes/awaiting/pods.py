"""What is wrong with pods, in words. Pure: from their status, their nodes, and nothing that a container wrote."""

import re
from collections.abc import Iterable, Mapping

from providers.kubernetes.awaiting.documents import condition, is_true, items, name_of, number, part, table, text, told
from providers.kubernetes.seam import Document

_NAMES_SHOWN = 3
_OF_ITSELF = re.compile(r"(?<=failed container)=\S+ (?:in pod |pod=)\S+")
"""The kubelet repeats which pod it speaks of: it differs for each, and is told beside it."""

Nodes = Mapping[str, Document | None]
"""Nodes by name; None for one that is gone. One that may not be read is not in it."""


def is_fine(pod: Document) -> bool:
    phase = text(pod, "status", "phase")
    return phase == "Succeeded" or (phase == "Running" and is_true(pod, "Ready") and not is_ending(pod))


def is_ending(pod: Document) -> bool:
    return bool(text(pod, "metadata", "deletionTimestamp"))


def node_of(pod: Document) -> str:
    return text(pod, "spec", "nodeName")


def troubles(pods: Iterable[Document], nodes: Nodes) -> list[str]:
    """A line for each trouble, with the pods that have it; what says most comes first."""
    grouped: dict[str, list[str]] = {}
    for pod in pods:
        if words := trouble(pod, nodes):
            grouped.setdefault(words, []).append(name_of(pod))
    # A container's own state says more than that something has not begun.
    ordered = sorted(grouped, key=lambda words: ("container" not in words and "node" not in words, words))
    return [f"{_names(grouped[words])}: {words}" for words in ordered]


def _names(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"pod{'s' * (len(names) > 1)} {shown}" + (f" and {more} more" if more > 0 else "")


def trouble(pod: Document, nodes: Nodes) -> str:
    """Why the pod is not ready; "" where it is, or where it only ends as it should."""
    node = _node_trouble(pod, nodes)
    if is_ending(pod):
        return f"it cannot end: {node}" if node else ""
    if is_fine(pod):
        return node
    parts = [node, *_own(pod)]
    return "; ".join(filter(None, parts)) or "it is not ready yet"


def _own(pod: Document) -> list[str]:
    status = table(pod, "status")
    if text(status, "phase") == "Failed":
        # That of an evicted pod says it all: its containers are no more.
        ended = _containers(pod)
        return [f"it has failed{told(status)}", *ended] if text(status, "reason") or ended else ["it has failed"]
    scheduled = condition(pod, "PodScheduled")
    if text(scheduled, "status") == "False":
        return [f"it cannot be scheduled{told(scheduled)}"]
    found = _containers(pod)
    if found:
        return found
    if not node_of(pod):
        return ["no scheduler has placed it yet"]
    if text(status, "reason"):
        return [told(status).strip(" ()")]
    return [] if text(status, "phase") == "Running" else [f"node {node_of(pod)} has not started it yet"]


def _containers(pod: Document) -> list[str]:
    found = []
    for kind, field in (("init container", "initContainerStatuses"), ("container", "containerStatuses")):
        for status in items(pod, "status", field):
            words = _container(status, init=field.startswith("init"))
            if words:
                found.append(f"{kind} {text(status, 'name')}: {words}")
    return found


def _container(status: Document, *, init: bool) -> str:
    if part(status, "ready") is True:
        return ""
    waiting, ended = table(status, "state", "waiting"), table(status, "state", "terminated")
    if ended:
        return "" if init and not number(ended, "exitCode") else _ended(ended)
    last = table(status, "lastState", "terminated")
    restarts = number(status, "restartCount")
    before = f"; last time {_ended(last)}, {restarts} restarts" if last else ""
    if waiting:
        words = ": ".join(
            filter(None, (text(waiting, "reason") or "waiting", _OF_ITSELF.sub("", text(waiting, "message")).strip()))
        )
        # These two say only that it is not its turn yet.
        return "" if init and text(waiting, "reason") == "PodInitializing" else words + before
    if init:
        return f"it runs{before}"
    started = part(status, "started") is not False
    return f"it runs and is not {'ready: its readiness probe does not pass' if started else 'started yet'}{before}"


def _ended(ended: Document) -> str:
    """Its reason and exit code. Not its message, which the container itself writes."""
    reason = text(ended, "reason")
    signal = number(ended, "signal")
    words = [reason] * (reason not in {"", "Error", "Completed"}) + [f"signal {signal}"] * bool(signal)
    return f"it ended with exit code {number(ended, 'exitCode')}" + (f" ({', '.join(words)})" if words else "")


def _node_trouble(pod: Document, nodes: Nodes) -> str:
    name = node_of(pod)
    if not name or name not in nodes:
        return ""
    node = nodes[name]
    if node is None:
        return f"its node {name} is gone"
    return "" if is_true(node, "Ready") else f"its node {name} is not ready{told(condition(node, 'Ready'))}"

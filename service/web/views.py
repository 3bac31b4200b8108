"""What the templates show, worked out from rows: words and tones for statuses, times, diffs grouped by step. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from automation.display import HIDDEN, plain
from automation.engine_events import PropertyChange, property_changes
from service.web.fields import words

_WORDS = {
    "pending": "Waiting",
    "provisioning": "In progress",
    "active": "Active",
    "partial": "Partial",
    "failed": "Failed",
    "removed": "Removed",
    "running": "Running",
    "succeeded": "Succeeded",
    "completed": "Done",
    "skipped": "Skipped",
    "rolled_back": "Rolled back",
    "rollback_failed": "Rollback failed",
    "cancelled": "Cancelled",
    "interrupted": "Interrupted",
    "delivered": "Delivered",
    "dropped": "Dropped",
    "healthy": "Works",
    "unhealthy": "Does not work",
    # Of workspaces (POS-5).
    "PROVISIONING": "In progress",
}
_TONES = {
    "good": ("active", "succeeded", "completed", "delivered", "healthy", "PROVISIONED"),
    "busy": ("provisioning", "running", "PROVISIONING"),
    "wait": ("pending", "partial", "NOT_PROVISIONED", "PARTIAL", "missing"),
    "bad": ("failed", "rollback_failed", "interrupted", "unhealthy", "FAILED"),
    "undone": ("rolled_back", "cancelled", "dropped"),
}
_OPERATIONS = {
    "preview": "Preview",
    "up": "Apply",
    "refresh": "Refresh",
    "destroy": "Remove",
    "rollback": "Roll back",
    "backup": "Back up",
    "restore": "Restore",
}
_OPS = {
    "create": ("create", "Create"),
    "update": ("update", "Change"),
    "delete": ("delete", "Remove"),
    "replace": ("replace", "Replace"),
    "create-replacement": ("replace", "Replace"),
    "delete-replaced": ("delete", "Remove the replaced one"),
    "import": ("create", "Import"),
}

# The engine tells a replacement three times: as itself, and as what is made and deleted for it.
_HALVES = frozenset({"create-replacement", "delete-replaced"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value that differs. `kind` is added, removed or changed."""

    path: str
    kind: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDiff:
    """What happens to one resource. `op` is create, update, delete or replace."""

    op: str
    word: str
    title: str
    type: str
    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDiff:
    """The resources of one step."""

    key: str
    title: str
    resources: tuple[ResourceDiff, ...]


def status_word(status: str) -> str:
    """A status as a person reads it."""
    return _WORDS.get(status, words(status))


def tone(status: str) -> str:
    """Which of the page's tones a status has; never the only sign of it."""
    return next((name for name, statuses in _TONES.items() if status in statuses), "quiet")


def operation_word(operation: str) -> str:
    """What a job does, as a person reads it."""
    return _OPERATIONS.get(operation, words(operation))


def plan(changes: Iterable[Mapping[str, Any]], steps: Sequence[tuple[str, str]]) -> tuple[StepDiff, ...]:
    """A preview's changes by step, in the order of the steps; components, which are no objects, are left out."""
    titles = dict(steps)
    grouped: dict[str, list[ResourceDiff]] = {key: [] for key in titles}
    changes = list(changes)
    replaced = {change["urn"] for change in changes if change["op"] == "replace"}
    for change in changes:
        if not change["properties"] and _is_component(str(change["type"])):
            continue
        if change["op"] in _HALVES and change["urn"] in replaced:
            continue
        key = change["step"] if change["step"] in titles else ""
        grouped.setdefault(key, []).append(_resource(change))
    return tuple(
        StepDiff(key=key, title=titles.get(key, "Other objects"), resources=tuple(resources))
        for key, resources in grouped.items()
        if resources
    )


def counted(groups: Iterable[StepDiff]) -> tuple[tuple[str, int], ...]:
    """How many objects are created, changed, replaced and removed, in this order."""
    found = [resource.op for group in groups for resource in group.resources]
    order = ("create", "update", "replace", "delete")
    return tuple((op, found.count(op)) for op in order if op in found)


_DONE_WORDS = {"create": "created", "update": "changed", "replace": "replaced", "delete": "removed"}


def done_words(changes: Mapping[str, int]) -> str:
    """What a run has done: `11 objects created, 1 changed.`"""
    found = Counter[str]()
    for op, count in changes.items():
        if op in _OPS and not (op in _HALVES and "replace" in changes):
            found[_OPS[op][0]] += count
    parts = [f"{count} {_DONE_WORDS[op]}" for op, count in found.items() if count]
    if not parts:
        return "Nothing had to be changed."
    return f"Objects: {', '.join(parts)}."


def differences(before: object, after: object) -> tuple[Row, ...]:
    """The leaves that differ between two documents."""
    one = before if isinstance(before, Mapping) else {}
    two = after if isinstance(after, Mapping) else {}
    return tuple(_row(*leaf) for change in property_changes(one, two) for leaf in _leaves(change))


def _leaves(change: PropertyChange) -> Iterator[tuple[str, Any, Any]]:
    """The change; where a whole mapping is added or removed, its leaves, which are read more easily."""
    sides = [side for side in (change.before, change.after) if side is not None]
    if len(sides) != 1 or not isinstance(sides[0], Mapping) or not sides[0] or plain(sides[0]) == HIDDEN:
        yield change.path, change.before, change.after
        return
    one, two = (sides[0], {}) if change.after is None else ({}, sides[0])
    for inner in property_changes(one, two, change.path):
        yield from _leaves(inner)


def _is_component(kind: str) -> bool:
    return kind.startswith(("tenantry:", "pulumi:pulumi:"))


def _resource(change: Mapping[str, Any]) -> ResourceDiff:
    op, word = _OPS.get(change["op"], ("update", words(str(change["op"]))))
    kind = str(change["type"])
    changes = (
        PropertyChange(path=one["path"], before=one["before"], after=one["after"]) for one in change["properties"]
    )
    rows = tuple(_row(*leaf) for one in changes for leaf in _leaves(one))
    title = words(kind.rsplit(":", 1)[-1])
    return ResourceDiff(op=op, word=word, title=title, type=kind, name=str(change["name"]), rows=rows)


def _row(path: str, before: Any, after: Any) -> Row:
    kind = "added" if before is None else "removed" if after is None else "changed"
    return Row(path=path, kind=kind, before=value_text(before), after=value_text(after))


def value_text(value: Any) -> str:
    """A value on one line; secrets and values not known yet by name."""
    if value is None:
        return ""
    named = plain(value)
    return named if isinstance(named, str) else json.dumps(named, ensure_ascii=False)


def parsed(moment: str | datetime | None) -> datetime | None:
    """A time with a zone, from ISO 8601; None for none."""
    if moment is None or isinstance(moment, datetime):
        return moment
    found = datetime.fromisoformat(moment)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def exact(moment: str | datetime | None) -> str:
    """`21 Nov 2026, 12:06:23 UTC`."""
    found = parsed(moment)
    return f"{found.astimezone(UTC):%-d %b %Y, %H:%M:%S} UTC" if found else ""


def ago(moment: str | datetime | None, now: datetime | None = None) -> str:
    """`just now`, `40 s ago`, `3 min ago`, `5 h ago`, `2 days ago`; `in 4 min` for what is to come."""
    found = parsed(moment)
    if found is None:
        return ""
    passed = (now or datetime.now(UTC)) - found
    text = _span(abs(passed))
    if not text:
        return "just now"
    return f"{text} ago" if passed > timedelta(0) else f"in {text}"


def _span(passed: timedelta) -> str:
    seconds = int(passed.total_seconds())
    if seconds < 5:
        return ""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 2 * 86_400:
        return f"{seconds // 3600} h"
    return f"{seconds // 86_400} days"


def duration(milliseconds: float | None) -> str:
    """`420 ms`, `2.0 s`, `1 min 05 s`, `2 h 03 min`."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1000:.1f} s"
    seconds = round(milliseconds / 1000)
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def money(amount: str) -> str:
    """`5.84`; with four digits where two would show nothing."""
    exact_amount = Decimal(amount)
    return f"{exact_amount:.2f}" if not exact_amount or abs(exact_amount) >= Decimal("0.01") else f"{exact_amount:.4f}"


def shortened(number: str) -> str:
    """A decimal without the noughts at its end."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def type_title(urn: str) -> str:
    """What kind of object a URN names, in words."""
    kind = urn.split("::")[2].rsplit("$", 1)[-1] if urn.count("::") >= 3 else urn
    return words(kind.rsplit(":", 1)[-1])

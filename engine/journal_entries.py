"""The stock Pulumi's journal entries: from marks to entries, and from a checkpoint with entries to what it became.

An entry is plain data in the form of `apitype.JournalEntry`, version 1. It names an old resource by its place in the
checkpoint that the journal began from, and one that was made since by its operation's number. Two fields are added,
which the stock Pulumi does not look at: `epoch`, the journal that the entry belongs to, and `until`, the last entry of
the change that it is a part of: a change of which only a part was written has not happened. Pure: no I/O, no secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any

from engine.checkpoint import Codec
from engine.errors import StateError
from engine.journal import Mark, MarkKind
from engine.resource import State
from engine.snapshot import PendingOperation

Entry = dict[str, Any]
Deployment = dict[str, Any]


class Kind(IntEnum):
    """The kinds of `apitype.JournalEntryKind` that are replayed here."""

    BEGIN = 0
    SUCCESS = 1
    FAILURE = 2
    REFRESH_SUCCESS = 3
    OUTPUTS = 4
    WRITE = 5
    SECRETS_MANAGER = 6
    REBUILT_BASE_STATE = 7


class NotInJournalError(Exception):
    """A mark is about a state that this journal has never heard of: only a whole checkpoint can say it."""


class EntryEncoder:
    """Entries of one journal, whose checkpoint holds the resources of `base` in this order."""

    def __init__(self, codec: Codec, base: Sequence[State], epoch: str) -> None:
        self._codec = codec
        self._epoch = epoch
        self._old = {state: place for place, state in enumerate(base)}
        self._made: dict[State, int] = {}
        self._sequence = 0

    def entries(self, marks: Iterable[Mark]) -> list[Entry]:
        """The entries of one change. Raises NotInJournalError; then nothing more may be asked of this encoder."""
        entries = [entry for mark in marks for entry in self._entries(mark)]
        for number, entry in enumerate(entries, self._sequence + 1):
            entry |= {"sequenceID": number, "epoch": self._epoch, "until": self._sequence + len(entries)}
        self._sequence += len(entries)
        return entries

    def _entries(self, mark: Mark) -> list[Entry]:
        if mark.kind is MarkKind.BEGIN and mark.pending is not None:
            return [self._begin(mark.operation, mark.pending)]
        if mark.kind is MarkKind.FAILURE:
            return [_entry(Kind.FAILURE, mark.operation)]
        if mark.kind is MarkKind.OUTPUTS and mark.made is not None:
            return [self._outputs(mark.gone[0], mark.made)]
        if mark.kind is MarkKind.SUCCESS:
            return self._success(mark)
        raise NotInJournalError

    def _begin(self, operation: int, pending: PendingOperation) -> Entry:
        body = {"resource": self._codec.state_to_dict(pending.resource), "type": pending.type}
        return _entry(Kind.BEGIN, operation, operation=body)

    def _success(self, mark: Mark) -> list[Entry]:
        first = _entry(Kind.SUCCESS, mark.operation)
        for state in mark.flagged[:1]:
            where, place = self._place(state)
            if state.delete:
                first[f"delete{where}"] = place
            if state.pending_replacement:
                first[f"pendingReplacement{where}"] = place
        entries = [first]
        for number, state in enumerate(mark.gone):
            where, place = self._place(state)
            if number:
                entries.append(_entry(Kind.SUCCESS, mark.operation))
            entries[-1][f"remove{where}"] = place
            self._old.pop(state, None)
            self._made.pop(state, None)
        if mark.made is not None:
            first["state"] = self._codec.state_to_dict(mark.made)
            self._made[mark.made] = mark.operation
        unflagged = [s for s in mark.flagged[:1] if not (s.delete or s.pending_replacement)]
        return [*entries, *(self._outputs(state, state) for state in (*unflagged, *mark.flagged[1:]))]

    def _outputs(self, state: State, content: State) -> Entry:
        where, place = self._place(state)
        return _entry(Kind.OUTPUTS, 0, state=self._codec.state_to_dict(content), **{f"remove{where}": place})

    def _place(self, state: State) -> tuple[str, int]:
        if state in self._made:
            return "New", self._made[state]
        if state in self._old:
            return "Old", self._old[state]
        raise NotInJournalError


def _entry(kind: Kind, number: int, **more: Any) -> Entry:
    both: Entry = {"removeOld": None, "removeNew": None}
    return {"version": 1, "kind": int(kind), "sequenceID": 0, "operationID": number, **both, **more}


# ------------------------------------------------------------------ back


def replay(base: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> Deployment:
    """What a deployment became by the entries. Raises StateError for an entry that is not understood."""
    replayer = Replayer(base)
    for entry in entries:
        try:
            replayer.add(entry)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise StateError(f"entry {entry.get('sequenceID')} of the journal makes no sense: {error!r}") from error
    return replayer.deployment()


class Replayer:
    """As the stock Pulumi's JournalReplayer: what was made, then what is left of the base."""

    def __init__(self, base: Mapping[str, Any]) -> None:
        self._refreshed = False
        self._start(dict(base))

    def _start(self, base: Deployment) -> None:
        self._base = base
        self._left: dict[int, Any] = dict(enumerate(base.get("resources") or []))
        self._made: dict[int, Any] = {}
        self._under_way: dict[int, Any] = {}

    def add(self, entry: Mapping[str, Any]) -> None:
        if entry.get("version") != 1:
            raise ValueError(f"version {entry.get('version')!r}")
        kind, number, state = Kind(entry["kind"]), entry["operationID"], entry.get("state")
        if kind is Kind.BEGIN:
            self._under_way[number] = entry.get("operation")
        elif kind in {Kind.SUCCESS, Kind.REFRESH_SUCCESS, Kind.FAILURE}:
            self._under_way.pop(number, None)
        if kind is Kind.SUCCESS:
            self._succeed(entry, number, state)
        elif kind in {Kind.REFRESH_SUCCESS, Kind.OUTPUTS}:
            self._replace(entry, state, or_remove=kind is Kind.REFRESH_SUCCESS)
        elif kind is Kind.WRITE:
            self._start(dict(entry["newSnapshot"]))
        elif kind is Kind.SECRETS_MANAGER:
            self._base["secrets_providers"] = entry["secretsProvider"]
        elif kind is Kind.REBUILT_BASE_STATE:
            self._start(self.deployment())
        self._refreshed |= kind is Kind.REFRESH_SUCCESS or bool(entry.get("isRefresh"))

    def _succeed(self, entry: Mapping[str, Any], number: int, state: Any) -> None:
        for field, flag in (("delete", "delete"), ("pendingReplacement", "pendingReplacement")):
            for places, where in ((self._left, "Old"), (self._made, "New")):
                place = entry.get(f"{field}{where}")
                if place is not None:
                    places[place] = {**places[place], flag: True}
        if (old := entry.get("removeOld")) is not None:
            self._left.pop(old, None)
        if (new := entry.get("removeNew")) is not None:
            self._made.pop(new, None)
        if state is not None:
            self._made[number] = state

    def _replace(self, entry: Mapping[str, Any], state: Any, *, or_remove: bool) -> None:
        for places, where in ((self._left, "removeOld"), (self._made, "removeNew")):
            place = entry.get(where)
            if place is None:
                continue
            if state is not None:
                places[place] = state
            elif or_remove:
                places.pop(place, None)

    def deployment(self) -> Deployment:
        resources = [*self._made.values(), *(self._left[place] for place in sorted(self._left))]
        if self._refreshed:
            resources = pruned(resources)
        creates = [op for op in self._base.get("pending_operations") or [] if op.get("type") == "creating"]
        pending = [*(op for op in self._under_way.values() if op is not None), *creates]
        rest = {k: v for k, v in self._base.items() if k not in {"resources", "pending_operations"}}
        return {
            **rest,
            **({"resources": resources} if resources else {}),
            **({"pending_operations": pending} if pending else {}),
        }


def pruned(resources: Sequence[Any]) -> list[Any]:
    """Resources without references to what a refresh has found gone; a child of it becomes its grandparent's."""
    present: set[str] = set()
    parents: dict[str, str] = {}
    found = []
    for old in resources:
        new = dict(old)
        for name in ("dependencies", "replaceWith"):
            if new.get(name):
                new[name] = [urn for urn in new[name] if urn in present]
        if new.get("propertyDependencies"):
            kept = {k: [u for u in urns or [] if u in present] for k, urns in new["propertyDependencies"].items()}
            new["propertyDependencies"] = {key: urns for key, urns in kept.items() if urns}
        if new.get("deletedWith") not in present:
            new.pop("deletedWith", None)
        if new.get("parent") and new["parent"] not in present:
            new["parent"] = parents.get(new["parent"], "")
        parents[new["urn"]] = new.get("parent") or ""
        present.add(new["urn"])
        found.append(new)
    return found

"""The state while steps change it: what each call changes, in a time that does not depend on how much there is.

No I/O: `save` is told of every change, and may take the marks of it (`journal_entries`) or the whole snapshot.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.errors import StateError
from engine.resource import State, all_dependencies, is_provider_type, provider_ref
from engine.snapshot import PendingOperation, Snapshot, rename_references


class MarkKind(StrEnum):
    """What one mark says. Each stands for an entry of the stock Pulumi's journal, but REBASE, which none can hold."""

    BEGIN = "begin"
    SUCCESS = "success"
    FAILURE = "failure"
    OUTPUTS = "outputs"
    """`made` is what `gone`'s only state reads from now on; it keeps its place."""
    REBASE = "rebase"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mark:
    """One difference between two snapshots. `flagged` are marked for deletion, or pending replacement, from now on."""

    kind: MarkKind
    operation: int = 0
    pending: PendingOperation | None = None
    made: State | None = None
    gone: tuple[State, ...] = ()
    flagged: tuple[State, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What has become of the state since the last change: the marks, or, for who wants it, the whole.

    `under_way` are the operations that have begun and not ended, by number; in the snapshot's `pending` they are first.
    `last` says that no other change follows, and that what this one says may wait for the end of the operation.
    """

    marks: Sequence[Mark]
    under_way: Sequence[tuple[int, PendingOperation]]
    snapshot: Callable[[], Snapshot]
    last: bool = False


def whole_change(snapshot: Snapshot) -> Change:
    """A snapshot that has nothing to do with the one before."""
    under_way = tuple(enumerate(snapshot.pending, 1))
    return Change(marks=(Mark(kind=MarkKind.REBASE),), under_way=under_way, snapshot=lambda: snapshot)


class Journal:
    """The state as it is after each step: what steps have made, then what is left of the old resources.

    `save` is called before a step begins and after it has ended; a step that changes nothing is not saved at once.
    Nothing but `snapshot` takes longer when there are more resources.
    """

    def __init__(self, base: Snapshot, save: Callable[[Change], None]) -> None:
        self._save = save
        self._pending: dict[State, tuple[int, PendingOperation]] = {}
        self._found_by: Mapping[str, str] = {}
        self._held: list[Mark] = []
        self._lock = threading.Lock()
        self._last_operation = 0
        self._closed = False
        self._start(base)

    def _start(self, base: Snapshot) -> None:
        self._base = base
        self._new: dict[State, None] = {}
        self._left: dict[State, None] = dict.fromkeys(base.resources)
        self._renamed: dict[str, str] = {}
        self._referrers: dict[str, list[State]] | None = None
        self._moved: dict[State, State] = {}
        self._flags: dict[State, tuple[bool, bool]] = {}
        self._by_urn: dict[str, list[State]] = {}
        for state in base.resources:
            self._enter(state)

    def rebase(self, base: Snapshot) -> None:
        """Takes a refreshed state, which holds whatever steps have made so far, as the one to go on from."""
        with self._lock:
            self._start(base)
            self._write(Mark(kind=MarkKind.REBASE))

    def rename(self, found_by: Mapping[str, str]) -> None:
        """New URN -> old URN, for references from resources that no step has touched yet.

        A reference is rewritten when what it refers to has been made under its new name, and not before.
        """
        self._found_by = found_by

    def begin(self, kind: str, state: State) -> None:
        """Records that an operation on `state` is under way. Raises StateError where nothing is recorded any more: then
        nothing may be begun, since nobody would know of it."""
        with self._lock:
            operation, pending = self._next(), PendingOperation(type=kind, resource=state)
            self._pending[state] = operation, pending
            if not self._write(Mark(kind=MarkKind.BEGIN, operation=operation, pending=pending)):
                raise StateError(f"{state.urn} was left as it is: the operation was ended")

    def end(
        self, state: State, *, made: State | None = None, gone: Sequence[State] = (), flagged: Sequence[State] = ()
    ) -> None:
        """The operation on `state` has ended; `made` is in the state now, and those in `gone` are not.

        `flagged` are marked for deletion, or pending replacement, now; those of the same URN need not be named.
        """
        with self._lock:
            operation, _ = self._pending.pop(state, (0, None))
            self._write(*self._ended(operation or self._next(), state, made, gone, flagged))

    def same(self, old: State, new: State, *, changed: bool) -> None:
        """A step without an operation of its own; it is saved at once only where it changed something."""
        with self._lock:
            marks = self._ended(self._next(), new, new, (old,))
            if changed:
                self._write(*marks)
            else:
                self._held += marks

    def _next(self) -> int:
        self._last_operation += 1
        return self._last_operation

    def _ended(
        self,
        operation: int,
        state: State,
        made: State | None,
        gone: Sequence[State],
        flagged: Sequence[State] = (),
    ) -> list[Mark]:
        for old in gone:
            self._new.pop(old, None)
            self._left.pop(old, None)
        if made is not None:
            self._new[made] = None
            self._enter(made)
        follow = [*self._follow(made), *self._to_new_provider(made, gone)] if made is not None else []
        urns = {state.urn, *(other.urn for other in flagged)}
        found = self._newly_flagged(urns if made is None else {*urns, made.urn, self._old_urn(made)})
        kind = MarkKind.SUCCESS if made is not None or gone or found else MarkKind.FAILURE
        first = Mark(kind=kind, operation=operation, made=made, gone=tuple(gone), flagged=tuple(found))
        return [first, *follow, *self._newly_moved(made)]

    def _enter(self, state: State) -> None:
        self._flags[state] = (state.delete, state.pending_replacement)
        self._by_urn.setdefault(state.urn, []).append(state)

    def _old_urn(self, made: State) -> str:
        return self._found_by.get(made.urn, made.urn)

    def _present(self, urn: str) -> list[State]:
        return [state for state in self._by_urn.get(urn, ()) if state in self._new or state in self._left]

    def _newly_flagged(self, urns: set[str]) -> list[State]:
        """Those that a step has marked as a side effect: what it replaces, or what it has deleted to be replaced."""
        found = []
        for state in (state for urn in sorted(urns) for state in self._present(urn)):
            flags = (state.delete, state.pending_replacement)
            if flags != self._flags[state]:
                self._flags[state] = flags
                found.append(state)
        return found

    def _follow(self, made: State) -> list[Mark]:
        """References to what has just been made under a new name."""
        old = self._found_by.get(made.urn)
        if old is None:
            return []
        self._renamed[old] = made.urn
        marks = []
        for state in self._referring(old):
            rename_references(state, {old: made.urn})
            if state in self._moved:
                rename_references(self._moved[state], {old: made.urn})
            if state in self._left:
                marks.append(Mark(kind=MarkKind.OUTPUTS, made=self._moved.get(state, state), gone=(state,)))
        return marks

    def _to_new_provider(self, made: State, gone: Sequence[State]) -> list[Mark]:
        """What was deleted together with its provider waits for its replacement at the provider's own."""
        if not is_provider_type(made.type):
            return []
        new, marks = provider_ref(made.urn, made.id), []
        for old in gone:
            ref = provider_ref(old.urn, old.id)
            for state in self._referring(old.urn) if ref != new else ():
                if state.provider == ref:
                    state.provider = self._moved.get(state, state).provider = new
                    if state in self._left:
                        marks.append(Mark(kind=MarkKind.OUTPUTS, made=self._moved.get(state, state), gone=(state,)))
        return marks

    def _newly_moved(self, made: State | None) -> list[Mark]:
        """What was replaced under a new name waits for its deletion under that; its steps still tell the old one."""
        if made is None or self._old_urn(made) == made.urn:
            return []
        marks = []
        for state in self._present(self._old_urn(made)):
            if state in self._left and state.delete and state not in self._moved:
                self._moved[state] = replace(state, urn=made.urn)
                marks.append(Mark(kind=MarkKind.OUTPUTS, made=self._moved[state], gone=(state,)))
        return marks

    def _referring(self, urn: str) -> Sequence[State]:
        if self._referrers is None:
            self._referrers = {}
            for state in self._base.resources:
                for needed in {needed for _, needed in all_dependencies(state)}:
                    self._referrers.setdefault(needed, []).append(state)
        return self._referrers.get(urn, ())

    def touched(self, state: State) -> None:
        """A state has other outputs now. One that no step has made, such as one that is no target, is not in here."""
        with self._lock:
            if state in self._new or state in self._left:
                self._write(Mark(kind=MarkKind.OUTPUTS, made=state, gone=(state,)))

    def finish(self) -> None:
        """Writes what has not been written yet."""
        with self._lock:
            if self._held:
                self._write(last=True)

    def close(self) -> None:
        """Nothing is written from here on: the second signal, whose handler may not wait for a lock."""
        self._closed = True

    def _write(self, *marks: Mark, last: bool = False) -> bool:
        """Whether it was written."""
        # Kept where the save fails, so that the next one says it again.
        self._held += marks
        if self._closed:
            return False
        under_way = tuple(self._pending.values())
        self._save(Change(marks=tuple(self._held), under_way=under_way, snapshot=self._snapshot, last=last))
        self._held.clear()
        return True

    def left(self) -> list[State]:
        """Which of the old resources are still in the state."""
        with self._lock:
            return list(self._left)

    def snapshot(self) -> Snapshot:
        with self._lock:
            return self._snapshot()

    def _snapshot(self) -> Snapshot:
        # Nobody but `refresh --clear-pending-creates` can know what became of a create that was interrupted earlier.
        earlier = [p for p in self._base.pending if p.type == "creating"]
        return Snapshot(
            resources=[*self._new, *(self._moved.get(state, state) for state in self._left)],
            pending=[*(pending for _, pending in self._pending.values()), *earlier],
            secrets_provider=self._base.secrets_provider,
            metadata=self._base.metadata,
        )

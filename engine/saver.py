"""How the changes of one operation reach the backend: whole checkpoints while they are small, then a journal of steps.

A small checkpoint is written whole before and after each step, so that whoever reads it needs nothing else. A large one
is written at the end, and each change before that as entries of a journal: what a step costs does not depend on how
much there is. A journal that has outgrown its checkpoint is followed by a new whole one, so that both stay in
proportion. Whatever a journal cannot say (a refreshed state, a write that failed) is said by a whole checkpoint, too.

A killed process loses nothing that was written, a power cut may. So the disk is waited for where that could orphan an
object, before each step that touches one, and at the end: waiting each time made up four fifths of an update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.journal import Change
from engine.journal_entries import Entry, EntryEncoder, NotInJournalError
from engine.journal_store import JournalStore, digest, new_epoch
from engine.resource import State
from engine.snapshot import PendingOperation, Snapshot
from engine.workspace import Stack

#: A checkpoint of more bytes than this is written only at the end.
WHOLE_BYTES: Final = 64 * 1024
#: How large a journal may become, in sizes of its checkpoint, and at least in bytes.
JOURNAL_FACTOR: Final = 2
JOURNAL_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """The whole checkpoint that a journal may follow, and what was under way when it was written."""

    digest: str
    size: int
    resources: Sequence[State]
    under_way: Sequence[tuple[int, PendingOperation]] = ()


class Saver:
    """`save` takes every change of one operation on a stack, which began from `snapshot`; `close` ends it."""

    def __init__(self, stack: Stack, snapshot: Snapshot) -> None:
        self._stack = stack
        self._loaded = tuple(snapshot.resources)
        self._base: _Base | None = None
        self._size = stack.loaded.size
        self._journal: JournalStore | None = None
        self._encoder: EntryEncoder | None = None
        self._last: Change | None = None
        self._verified = False
        self._under_way: set[int] = set()

    def save(self, change: Change) -> None:
        """Raises StateError where it could not be written; the next save then writes everything."""
        if not self._verified:
            # A wrong passphrase is noticed before anything is done, even where nothing had to be decrypted yet.
            self._stack.manager.verify()
            self._stack.keep_salt()
            self._base = self._as_loaded()
            self._verified = True
        self._last = change
        if change.last:
            # `close` comes next, and writes all of it; so would any change that came all the same.
            self._base = None
            return
        under_way = {id(op.resource) for _, op in change.under_way if op.resource.custom}
        sync = not under_way <= self._under_way
        self._under_way = under_way
        base, self._base = self._base, None
        if base is None or self._size <= WHOLE_BYTES or not self._append(base, change, sync=sync):
            base = self._write(change, sync=sync)
        self._base = base

    def close(self) -> None:
        """Writes the whole once more, without remembered texts: should a state have changed in place."""
        if self._last is not None and not self._stack.context.cancel.terminated.is_set():
            self._write(self._last, sync=True, fresh=True)

    def _write(self, change: Change, *, sync: bool, fresh: bool = False) -> _Base:
        snapshot = change.snapshot()
        data = self._stack.save(snapshot, sync=sync or self._journal is not None, fresh=fresh)
        self._journal = self._encoder = None
        self._size = len(data)
        base = digest(data) if len(data) > WHOLE_BYTES else ""
        return _Base(digest=base, size=len(data), resources=snapshot.resources, under_way=change.under_way)

    def _as_loaded(self) -> _Base | None:
        """What was read, if it may stay as it is: not after a recovery, and not where the secrets have another salt."""
        loaded = self._stack.loaded
        if loaded.recovered or loaded.deployment.get("secrets_providers") != self._stack.manager.provider():
            return None
        return _Base(digest=loaded.digest, size=loaded.size, resources=self._loaded)

    def _append(self, base: _Base, change: Change, *, sync: bool) -> bool:
        """Whether a journal could take it."""
        try:
            entries = self._encoded(base, change)
        except NotInJournalError:
            return False
        if self._journal is not None:
            if self._journal.bytes_written > max(JOURNAL_FACTOR * base.size, JOURNAL_BYTES):
                return False
            if entries:
                self._journal.append(entries, sync=sync)
        return True

    def _encoded(self, base: _Base, change: Change) -> list[Entry]:
        if self._encoder is not None:
            return self._encoder.entries(change.marks)
        epoch = new_epoch()
        encoder = EntryEncoder(self._stack.codec, base.resources, epoch)
        entries = [*encoder.begins(base.under_way), *encoder.entries(change.marks)]
        journal = self._stack.backend.begin_journal(self._stack.ref)
        journal.begin(base.digest, entries, epoch=epoch, in_flight=len(base.under_way))
        self._encoder, self._journal = encoder, journal
        return []

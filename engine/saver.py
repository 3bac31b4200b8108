"""How the changes of one operation reach the backend: whole checkpoints while they are small, then a journal of steps.

A small checkpoint is written whole before and after each step, so that whoever reads it needs nothing else. A large one
is written at the end, and each change before that as entries of a journal: what a step costs does not depend on how
much there is. A journal always follows the checkpoint that the operation began with, as the stock Pulumi's does: what
steps make comes before what is left of that. So a checkpoint that has become large in the middle is put back to what it
was, once the journal has all that has happened since; that one write changes from the one to the other.

A killed process loses nothing that was written, a power cut may. So the disk is waited for where that could orphan an
object, before each step that touches one, and at the end: waiting each time made up four fifths of an update.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.errors import LockLostError, StateError
from engine.files import write_atomic
from engine.journal import Change, Mark, MarkKind
from engine.journal_entries import Entry, EntryEncoder, NotInJournalError
from engine.journal_store import JournalStore, digest, new_epoch
from engine.resource import State
from engine.snapshot import Snapshot
from engine.workspace import Stack

#: A checkpoint of more bytes than this is written only at the end.
WHOLE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """The checkpoint that a journal is to follow: its bytes, and the resources that are in it, in order."""

    data: bytes
    resources: Sequence[State]


class Saver:
    """`save` takes every change of one operation on a stack, which began from `snapshot`; `close` ends it."""

    def __init__(self, stack: Stack, snapshot: Snapshot) -> None:
        self._stack = stack
        self._snapshot = snapshot
        self._base = _Base(data=stack.loaded.data, resources=tuple(snapshot.resources))
        self._size = len(stack.loaded.data)
        self._since: list[Mark] = []
        """What has happened since the base, as long as there is no journal."""
        self._journal: JournalStore | None = None
        self._encoder: EntryEncoder | None = None
        self._unwritten: list[Entry] = []
        self._encoded: set[Mark] = set()
        self._told = True
        self._last: Change | None = None
        self._verified = False
        self._under_way: set[int] = set()

    def prepare(self) -> None:
        """Makes the checkpoint what the operation begins from: not so after a kill, or where it has another salt."""
        loaded = self._stack.loaded
        provider = loaded.deployment.get("secrets_providers")
        if loaded.recovered or (provider is not None and provider != self._stack.manager.provider()):
            self._verify()
            data = self._stack.save(self._snapshot)
            self._base = _Base(data=data, resources=tuple(self._snapshot.resources))
            self._size = len(data)

    def save(self, change: Change) -> None:
        """Raises StateError where it could not be written; the next save then writes that, too."""
        self._verify()
        self._last = change
        self._stack.check_lock()
        if change.last:
            # `close` comes next, and writes all of it; so would any change that came all the same.
            self._told = False
            return
        under_way = {id(op.resource) for _, op in change.under_way if op.resource.custom}
        sync = not under_way <= self._under_way
        if any(mark.kind is MarkKind.REBASE for mark in change.marks):
            self._rebase(change, sync=sync)
        elif not self._append(change, sync=sync):
            self._whole(change, sync=sync)
        self._under_way = under_way

    def close(self) -> None:
        """Writes the whole once more, without remembered texts: should a state have changed in place."""
        if self._last is None or self._stack.context.cancel.terminated.is_set():
            return
        snapshot = self._last.snapshot()
        try:
            self._stack.check_lock()
            self._stack.save(snapshot, fresh=True)
        except LockLostError as error:
            advice = "Compare it with `pulumi stack export`, and import what is missing there."
            raise StateError(f"{error}.{self._rescued(snapshot, advice)}") from error
        except StateError as error:
            advice = "When it can be written again, run `pulumi cancel`, then `pulumi stack import --file` with it."
            raise StateError(f"{error}{self._rescued(snapshot, advice)}") from error

    def _rescued(self, snapshot: Snapshot, advice: str) -> str:
        """Puts the state where this process can still write; what to say of it. Secrets are encrypted, as ever."""
        text, version, _ = self._stack.encode(snapshot)
        name = f"{self._stack.ref.project}-{self._stack.ref.name}-{time.strftime('%Y%m%d-%H%M%S')}.unsaved.json"
        for folder in (self._stack.context.project.root, Path(tempfile.gettempdir())):
            with contextlib.suppress(StateError):
                write_atomic(folder / name, f'{{"version": {version}, "deployment": {text}}}\n'.encode())
                return f"\nThe state as it is now, with what the last steps did, is in {folder / name}. {advice}"
        return "\nWhat the last steps did could be written nowhere: run `pulumi refresh` when it can be written again."

    def _verify(self) -> None:
        # A wrong passphrase is noticed before anything is done, even where nothing had to be decrypted yet.
        if not self._verified:
            self._stack.manager.verify()
            self._stack.keep_salt()
            self._verified = True

    def _rebase(self, change: Change, *, sync: bool) -> None:
        snapshot = change.snapshot()
        data = self._stack.save(snapshot, sync=sync)
        self._base = _Base(data=data, resources=tuple(snapshot.resources))
        self._size = len(data)
        self._since.clear()
        self._journal = self._encoder = None
        self._told = True

    def _whole(self, change: Change, *, sync: bool) -> None:
        self._size = len(self._stack.save(change.snapshot(), sync=sync))
        self._since += change.marks

    # -------------------------------------------------------------- the journal

    def _append(self, change: Change, *, sync: bool) -> bool:
        """Whether a journal took it."""
        if not self._told or (self._journal is None and self._size <= WHOLE_BYTES):
            return False
        try:
            if self._journal is None or self._encoder is None:
                self._begin(change)
            else:
                self._add(self._journal, self._encoder, change, sync=sync)
        except NotInJournalError:
            # Some step has done what no entry can say. From here on everything is written whole.
            self._told = False
            self._journal = self._encoder = None
            return False
        return True

    def _begin(self, change: Change) -> None:
        stack, epoch = self._stack, new_epoch()
        encoder = EntryEncoder(stack.codec, self._base.resources, epoch)
        entries = encoder.entries([*self._since, *change.marks])
        journal = stack.backend.begin_journal(stack.ref)
        journal.begin(digest(self._base.data), entries, epoch=epoch)
        if self._since:
            stack.backend.put_back(stack.ref, self._base.data)
        self._encoder, self._journal = encoder, journal
        self._since.clear()
        self._base = _Base(data=b"", resources=())

    def _add(self, journal: JournalStore, encoder: EntryEncoder, change: Change, *, sync: bool) -> None:
        # Marks that could not be written come again with the next change.
        entries = [*self._unwritten, *encoder.entries(m for m in change.marks if m not in self._encoded)]
        try:
            journal.append(entries, sync=sync)
        except StateError:
            self._unwritten = entries
            self._encoded.update(change.marks)
            raise
        self._unwritten = []
        self._encoded.clear()

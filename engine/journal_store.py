"""A journal in a bucket, where the stock Pulumi keeps its own: a manifest, and one key for each entry.

`.pulumi/journal/PROJECT/STACK/manifest.json` names the checkpoint that the entries follow by its SHA-256; beside it are
`NNNNNNNNNN.journal.json`. A journal of another checkpoint says nothing any more: the whole one that came after holds it
all. So a whole checkpoint ends a journal by being written, and what clears the folder afterwards may die at any moment.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.bucket import Bucket
from engine.checkpoint import now_text
from engine.errors import StateError
from engine.journal_entries import Entry, Kind

_ENDING: Final = ".journal.json"
_MANIFEST: Final = "manifest.json"
_ENGINE: Final = "embedded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A journal; one that is not `current` is of another checkpoint."""

    epoch: str
    current: bool
    entries: Sequence[Entry]


def digest(checkpoint: bytes) -> str:
    """By what a manifest names its checkpoint."""
    return hashlib.sha256(checkpoint).hexdigest()


class JournalStore:
    """The journal of one stack, which is all that is in `folder`."""

    def __init__(self, bucket: Bucket, folder: str) -> None:
        self._bucket = bucket
        self.folder = folder

    # -------------------------------------------------------------- writing

    def begin(self, base: str, entries: Sequence[Entry], *, epoch: str) -> None:
        """Starts a journal of the checkpoint with the digest `base`. It counts from its manifest on, written last."""
        self.clear()
        manifest = {"epochID": epoch, "baseCheckpointHash": base, "createdAt": now_text(), "engine": _ENGINE}
        self._write(entries, {f"{self.folder}{_MANIFEST}": json.dumps(manifest).encode("utf-8")}, sync=True)

    def append(self, entries: Sequence[Entry], *, sync: bool) -> None:
        """Adds the entries of one change."""
        self._write(entries, {}, sync=sync)

    def _write(self, entries: Sequence[Entry], last: Mapping[str, bytes], *, sync: bool) -> None:
        items = {
            f"{self.folder}{entry['sequenceID']:010d}{_ENDING}": json.dumps(entry, ensure_ascii=False).encode("utf-8")
            for entry in entries
        }
        self._bucket.write_all({**items, **last}, sync=sync)

    def clear(self) -> None:
        """Removes the journal, its manifest first: entries without one are nobody's."""
        self._bucket.delete(f"{self.folder}{_MANIFEST}")
        self._bucket.delete_all(self.folder)

    # -------------------------------------------------------------- reading

    def read(self, checkpoint: bytes) -> Found | None:
        """The journal that is there; without entries where it is of another checkpoint. Raises StateError."""
        manifest = self._manifest()
        if manifest is None:
            return None
        epoch = str(manifest.get("epochID") or "")
        if manifest["baseCheckpointHash"] != digest(checkpoint):
            return Found(epoch=epoch, current=False, entries=())
        items = self._bucket.read_all(self.folder)
        parsed = {key: _parsed(data) for key, data in items.items() if key.endswith(_ENDING)}
        # The stock Pulumi numbers its entries otherwise, and writes several at once.
        entries = self._ours(parsed, epoch) if manifest.get("engine") == _ENGINE else self._stock(parsed)
        return Found(epoch=epoch, current=True, entries=entries)

    def epoch(self) -> str:
        """Which journal is there now; empty where none is."""
        manifest = self._manifest()
        return "" if manifest is None else str(manifest.get("epochID") or "")

    def _manifest(self) -> dict[str, Any] | None:
        data = self._bucket.read(f"{self.folder}{_MANIFEST}")
        body = _parsed(data) if data is not None else None
        # One that was not written to its end has no entries that count.
        return body if body is not None and isinstance(body.get("baseCheckpointHash"), str) else None

    def _stock(self, parsed: Mapping[str, Entry | None]) -> list[Entry]:
        for key, entry in parsed.items():
            if entry is None:
                raise StateError(f"the journal entry {self._bucket.place(key)} cannot be read")
        return sorted((entry for entry in parsed.values() if entry), key=lambda entry: int(entry["sequenceID"]))

    def _ours(self, parsed: Mapping[str, Entry | None], epoch: str) -> list[Entry]:
        """The entries up to the first that a power cut has taken, without a change that is not whole.

        Before an object is touched, all that was written is made durable: so an entry that is missing before such a
        beginning was not taken by a power cut, and the journal is damaged.
        """
        found = {entry["sequenceID"]: entry for entry in parsed.values() if entry and entry.get("epoch") == epoch}
        entries: list[Entry] = []
        while (number := len(entries) + 1) in found:
            entries.append(found[number])
        lost = [entry for number, entry in found.items() if number > len(entries)]
        if any(entry["kind"] == Kind.BEGIN and entry["operation"]["resource"].get("custom") for entry in lost):
            place = self._bucket.place(f"{self.folder}{len(entries) + 1:010d}{_ENDING}")
            raise StateError(f"the journal entry {place} is missing or damaged, and others come after it")
        while entries and entries[-1]["until"] > len(entries):
            entries.pop()
        return entries


def new_epoch() -> str:
    return str(uuid.uuid4())


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(data)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None

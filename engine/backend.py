"""The stock Pulumi's self-managed backend: where a stack's checkpoint, copies, history, tags and locks are in a bucket.

Keys: `.pulumi/meta.yaml`, `stacks/PROJECT/STACK.json`, `.json.bak` and `.pulumi-tags`, `backups/PROJECT/STACK/`,
`history/PROJECT/STACK/`, `journal/PROJECT/STACK/`, `locks/ORGANIZATION/PROJECT/STACK/`. Texts only: what a checkpoint
means is `checkpoint`'s, what keeps them is `bucket`'s.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.bucket import Bucket
from engine.errors import StackExistsError, StackNotFoundError, StateError
from engine.journal_entries import replay
from engine.journal_store import Found, JournalStore
from engine.locks import StackLocks
from engine.stack_ref import ORGANIZATION, StackRef

ROOT: Final = ".pulumi/"
_HISTORY: Final = re.compile(r"-(\d+)\.history\.json$")
_TAGS_VERSION: Final = 1
_TRIES: Final = 10
_COMPRESSED: Final = (".gz", ".zst")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A deployment as it was read. `data` is the checkpoint's own.

    `recovered` says that it is not what the checkpoint holds: the steps of a journal came after it.
    """

    deployment: dict[str, Any]
    data: bytes
    recovered: bool


class DiyBackend:
    """A bucket of stacks."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._layout_known = False
        self._without_journal: set[StackRef] = set()

    @property
    def url(self) -> str:
        """As it may be shown: without a password."""
        return self.bucket.url

    def close(self) -> None:
        self.bucket.close()

    # -------------------------------------------------------------- keys

    def stack_key(self, ref: StackRef) -> str:
        return f"{ROOT}stacks/{ref.project}/{ref.name}.json"

    def backup_key(self, ref: StackRef) -> str:
        return f"{self.stack_key(ref)}.bak"

    def tags_key(self, ref: StackRef) -> str:
        return f"{ROOT}stacks/{ref.project}/{ref.name}.pulumi-tags"

    def backups(self, ref: StackRef) -> str:
        """What the keys of its backups begin with."""
        return f"{ROOT}backups/{ref.project}/{ref.name}/"

    def history(self, ref: StackRef) -> str:
        """What the keys of its history begin with."""
        return f"{ROOT}history/{ref.project}/{ref.name}/"

    def journal(self, ref: StackRef) -> JournalStore:
        return JournalStore(self.bucket, f"{ROOT}journal/{ref.project}/{ref.name}/")

    def locks(self, ref: StackRef) -> StackLocks:
        return StackLocks(self.bucket, f"{ROOT}locks/{ORGANIZATION}/{ref.project}/{ref.name}/")

    # -------------------------------------------------------------- stacks

    def exists(self, ref: StackRef) -> bool:
        """Raises StateError for one that is there in a form that cannot be read."""
        if self.bucket.exists(self.stack_key(ref)):
            return True
        for ending in _COMPRESSED:
            key = f"{self.stack_key(ref)}{ending}"
            if self.bucket.exists(key):
                raise StateError(
                    f"the state of stack '{ref.name}' in {self.bucket.place(key)} is compressed, which this engine "
                    "does not read. Run an update with the stock Pulumi without PULUMI_DIY_BACKEND_GZIP, then retry."
                )
        return False

    def stacks(self) -> Iterator[StackRef]:
        """All stacks, by project and name."""
        self._check_layout()
        start = f"{ROOT}stacks/"
        for key in self.bucket.keys(start):
            project, _, name = key.removeprefix(start).partition("/")
            if name.endswith(".json") and "/" not in name:
                yield StackRef(project=project, name=name.removesuffix(".json"))

    def create(self, ref: StackRef, deployment: str) -> None:
        """Raises StackExistsError where there is one."""
        if self.exists(ref):
            raise StackExistsError(f"stack '{ref}' already exists")
        self.write(ref, deployment, version=3, features=())
        self.bucket.write(self.backup_key(ref), self.bucket.read(self.stack_key(ref)) or b"")

    def read(self, ref: StackRef) -> dict[str, Any]:
        """The deployment as it is (empty where none has been made). Raises StackNotFoundError, StateError."""
        return self.load(ref).deployment

    def load(self, ref: StackRef) -> Loaded:
        """The same, with what it came from. Steps that only a journal holds are in it; nothing is written.

        Somebody else's update may be under way: what is read is as it was at one moment of it.
        """
        self._check_layout()
        for tries_left in reversed(range(_TRIES)):
            data = self._checkpoint(ref)
            try:
                found = self.journal(ref).read(data)
                if self._settled(ref, data, found) or not tries_left:
                    break
            except StateError as error:
                if not tries_left or self.bucket.read(self.stack_key(ref)) == data:
                    raise StateError(self._bad_journal(ref, error)) from error
        return self._loaded(ref, data, found)

    def _checkpoint(self, ref: StackRef) -> bytes:
        data = self.bucket.read(self.stack_key(ref))
        if data is None:
            raise StackNotFoundError(f"no stack named '{ref.name}' found")
        return data

    def _settled(self, ref: StackRef, data: bytes, found: Found | None) -> bool:
        """Whether checkpoint and journal are of one moment, and not of before and after a write."""
        if found is None:
            return True
        if not found.current:
            return self.bucket.read(self.stack_key(ref)) == data
        return self.journal(ref).epoch() == found.epoch

    def _loaded(self, ref: StackRef, data: bytes, found: Found | None) -> Loaded:
        deployment = self._latest(ref, data)
        if found is None:
            self._without_journal.add(ref)
        elif found.entries:
            try:
                deployment = replay(deployment, found.entries)
            except StateError as error:
                raise StateError(self._bad_journal(ref, error)) from error
        recovered = found is not None and bool(found.entries)
        return Loaded(deployment=deployment, data=data, recovered=recovered)

    def _bad_journal(self, ref: StackRef, why: StateError) -> str:
        folder = self.bucket.place(self.journal(ref).folder)
        return self.damaged(ref, f"{why}; without what is in {folder}, it is as it was before those steps")

    def _latest(self, ref: StackRef, data: bytes) -> dict[str, Any]:
        try:
            body = json.loads(data)
        except ValueError as error:
            raise StateError(self.damaged(ref, str(error))) from error
        if not isinstance(body, dict) or not isinstance(body.get("checkpoint"), dict):
            raise StateError(self.damaged(ref, "there is no checkpoint in it"))
        if body.get("version") not in {3, 4}:
            raise StateError(
                f"{self.place(ref)} is of checkpoint version {body.get('version')!r}; this engine reads 3 and 4. "
                "Run an update with a Pulumi of today first, or upgrade this engine."
            )
        latest = body["checkpoint"].get("latest") or {}
        if not isinstance(latest, dict):
            raise StateError(self.damaged(ref, "its latest deployment is not an object"))
        return latest

    def place(self, ref: StackRef) -> str:
        """Where a reader finds the checkpoint."""
        return self.bucket.place(self.stack_key(ref))

    def write(
        self, ref: StackRef, deployment: str, *, version: int, features: tuple[str, ...], sync: bool = True
    ) -> bytes:
        """Replaces the checkpoint in one step; the one before stays as `.bak`. `sync` makes it outlast a power cut.

        It holds everything, so that it ends a journal that there may be. Returns its bytes.
        """
        self._ensure_layout()
        extra = f'"features": {json.dumps(list(features))},\n' if features else ""
        text = (
            f'{{"version": {version},\n{extra}"checkpoint": {{"stack": {json.dumps(str(ref))},\n'
            f'"latest": {deployment}}}}}\n'
        )
        data = text.encode("utf-8")
        self.bucket.copy(self.stack_key(ref), self.backup_key(ref))
        self.bucket.write(self.stack_key(ref), data, sync=sync)
        self._end_journal(ref)
        return data

    def _end_journal(self, ref: StackRef) -> None:
        if ref not in self._without_journal:
            self.journal(ref).clear()
            self._without_journal.add(ref)

    def put_back(self, ref: StackRef, data: bytes) -> None:
        """Makes an earlier checkpoint the present one again: a journal that follows it has all that came since."""
        self.bucket.write(self.stack_key(ref), data)

    def begin_journal(self, ref: StackRef) -> JournalStore:
        """For steps that follow the checkpoint; the next `write` ends it."""
        self._without_journal.discard(ref)
        return self.journal(ref)

    def damaged(self, ref: StackRef, why: str) -> str:
        """What to say of a checkpoint that cannot be used, and how to go back to one that can."""
        place = self.place(ref)
        copies = sorted((k for k in self.bucket.keys(self.backups(ref)) if k.endswith(".json")), key=_stamp)[-3:]
        found = [self.backup_key(ref)] if self.bucket.exists(self.backup_key(ref)) else []
        found += reversed(copies)
        if not found:
            return f"the state of stack '{ref.name}' in {place} cannot be used: {why}. There are no copies of it."
        names = "".join(f"\n  {self.bucket.place(copy)}" for copy in found)
        return (
            f"the state of stack '{ref.name}' in {place} cannot be used: {why}. Nothing was changed. "
            f"To go back, copy one of these over it, newest first, then run `pulumi refresh`:{names}"
        )

    def remove(self, ref: StackRef, *, backups: bool = False) -> None:
        """Removes the checkpoint and the history. Its last form stays as `.bak`, unless the `backups` are to go too."""
        if not backups:
            self.bucket.copy(self.stack_key(ref), self.backup_key(ref))
        self.bucket.delete(self.stack_key(ref))
        self.bucket.delete(self.tags_key(ref))
        self.bucket.delete_all(self.history(ref))
        self._end_journal(ref)
        if backups:
            self.bucket.delete(self.backup_key(ref))
            self.bucket.delete_all(self.backups(ref))

    def rename(self, old: StackRef, new: StackRef, deployment: str, *, version: int, features: tuple[str, ...]) -> None:
        """Writes the stack under its new name, then removes the old one; the history moves along."""
        self.write(new, deployment, version=version, features=features)
        self.bucket.copy(self.stack_key(old), self.backup_key(old))
        self.bucket.delete(self.stack_key(old))
        self._end_journal(old)
        self.bucket.move(self.tags_key(old), self.tags_key(new))
        for key in self.bucket.keys(self.history(old)):
            name = key.removeprefix(self.history(old))
            self.bucket.move(key, f"{self.history(new)}{new.name}{name.removeprefix(old.name)}")

    # -------------------------------------------------------------- history

    def record(self, ref: StackRef, update: Mapping[str, Any]) -> None:
        """Adds a finished update: one backup, one history entry and its checkpoint."""
        stamp = time.time_ns()
        text = self.bucket.read(self.stack_key(ref)) or b""
        self.bucket.write_all(
            {
                f"{self.backups(ref)}{ref.name}.{stamp}.json": text,
                f"{self.history(ref)}{ref.name}-{stamp}.checkpoint.json": text,
                f"{self.history(ref)}{ref.name}-{stamp}.history.json": json.dumps(update, indent=4).encode("utf-8"),
            },
            sync=False,
        )

    def updates(self, ref: StackRef) -> Iterator[dict[str, Any]]:
        """History entries, newest first. Raises StateError for one that cannot be read."""
        found = [key for key in self.bucket.keys(self.history(ref)) if _HISTORY.search(key)]
        for key in sorted(found, key=_stamp, reverse=True):
            try:
                entry = json.loads(self.bucket.read(key) or b"")
            except ValueError as error:
                place = self.bucket.place(key)
                raise StateError(
                    f"the history entry {place} cannot be read: {error}. Remove it, then retry."
                ) from error
            yield entry

    def last_update(self, ref: StackRef) -> dict[str, Any] | None:
        return next(self.updates(ref), None)

    # -------------------------------------------------------------- tags

    def tags(self, ref: StackRef) -> dict[str, str]:
        """The tags that were set. Raises StateError where they cannot be read."""
        data = self.bucket.read(self.tags_key(ref))
        if data is None:
            return {}
        place = self.bucket.place(self.tags_key(ref))
        try:
            body = json.loads(data)
        except ValueError as error:
            raise StateError(f"the tags in {place} cannot be read: {error}. Remove the file, then retry.") from error
        # Before it had a version, this engine wrote the tags alone.
        body = {"version": _TAGS_VERSION, "tags": body} if isinstance(body, dict) and "version" not in body else body
        found = (body.get("tags") or {}) if isinstance(body, dict) else None
        if not isinstance(found, dict) or body["version"] != _TAGS_VERSION:
            raise StateError(f"the tags in {place} are not of version {_TAGS_VERSION}. Remove the file, then retry.")
        return {str(name): str(value) for name, value in found.items()}

    def set_tags(self, ref: StackRef, tags: Mapping[str, str]) -> None:
        body = {"version": _TAGS_VERSION, "tags": dict(sorted(tags.items()))}
        self.bucket.write(self.tags_key(ref), json.dumps(body, indent=4).encode("utf-8"))

    # -------------------------------------------------------------- layout

    def _ensure_layout(self) -> None:
        self._check_layout()
        if not self._layout_known:
            self.bucket.write(f"{ROOT}meta.yaml", b"version: 1\n")
            self._layout_known = True

    def _check_layout(self) -> None:
        """Raises StateError for a layout of another version. Looks once: nobody changes it under a running command."""
        if self._layout_known:
            return
        meta = self.bucket.read(f"{ROOT}meta.yaml")
        if meta is not None:
            text = meta.decode("utf-8", errors="replace")
            match = re.search(r"^version:\s*(\d+)\s*$", text, re.MULTILINE)
            if match is None or match.group(1) != "1":
                place = self.bucket.place(f"{ROOT}meta.yaml")
                raise StateError(f"{place} says '{text.strip()}'; this engine knows the layout of version 1 only")
            self._layout_known = True
        elif any(key.count("/") == 2 and key.endswith(".json") for key in self.bucket.keys(f"{ROOT}stacks/")):
            raise StateError(
                f"{self.bucket.place(ROOT)} has the layout of stacks without projects. Run `pulumi state upgrade` with "
                "the stock Pulumi, then retry."
            )


def _stamp(key: str) -> int:
    digits = re.findall(r"\d+", key.rpartition("/")[2].removesuffix(".json").removesuffix(".history"))
    return int(digits[-1]) if digits else 0

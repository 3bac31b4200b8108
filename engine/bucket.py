"""Where a backend keeps its bytes: the seam `Bucket`, and the one that is a folder. Knows nothing of what is in them.

A key is a path with slashes (`.pulumi/stacks/PROJECT/STACK.json`), the same one in every bucket, so that a backend may
move from one to another. The other bucket, a PostgreSQL table, is `bucket_postgres`; both pass one suite of tests.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from engine.errors import StateError
from engine.files import keep_copy, sync_file, write_atomic, write_new


class Bucket(Protocol):
    """Named bytes. Every call raises StateError where the store does not do it; its message holds no password."""

    @property
    def url(self) -> str:
        """As it may be shown: without a password."""

    def read(self, key: str) -> bytes | None:
        """What is there; None where there is nothing."""

    def read_all(self, prefix: str) -> dict[str, bytes]:
        """Everything whose key begins so, by key, in order."""

    def write(self, key: str, data: bytes, *, sync: bool = True) -> None:
        """All or nothing. `sync` waits until this, and all that was written before it, outlasts a power cut."""

    def write_all(self, items: Mapping[str, bytes], *, sync: bool = True) -> None:
        """Several writes in their order; where the process dies, a first part of them is there."""

    def delete(self, key: str) -> None:
        """Does nothing where there is nothing."""

    def delete_all(self, prefix: str) -> None:
        """Everything whose key begins so."""

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin so, in order."""

    def exists(self, key: str) -> bool: ...

    def copy(self, source: str, target: str) -> None:
        """Gives `target` what `source` has now; does nothing where there is no source."""

    def move(self, source: str, target: str) -> None:
        """The bytes go by another key, and no longer by the first; does nothing where there is no source."""

    def claim(self, key: str, data: bytes, among: str) -> list[str]:
        """Writes `key` unless another one begins with `among`: of two that claim at once, never both get it.

        Returns the other keys: none means that it was written.
        """

    def place(self, key: str) -> str:
        """Where a reader finds it: a path, or a row of a table."""

    def address(self, key: str) -> str:
        """The same as a URL."""

    def close(self) -> None:
        """Lets go of what is held open; may be called more than once."""


def _is_ours(path: Path) -> bool:
    """Neither a file that a killed process did not finish, nor what gocloud's file driver adds."""
    return not (path.name.startswith(".") and path.name.endswith(".tmp")) and path.suffix != ".attrs"


class FileBucket:
    """A folder. A key is a path in it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self._unsynced: dict[Path, bool] = {}
        """What was written without waiting, and whether it has replaced something."""

    def path(self, key: str) -> Path:
        return self.folder / key

    def read(self, key: str) -> bytes | None:
        try:
            return self.path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StateError(f"cannot read {self.path(key)}: {error.strerror or error}") from error

    def read_all(self, prefix: str) -> dict[str, bytes]:
        found = {key: self.read(key) for key in self.keys(prefix)}
        return {key: data for key, data in found.items() if data is not None}

    def write(self, key: str, data: bytes, *, sync: bool = True) -> None:
        path = self.path(key)
        replaces = self._unsynced.pop(path, False) or path.exists()
        if sync:
            self._sync_earlier()
        (write_atomic if replaces else write_new)(path, data, sync=sync)
        if not sync:
            self._unsynced[path] = replaces

    def _sync_earlier(self) -> None:
        for path, replaced in self._unsynced.items():
            sync_file(path, renamed=replaced)
        self._unsynced.clear()

    def write_all(self, items: Mapping[str, bytes], *, sync: bool = True) -> None:
        last = len(items) - 1
        for number, (key, data) in enumerate(items.items()):
            self.write(key, data, sync=sync and number == last)

    def delete(self, key: str) -> None:
        path = self.path(key)
        self._unsynced.pop(path, None)
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise StateError(f"cannot remove {path}: {error.strerror or error}") from error
        self._drop_empty(path.parent)

    def delete_all(self, prefix: str) -> None:
        for key in self.keys(prefix):
            self.delete(key)

    def _drop_empty(self, folder: Path) -> None:
        # Nobody's keys are in an empty folder; who puts one there at this moment makes the folder again.
        if folder.parent not in (self.folder, self.folder.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def keys(self, prefix: str) -> list[str]:
        start, _, _ = prefix.rpartition("/")
        found = []
        for folder, _, names in os.walk(self.path(start), onerror=_unless_gone):
            paths = (Path(folder) / name for name in names)
            found += [path.relative_to(self.folder).as_posix() for path in paths if _is_ours(path)]
        return sorted(key for key in found if key.startswith(prefix))

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def copy(self, source: str, target: str) -> None:
        keep_copy(self.path(source), self.path(target))

    def move(self, source: str, target: str) -> None:
        path, goal = self.path(source), self.path(target)
        try:
            goal.parent.mkdir(parents=True, exist_ok=True)
            path.replace(goal)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateError(f"cannot move {path} to {goal}: {error.strerror or error}") from error
        self._drop_empty(path.parent)

    def claim(self, key: str, data: bytes, among: str) -> list[str]:
        if others := self.keys(among):
            return others
        try:
            self.write(key, data)
            # Two that came at once both see the other's: neither goes on. So does the stock Pulumi.
            others = [other for other in self.keys(among) if other != key]
        except StateError:
            # It must not stand in anybody's way, though nobody holds it.
            with contextlib.suppress(StateError):
                self.delete(key)
            raise
        if others:
            with contextlib.suppress(StateError):
                self.delete(key)
        return others

    def place(self, key: str) -> str:
        return str(self.path(key))

    def address(self, key: str) -> str:
        return self.path(key).as_uri()

    def close(self) -> None:
        """Nothing is held open."""


def _unless_gone(error: OSError) -> None:
    """A folder that cannot be listed is not an empty one."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise StateError(f"cannot list {error.filename}: {error.strerror or error}. Retry.") from error

"""Where backups are kept: one seam, and the driver for a folder. `s3` has the one for buckets.

Keys are paths of plain words. A store decides nothing about backups; it never shows a key of access.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from providers.site.errors import BackupError

CHUNK = 1024 * 1024


class Store(Protocol):
    """All raise ProviderError. `name` is how messages call it."""

    @property
    def name(self) -> str: ...

    def demand(self) -> None:
        """Raises where there is no such place: so that this is said before anything is made that is to go there."""

    def put(self, key: str, stream: BinaryIO) -> None:
        """Keeps what the stream gives, to its end. Where that fails, nothing of it is there."""

    def fetch(self, key: str, path: Path) -> None:
        """Writes it to a new file, readable for its owner alone. Raises BackupError where it is not there."""

    def keys(self, prefix: str) -> list[str]:
        """All keys with that prefix."""

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes them. Deleting what is gone succeeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderStore:
    """Backups in a folder of this machine. What is in it is readable for its owner alone.

    Only folders below it are made: where it is not there it may be a disk that is not mounted, and what is put there
    would be on another one, and be hidden by the mount.
    """

    folder: Path

    @property
    def name(self) -> str:
        return str(self.folder)

    def demand(self) -> None:
        if not self.folder.is_dir():
            raise BackupError(
                f"{self.name}: the folder for backups is not there. Mount it, or make it for the account that workers "
                "run in (on each of their machines), then retry."
            )

    def put(self, key: str, stream: BinaryIO) -> None:
        path = self._path(key)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            for folder in reversed([one for one in path.parents if self.folder.resolve() in one.parents]):
                folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as handle:
                shutil.copyfileobj(stream, handle, CHUNK)
                handle.flush()
                os.fsync(handle.fileno())
            partial.replace(path)
        except OSError as error:
            raise BackupError(
                f"{self.name}: {key} cannot be written: {error.strerror}. Make room, or correct it."
            ) from None
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def fetch(self, key: str, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with self._path(key).open("rb") as stream, os.fdopen(descriptor, "wb") as handle:
                shutil.copyfileobj(stream, handle, CHUNK)
        except FileNotFoundError:
            raise BackupError(f"{self.name}: there is no {key}. Choose a backup that is there.") from None
        except OSError as error:
            raise BackupError(f"{self.name}: {key} cannot be read: {error.strerror}.") from None

    def keys(self, prefix: str) -> list[str]:
        base = self._path(prefix)
        found = (path for path in base.rglob("*") if path.is_file() and not path.name.startswith("."))
        return sorted(str(path.relative_to(self.folder.resolve())) for path in found)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self._path(key)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise BackupError(f"{self.name}: {key} cannot be deleted: {error.strerror}.") from None
            # The folder of a backup, once it is empty.
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    def _path(self, key: str) -> Path:
        self.demand()
        base = self.folder.resolve()
        path = (base / key).resolve()
        if base not in path.parents:
            raise BackupError(f"{self.name}: {key!r} is no key of a backup.")
        return path

"""Files that are either the old one or the new one, whatever happens in between. Knows nothing of what is in them."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from pathlib import Path

from engine.errors import StateError

_TRIES = 20


def write_atomic(path: Path, data: bytes, *, sync: bool = True, mode: int = 0o600) -> None:
    """Writes a file next to its place and renames it there; `sync` waits for the disk. Raises StateError.

    The file that was there stays whole when this fails.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        _write_in_folder(temporary, data, sync=sync, mode=mode)
        temporary.replace(path)
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StateError(_why(path, error)) from error


def write_new(path: Path, data: bytes, *, sync: bool = True, mode: int = 0o600) -> None:
    """The same for a file that is not there yet: one wait instead of two. Raises StateError.

    There is nothing that a power cut could take in between, so the file is waited for under its own name; with it, the
    file systems that are used for this (ext4, xfs, btrfs) write the name, too.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        _write_in_folder(temporary, data, sync=False, mode=mode)
        temporary.replace(path)
        if sync:
            sync_file(path, renamed=False)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StateError(_why(path, error)) from error


def _write_in_folder(path: Path, data: bytes, *, sync: bool, mode: int) -> None:
    for tries_left in reversed(range(_TRIES)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, data, sync=sync, mode=mode)
            return
        except (FileNotFoundError, FileExistsError):
            # Somebody removed the folder as an empty one between these two lines, or inside the first of them.
            if not tries_left:
                raise


def _write(path: Path, data: bytes, *, sync: bool, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), mode)
    with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
        view = memoryview(data)
        while view:
            view = view[file.write(view) or 0 :]
        if sync:
            os.fsync(file.fileno())


def sync_file(path: Path, *, renamed: bool = True) -> None:
    """Makes a file that was written without waiting durable; a file that is gone needs nothing.

    `renamed` says that it has replaced another one, so that its folder is waited for, too.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(_why(path, error)) from error
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise StateError(_why(path, error)) from error
    finally:
        os.close(descriptor)
    if renamed:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable. Windows has no such thing."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why(path: Path, error: OSError) -> str:
    advice = "The file as it was before is intact; check the folder's permissions, then retry."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "The disk is full. The file as it was before is intact; free some space, then retry."
    return f"cannot write {path}: {error.strerror or error}. {advice}"


def keep_copy(path: Path, copy: Path) -> None:
    """Gives a file a second name, so that the next `write_atomic` leaves its present contents there.

    A hard link where the file system has them, else a copy. Does nothing where there is no file.
    """
    temporary = copy.with_name(f".{copy.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        try:
            os.link(path, temporary)
        except FileNotFoundError:
            return
        except OSError:
            write_atomic(copy, path.read_bytes(), sync=False)
            return
        temporary.replace(copy)
    except OSError as error:
        raise StateError(_why(copy, error)) from error
    finally:
        # Also after a rename: rename(2) of two names of one file does nothing and leaves both.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)

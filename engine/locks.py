"""Who works on a stack: its locks, whose they are, and whether their process is still there.

A lock is a file in the stock Pulumi's form. It has no lease: nothing here ever breaks one by itself, a process that is
gone included, since a process number says nothing on another host and little in another container.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine.bucket import Bucket
from engine.errors import LockLostError, StackLockedError, StateError


@dataclass(frozen=True, slots=True, kw_only=True)
class LockInfo:
    """A lock that was found. What cannot be read of it is empty, and 0."""

    key: str
    user: str = ""
    host: str = ""
    pid: int = 0
    since: str = ""

    @property
    def described(self) -> str:
        """Whose it is, in the stock Pulumi's words."""
        if not self.pid:
            return "that cannot be read"
        return f"created by {self.user}@{self.host} (pid {self.pid}) at {self.since}"

    @property
    def stale(self) -> bool:
        """Whether it is of this host, and of a process that is not there any more."""
        return bool(self.pid) and self.host == socket.gethostname() and not _alive(self.pid)


class Lock:
    """A lock that this process holds; `release` may be called more than once."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self.key = key
        self._bucket = bucket

    def check(self) -> None:
        """Raises LockLostError where somebody has removed it: from then on the state may be another's."""
        if not self._bucket.exists(self.key):
            raise LockLostError(
                "the lock of this update was removed by somebody (`pulumi cancel`), and another update may be at work: "
                "nothing more is written to the state"
            )

    def release(self) -> None:
        """Raises StateError where the store does not take it away."""
        self._bucket.delete(self.key)


class StackLocks:
    """The locks of one stack, which are all that is in `folder`."""

    def __init__(self, bucket: Bucket, folder: str) -> None:
        self._bucket = bucket
        self.folder = folder

    def take(self) -> Lock:
        """Raises StackLockedError that says who holds it."""
        key = f"{self.folder}{uuid.uuid4()}.json"
        others = self._bucket.claim(key, json.dumps(_own(), indent=4).encode("utf-8"), self.folder)
        if others:
            raise self._locked(others)
        return Lock(self._bucket, key)

    @contextmanager
    def held(self, warn: Callable[[str], None]) -> Iterator[Lock]:
        """Holds the lock. A lock that cannot be taken away at the end is told to `warn`: what was done is done."""
        lock = self.take()
        try:
            yield lock
        finally:
            try:
                lock.release()
            except StateError as error:
                place = self._bucket.place(lock.key)
                warn(f"the lock {place} could not be removed, run `pulumi cancel` before the next update: {error}")

    def found(self) -> list[LockInfo]:
        return [self._read(key) for key in self._bucket.keys(self.folder) if key.endswith(".json")]

    def break_all(self) -> list[LockInfo]:
        """Removes everybody's locks; those that there were."""
        found = self.found()
        for lock in found:
            self._bucket.delete(lock.key)
        return found

    def _read(self, key: str) -> LockInfo:
        try:
            body: Any = json.loads(self._bucket.read(key) or b"")
            return LockInfo(
                key=key,
                user=str(body["username"]),
                host=str(body["hostname"]),
                pid=int(body["pid"]),
                since=str(body["timestamp"]),
            )
        except (ValueError, KeyError, TypeError):
            return LockInfo(key=key)

    def _locked(self, keys: list[str]) -> StackLockedError:
        locks = [self._read(key) for key in keys]
        names = "".join(f"\n  {self._bucket.address(lock.key)}: {lock.described}" for lock in locks)
        return StackLockedError(
            f"the stack is currently locked by {len(locks)} lock(s). Either wait for the other process(es) to end or "
            f"delete the lock file with `pulumi cancel`.{names}",
            hint=stale_hint(locks),
        )


def stale_hint(locks: list[LockInfo]) -> str:
    """What to add where a holder is gone, empty where none is."""
    gone = [str(lock.pid) for lock in locks if lock.stale]
    if not gone:
        return ""
    return (
        f"Stale: this host has no process {', '.join(gone)} any more, so that lock was left by a run that was killed. "
        "`pulumi cancel` removes it."
    )


def _own() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "username": _username(),
        "hostname": socket.gethostname(),
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        # Not in the stock form, whose readers pass it over: who knows that this process has died, knows of the holder.
        "startedBy": os.getppid(),
    }


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's process, or a system that does not tell
    return True


def _username() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user need not have a name.
        return str(getattr(os, "getuid", lambda: "unknown")())

"""The stock file backend's layout: where a stack's checkpoint, copies, history and locks are, and how they are written.

Under the backend's folder: `.pulumi/meta.yaml`, `stacks/PROJECT/STACK.json` and `.bak`, `backups/PROJECT/STACK/`,
`history/PROJECT/STACK/`, `locks/ORGANIZATION/PROJECT/STACK/`. Texts only: what a checkpoint means is `checkpoint`'s.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.errors import StackExistsError, StackLockedError, StackNotFoundError, StateError, UsageError
from engine.files import keep_copy, write_atomic

ORGANIZATION: Final = "organization"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]")
_HISTORY: Final = re.compile(r"-(\d+)\.history\.json$")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRef:
    """A stack by name. This backend has one organization."""

    project: str
    name: str

    def __str__(self) -> str:
        return f"{ORGANIZATION}/{self.project}/{self.name}"


def parse_stack_ref(text: str, project: str) -> StackRef:
    """`STACK`, `ORG/STACK` or `ORG/PROJECT/STACK`. Raises UsageError for anything else."""
    parts = text.split("/")
    if len(parts) > 1 and parts[0] != ORGANIZATION:
        raise UsageError(f"stack '{text}': the organization of a file backend is '{ORGANIZATION}', not '{parts[0]}'")
    if len(parts) == 2:
        parts = [parts[0], project, parts[1]]
    if len(parts) == 3:
        project = parts[1]
    elif len(parts) > 3:
        raise UsageError(f"stack '{text}': a stack is named STACK or {ORGANIZATION}/PROJECT/STACK")
    if not project:
        raise UsageError(f"stack '{text}' has no project: run this in the folder of a Pulumi.yaml")
    if not all(map(_NAME.match, project)) or not project.strip("."):
        raise UsageError(f"stack '{text}': '{project}' is not the name of a project")
    check_stack_name(parts[-1])
    return StackRef(project=project, name=parts[-1])


def check_stack_name(name: str) -> None:
    """Raises UsageError for a name that would not be a good file name."""
    if not name:
        raise UsageError("a stack name may not be empty")
    if len(name) > 100:
        raise UsageError("a stack name cannot exceed 100 characters")
    for position, character in enumerate(name):
        if not _NAME.match(character):
            raise UsageError(
                "a stack name may only contain alphanumeric, hyphens, underscores, or periods: "
                f"invalid character {character!r} at position {position}"
            )
    if name.strip(".") == "":
        raise UsageError(f"a stack cannot be named '{name}'")


@dataclass(slots=True, kw_only=True)
class Lock:
    """A lock that this process holds; `release` may be called more than once."""

    path: Path

    def release(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        # Empty folders are nobody's lock; another process may be putting one there.
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


class FileBackend:
    """A folder of stacks. `url` is as it is shown; `folder` holds `.pulumi`."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.root = folder / ".pulumi"

    # -------------------------------------------------------------- places

    def stack_file(self, ref: StackRef) -> Path:
        return self.root / "stacks" / ref.project / f"{ref.name}.json"

    def backup_file(self, ref: StackRef) -> Path:
        return self.stack_file(ref).with_name(f"{ref.name}.json.bak")

    def backups(self, ref: StackRef) -> Path:
        return self.root / "backups" / ref.project / ref.name

    def history(self, ref: StackRef) -> Path:
        return self.root / "history" / ref.project / ref.name

    def locks(self, ref: StackRef) -> Path:
        return self.root / "locks" / ORGANIZATION / ref.project / ref.name

    # -------------------------------------------------------------- stacks

    def exists(self, ref: StackRef) -> bool:
        return self.stack_file(ref).is_file()

    def stacks(self) -> Iterator[StackRef]:
        """All stacks, by project and name."""
        self._check_layout()
        folder = self.root / "stacks"
        for path in sorted(folder.glob("*/*.json")) if folder.is_dir() else ():
            yield StackRef(project=path.parent.name, name=path.name.removesuffix(".json"))

    def create(self, ref: StackRef, deployment: str) -> None:
        """Raises StackExistsError where there is one."""
        if self.exists(ref):
            raise StackExistsError(f"stack '{ref}' already exists")
        self.write(ref, deployment, version=3, features=())
        write_atomic(self.backup_file(ref), self.stack_file(ref).read_bytes())

    def read(self, ref: StackRef) -> dict[str, Any]:
        """The deployment in the checkpoint (empty where none has been made). Raises StackNotFoundError, StateError."""
        self._check_layout()
        path = self.stack_file(ref)
        try:
            body = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise StackNotFoundError(f"no stack named '{ref.name}' found") from None
        except (ValueError, OSError) as error:
            raise StateError(self.damaged(ref, str(error))) from error
        if not isinstance(body, dict) or not isinstance(body.get("checkpoint"), dict):
            raise StateError(self.damaged(ref, "there is no checkpoint in it"))
        if body.get("version") not in {3, 4}:
            raise StateError(
                f"{path} is of checkpoint version {body.get('version')!r}; this engine reads 3 and 4. "
                "Run an update with a Pulumi of today first, or upgrade this engine."
            )
        latest = body["checkpoint"].get("latest") or {}
        if not isinstance(latest, dict):
            raise StateError(self.damaged(ref, "its latest deployment is not an object"))
        return latest

    def write(
        self, ref: StackRef, deployment: str, *, version: int, features: tuple[str, ...], sync: bool = True
    ) -> None:
        """Replaces the checkpoint in one step; the one before stays as `.bak`. `sync` makes it outlast a power cut."""
        self._ensure_layout()
        path = self.stack_file(ref)
        extra = f'"features": {json.dumps(list(features))},\n' if features else ""
        text = (
            f'{{"version": {version},\n{extra}"checkpoint": {{"stack": {json.dumps(str(ref))},\n'
            f'"latest": {deployment}}}}}\n'
        )
        keep_copy(path, self.backup_file(ref))
        write_atomic(path, text.encode("utf-8"), sync=sync)

    def damaged(self, ref: StackRef, why: str) -> str:
        """What to say of a checkpoint that cannot be used, and how to go back to one that can."""
        path = self.stack_file(ref)
        copies = sorted(self.backups(ref).glob("*.json"), key=_stamp)[-3:]
        found = [self.backup_file(ref)] if self.backup_file(ref).is_file() else []
        found += reversed(copies)
        if not found:
            return f"the state of stack '{ref.name}' in {path} cannot be used: {why}. There are no copies of it."
        names = "".join(f"\n  {copy}" for copy in found)
        return (
            f"the state of stack '{ref.name}' in {path} cannot be used: {why}. Nothing was changed. "
            f"To go back, copy one of these over it, newest first, then run `pulumi refresh`:{names}"
        )

    def remove(self, ref: StackRef) -> None:
        """Removes the checkpoint (its last form stays as `.bak`) and the history; backups stay."""
        path = self.stack_file(ref)
        keep_copy(path, self.backup_file(ref))
        path.unlink(missing_ok=True)
        self.tags_file(ref).unlink(missing_ok=True)
        shutil.rmtree(self.history(ref), ignore_errors=True)
        with contextlib.suppress(OSError):
            self.history(ref).parent.rmdir()

    def rename(self, old: StackRef, new: StackRef, deployment: str, *, version: int, features: tuple[str, ...]) -> None:
        """Writes the stack under its new name, then removes the old one; the history moves along."""
        self.write(new, deployment, version=version, features=features)
        keep_copy(self.stack_file(old), self.backup_file(old))
        self.stack_file(old).unlink(missing_ok=True)
        if self.tags_file(old).is_file():
            self.tags_file(old).replace(self.tags_file(new))
        folder = self.history(old)
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            target = self.history(new) / (new.name + path.name.removeprefix(old.name))
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        with contextlib.suppress(OSError):
            folder.rmdir()

    # -------------------------------------------------------------- history

    def record(self, ref: StackRef, update: Mapping[str, Any]) -> None:
        """Adds a finished update: one backup, one history entry and its checkpoint."""
        stamp = time.time_ns()
        text = self.stack_file(ref).read_bytes()
        write_atomic(self.backups(ref) / f"{ref.name}.{stamp}.json", text, sync=False)
        folder = self.history(ref)
        write_atomic(folder / f"{ref.name}-{stamp}.checkpoint.json", text, sync=False)
        entry = json.dumps(update, indent=4).encode("utf-8")
        write_atomic(folder / f"{ref.name}-{stamp}.history.json", entry, sync=False)

    def updates(self, ref: StackRef) -> Iterator[dict[str, Any]]:
        """History entries, newest first. Raises StateError for one that cannot be read."""
        folder = self.history(ref)
        found = [p for p in folder.glob("*.history.json") if _HISTORY.search(p.name)] if folder.is_dir() else []
        for path in sorted(found, key=_stamp, reverse=True):
            try:
                entry = json.loads(path.read_bytes())
            except (OSError, ValueError) as error:
                raise StateError(f"the history entry {path} cannot be read: {error}. Remove it, then retry.") from error
            yield entry

    def last_update(self, ref: StackRef) -> dict[str, Any] | None:
        return next(self.updates(ref), None)

    # -------------------------------------------------------------- tags

    def tags_file(self, ref: StackRef) -> Path:
        return self.stack_file(ref).with_name(f"{ref.name}.pulumi-tags")

    def tags(self, ref: StackRef) -> dict[str, str]:
        path = self.tags_file(ref)
        try:
            body = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StateError(f"the tags in {path} cannot be read: {error}. Remove the file, then retry.") from error
        return {str(name): str(value) for name, value in body.items()}

    def set_tags(self, ref: StackRef, tags: Mapping[str, str]) -> None:
        if tags:
            write_atomic(self.tags_file(ref), json.dumps(dict(tags), indent=4).encode("utf-8"))
        else:
            self.tags_file(ref).unlink(missing_ok=True)

    # -------------------------------------------------------------- locks

    def lock(self, ref: StackRef) -> Lock:
        """Takes the stack's lock. Raises StackLockedError where somebody else has one."""
        self.check_unlocked(ref)
        self._ensure_layout()
        path = self.locks(ref) / f"{uuid.uuid4()}.json"
        body = {
            "pid": os.getpid(),
            "username": _username(),
            "hostname": socket.gethostname(),
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        write_atomic(path, json.dumps(body, indent=4).encode("utf-8"))
        lock = Lock(path=path)
        try:
            # Two that came at once both see the other's lock: neither goes on.
            self.check_unlocked(ref, but=path)
        except BaseException:
            lock.release()
            raise
        return lock

    def check_unlocked(self, ref: StackRef, *, but: Path | None = None) -> None:
        found = [path for path in self._lock_files(ref) if path != but]
        if not found:
            return
        names = "".join(f"\n  {path.as_uri()}: {_describe_lock(path)}" for path in found)
        raise StackLockedError(
            f"the stack is currently locked by {len(found)} lock(s). Either wait for the other process(es) to end or "
            f"delete the lock file with `pulumi cancel`.{names}"
        )

    def break_locks(self, ref: StackRef) -> int:
        """Removes everybody's locks; how many there were."""
        found = self._lock_files(ref)
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def _lock_files(self, ref: StackRef) -> list[Path]:
        folder = self.locks(ref)
        return sorted(folder.glob("*.json")) if folder.is_dir() else []

    # -------------------------------------------------------------- layout

    def _ensure_layout(self) -> None:
        self._check_layout()
        meta = self.root / "meta.yaml"
        if not meta.is_file():
            write_atomic(meta, b"version: 1\n")

    def _check_layout(self) -> None:
        meta = self.root / "meta.yaml"
        if meta.is_file():
            text = meta.read_text(encoding="utf-8")
            match = re.search(r"^version:\s*(\d+)\s*$", text, re.MULTILINE)
            if match is None or match.group(1) != "1":
                raise StateError(f"{meta} says '{text.strip()}'; this engine knows the layout of version 1 only")
        elif any((self.root / "stacks").glob("*.json")) if (self.root / "stacks").is_dir() else False:
            raise StateError(
                f"{self.root} has the layout of stacks without projects. Run `pulumi state upgrade` with the stock "
                "Pulumi, then retry."
            )


def _stamp(path: Path) -> int:
    digits = re.findall(r"\d+", path.name.removesuffix(".json").removesuffix(".history"))
    return int(digits[-1]) if digits else 0


def _username() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user need not have a name.
        return str(getattr(os, "getuid", lambda: "unknown")())


def _describe_lock(path: Path) -> str:
    try:
        body = json.loads(path.read_bytes())
        return f"created by {body['username']}@{body['hostname']} (pid {body['pid']}) at {body['timestamp']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "that cannot be read"

"""A process's files in supervisor's include folder: `<name>.json`, its document, and `<name>.conf`, its program file.

The document says whose the process is and what it runs, and holds its environment, so only its owner can read it. The
program file says no more than how to start the document. Decides ports: each document of the folder has its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import secrets
import shlex
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from providers.errors import ConfigurationError, ProviderError

HOST = "127.0.0.1"
# Below what Linux gives to outgoing connections, so that a port is still there when its process starts again.
PORTS = range(21_000, 30_000)
LOCK_SECONDS = 30.0
_LAUNCHER = Path(__file__).with_name("launch.py")
_NOT_IN_A_PATH = "\n;\"'%"

_PROGRAM = """\
[program:{name}]
command={command}
autostart=true
autorestart=true
startsecs=1
startretries=3
stopsignal=TERM
stopwaitsecs=8
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={folder}/{name}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What one process is. `revision` grows by one with each change; `memory_mb` limits what it allocates."""

    tenant_mark: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    memory_mb: int
    port: int
    revision: int
    host: str = HOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Supervisor's include folder, on this machine."""

    path: Path

    @classmethod
    def at(cls, path: str) -> Folder:
        """Raises ConfigurationError where there is no such folder, or supervisor could not read its name."""
        folder = Path(path)
        if not folder.is_dir():
            raise ConfigurationError(
                f"container.folder: {path} is no folder on this machine. Name the one that supervisor includes, "
                "and run Tenantry on the machine that supervisor runs on."
            )
        if any(character in path for character in _NOT_IN_A_PATH):
            raise ConfigurationError(f"container.folder: {path!r} has a quote, ; or % in it. Use another folder.")
        return cls(path=folder.resolve())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """No other caller chooses a port meanwhile. Raises ProviderError when it does not get its turn."""
        deadline = time.monotonic() + LOCK_SECONDS
        descriptor = os.open(self.path / ".lock", os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ProviderError(
                            f"{self.path}: another program held its lock for {LOCK_SECONDS:g} s. Retry."
                        ) from None
                    time.sleep(0.02)
            yield

    def document(self, name: str) -> Document | None:
        """Raises ProviderError for one that is none of ours, or broken."""
        path = self.path / f"{name}.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return Document(**{**data, "command": tuple(data["command"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ProviderError(
                f"process {name!r}: {path} cannot be read ({type(error).__name__}). Restore it, or delete it and retry."
            ) from None

    def has_program(self, name: str) -> bool:
        return (self.path / f"{name}.conf").exists()

    def program_is_ours(self, name: str) -> bool:
        """Whether the program file says what we write."""
        try:
            return (self.path / f"{name}.conf").read_text(encoding="utf-8") == self._program(name)
        except (OSError, UnicodeDecodeError):
            return False

    def write(self, name: str, document: Document) -> None:
        """The document first: a program file without one would be somebody else's."""
        values = asdict(document) | {"environment": dict(document.environment)}
        _replace(self.path / f"{name}.json", json.dumps(values, indent=1, sort_keys=True))
        if not self.program_is_ours(name):
            _replace(self.path / f"{name}.conf", self._program(name))

    def delete_program(self, name: str) -> None:
        (self.path / f"{name}.conf").unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """What is left: the document last, as it says whose the rest is."""
        for suffix in (".conf", ".log", ".log.1", ".json"):
            (self.path / f"{name}{suffix}").unlink(missing_ok=True)

    def free_port(self) -> int:
        """One that no document has and nothing listens on. Call it locked. Raises ProviderError."""
        taken = {port for path in self.path.glob("*.json") if (port := _port_in(path))}
        first = random.choice(PORTS)  # noqa: S311 - no secret
        for offset in range(len(PORTS)):
            port = PORTS[(first - PORTS.start + offset) % len(PORTS)]
            if port not in taken and _nobody_listens(port):
                return port
        raise ProviderError(
            f"{self.path}: no port from {PORTS.start} to {PORTS.stop - 1} is free. Remove some tenants."
        )

    def _program(self, name: str) -> str:
        words = (sys.executable, "-I", "-S", str(_LAUNCHER), str(self.path / f"{name}.json"))
        command = " ".join(shlex.quote(word).replace("%", "%%") for word in words)
        return _PROGRAM.format(name=name, command=command, folder=self.path)


def _replace(path: Path, text: str) -> None:
    """Private from the first byte, and never seen half written."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _port_in(path: Path) -> int:
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        return int(data["port"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True

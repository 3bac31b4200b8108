"""What the servers of the sandbox share in how they are found and how they end: one a folder, by whoever started it.

Decides that a server ends with its context, and that another port than the one it has is refused. It never starts one.
"""

import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from sandbox.errors import PortTakenError
from sandbox.process import end, locked


class OnPort(Protocol):
    """A server that listens."""

    @property
    def port(self) -> int: ...


R = TypeVar("R", bound=OnPort)


class StoppedAtEnd(ABC):
    """A running server that is stopped at the end of its context."""

    __slots__ = ()

    @abstractmethod
    def stop(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def on_port(running: R, port: int, what: str, directory: Path) -> R:
    """The server that runs, if it has the port asked for; 0 means whichever it has. Raises PortTakenError."""
    if port not in {0, running.port}:
        raise PortTakenError(f"{what} in {directory} already runs on port {running.port}, not {port}: stop it first")
    return running


def alive(running: R | None, answers: Callable[[int], bool], home: Path, what: str) -> R | None:
    """The server that runs, if it answers; one that is dying, or hangs, is ended. The lock is the caller's."""
    if running is not None and not answers(running.port):
        end(home, what)
        return None
    return running


def stopped(home: Path, what: str) -> bool:
    """Ends the folder's server. True when it was running. Raises StopError."""
    if not home.exists():
        return False
    with locked(home, what):
        return end(home, what)


def removed(directory: Path, home: Path, what: str) -> None:
    """Ends the server of `home`, and deletes that folder of it in `directory` with all that it kept."""
    if not home.exists():
        return
    stopped(home, what)
    shutil.rmtree(home)
    # Somebody's own files may lie beside the server's.
    with contextlib.suppress(OSError):
        directory.rmdir()

"""Where a command reads and writes: the console, or what an embedding program collects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Output(Protocol):
    """What is asked of a stream that is written to."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class Input(Protocol):
    """What is asked of a stream that is read."""

    def read(self, size: int = -1, /) -> str: ...

    def readline(self, size: int = -1, /) -> str: ...


@dataclass(slots=True, kw_only=True)
class Streams:
    """A command's streams. `interactive`: somebody is there to be asked."""

    stdin: Input
    stdout: Output
    stderr: Output
    interactive: bool = False

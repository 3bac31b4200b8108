"""The machine or container that a bench is in, and how a Python is started there.

Decides how it is reached (here, by SSH, by `docker exec`) as an argument list, which holds no secret. How long it has,
and what it answers, is `host_process`.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from providers.site import host_process
from providers.site.host_process import START, Asked

PATIENCE_SECONDS = 20.0
"""How long the next command waits for one of before, which may still be ending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """`name` is how messages call it. `command` is how Python is started there, from here; `bench` is the folder."""

    name: str
    command: tuple[str, ...]
    bench: str

    def ask(self, do: str, what: str, *, seconds: float, **more: Any) -> dict[str, Any]:
        """The answer to a request about files. Raises ProviderError; `what` is the object in errors."""
        return self.heard(do, what, lambda _line: None, seconds=seconds, **more)

    def heard(
        self,
        do: str,
        what: str,
        said: Callable[[str], None],
        *,
        seconds: float,
        going: Callable[[], bool] = lambda: True,
        **more: Any,
    ) -> dict[str, Any]:
        """The same, with each line that a command writes. It ends where `going` says no. Raises ProviderError."""
        with self._asked(do, what, seconds, going, more) as asked:
            return asked.answer(said)

    @contextlib.contextmanager
    def reading(self, path: str, what: str, *, seconds: float, going: Callable[[], bool]) -> Iterator[BinaryIO]:
        """A stream of a file there. Raises ProviderError, also at its end where it was cut off."""
        with self._asked("send", what, seconds, going, {"path": path}) as asked:
            yield asked.out
            asked.finished()

    def send(self, file: Path, what: str, *, seconds: float, going: Callable[[], bool], **more: Any) -> str:
        """Takes a file there; its path. Raises ProviderError."""
        with self._asked("receive", what, seconds, going, more) as asked:
            with file.open("rb") as handle:
                asked.give(iter(lambda: handle.read(1024 * 1024), b""))
            return str(asked.answer(lambda _line: None)["path"])

    def _asked(self, do: str, what: str, seconds: float, going: Callable[[], bool], more: Mapping[str, Any]) -> Asked:
        times = {"seconds": seconds, "grace": host_process.GRACE_SECONDS, "patience": PATIENCE_SECONDS}
        request = {"do": do, "bench": self.bench, **times, **more}
        return Asked(self.name, self.command, what, request, seconds=seconds, going=going)


def host_of(
    bench: str,
    *,
    python: str = "python3",
    ssh: tuple[str, ...] | None = None,
    docker: tuple[str, ...] | None = None,
) -> Host:
    """The host of a bench's folder: this machine, or what the arguments after `ssh` or `docker exec` name.

    The last of each is the host or the container.
    """
    if ssh:
        options = (
            "-T",
            "-oBatchMode=yes",
            "-oConnectTimeout=10",
            "-oServerAliveInterval=15",
            "-oServerAliveCountMax=4",
        )
        # SSH hands its words to a shell there.
        return Host(
            name=f"the bench {bench} on {ssh[-1]}",
            command=("ssh", *options, *ssh, shlex.join((python, "-I", "-S", "-c", START))),
            bench=bench,
        )
    if docker:
        *words, container = docker
        return Host(
            name=f"the bench {bench} in container {container}",
            command=("docker", *words, container, python, "-I", "-S", "-c", START),
            bench=bench,
        )
    return Host(name=f"the bench {bench}", command=(sys.executable, "-I", "-S", "-c", START), bench=bench)

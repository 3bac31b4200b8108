"""A Python beside a bench, started from here and told what to do: its time limits, its end, and what it answers.

Decides when it is given up. What runs there is `host_commands`, which ends its command as soon as nobody listens: so
ending this process is enough to stop a bench on another machine.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO, Self

from providers.errors import ConfigurationError, ProviderError, UnreachableError
from providers.site.errors import BusyError, SiteError, StoppedError, TimeLimitError

GRACE_SECONDS = 5.0
"""How long a command may take to end when it is asked to."""
_MARGIN_SECONDS = 30.0
_POLL_SECONDS = 0.1
_MODULES = ("host_files", "host_commands")
START = (
    "import json,sys,types\n"
    "for n,t in json.loads(sys.stdin.buffer.readline()).items():\n"
    " m=sys.modules[n]=types.ModuleType(n);exec(compile(t,n,'exec'),m.__dict__)\n"
    "sys.exit(m.main())"
)
"""What Python is started with: all else comes by its standard input."""
_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSH_AUTH_SOCK")
_SHOWN = 300
_OURS = frozenset({"said", "result", "error"})
"""What a line of `host_commands` has one of."""


@functools.cache
def _program() -> bytes:
    here = Path(__file__).parent
    texts = {f"providers.site.{name}": (here / f"{name}.py").read_text(encoding="utf-8") for name in _MODULES}
    return json.dumps(texts).encode() + b"\n"


def _environment() -> dict[str, str]:
    """What bench sees of ours: none of the secrets that other backends have there."""
    return {
        name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith(("DOCKER_", "SSH_"))
    }


class Asked:
    """A Python that was started there and told what to do. Leaving the block ends it, whatever it is at."""

    def __init__(
        self,
        name: str,
        command: tuple[str, ...],
        what: str,
        request: Mapping[str, Any],
        *,
        seconds: float,
        going: Callable[[], bool],
    ) -> None:
        self._name, self._command, self._what, self._seconds, self._going = name, command, what, seconds, going
        # What is there ends the command in time; this is for a host that does not answer.
        self._until = time.monotonic() + seconds + _MARGIN_SECONDS
        self._why = ""
        self._done, self._giving = threading.Event(), threading.Lock()
        self._words: list[str] = []
        self._request = json.dumps(dict(request)).encode() + b"\n"

    def __enter__(self) -> Self:
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(),
                # A Ctrl-C at the terminal comes to this process, which leaves what it has begun in order.
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{self._what}: {self._command[0]} cannot be started here ({error.strerror}). Install it, or "
                "correct the region's site backend."
            ) from None
        assert self._process.stdin is not None  # noqa: S101 - pipes
        assert self._process.stdout is not None  # noqa: S101
        assert self._process.stderr is not None  # noqa: S101
        self._in: IO[bytes] = self._process.stdin
        self.out: BinaryIO = self._process.stdout  # type: ignore[assignment]
        self._reading = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._reading.start()
        self._watching.start()
        self.give([_program(), self._request])
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        # What still writes there has nobody to read it.
        self.out.close()
        self._end()
        self._watching.join()
        self._reading.join(GRACE_SECONDS)

    def give(self, parts: Iterable[bytes]) -> None:
        """Writes to it. Where it has gone, its answer says why."""
        with self._giving, contextlib.suppress(OSError, ValueError):
            for part in parts:
                self._in.write(part)
            self._in.flush()

    def answer(self, said: Callable[[str], None]) -> dict[str, Any]:
        """What it answers in the end. Raises ProviderError."""
        found: dict[str, Any] | None = None
        for line in self.out:
            row = _row(line)
            if row is None:
                # A login shell's greeting, which may be JSON, too: a number, a list.
                self._words.append(line.decode("utf-8", "replace"))
            elif "said" in row:
                said(str(row["said"]))
            else:
                found = row
        if found is None or self._why:
            raise self._failure()
        if "error" in found:
            kind = BusyError if found["busy"] else SiteError
            retry = " Wait for it to end, then retry." if found["busy"] else ""
            raise kind(f"{self._what}: {self._name} says: {found['error']}.{retry}")
        return dict(found["result"])

    def finished(self) -> None:
        """Raises ProviderError where it did not end well."""
        self.out.read()
        if self._process.wait(GRACE_SECONDS) or self._why:
            raise self._failure()

    def _failure(self) -> ProviderError:
        """The error for what ended without an answer."""
        if self._why == "stopped":
            return StoppedError(f"{self._what}: stopped, as it was asked to be.")
        if self._why == "time":
            return TimeLimitError(
                f"{self._what}: {self._name} did not answer within {self._seconds:g} s. Check that it can be "
                "reached, then retry."
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        self._reading.join(GRACE_SECONDS)
        said = " ".join("".join(self._words).split())[-_SHOWN:] or "it says nothing more"
        return UnreachableError(
            f"{self._what}: {self._name} cannot be used ({_explained(self._process.returncode)}: {said}). "
            "Check the region's site backend, and that Python is there."
        )

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._words.append(line.decode("utf-8", "replace"))
                del self._words[:-20]

    def _watch(self) -> None:
        while not self._done.wait(_POLL_SECONDS):
            self._why = "" if self._going() else "stopped"
            if time.monotonic() > self._until:
                self._why = "time"
            if self._why:
                self._end()
                return

    def _end(self) -> None:
        """Nobody listens any more: it ends its command and itself; by force where it does not."""
        # Where it is being written to, closing would wait for that; a signal ends it.
        if self._giving.acquire(blocking=False):
            with contextlib.suppress(OSError, ValueError):
                self._in.close()
            self._giving.release()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2 * GRACE_SECONDS)
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
        self._process.wait()


def _row(line: bytes) -> dict[str, Any] | None:
    """A line of the program that runs there; None for what another one says."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and not _OURS.isdisjoint(row) else None


def _explained(code: int | None) -> str:
    """What the exit code of `ssh`, `docker exec` or a shell says."""
    match code:
        case 127:
            return "exit code 127: a command is not there"
        case 126:
            return "exit code 126: a command may not be run"
        case 255:
            return "exit code 255: no connection"
        case _:
            return f"exit code {code}"

"""EmbeddedCommand: the PulumiCommand that the Automation API is given.

    stack = auto.create_or_select_stack(..., opts=LocalWorkspaceOptions(pulumi_command=EmbeddedCommand()))

What runs a program or calls providers gets a process of its own, as it has with Pulumi's executable; every other
command runs in this one, where it takes milliseconds. Several may run at once, in threads: the folder and the
environment are passed down, not changed.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from engine import process
from engine.cli import main
from engine.operation import CancelToken
from engine.process import Worker
from engine.program_host import adapt_sdk
from engine.streams import Streams
from engine.versions import VERSION

OnOutput = Callable[[str], object]
#: The first Ctrl-C asks to stop, the second to stop at once; a third breaks off the waiting itself.
_PATIENCE: Final = 2
_OPERATIONS: Final = frozenset({"up", "preview", "refresh", "destroy", "import"})


class _Stoppable(Protocol):
    """A command that runs: a process, or a token that one in this process listens to."""

    def interrupt(self) -> None: ...

    def kill(self) -> None: ...


class EmbeddedCommand(PulumiCommand):
    """Pulumi's commands without Pulumi's executable."""

    def __init__(self, *, in_process: bool = False) -> None:
        """Starts nothing; unlike its parent, which asks an executable for its version.

        `in_process` runs operations in this process too, so that a debugger sees the engine; they are slower there,
        since the program and the engine then take turns, and nothing can kill one.
        """
        # Inline programs run in this process, one after another or several at once.
        adapt_sdk()
        self.command = "python -m engine"
        self.version = VersionInfo.parse(VERSION)
        self._in_process = in_process
        self._running: list[_Stoppable] = []
        self._lock = threading.Lock()

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Runs one command. Raises what the Automation API raises for an exit code other than 0."""
        stdout, stderr = _Lines(on_output), _Lines(on_error)
        environment = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        words = ["--non-interactive", *args]
        if self._in_process or _OPERATIONS.isdisjoint(args[:1]):
            code = self._run_here(words, cwd, environment, stdout, stderr)
        else:
            code = self._run_apart(words, cwd, environment, stdout, stderr)
        result = CommandResult(stdout=stdout.text(), stderr=stderr.text(), code=code)
        if code:
            raise create_command_error(result)
        return result

    def _run_here(
        self, words: list[str], cwd: str, environment: Mapping[str, str], stdout: _Lines, stderr: _Lines
    ) -> int:
        token = _Token()
        with self._registered(token), _interrupts(token):
            return main(
                words,
                cwd=Path(cwd),
                environment=environment,
                streams=Streams(stdin=io.StringIO(), stdout=stdout, stderr=stderr),
                cancel=token,
            )

    def _run_apart(
        self, words: list[str], cwd: str, environment: Mapping[str, str], stdout: _Lines, stderr: _Lines
    ) -> int:
        worker: Worker = process.start(words, cwd=cwd, environment=environment)
        with self._registered(worker), _interrupts(worker):
            try:
                return worker.wait(stdout, stderr)
            except BaseException:
                # Nobody will hear what becomes of it, so that it must not go on.
                worker.kill()
                raise

    def interrupt(self) -> None:
        """What a SIGINT is to an executable: the first stops running operations, the second writes nothing more."""
        for running in self._all():
            running.interrupt()

    def kill(self) -> None:
        """Ends running operations at once, as SIGKILL does. One in this process can only be interrupted."""
        for running in self._all():
            running.kill()

    def _all(self) -> list[_Stoppable]:
        with self._lock:
            return list(self._running)

    @contextlib.contextmanager
    def _registered(self, running: _Stoppable) -> Iterator[None]:
        with self._lock:
            self._running.append(running)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(running)


class _Token(CancelToken):
    """The token of a command in this process."""

    def interrupt(self) -> None:
        self.signal()

    def kill(self) -> None:
        self.signal()


@contextlib.contextmanager
def _interrupts(running: _Stoppable) -> Iterator[None]:
    """While a command runs in the main thread, Ctrl-C stops it in order, unless the host has a handler of its own."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    signals = 0

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        if signals > _PATIENCE:
            raise KeyboardInterrupt
        running.interrupt()

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Lines(io.TextIOBase):
    """A stream that keeps what is written and tells each whole line to a callback, as the SDK's own command does."""

    def __init__(self, callback: OnOutput | None) -> None:
        self._callback = callback
        self._lines: list[str] = []
        self._rest = ""
        self._lock = threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        with self._lock:
            *whole, self._rest = (self._rest + text).split("\n")
            for line in whole:
                self._take(line)
        return len(text)

    def text(self) -> str:
        """Everything, without the white space at the ends of lines."""
        with self._lock:
            if self._rest:
                self._take(self._rest)
                self._rest = ""
            return "\n".join(self._lines)

    def _take(self, line: str) -> None:
        stripped = line.rstrip()
        self._lines.append(stripped)
        if self._callback is None:
            return
        try:
            self._callback(stripped)
        except Exception as error:  # noqa: BLE001 - the caller's own; an update must not break off because of it
            self._callback = None
            warnings.warn(f"on_output failed, and is not called again: {error!r}", RuntimeWarning, stacklevel=2)

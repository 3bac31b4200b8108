"""EmbeddedCommand: the PulumiCommand that the Automation API is given; it runs `cli.main` in this process.

    stack = auto.create_or_select_stack(..., opts=LocalWorkspaceOptions(pulumi_command=EmbeddedCommand()))

Several commands may run at once, in threads: the folder and the environment are passed down, not changed.
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

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from engine.cli import main
from engine.operation import CancelToken
from engine.streams import Streams
from engine.versions import VERSION

OnOutput = Callable[[str], object]


class EmbeddedCommand(PulumiCommand):
    """Pulumi's commands without Pulumi's executable."""

    def __init__(self) -> None:
        """Starts nothing; unlike its parent, which asks an executable for its version."""
        self.command = "python -m engine"
        self.version = VersionInfo.parse(VERSION)
        self._running: list[CancelToken] = []
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
        token = CancelToken()
        with self._registered(token), _interrupts(token):
            code = main(
                ["--non-interactive", *args],
                cwd=Path(cwd),
                environment=environment,
                streams=Streams(stdin=io.StringIO(), stdout=stdout, stderr=stderr),
                cancel=token,
            )
        result = CommandResult(stdout=stdout.text(), stderr=stderr.text(), code=code)
        if code:
            raise create_command_error(result)
        return result

    def interrupt(self) -> None:
        """What a SIGINT is to an executable: the first stops running operations, the second writes nothing more."""
        with self._lock:
            running = list(self._running)
        for token in running:
            token.signal()

    @contextlib.contextmanager
    def _registered(self, token: CancelToken) -> Iterator[None]:
        with self._lock:
            self._running.append(token)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(token)


@contextlib.contextmanager
def _interrupts(token: CancelToken) -> Iterator[None]:
    """While a command runs in the main thread, Ctrl-C stops it in order, unless the host has a handler of its own."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        if token.terminated.is_set():
            raise KeyboardInterrupt
        token.signal()

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

"""Which Pulumi engine runs: the stock CLI or the embedded one. Both are Pulumi commands that can be interrupted.

Decides by TENANTRY_ENGINE, `auto` being the stock CLI where it is found. Never installs anything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from automation.errors import EngineError, InputError
from automation.settings import PROJECT_NAME

if TYPE_CHECKING:
    from pulumi.automation import PulumiCommand


class Interruptible(Protocol):
    """A Pulumi command that can be stopped: the first call is like a first SIGINT, the second like a second one."""

    def interrupt(self) -> None:
        """Asks the running command to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """The engine in use, and why; `path` is the stock CLI's."""

    name: str
    reason: str
    path: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: engine, reason, path."""
        return {"engine": self.name, "reason": self.reason, "path": self.path}


def choose(wanted: str, which: Callable[[str], str | None] = shutil.which) -> EngineChoice:
    """The engine for TENANTRY_ENGINE=`wanted`. Raises EngineError when the stock one is asked for and not there."""
    path = which("pulumi")
    if wanted == "embedded":
        return EngineChoice(name="embedded", reason="TENANTRY_ENGINE=embedded")
    if wanted == "stock":
        if path is None:
            raise EngineError(
                "TENANTRY_ENGINE=stock, but there is no `pulumi` on PATH",
                hint="install the Pulumi CLI, or set TENANTRY_ENGINE=auto or embedded",
            )
        return EngineChoice(name="stock", reason="TENANTRY_ENGINE=stock", path=path)
    if wanted != "auto":
        raise InputError(f"TENANTRY_ENGINE is '{wanted}'", hint="use auto, stock or embedded")
    if path is not None:
        return EngineChoice(name="stock", reason="`pulumi` is on PATH", path=path)
    return EngineChoice(name="embedded", reason="there is no `pulumi` on PATH")


def command_for(choice: EngineChoice) -> PulumiCommand:
    """A fresh Pulumi command of that engine. Raises EngineError when it cannot be used."""
    if choice.name == "stock":
        return stock_command()
    from engine.command import EmbeddedCommand

    command: PulumiCommand = EmbeddedCommand()
    return command


def prepare(choice: EngineChoice, environment: Mapping[str, str]) -> None:
    """Lets an embedded engine start, with the plugins of every tenant's program, while the rest is being loaded."""
    if choice.name != "embedded":
        return
    # Not through the command, which loads the SDK: the plugins are to start before that.
    from engine import process

    process.prepare(("pulumi-python", "postgresql"), project=PROJECT_NAME, cwd=Path.cwd(), environment=environment)


def stock_command() -> PulumiCommand:
    """The stock CLI as an interruptible command."""
    from pulumi.automation import CommandResult, InvalidVersionError, PulumiCommand
    from pulumi.automation.errors import create_command_error

    class StockCommand(PulumiCommand):
        """The SDK's command, in a process group of its own so that signals go to it exactly once."""

        def __init__(self) -> None:
            super().__init__()
            self._process: subprocess.Popen[str] | None = None

        def interrupt(self) -> None:
            """Sends SIGINT: the CLI finishes what is in flight, saves and unlocks; the second time it stops at once."""
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)

        def kill(self) -> None:
            """Ends the CLI and its plugins."""
            if self._process is not None and self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)

        def run(
            self,
            args: list[str],
            cwd: str,
            additional_env: Mapping[str, str],
            on_output: Callable[[str], Any] | None = None,
            on_error: Callable[[str], Any] | None = None,
        ) -> CommandResult:
            environment = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
            command = [self.command, "--non-interactive", *(word for word in args if word != "--non-interactive")]
            with subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                start_new_session=True,
            ) as process:
                self._process = process
                texts = _read_both(process, on_output, on_error)
                code = process.wait()
            result = CommandResult(stdout=texts[0], stderr=texts[1], code=code)
            if code != 0:
                raise create_command_error(result)
            return result

    try:
        return StockCommand()
    except (InvalidVersionError, OSError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"the `pulumi` on PATH cannot be used: {error}",
            hint="update the Pulumi CLI, or set TENANTRY_ENGINE=embedded",
        ) from None


def _read_both(
    process: subprocess.Popen[str], on_output: Callable[[str], Any] | None, on_error: Callable[[str], Any] | None
) -> tuple[str, str]:
    chunks: tuple[list[str], list[str]] = ([], [])

    def read(stream: Any, callback: Callable[[str], Any] | None, into: list[str]) -> None:
        for line in stream:
            into.append(line.rstrip())
            if callback is not None:
                callback(line.rstrip())

    threads = [
        threading.Thread(target=read, args=(process.stdout, on_output, chunks[0])),
        threading.Thread(target=read, args=(process.stderr, on_error, chunks[1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "\n".join(chunks[0]), "\n".join(chunks[1])

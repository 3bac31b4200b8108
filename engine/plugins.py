"""The process of a provider plugin: how it starts, what it says, how it ends. Decides nothing about resources."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final, Protocol

from engine.errors import PluginError
from engine.plugin_search import PluginCommand

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
KEPT_LINES: Final = 400
_DYING_SECONDS: Final = 2.0
# Progress marks that `dotnet run` writes to its output, whether anybody looks or not.
_PROGRESS_MARKS: Final = ("\x1b]9;4;3;\x1b\\", "\x1b]9;4;0;\x1b\\")


class Plugin(Protocol):
    """A plugin that runs, or is just starting."""

    package: str
    attached: bool
    """Whether somebody else has started it."""
    is_foreign: bool
    """Whether it was started and is not one of this engine's own, which need no farewell."""

    def address(self) -> str: ...

    def alive(self) -> bool: ...

    def last_words(self) -> str: ...

    def stop(self) -> None: ...


class AttachedPlugin:
    """A plugin that somebody else has started and will end: `PULUMI_DEBUG_PROVIDERS=name:port,...`."""

    attached = True
    is_foreign = False

    def __init__(self, package: str, port: str) -> None:
        self.package = package
        self._port = port

    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def alive(self) -> bool:
        return True

    def last_words(self) -> str:
        """Its output is not ours to see."""
        return ""

    def stop(self) -> None:
        """It is not ours to end."""


def attached_plugin(package: str, env: Mapping[str, str]) -> AttachedPlugin | None:
    """The plugin that PULUMI_DEBUG_PROVIDERS names for a package. Raises PluginError where it names no port."""
    for entry in filter(None, env.get("PULUMI_DEBUG_PROVIDERS", "").split(",")):
        name, _, port = entry.partition(":")
        if name.strip() != package:
            continue
        if not port.strip().isdigit():
            raise PluginError(f"PULUMI_DEBUG_PROVIDERS holds '{entry}', which is not of the form name:port")
        return AttachedPlugin(package, port.strip())
    return None


class PluginProcess:
    """A running plugin. It starts at once; `address` waits until it has said its port.

    `on_line` gets each line of its output, and whether it came on standard error; the last ones are kept.
    """

    attached = False

    def __init__(
        self,
        package: str,
        command: PluginCommand,
        *,
        env: Mapping[str, str],
        cwd: Path,
        on_line: Callable[[str, bool], None],
        arguments: tuple[str, ...] = (),
        what: str = "",
    ) -> None:
        self.package = package
        self.is_foreign = command.quiet
        self._what = what or f"the provider plugin for '{package}'"
        self._command = command
        self.on_line = on_line
        self._port: str | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._said = threading.Event()
        try:
            self._process = subprocess.Popen(
                [*command.argv, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env={**env, **command.env},
                text=True,
                encoding="utf-8",
                errors="replace",
                # A Ctrl-C at the terminal is the engine's to handle: a plugin must finish the call it is in.
                start_new_session=True,
            )
        except OSError as error:
            raise PluginError(f"cannot start {self._what} from {command.origin}: {error}") from error
        for stream, is_error in ((self._process.stdout, False), (self._process.stderr, True)):
            threading.Thread(target=self._read, args=(stream, is_error), daemon=True).start()

    def _read(self, stream: IO[str], is_error: bool) -> None:
        with stream:
            for line in stream:
                if not is_error and self._port is None:
                    self._port = _without_marks(line).strip()
                    self._said.set()
                    continue
                self._lines.append(line)
                self.on_line(line.rstrip("\n"), is_error)
        if not is_error:
            self._said.set()

    def address(self) -> str:
        """host:port of the plugin's gRPC server. Raises PluginError when it does not come up in time."""
        self._said.wait(START_SECONDS)
        port = self._port or ""
        if not (port.isdigit() and 0 < int(port) < 65536):
            raise PluginError(f"{self._what} from {self._command.origin} did not start: {self._why_not(port)}")
        return f"127.0.0.1:{port}"

    def _why_not(self, port: str) -> str:
        if port:
            self.stop()
            return f"it wrote an invalid port to stdout: {port[:200]!r}"
        return (
            f"it ended with {self.end()}" if self._ended() is not None else f"it said no port in {START_SECONDS:.0f} s"
        )

    def last_words(self) -> str:
        """What it wrote last, for a message about its end."""
        return "".join(self._lines)

    def alive(self) -> bool:
        return self._process.poll() is None

    def _ended(self) -> int | None:
        """The exit code, None while it runs. What a process says ends a moment before it does."""
        try:
            return self._process.wait(_DYING_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> str:
        """How the process ended, with the last that it said; empty while it runs."""
        code = self._ended()
        if code is None:
            return ""
        said = "".join(list(self._lines)[-5:]).strip()
        return f"code {code}" + (f". It said:\n{said}" if said else "")

    def stop(self) -> None:
        """Ends the process and what it has started, by force after a while; returns when it has gone."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self.alive():
            # A plugin may be a script that has started the real one.
            self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _without_marks(line: str) -> str:
    for mark in _PROGRESS_MARKS:
        line = line.replace(mark, "")
    return line


def plugin_env(base: Mapping[str, str], project: str) -> dict[str, str]:
    """The environment of a plugin: the command's own, with the project's name, which dynamic providers read."""
    return {**base, "PULUMI_PROJECT": project}


def full_plugin_env(
    base: Mapping[str, str],
    project: str,
    *,
    package: str,
    config: Mapping[str, str],
    runtime_options: Mapping[str, Any],
    mappings: Mapping[str, str],
) -> dict[str, str]:
    """As the stock engine sets it: also the package's own config, the program's runtime options, and mapped names.

    `mappings` gives a variable's value a second name (`envVarMappings` of a provider) where the variable is set.
    """
    prefix = f"{package}:"
    own = {key[len(prefix) :]: value for key, value in config.items() if key.startswith(prefix)}
    options = {f"PULUMI_RUNTIME_{name.upper()}": str(value) for name, value in runtime_options.items()}
    mapped = {target: base[source] for source, target in mappings.items() if source in base}
    return {**plugin_env(base, project), **options, "PULUMI_CONFIG": json.dumps(own), **mapped}

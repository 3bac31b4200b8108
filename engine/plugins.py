"""Where a provider plugin comes from, and its process. Decides nothing about resources.

The order is Pulumi's own: `pulumi-resource-NAME` on PATH, then PULUMI_HOME/plugins; the SDK's dynamic providers have a
host that is the engine's own (`dynamic_host`), run with the project's Python. A plugin that runs already, as under a
debugger, is named by PULUMI_DEBUG_PROVIDERS and comes first. Last, a Python distribution may offer one under the entry
point group `pulumi.provider_plugins` (name = package, value = a module that is run as `python -m`): an ordinary plugin
without an executable of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Final, Protocol

from engine.errors import PluginError

ENTRY_POINTS: Final = "pulumi.provider_plugins"
DYNAMIC_PACKAGE: Final = "pulumi-python"
_DYNAMIC_HOST: Final = Path(__file__).resolve().parent / "dynamic_host"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
_DYING_SECONDS: Final = 2.0
# A plugin must not outlive an engine that was killed: it ends when its standard input does, held by the engine. It is
# read without Python's buffer, whose lock would abort a plugin that ends by itself.
_PYTHON_PLUGIN: Final = (
    "import os, runpy, sys, threading\n"
    "threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()\n"
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginCommand:
    """How a plugin is started, and from where, in words for a message."""

    argv: tuple[str, ...]
    origin: str


def find_plugin(package: str, version: str, env: Mapping[str, str], python: str) -> PluginCommand:
    """The command that serves `package`. Raises PluginError that says where was looked."""
    if package == DYNAMIC_PACKAGE:
        return PluginCommand(argv=(python, "-u", str(_DYNAMIC_HOST)), origin=f"the engine's {_DYNAMIC_HOST.name}")
    executable = f"pulumi-resource-{package}"
    on_path = shutil.which(executable, path=env.get("PATH"))
    if on_path:
        return PluginCommand(argv=(on_path,), origin=f"$PATH at {on_path}")
    home = Path(env.get("PULUMI_HOME") or Path(env.get("HOME") or Path.home()) / ".pulumi")
    installed = _installed(home / "plugins", package, version)
    if installed is not None:
        return PluginCommand(argv=(str(installed / executable),), origin=str(installed))
    module = _entry_point(package)
    if module is not None:
        return PluginCommand(argv=python_module(sys.executable, module), origin=f"the Python module {module}")
    raise PluginError(
        f"no provider plugin for package '{package}'{f' version {version}' if version else ''}: there is no "
        f"{executable} on PATH, none in {home / 'plugins'}, and no Python package offers one. Install the plugin, or "
        f"use TENANTRY_ENGINE=stock with the pulumi CLI, which downloads it."
    )


def python_module(python: str, module: str) -> tuple[str, ...]:
    """How a plugin in a Python module is run: it ends when its standard input does."""
    return (python, "-u", "-c", _PYTHON_PLUGIN, module)


def _entry_point(package: str) -> str | None:
    for entry in metadata.entry_points(group=ENTRY_POINTS, name=package):
        return entry.value
    return None


_VERSION_PART = re.compile(r"\d+")


def _installed(folder: Path, package: str, version: str) -> Path | None:
    """The installed plugin of that very version, else the newest one."""
    exact = folder / f"resource-{package}-v{version}"
    if version and (exact / f"pulumi-resource-{package}").is_file():
        return exact
    found = [p for p in folder.glob(f"resource-{package}-v*") if (p / f"pulumi-resource-{package}").is_file()]
    return max(found, key=lambda p: [int(n) for n in _VERSION_PART.findall(p.name)], default=None)


class Plugin(Protocol):
    """A plugin that runs, or is just starting."""

    package: str

    def address(self) -> str: ...

    def alive(self) -> bool: ...

    def stop(self) -> None: ...


class AttachedPlugin:
    """A plugin that somebody else has started and will end: `PULUMI_DEBUG_PROVIDERS=name:port,...`."""

    def __init__(self, package: str, port: str) -> None:
        self.package = package
        self._port = port

    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def alive(self) -> bool:
        return True

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
    """A running plugin. It starts at once; `address` waits until it has said its port."""

    def __init__(
        self,
        package: str,
        command: PluginCommand,
        *,
        env: Mapping[str, str],
        cwd: Path,
        on_line: Callable[[str, bool], None],
        what: str = "",
    ) -> None:
        self.package = package
        self._what = what or f"the provider plugin for '{package}'"
        self._command = command
        self.on_line = on_line
        self._port: str | None = None
        self._stderr: list[str] = []
        self._said = threading.Event()
        try:
            self._process = subprocess.Popen(
                command.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=dict(env),
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
                    self._port = line.strip()
                    self._said.set()
                    continue
                if is_error:
                    self._stderr = [*self._stderr[-40:], line]
                self.on_line(line.rstrip("\n"), is_error)
        if not is_error:
            self._said.set()

    def address(self) -> str:
        """host:port of the plugin's gRPC server. Raises PluginError when it does not come up in time."""
        self._said.wait(START_SECONDS)
        if not self._port or not self._port.isdigit():
            code = self._ended()
            why = f"it ended with code {code}" if code is not None else f"it said no port within {START_SECONDS:.0f} s"
            said = "".join(self._stderr[-5:]).strip()
            raise PluginError(
                f"{self._what} from {self._command.origin} did not start: {why}"
                + (f". It said:\n{said}" if said else "")
            )
        return f"127.0.0.1:{self._port}"

    def alive(self) -> bool:
        return self._process.poll() is None

    def _ended(self) -> int | None:
        """The exit code, None while it runs. What a process says ends a moment before it does."""
        try:
            return self._process.wait(_DYING_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> str:
        """How the process ended, with the last that it said on its error stream; empty while it runs."""
        code = self._ended()
        if code is None:
            return ""
        said = "".join(self._stderr[-5:]).strip()
        return f"code {code}" + (f". It said:\n{said}" if said else "")

    def stop(self) -> None:
        """Ends the process, by force after a while; returns when it has gone."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self.alive():
            self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait(STOP_SECONDS)


def plugin_env(base: Mapping[str, str], project: str) -> dict[str, str]:
    """The environment of a plugin: the command's own, with the project's name, which dynamic providers read."""
    return {**base, "PULUMI_PROJECT": project}

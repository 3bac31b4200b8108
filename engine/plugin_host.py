"""The plugins of one operation: starts them, ahead of time where it can, and ends all of them."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from engine import standby
from engine.autonaming import Autonamer, autonamer_of
from engine.errors import PluginError, ProviderCallError
from engine.operation import Target
from engine.packages import BUILTIN_PACKAGE, Parameter, PluginSpec
from engine.plugin_connection import is_unimplemented
from engine.plugin_search import PluginCommand, find_plugin, parse_version
from engine.plugins import Plugin, PluginProcess, attached_plugin, full_plugin_env
from engine.provider_client import PluginProvider
from engine.rpc import provider_pb2

Log = Callable[[str, str], None]
"""(severity, message)"""


class PluginHost:
    """Every provider resource gets a process of its own; one is started ahead of time for each plugin."""

    def __init__(self, target: Target, engine_address: Callable[[], str], log: Log, *, debug: bool = False) -> None:
        self._target = target
        self._engine_address = engine_address
        self._log = log
        self._debug = debug
        self._ahead: dict[PluginSpec, tuple[Plugin, Path | None]] = {}
        self._asked: set[PluginSpec] = set()
        self._open: list[tuple[Plugin, PluginProvider]] = []
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._abandoned = False
        self._closed = False

    def start_ahead(self, spec: PluginSpec) -> None:
        """Starts a plugin that will be needed, while the program still starts. Trouble shows when it is asked for."""
        if spec.name == BUILTIN_PACKAGE or spec in self._asked:
            return
        with self._lock, contextlib.suppress(PluginError):
            if spec not in self._asked and not self._closed:
                self._asked.add(spec)
                self._ahead[spec] = self._start(spec)

    def provider(self, spec: PluginSpec, parameter: Parameter | None = None) -> PluginProvider:
        """A provider of the package, not configured yet."""
        with self._lock:
            if self._abandoned or self._closed:
                raise PluginError(f"the provider plugin for '{spec.name}' is not started: the operation was cancelled")
            self._asked.add(spec)
            # Before anything runs: what is started from here on is ended by `close`.
            autonamer = self._autonamer()
            ahead = self._ahead.pop(spec, None)
            process, folder = self._start(spec) if ahead is None else ahead
            handshake = provider_pb2.ProviderHandshakeRequest(
                engine_address=self._engine_address(),
                configure_with_urn=True,
                invoke_with_preview=True,
                supports_refresh_before_update=True,
            )
            if not process.attached:
                # The folder of the plugin itself, as the stock engine has it; of an attached one nobody knows.
                handshake.root_directory = str(folder or self._target.root)
                handshake.program_directory = str(folder or self._target.program_dir or self._target.root)
            provider = PluginProvider(
                process, handshake, autonamer=autonamer, warn=lambda text: self._log("warning", text)
            )
            self._open.append((process, provider))
            if self._abandoned:
                raise PluginError(f"the provider plugin for '{spec.name}' is not used: the operation was cancelled")
        if parameter is not None:
            provider.parameterize(parameter.name, parameter.version, parameter.value)
        if spec.version:
            self._compare_version(spec, provider)
        return provider

    def _autonamer(self) -> Autonamer | None:
        target = self._target
        return autonamer_of(target.config, organization=target.organization, project=target.project, stack=target.stack)

    def _compare_version(self, spec: PluginSpec, provider: PluginProvider) -> None:
        """Warns of a plugin that is older than was asked for."""
        try:
            found = provider.version()
        except ProviderCallError as error:
            if is_unimplemented(error):
                return
            raise
        wanted, has = parse_version(spec.version), parse_version(found)
        if wanted is not None and (has is None or has < wanted):
            self._log(
                "warning",
                f"resource plugin {spec.name} is expected to have version >={spec.version}, but has {found}; "
                f"the wrong version may be on your path, or this may be a bug in the plugin",
            )

    def _start(self, spec: PluginSpec) -> tuple[Plugin, Path | None]:
        target = self._target
        attached = attached_plugin(spec.name, target.environment)
        if attached is not None:
            return attached, None
        python = target.python or sys.executable
        waiting = standby.take(spec.name, target.environment, python) if not spec.env_mappings else None
        if waiting is not None:
            waiting.on_line = self._on_line
            return waiting, None
        command = find_plugin(spec.name, spec.version, target.environment, python, target.plugins)
        if command.ambient and spec.name not in self._told:
            self._told.add(spec.name)
            self._log("warning", f"using pulumi-resource-{spec.name} from {command.origin}")
        return self._launch(spec, command), command.folder

    def _launch(self, spec: PluginSpec, command: PluginCommand) -> PluginProcess:
        target = self._target
        arguments = (self._engine_address(),) if command.wants_address else ()
        return PluginProcess(
            spec.name,
            command,
            arguments=arguments,
            env=full_plugin_env(
                target.environment,
                target.project,
                package=spec.name,
                config=target.config,
                runtime_options=target.runtime_options,
                mappings=dict(spec.env_mappings),
            ),
            cwd=target.program_dir or target.root,
            on_line=self._on_quiet_line if command.quiet else self._on_line,
        )

    def _on_line(self, line: str, is_error: bool) -> None:
        if line.strip():
            self._log("info#err" if is_error else "info", line)

    def _on_quiet_line(self, line: str, is_error: bool) -> None:
        """What a plugin writes is for its author: what users must read, it says to the engine."""
        if self._debug and line.strip():
            self._log("debug", line)

    # -------------------------------------------------------- the end

    def cancel(self) -> None:
        """Asks every plugin to give up what it is doing."""
        for _, provider in list(self._open):
            provider.connection.cancel()

    def abandon(self) -> None:
        """Waits for no plugin any more: every call that is running fails at once."""
        # Called by a signal's handler, whose own thread may hold the lock.
        self._abandoned = True
        for _, provider in list(self._open):
            provider.connection.abandon()

    def close(self) -> None:
        """Ends every plugin, side by side."""
        with self._lock:
            self._closed = True
            running, ahead = self._open, list(self._ahead.values())
            self._open, self._ahead = [], {}
        for process, provider in running:
            if provider.connection.used and not process.alive():
                self._log("error", _crashed(process))
        closers = [provider.close for _, provider in running] + [process.stop for process, _ in ahead]
        threads = [threading.Thread(target=close) for close in closers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _crashed(process: Plugin) -> str:
    """In the stock engine's words; what the plugin wrote is kept from users until it crashes."""
    return (
        f"Detected that the provider plugin for '{process.package}' exited prematurely.\n"
        "       This is *always* a bug in the provider. Please report the issue to the provider author as "
        "appropriate.\n"
        "       To assist with debugging we have dumped the STDOUT and STDERR streams of the plugin:\n"
        f"{process.last_words()}"
    )

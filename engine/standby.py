"""Plugins that are started before an operation asks for them, while its caller still loads what it needs.

A plugin on standby is taken once, by the first operation of this process with the same environment. What nobody takes
is ended with the process. It decides nothing about resources, and it never waits.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.errors import PluginError
from engine.plugin_search import find_plugin
from engine.plugins import PluginProcess, plugin_env

_lock = threading.Lock()
_waiting: dict[str, tuple[dict[str, str], PluginProcess]] = {}


def start(packages: Iterable[str], *, project: str, cwd: Path, environment: Mapping[str, str]) -> None:
    """Starts plugins of inline programs. Trouble shows when an operation asks for the plugin itself."""
    with _lock:
        if not _waiting:
            atexit.register(_stop_all)
        for package in packages:
            with contextlib.suppress(PluginError):
                command = find_plugin(package, "", environment, sys.executable)
                process = PluginProcess(
                    package, command, env=plugin_env(environment, project), cwd=cwd, on_line=lambda *_: None
                )
                _waiting[package] = (_relevant(environment), process)


def take(package: str, environment: Mapping[str, str], python: str) -> PluginProcess | None:
    """The plugin on standby, if it runs and was started as this operation would."""
    if python != sys.executable:
        return None
    with _lock:
        known, process = _waiting.pop(package, (None, None))
    if process is None or not process.alive():
        return None
    if known == _relevant(environment):
        return process
    process.stop()
    return None


def _relevant(environment: Mapping[str, str]) -> dict[str, str]:
    # What the Automation API and its callers set for each command is the engine's business, not the plugin's.
    return {k: v for k, v in environment.items() if not k.startswith("PULUMI_")}


def _stop_all() -> None:
    with _lock:
        waiting = [process for _, process in _waiting.values()]
        _waiting.clear()
    for process in waiting:
        process.stop()

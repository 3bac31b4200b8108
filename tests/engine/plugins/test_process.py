"""A plugin's process: how it starts, what it says, how it ends."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from engine import plugins
from engine.errors import PluginError
from engine.operation import Target
from engine.packages import PluginSpec
from engine.plugin_host import PluginHost
from engine.plugin_search import PluginCommand
from tests.engine.plugins.test_search import script


def start(body: str, tmp_path: Path, lines: list[tuple[str, bool]] | None = None) -> plugins.PluginProcess:
    path = script(tmp_path / "plugin.py", body)
    command = PluginCommand(argv=(str(path),), origin="a test")
    told = lines if lines is not None else []
    return plugins.PluginProcess(
        "fake", command, env=dict(os.environ), cwd=tmp_path, on_line=lambda line, err: told.append((line, err))
    )


def test_a_plugin_says_its_port_and_then_talks(tmp_path: Path) -> None:
    lines: list[tuple[str, bool]] = []
    body = (
        "import sys, time\nprint(4711, flush=True)\nprint('hello', flush=True)\n"
        "print('oh', file=sys.stderr, flush=True)\ntime.sleep(60)"
    )
    plugin = start(body, tmp_path, lines)
    assert plugin.address() == "127.0.0.1:4711"
    assert plugin.alive()
    deadline = time.monotonic() + 20
    while len(lines) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    plugin.stop()
    assert not plugin.alive()
    assert sorted(lines) == [("hello", False), ("oh", True)]


def test_a_plugin_that_dies_at_its_start(tmp_path: Path) -> None:
    plugin = start("import sys\nprint('no licence',file=sys.stderr)\nsys.exit(3)", tmp_path)
    plugin._process.wait(20)
    with pytest.raises(PluginError, match=r"did not start: it ended with code 3(.|\n)*no licence"):
        plugin.address()
    plugin.stop()


def test_a_plugin_that_prints_something_else(tmp_path: Path) -> None:
    plugin = start("import time\nprint('Hello, I am a plugin',flush=True)\ntime.sleep(60)", tmp_path)
    with pytest.raises(PluginError, match="did not start: it wrote an invalid port to stdout: 'Hello, I am a plugin'"):
        plugin.address()
    plugin.stop()
    assert not plugin.alive()


def test_a_plugin_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "START_SECONDS", 0.3)
    plugin = start("import time\ntime.sleep(60)", tmp_path)
    with pytest.raises(PluginError, match="it said no port"):
        plugin.address()
    plugin.stop()


def test_a_plugin_that_does_not_want_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "STOP_SECONDS", 0.5)
    body = "import signal,time\nsignal.signal(signal.SIGTERM,signal.SIG_IGN)\nprint(1,flush=True)\ntime.sleep(60)"
    plugin = start(body, tmp_path)
    assert plugin.address()
    plugin.stop()
    assert not plugin.alive()


def test_a_plugin_that_cannot_be_started(tmp_path: Path) -> None:
    command = PluginCommand(argv=(str(tmp_path / "none"),), origin="a test")
    with pytest.raises(PluginError, match="cannot start the provider plugin for 'fake' from a test"):
        plugins.PluginProcess("fake", command, env={}, cwd=tmp_path, on_line=lambda *_: None)


def test_the_host_ends_what_it_started_ahead_and_tells_of_plugins_on_path(tmp_path: Path) -> None:
    path = script(
        tmp_path / "bin" / "pulumi-resource-fake",
        "import time\nprint(1,flush=True)\nprint('x',flush=True)\ntime.sleep(60)",
    )
    told: list[str] = []
    target = Target(project="p", stack="s", root=tmp_path, environment={"PATH": str(path.parent)})
    host = PluginHost(target, lambda: "127.0.0.1:1", lambda severity, text: told.append(f"{severity} {text}"))
    host.start_ahead(PluginSpec("fake"))
    host.start_ahead(PluginSpec("fake"))
    host.start_ahead(PluginSpec("pulumi"))
    host.start_ahead(PluginSpec("nowhere"))
    host.close()
    assert [text for text in told if text.startswith("warning")] == [
        f"warning using pulumi-resource-fake from $PATH at {path}"
    ]


def test_what_a_script_has_started_ends_with_it(tmp_path: Path) -> None:
    """`#!/bin/sh` and no `exec`: the plugin is a child of what the engine started."""
    path = tmp_path / "plugin.sh"
    path.write_text(f"#!/bin/sh\n{sys.executable} -c 'import os,time;print(os.getpid(),flush=True);time.sleep(60)'\n")
    path.chmod(0o755)
    plugin = plugins.PluginProcess(
        "fake",
        PluginCommand(argv=(str(path),), origin="a test"),
        env=dict(os.environ),
        cwd=tmp_path,
        on_line=lambda *_: None,
    )
    plugin._said.wait(30)
    child = int(plugin._port or 0)
    assert _runs(child)
    plugin.stop()
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def test_the_environment_of_a_plugin() -> None:
    env = plugins.full_plugin_env(
        {"A": "1", "TOKEN": "t"},
        "project",
        package="fake",
        config={"fake:region": "eu", "fakes:x": "y", "project:z": "0"},
        runtime_options={"virtualenv": "venv"},
        mappings={"TOKEN": "FAKE_TOKEN", "UNSET": "FAKE_OTHER"},
    )
    assert env == {
        "A": "1",
        "TOKEN": "t",
        "FAKE_TOKEN": "t",
        "PULUMI_PROJECT": "project",
        "PULUMI_RUNTIME_VIRTUALENV": "venv",
        "PULUMI_CONFIG": '{"region": "eu"}',
    }

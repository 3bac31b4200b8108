"""Programs that a test runs by the embedded engine, with state in the test's own folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation

from engine.command import EmbeddedCommand


def stack_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], automation.Stack]:
    """`stack_in(...)(program)` is the stack `dev` of the project `tests`."""
    # A stock plugin on this machine would be found first.
    monkeypatch.setenv("PATH", str(Path(shutil.which("env") or "/usr/bin/env").parent))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    (tmp_path / "state").mkdir()
    project = automation.ProjectSettings(
        name="tests", runtime="python", backend=automation.ProjectBackend(url=f"file://{tmp_path}/state")
    )
    options = automation.LocalWorkspaceOptions(
        work_dir=str(tmp_path),
        pulumi_command=EmbeddedCommand(),
        project_settings=project,
        env_vars={"PULUMI_CONFIG_PASSPHRASE": "test"},
    )
    return lambda program: automation.create_or_select_stack("dev", project.name, program, opts=options)

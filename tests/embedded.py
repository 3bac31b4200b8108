"""Stacks of a test's own, run by the embedded engine with the plugins that are here and no other."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation

from engine.command import EmbeddedCommand


def stacks_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], Any]:
    """What makes the stack `dev` of a program, with its state in a folder of the test."""
    # A stock plugin on this machine would be found first.
    monkeypatch.setenv("PATH", str(Path(shutil.which("env") or "/usr/bin/env").parent))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    (tmp_path / "state").mkdir()
    project = automation.ProjectSettings(
        name="tests", runtime="python", backend=automation.ProjectBackend(url=f"file://{tmp_path}/state")
    )
    return lambda program: automation.create_or_select_stack(
        "dev",
        project.name,
        program,
        opts=automation.LocalWorkspaceOptions(
            work_dir=str(tmp_path),
            pulumi_command=EmbeddedCommand(),
            project_settings=project,
            env_vars={"PULUMI_CONFIG_PASSPHRASE": "test"},
        ),
    )

"""A machine that goes down in each step of a department's `up`, and what the next `up` makes of it: one of each."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.department.test_end_to_end import ONE
from tests.department.yard import NOTHING, Yard

pytestmark = pytest.mark.timeout(400)


def killed_in(yard: Yard, step: str) -> None:
    """Runs `up` until the step begins, and kills it with all that it has started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "automation", "up", yard.slug, "--jsonl"],
        cwd=yard.project,
        env=yard.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    seen = False
    for line in process.stdout:
        told = json.loads(line)
        if told["type"] == "progress" and any(
            row["key"] == step and row["status"] == "running" for row in told["steps"]
        ):
            seen = True
            break
    process.kill()
    process.communicate(timeout=60)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    time.sleep(0.2)
    assert seen, f"the step {step} never ran"


@pytest.mark.parametrize("step", ["record", "database", "credential", "container", "workflows", "gateway", "health"])
def test_killed_in_each_step_and_then_up(yard: Yard, step: str) -> None:
    killed_in(yard, step)
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    assert yard.objects() == ONE
    assert not yard.run("up", yard.slug, "--expect-no-changes")["changed"]


def test_killed_and_then_destroyed_leaves_nothing(yard: Yard) -> None:
    killed_in(yard, "workflows")
    yard.run("up", yard.slug)
    yard.run("destroy", yard.slug, "--yes")
    assert yard.objects() == NOTHING

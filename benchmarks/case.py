"""One `up` through the Automation API, in a process of its own: `python -m benchmarks.case ENGINE SHAPE SIZE FOLDER`.

Prints one JSON line: the seconds that `stack.up` took and what it did. It never decides how often, or what is good.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pulumi import automation as auto
from pulumi.automation import PulumiCommand

from benchmarks.light import program


def command_for(engine: str) -> PulumiCommand:
    """The stock CLI on PATH, or the embedded engine."""
    if engine == "stock":
        return PulumiCommand()
    from engine.command import EmbeddedCommand

    return EmbeddedCommand()


def main(arguments: Sequence[str]) -> int:
    """Runs the case in `folder`, where an earlier case may have left its stack. Returns the exit code."""
    engine, shape, size, folder = arguments[0], arguments[1], int(arguments[2]), Path(arguments[3])
    for name in ("state", "home", "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    options = auto.LocalWorkspaceOptions(
        work_dir=str(folder / "work"),
        pulumi_home=str(folder / "home"),
        pulumi_command=command_for(engine),
        env_vars={"PULUMI_BACKEND_URL": f"file://{folder / 'state'}", "PULUMI_SKIP_UPDATE_CHECK": "true"},
        project_settings=auto.ProjectSettings(name="benchmarks", runtime="python"),
    )
    stack = auto.create_or_select_stack(
        stack_name=f"{shape}-{size}",
        project_name="benchmarks",
        program=functools.partial(program, shape, size),
        opts=options,
    )
    began = time.perf_counter()
    result = stack.up()
    seconds = time.perf_counter() - began
    changes = {str(op): count for op, count in (result.summary.resource_changes or {}).items()}
    print(json.dumps({"seconds": seconds, "changes": changes}), flush=True)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PULUMI_CONFIG_PASSPHRASE", "benchmarks")
    sys.exit(main(sys.argv[1:]))

"""Many small stacks of one process, so many at once: `python -m benchmarks.stacks AT_ONCE COUNT FOLDER`.

Measures what an Automation API service would see. It never decides what is good.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pulumi import automation as auto

from benchmarks.case import command_for
from benchmarks.environment import ROOT, base_environment
from benchmarks.figures import AT_ONCE, STACK_SIZE, STACKS, StacksFigure
from benchmarks.light import program
from benchmarks.process import run

_LIMIT = 300.0


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[StacksFigure]:
    """A figure for each number at once. Raises CommandFailedError when a stack fails."""
    count = 4 if quick else STACKS
    figures: list[StacksFigure] = []
    for at_once in (number for number in AT_ONCE if number <= count):
        say(f"stacks: {count}, {at_once} at once")
        place = folder / f"stacks-{at_once}"
        words = [sys.executable, "-m", "benchmarks.stacks", str(at_once), str(count), str(place)]
        environment = {**base_environment(), "PULUMI_CONFIG_PASSPHRASE": "benchmarks"}
        done = run(words, env=environment, cwd=ROOT, limit=_LIMIT)
        seconds = float(json.loads(done.stdout.strip().splitlines()[-1])["seconds"])
        figures.append(StacksFigure(at_once=at_once, stacks=count, seconds=seconds, tree_mb=done.tree_mb))
    return figures


def main(arguments: Sequence[str]) -> int:
    """Creates the stacks; prints one JSON line. Returns the exit code."""
    at_once, count, folder = int(arguments[0]), int(arguments[1]), Path(arguments[2])
    (folder / "state").mkdir(parents=True)
    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(functools.partial(_create, folder), range(count)))
    print(json.dumps({"seconds": round(time.perf_counter() - began, 3)}), flush=True)
    return 0


def _create(folder: Path, number: int) -> None:
    work = folder / f"work-{number}"
    work.mkdir()
    options = auto.LocalWorkspaceOptions(
        work_dir=str(work),
        pulumi_home=str(folder / "home"),
        pulumi_command=command_for("embedded"),
        env_vars={"PULUMI_BACKEND_URL": f"file://{folder / 'state'}", "PULUMI_SKIP_UPDATE_CHECK": "true"},
        project_settings=auto.ProjectSettings(name="benchmarks", runtime="python"),
    )
    stack = auto.create_or_select_stack(
        stack_name=f"stack-{number}",
        project_name="benchmarks",
        program=functools.partial(program, "wide", STACK_SIZE),
        opts=options,
    )
    stack.up()


if __name__ == "__main__":
    os.environ.setdefault("PULUMI_CONFIG_PASSPHRASE", "benchmarks")
    sys.exit(main(sys.argv[1:]))

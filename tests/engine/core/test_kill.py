"""An update killed by SIGKILL right after a save, and the next one in a new process.

TENANTRY_KILL_AT lists the places.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.resource import urn_name

ROOT = Path(__file__).resolve().parents[3]
PLACES = [int(place) for place in os.environ.get("TENANTRY_KILL_AT", "1 3 6 8").split()]


def run(folder: Path, generation: int, kill_at: int = 0, *, fill: int = 0) -> subprocess.CompletedProcess[str]:
    files = folder / "files"
    files.mkdir(exist_ok=True)
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FILES": str(files),
        "PULUMI_CONFIG_PASSPHRASE": "correct horse",
        "PULUMI_HOME": str(folder / "home"),
        "FILL": str(fill),
    }
    command = [sys.executable, "-m", "tests.engine.core.kill_program", str(folder), str(generation), str(kill_at)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=90, check=False)


@pytest.fixture(scope="module", params=[0, 30_000], ids=["small", "large"])
def first_generation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    folder = tmp_path_factory.mktemp("kill")
    done = run(folder, 1, fill=request.param)
    assert done.returncode == 0, done.stderr
    return folder, request.param


@pytest.mark.parametrize("place", PLACES)
def test_killed_and_run_again(first_generation: tuple[Path, int], place: int) -> None:
    folder, fill = first_generation
    killed = run(folder, 10 + place, place, fill=fill)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    journal = folder / ".pulumi" / "journal"
    assert bool(list(journal.rglob("*.json"))) == bool(fill)
    again = run(folder, 10 + place, fill=fill)
    assert again.returncode == 0, again.stderr
    files = sorted(path.name.split(".")[0] for path in (folder / "files").iterdir())
    assert files == ["a", "b", "c"]
    assert not [path for path in (folder / ".pulumi" / "locks").rglob("*") if path.is_file()]
    assert not list(journal.rglob("*.json"))
    (checkpoint,) = (folder / ".pulumi" / "stacks").rglob("test.json")
    deployment = json.loads(checkpoint.read_text(encoding="utf-8"))["checkpoint"]["latest"]
    assert {op["type"] for op in deployment.get("pending_operations", ())} <= {"creating"}
    ids = {r["id"] for r in deployment["resources"] if r.get("custom") and urn_name(r["urn"]) in "abcd"}
    assert ids == {path.name for path in (folder / "files").iterdir()}

"""The command line, run as its users run it."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.automation.helpers import PASSPHRASE


def run_json(
    project: Path,
    environment: Mapping[str, str],
    *words: str,
    secrets: Iterable[str] = (),
    code: int = 0,
    seconds: float = 170,
) -> dict[str, Any]:
    """Runs a command with --json. Returns its document; no secret is in it, nor in what is said beside."""
    done = subprocess.run(
        [sys.executable, "-m", "automation", *words, "--json"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
    )
    said = done.stdout + done.stderr
    for secret in (*secrets, PASSPHRASE):
        assert secret not in said
    assert done.returncode == code, said
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found

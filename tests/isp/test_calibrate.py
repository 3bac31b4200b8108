"""`tenantry isp calibrate` with its real servers: what it finds, what it says, and that nothing of it is left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from automation.calibration.driver import Visitors
from automation.calibration.errors import CalibrationError
from automation.calibration.load import Request
from automation.calibration.subject import Subject
from stacks.isp.settings import Rules
from tests.signals import signalled_at_each_start

ROOT = Path(__file__).resolve().parents[2]
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's figures of a process")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a command makes what it makes. Not in pytest's own, where PostgreSQL's account cannot get."""
    made = Path(tempfile.mkdtemp(prefix="tenantry-test-calibrate-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@contextlib.contextmanager
def command(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command, with a folder for what it makes. It ends with the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "automation", "isp", "calibrate", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def of_ours(folder: Path) -> list[str]:
    """Processes that were started with something of the folder, or with its environment."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            said = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in said:
            found.append(proc.name)
    return found


def left(folder: Path) -> list[str]:
    """Files and processes that a command has left. A process that has just been ended is given its moment."""
    deadline = time.monotonic() + 30
    while of_ours(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [*of_ours(folder), *(str(path) for path in folder.iterdir())]


@needs_linux
@pytest.mark.integration
def test_a_short_calibration_measures_fits_judges_writes_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "found.yaml"
    short = ["--customers", "400,800,1200", "--repeat", "1", "--seconds", "2"]
    with command(folder, *short, "--feature", "analytics", "--write", str(file), "--json") as process:
        out, err = process.communicate(timeout=150)
    # What it is off by on a machine that does other things is not this test's to say.
    assert process.returncode in {0, 11}, f"{out}\n{err}"
    found = json.loads(out)
    assert found["type"] == "isp_calibration"
    assert found["met"] is (process.returncode == 0)
    assert [(one["features"], one["customers"], one["held_out"]) for one in found["samples"]] == [
        (arm, count, count == 800) for arm in ([], ["analytics"]) for count in (400, 800, 1200)
    ]
    of = {(len(one["features"]), one["customers"]): one for one in found["samples"]}
    for arm in (0, 1):
        # One of its own work, analytics two more, and one for each two hundred customers.
        assert [of[arm, count]["connections"] for count in (400, 800, 1200)] == [3 + 2 * arm, 5 + 2 * arm, 7 + 2 * arm]
        assert of[arm, 1200]["memory_gb"] > of[arm, 400]["memory_gb"]
        assert of[arm, 1200]["storage_gb"] > of[arm, 400]["storage_gb"]
        assert of[arm, 400]["cpu_cores"] > 0
    # What it keeps of its own, 16 MiB, is memory that it uses.
    assert of[1, 400]["memory_gb"] - of[0, 400]["memory_gb"] > 15 / 1024
    assert {check["resource"] for check in found["checks"] if check["customers"] == 800} == {
        *("cpu_cores", "memory_gb", "storage_gb", "connections")
    }
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# Measured by `tenantry isp calibrate`")
    rules = Rules.model_validate(yaml.safe_load(text)["settings"]["sizing"])
    assert rules.features.analytics.connections == 2
    assert rules.core.memory_increment > 0
    assert left(folder) == []


@needs_linux
@pytest.mark.integration
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_midst_of_a_load_it_ends_all_that_it_started(folder: Path, sign: signal.Signals) -> None:
    with command(folder, "--customers", "400,800,1200", "--seconds", "300", "--repeat", "1") as process:
        deadline = time.monotonic() + 100
        # The application, too: it is told how many customers it has.
        while not [pid for pid in of_ours(folder) if b"ISP_CUSTOMERS=400" in environment(pid)]:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(sign)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "cancelled" in err
    assert left(folder) == []


@needs_linux
@pytest.mark.integration
def test_an_application_that_is_being_started_when_a_signal_comes_is_ended_too() -> None:
    with Subject() as subject:
        with (
            signalled_at_each_start(signal.SIGINT) as started,
            pytest.raises(KeyboardInterrupt),
            subject._application(100, ()),
        ):
            raise AssertionError("it was to be cut off before")
        assert [process.poll() is not None for process in started] == [True]


@needs_linux
@pytest.mark.performance
def test_what_is_used_is_foretold_within_the_target_but_for_cpu_which_needs_a_quiet_machine(folder: Path) -> None:
    words = ["--customers", "1000,2000,3000", "--repeat", "1", "--seconds", "2", "--feature", "billing", "--json"]
    with command(folder, *words) as process:
        out, err = process.communicate(timeout=150)
    assert process.returncode in {0, 11}, f"{out}\n{err}"
    checks = [check for check in json.loads(out)["checks"] if check["resource"] != "cpu_cores"]
    assert {tuple(check["features"]) for check in checks} == {(), ("billing",)}
    assert [check for check in checks if abs(check["error"]) > 0.05] == []


def environment(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@needs_linux
@pytest.mark.integration
def test_an_application_that_does_not_answer_as_it_should_is_no_measurement() -> None:
    with Subject() as subject, subject._application(100, ()) as running:
        wrong = Request(at=0, method="GET", path="/isp/portal/1")
        with Visitors(running.port, [[wrong]]) as visitors, pytest.raises(CalibrationError, match="answered 404"):
            visitors.send(1, lambda: None)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--customers", "100,200"], "at least three customer counts"),
        (["--customers", "100,many,300"], "'many' is no customer count"),
        (["--customers", "10,200,300"], "a customer count of 10 cannot be measured"),
        (["--feature", "analytic"], "did you mean analytics?"),
        (["--write", "/nowhere/at/all.yaml"], "/nowhere/at/all.yaml cannot be written"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_started(folder: Path, words: list[str], said: Any) -> None:
    with command(folder, *words) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said in err
    assert left(folder) == []

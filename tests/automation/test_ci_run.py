"""`.ci/run` when it is stopped in the middle of its tests: on a copy, with tests that only start something and wait."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.automation.helpers import ROOT

pytestmark = [
    pytest.mark.timeout(150),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

PATIENCE = "$(seq 200)"
MAKEFILE = f"""\
check:
\t@true
test:
\t@{sys.executable} -m pytest -p no:cacheprovider $(filter-out --cov%,$(PYTEST_ARGS))
"""
# The fixture's server is in a session of its own, as those of `sandbox` are; `helper` is a child as any.
TEST = """\
import os, pathlib, signal, subprocess, time
import pytest

HERE = pathlib.Path(__file__).parent

@pytest.fixture(scope="session")
def server():
    server = subprocess.Popen(["sleep", "300"], start_new_session=True)
    (HERE / "server").write_text(str(server.pid))
    yield
    server.kill()
    server.wait()

def test_waits(server):
    helper = subprocess.Popen(["sleep", "300"])
    (HERE / "helper").write_text(str(helper.pid))
    deaf = {deaf}
    (HERE / "test").write_text(str(os.getpid()))
    until = time.monotonic() + 200
    while time.monotonic() < until:
        try:
            time.sleep(200)
        except KeyboardInterrupt:
            deaf -= 1
            if deaf < 0:
                raise
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A project with one test a part."""
    made = tmp_path / "clone"
    (made / ".ci").mkdir(parents=True)
    script = Path(shutil.copy(ROOT / ".ci" / "run", made / ".ci" / "run"))
    # 4 s in place of 20, for what is left to do is little.
    assert script.read_text().count(PATIENCE) == 1
    script.write_text(script.read_text().replace(PATIENCE, "$(seq 40)"))
    (made / "Makefile").write_text(MAKEFILE)
    named = re.findall(r'^  \[\w+\]="([\w ]+)"$', script.read_text(), re.MULTILINE)
    assert len(named) == 3
    for folder in " ".join(named).split():
        (made / "tests" / folder).mkdir(parents=True)
    (made / "tests" / "rest").mkdir()
    # So that it installs nothing: whoever runs it is not root.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "bin" / "id").chmod(0o755)
    return made


PLACES = ("rest", "web", "sandbox", "kubernetes")


def begin(clone: Path, *, deaf: int = 0, ignored: bool = False) -> "subprocess.Popen[bytes]":
    """It, once the test of each part waits. `deaf`: how many INT the test of one part takes for its own."""
    script = str(clone / ".ci" / "run")
    for place in PLACES:
        text = TEST.replace("{deaf}", str(deaf if place == "web" else 0))
        (clone / "tests" / place / "test_it.py").write_text(text)
    # By a shell, for a function to run in the child would make Python fork this process, gRPC and all.
    begun = ["sh", "-c", "trap '' INT; exec \"$0\"", script] if ignored else [script]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_"))}
    environment |= {"PATH": f"{clone.parent / 'bin'}:{os.environ['PATH']}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with (clone / "said").open("w") as said:
        running = subprocess.Popen(
            begun,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until = time.monotonic() + 60
    while not all((clone / "tests" / place / "test").exists() for place in PLACES):
        assert running.poll() is None, (clone / "said").read_text()
        assert time.monotonic() < until, (clone / "said").read_text()
        time.sleep(0.05)
    return running


def alive(clone: Path) -> set[str]:
    """Which of the processes that a test has told of run, as `part/what`."""
    found = set()
    for told in (clone / "tests").glob("*/*"):
        if told.name in {"server", "helper", "test"}:
            try:
                stat = (Path("/proc") / told.read_text() / "stat").read_text()
            except OSError:
                continue
            if stat.rpartition(")")[2].split()[0] != "Z":
                found.add(f"{told.parent.name}/{told.name}")
    return found


def end_all(clone: Path, running: "subprocess.Popen[bytes]") -> None:
    """Whatever a failed test has left."""
    if running.poll() is None:
        running.kill()
        running.wait(timeout=20)
    for one in alive(clone):
        os.kill(int((clone / "tests" / one).read_text()), signal.SIGKILL)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_tests_of_all_parts_and_their_fixtures_stop_what_they_started(
    clone: Path, number: signal.Signals, code: int
) -> None:
    running = begin(clone)
    try:
        assert alive(clone) == {f"{place}/{what}" for place in PLACES for what in ("server", "helper", "test")}
        running.send_signal(number)
        assert running.wait(timeout=30) == code, (clone / "said").read_text()
        assert alive(clone) == set()
    finally:
        end_all(clone, running)


def test_it_does_so_where_its_caller_ignores_ctrl_c_and_a_test_takes_one_for_its_own(clone: Path) -> None:
    running = begin(clone, deaf=1, ignored=True)
    try:
        running.terminate()
        time.sleep(1)
        # Once more while it stops: it goes on stopping.
        running.terminate()
        assert running.wait(timeout=60) == 143, (clone / "said").read_text()
        assert alive(clone) == set()
    finally:
        end_all(clone, running)


def test_a_test_that_does_not_end_is_killed(clone: Path) -> None:
    running = begin(clone, deaf=99)
    try:
        running.terminate()
        assert running.wait(timeout=90) == 143, (clone / "said").read_text()
        # Nobody was left to run that part's fixture.
        assert alive(clone) == {"web/server"}
    finally:
        end_all(clone, running)

"""Operations in processes of their own: killed, interrupted, orphaned, and kept ready."""

import gc
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pulumi
import pytest
from pulumi import automation as auto
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from engine import process
from engine.command import EmbeddedCommand

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 30.0
# The SDK leaves loops open, and coroutines unfinished, of programs that ran in a thread or were stopped.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Slow(ResourceProvider):
    """Makes a file, then waits until another is there."""

    def create(self, props: dict[str, str]) -> CreateResult:
        folder = Path(props["folder"])
        with (folder / "begun").open("a", encoding="utf-8") as file:
            file.write("x")
        deadline = time.monotonic() + SECONDS
        while not (folder / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        return CreateResult("made", props)


class Thing(Resource):
    def __init__(self, folder: Path) -> None:
        super().__init__(Slow(), "thing", {"folder": str(folder)})


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def stack_in(folder: Path, command: EmbeddedCommand) -> auto.Stack:
    settings = auto.ProjectSettings(name="proj", runtime="python", backend=auto.ProjectBackend(url=folder.as_uri()))
    options = auto.LocalWorkspaceOptions(
        work_dir=str(folder),
        pulumi_home=str(folder / "home"),
        pulumi_command=command,
        project_settings=settings,
        env_vars={"PULUMI_CONFIG_PASSPHRASE": "test", "PYTHONPATH": str(ROOT)},
    )

    def program() -> None:
        Thing(folder)
        pulumi.export("done", True)

    return auto.create_or_select_stack("dev", project_name="proj", program=program, opts=options)


class Running:
    """An `up` in a thread, which has reached the provider."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = EmbeddedCommand()
        self.stack = stack_in(folder, self.command)
        self.error: auto.CommandError | None = None
        self.thread = threading.Thread(target=self._up)
        self.thread.start()
        until((folder / "begun").exists)

    def _up(self) -> None:
        try:
            self.stack.up()
        except auto.CommandError as error:
            self.error = error

    @property
    def locks(self) -> list[Path]:
        return list((self.folder / ".pulumi" / "locks").rglob("*.json"))

    @property
    def pid(self) -> int:
        return int(json.loads(self.locks[0].read_text())["pid"])

    def go(self) -> None:
        (self.folder / "go").touch()

    def end(self) -> str:
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        return str(self.error or "")


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path)
    yield found
    found.go()
    found.command.kill()
    found.thread.join(SECONDS)
    # Here, where that warning is expected.
    gc.collect()


def test_an_operation_has_a_process_of_its_own_and_other_commands_do_not(running: Running) -> None:
    assert running.pid != os.getpid()
    assert json.loads(running.locks[0].read_text())["startedBy"] == os.getpid()
    assert running.stack.workspace.who_am_i().user
    running.go()
    assert running.end() == ""
    assert running.stack.outputs()["done"].value is True


def test_a_killed_operation_is_told_and_can_be_taken_up(running: Running) -> None:
    running.command.kill()
    assert "code: -9" in running.end()
    assert len(running.locks) == 1
    with pytest.raises(auto.ConcurrentUpdateError):
        running.stack.up()
    running.stack.cancel()
    running.go()
    result = running.stack.up()
    assert "interrupted while creating" in result.stdout
    assert running.locks == []


def test_an_interrupted_operation_finishes_what_it_is_in(running: Running) -> None:
    running.command.interrupt()
    running.go()
    assert "update canceled" in running.end()
    assert running.locks == []
    resources = running.stack.export_stack().deployment["resources"]
    assert "made" in [resource.get("id") for resource in resources]


def test_an_operation_does_not_outlive_who_asked_for_it(tmp_path: Path) -> None:
    script = (
        f"from pathlib import Path; from tests.engine.test_process import Running; Running(Path({str(tmp_path)!r}))"
    )
    caller = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        until(lambda: bool(list((tmp_path / ".pulumi" / "locks").rglob("*.json"))) and (tmp_path / "begun").exists())
        [lock] = (tmp_path / ".pulumi" / "locks").rglob("*.json")
        pid = json.loads(lock.read_text())["pid"]
        assert pid != caller.pid
    finally:
        caller.kill()
        caller.wait(SECONDS)
    until(lambda: gone(pid))


def test_ctrl_c_in_the_first_moments_is_heard(tmp_path: Path) -> None:
    # The signal comes while the interpreter is still starting.
    worker = process.Worker(("version",), cwd=tmp_path, environment=dict(os.environ))
    worker.interrupt()
    out, err = io.StringIO(), io.StringIO()
    assert worker.wait(out, err) == 0
    assert out.getvalue().startswith("v3.")
    assert err.getvalue() == ""


# ------------------------------------------------------------------ kept ready


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[process.Worker]:
    process._dismiss_all()  # one that another test may have left
    process.prepare(("pulumi-python",), project="proj", cwd=tmp_path, environment=ENVIRONMENT)
    [worker] = process._waiting.values()
    yield worker
    process._dismiss_all()
    assert not worker.alive()


ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "PULUMI_CONFIG_PASSPHRASE": "test"}


def test_what_was_kept_ready_runs_the_command_in_its_own_folder(prepared: process.Worker, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: elsewhere\nruntime: python\nbackend:\n  url: file://.\n")
    found = process.start(("stack", "init", "dev"), cwd=str(tmp_path), environment={**ENVIRONMENT, "PULUMI_HOME": "h"})
    assert found is prepared
    assert found.wait(io.StringIO(), io.StringIO()) == 0
    assert (tmp_path / ".pulumi" / "stacks" / "elsewhere" / "dev.json").is_file()


def test_another_environment_gets_a_process_of_its_own(prepared: process.Worker, tmp_path: Path) -> None:
    found = process.start(("version",), cwd=str(tmp_path), environment={**ENVIRONMENT, "DB_HOST": "other"})
    assert found is not prepared
    assert found.wait(io.StringIO(), io.StringIO()) == 0
    assert prepared.alive()


def test_one_that_has_died_is_not_used(prepared: process.Worker, tmp_path: Path) -> None:
    prepared._process.send_signal(signal.SIGKILL)
    prepared._process.wait(SECONDS)
    found = process.start(("version",), cwd=str(tmp_path), environment=ENVIRONMENT)
    assert found is not prepared
    assert found.wait(io.StringIO(), io.StringIO()) == 0

"""Programs in processes of their own and behind the Automation API's language server, on the whole engine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi import automation as auto

from engine.command import EmbeddedCommand

ROOT = Path(__file__).parents[2]


class Project:
    """A project with a program on disk, run as a user does: `python -m engine`."""

    def __init__(self, folder: Path, program: str, **more: Any) -> None:
        self.folder = folder
        (folder / "prog").mkdir()
        (folder / "prog" / "__main__.py").write_text(program)
        body = {"name": "proj", "runtime": "python", "main": "prog/", "backend": {"url": "file://./state"}, **more}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(body))
        self.env = {
            **os.environ,
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_HOME": str(folder / "home"),
            "PYTHONPATH": str(ROOT),
        }

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "engine", *words],
            cwd=self.folder,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )

    def run(self, *words: str, code: int = 0) -> str:
        with self.start(*words) as process:
            stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == code, stdout + stderr
        return stdout + stderr


PROGRAM = """
import sys
import pulumi
from sibling import NAME
config = pulumi.Config()
print("on stdout")
print("on stderr", file=sys.stderr)
pulumi.export("name", NAME)
pulumi.export("size", config.require_int("size"))
pulumi.export("pw", config.require_secret("pw"))
pulumi.export("plain_is_secret", config.get("pw"))
pulumi.export("where", [pulumi.get_project(), pulumi.get_stack(), pulumi.get_organization()])
"""


def test_a_program_on_disk(tmp_path: Path) -> None:
    project = Project(tmp_path, PROGRAM, config={"size": {"type": "integer", "default": 3}})
    (tmp_path / "prog" / "sibling.py").write_text("NAME = 'next to it'\n")
    project.run("stack", "init", "dev")
    project.run("config", "set", "pw", "--secret", "hush")
    preview = project.run("preview")
    assert "on stdout" in preview
    assert "on stderr" in preview
    assert "pw" in preview
    assert "+ pulumi:pulumi:Stack proj-dev create" in " ".join(preview.split())
    project.run("up", "--yes")
    found = json.loads(project.run("stack", "output", "--json"))
    assert found["name"] == "next to it"
    assert found["size"] == 3
    assert found["pw"] == "[secret]"
    assert found["where"] == ["proj", "dev", "organization"]
    assert "hush" not in (tmp_path / "Pulumi.dev.yaml").read_text()
    project.run("destroy", "--yes", "--skip-preview", "--remove")
    assert project.run("stack", "ls", "--json").strip() == "[]"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise ValueError('no good')", "ValueError: no good"),
        ("import pulumi\nraise pulumi.RunError('said plainly')", "error: said plainly"),
        ("import sys\nsys.exit(3)", "Program exited with non-zero exit code: 3"),
        ("import os\nos._exit(4)", "Program exited with non-zero exit code: 4"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_program_that_fails(tmp_path: Path, program: str, words: str) -> None:
    project = Project(tmp_path, program)
    project.run("stack", "init", "dev")
    assert words in project.run("up", "--yes", "--skip-preview", code=1)
    assert json.loads(project.run("stack", "history", "--json"))[0]["result"] == "failed"


def test_a_virtual_environment_that_is_not_there_is_named(tmp_path: Path) -> None:
    runtime = {"name": "python", "options": {"virtualenv": ".venv"}}
    project = Project(tmp_path, "", runtime=runtime)
    project.run("stack", "init", "dev")
    assert ".venv" in project.run("preview", code=1)


def test_another_language_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path, "", runtime="nodejs")
    project.run("stack", "init", "dev")
    assert "'nodejs'" in project.run("preview", code=1)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_stops_a_program_that_waits(tmp_path: Path) -> None:
    marker = tmp_path / "begun"
    program = f"import pathlib, time\npathlib.Path({str(marker)!r}).touch()\ntime.sleep(600)\n"
    project = Project(tmp_path, program)
    project.run("stack", "init", "dev")
    with project.start("up", "--yes", "--skip-preview") as process:
        deadline = time.monotonic() + 60
        while not marker.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        # The first lets the program end by itself, for half a minute; the second does not.
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "update canceled" in stdout
    assert not list((tmp_path / "state" / ".pulumi" / "locks").rglob("*.json"))


def test_inline_programs_and_references_between_stacks(tmp_path: Path) -> None:
    settings = auto.ProjectSettings(name="proj", runtime="python", backend=auto.ProjectBackend(url=tmp_path.as_uri()))
    workspace = auto.LocalWorkspace(
        work_dir=str(tmp_path),
        pulumi_home=str(tmp_path / "home"),
        project_settings=settings,
        pulumi_command=EmbeddedCommand(),
        env_vars={"PULUMI_CONFIG_PASSPHRASE": "test"},
    )

    def base() -> None:
        pulumi.export("pw", pulumi.Output.secret("hush"))
        pulumi.export("tree", {"a": [1, None, True]})

    def user() -> None:
        reference = pulumi.StackReference("organization/proj/base")
        pulumi.export("pw", reference.require_output("pw"))

    events: list[auto.EngineEvent] = []
    result = auto.Stack.create_or_select("base", workspace).up(program=base, on_event=events.append)
    assert result.outputs["pw"].secret
    assert result.outputs["tree"].value == {"a": [1, None, True]}
    assert events[-1].cancel_event is not None
    stack = auto.Stack.create_or_select("user", workspace)
    found = stack.up(program=user).outputs["pw"]
    assert (found.value, found.secret) == ("hush", True)
    assert [entry.result for entry in stack.history()] == ["succeeded"]
    assert "hush" not in "".join(path.read_text() for path in (tmp_path / ".pulumi").rglob("*.json"))


def test_a_program_ends_with_an_engine_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, time\npathlib.Path(os.environ['MARK']).write_text(str(os.getpid()))\ntime.sleep(60)\n"
    )
    project = Project(tmp_path, program)
    mark = tmp_path / "pid"
    project.env["MARK"] = str(mark)
    project.run("stack", "init", "dev")
    with project.start("preview") as process:
        _until(lambda: mark.exists() and mark.read_text() != "")
        process.kill()
    pid = int(mark.read_text())
    _until(lambda: not _runs(pid))


def test_what_a_program_leaves_behind_does_not_hold_the_update(tmp_path: Path) -> None:
    program = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(40)'])\n"
    project = Project(tmp_path, program)
    project.run("stack", "init", "dev")
    with project.start("preview") as process:
        # Whoever reads the engine's own output is not what waits: the child holds only the program's.
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_secret_configuration_is_hidden_in_what_a_program_says(tmp_path: Path) -> None:
    program = "import pulumi\nprint('it is hunter2')\nraise RuntimeError('not hunter2!')\n"
    project = Project(tmp_path, program)
    project.run("stack", "init", "dev")
    project.run("config", "set", "--secret", "pw", "hunter2")
    with project.start("preview", "--event-log", "events") as process:
        stdout, stderr = process.communicate(timeout=60)
    assert "it is [secret]" in stdout
    assert "not [secret]!" in stdout
    assert "hunter2" not in stdout + stderr + (tmp_path / "events").read_text()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

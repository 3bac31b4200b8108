"""Options of operations: what each does, and that what is refused is refused before the stack is touched."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import engine.deployment
from engine import secrets
from engine.cli_graph import GraphOptions, dot
from engine.command import EmbeddedCommand
from engine.display import Display, DisplayOptions
from engine.operation import Operation, Outcome
from engine.plan import Plan
from engine.resource import State
from engine.workspace import Context
from tests.engine.test_cli import STACK_URN, FakeDeployment, Workspace


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "ROUNDS", 1000)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path)
    found.command = EmbeddedCommand(in_process=True)
    found.run("stack", "init", "dev")
    return found


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    fake = FakeDeployment()
    monkeypatch.setattr(engine.deployment, "run_operation", fake.run)
    return fake


@pytest.fixture
def _no_lock(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: Any) -> None:
        raise AssertionError("the stack was locked")

    monkeypatch.setattr(Context, "locked", locked)


# ------------------------------------------------------------------ refusals

UP = ("up", "--yes", "--skip-preview", "--client=127.0.0.1:1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*UP, "--color", "pink"), "--color is always, never, raw or auto"),
        ((*UP, "--parallel", "many"), "--parallel should be a whole number"),
        ((*UP, "--target", "a", "--exclude", "b"), "[target exclude]"),
        ((*UP, "--strict"), "--skip-preview leaves that out"),
        (("up", "--yes", "--client=127.0.0.1:1", "--strict", "--plan", "p.json"), "not both"),
        ((*UP, "--plan", "nowhere.json"), "there is no plan at"),
        ((*UP, "--policy-pack", "nowhere"), "policy pack not found"),
        ((*UP, "--secrets-provider", "awskms://x"), "the secrets provider 'awskms://x' is not served"),
        ((*UP, "--remote"), "--remote is not served: there is no remote deployment"),
        ((*UP, "--attach-debugger"), "--attach-debugger is not served"),
        ((*UP, "--show-secrets"), "--show-secrets is not served"),
        (("refresh", "--yes", "--policy-pack", "x"), "--policy-pack is not served"),
        (("destroy", "--yes", "--policy-pack", "x"), "--policy-pack is not served"),
        (("destroy", "--yes", "--target", "a", "--exclude-protected"), "--target and --exclude-protected"),
        (("login",), "PULUMI_BACKEND_URL"),
        (("login", "--local"), "no login is needed"),
        (("logout",), "nobody is logged in"),
        (("logs", "-f"), "providers give no logs"),
        (("policy", "ls"), "--policy-pack FOLDER"),
        (("env", "init"), "there are no environments"),
        (("stack", "change-secrets-provider", "awskms://x"), "this engine has 'passphrase' only"),
    ],
)
@pytest.mark.usefixtures("_no_lock")
def test_what_is_refused_leaves_no_trace(
    workspace: Workspace, deployment: FakeDeployment, words: tuple[str, ...], message: str
) -> None:
    before = workspace.state_file.read_bytes()
    assert message in workspace.fails(*words).stderr
    assert not deployment.operations
    assert json.loads(workspace.run("stack", "history", "--json").stdout) == []
    assert workspace.state_file.read_bytes() == before


@pytest.mark.usefixtures("_no_lock")
def test_a_program_that_cannot_be_run_is_refused_before_the_lock(workspace: Workspace) -> None:
    (workspace.folder / "Pulumi.yaml").write_text("{name: proj, runtime: nodejs, backend: {url: 'file://./state'}}")
    assert "the runtime 'nodejs'" in workspace.fails("up", "--yes", "--skip-preview").stderr
    body = "{name: proj, runtime: {name: python, options: {virtualenv: venv}}, backend: {url: 'file://./state'}}"
    (workspace.folder / "Pulumi.yaml").write_text(body)
    assert "the virtual environment 'venv'" in workspace.fails("up", "--yes", "--skip-preview").stderr


def test_a_refused_command_sets_no_configuration(workspace: Workspace, deployment: FakeDeployment) -> None:
    for more in (("--yes", "--color", "pink"), ()):
        workspace.fails("up", "--client=127.0.0.1:1", "-c", "k=v", *more)
    assert json.loads(workspace.run("config", "--json").stdout) == {}
    workspace.run(*UP, "-c", "k=v")
    assert json.loads(workspace.run("config", "--json").stdout)["proj:k"]["value"] == "v"


# ------------------------------------------------------------------ what options do


def test_strict_keeps_the_update_to_its_preview(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan()
    seen: list[tuple[bool, bool, Plan | None]] = []

    def run(operation: Operation) -> Outcome:
        seen.append((operation.options.dry_run, operation.options.make_plan, operation.plan))
        made = plan if operation.options.make_plan else None
        return Outcome(changes={}, outputs={}, error=None, duration_seconds=0, plan=made)

    monkeypatch.setattr(engine.deployment, "run_operation", run)
    words = ("up", "--yes", "--client=127.0.0.1:1")
    workspace.run(*words, "--strict")
    assert seen == [(True, True, None), (False, False, plan)]
    assert seen[1][2] is plan
    workspace.run(*words, "--strict=false")
    assert seen[2:] == [(True, False, None), (False, False, None)]


def test_who_ran_it_is_kept(workspace: Workspace, deployment: FakeDeployment) -> None:
    workspace.run(*UP, "--exec-kind", "auto.inline", "--exec-agent", "bot")
    (entry,) = json.loads(workspace.run("stack", "history", "--json").stdout)
    assert entry["environment"] == {"pulumi.engine": "embedded", "exec.kind": "auto.inline", "exec.agent": "bot"}


READ = "urn:pulumi:dev::proj::pulumi:pulumi:StackReference::other"


def shown(**options: Any) -> str:
    out = io.StringIO()
    display = Display(DisplayOptions(kind="update", project="proj", stack="dev", preview=True, **options), out)
    display.emit({"preludeEvent": {"config": {"proj:pw": "[secret]", "proj:a": "1"}}})
    known = {"type": "pulumi:pulumi:StackReference", "urn": READ, "old": None, "new": {"inputs": {}}}
    display.emit({"resOutputsEvent": {"metadata": {"op": "read", **known}}})
    long = {"inputs": {"text": "x" * 500}, "outputs": {"text": "y" * 500}}
    root = {"op": "create", "urn": STACK_URN, "type": "pulumi:pulumi:Stack", "old": None, "new": long}
    display.emit({"resOutputsEvent": {"metadata": root}})
    display.finish(failed=False)
    return out.getvalue()


def test_reads_configuration_and_long_values_are_shown_when_asked_for() -> None:
    text = shown()
    assert "other" not in text
    assert "Configuration" not in text
    assert "(502 characters)" in text
    assert "StackReference other read" in shown(reads=True)
    assert "Configuration:\n    proj:a: 1\n    proj:pw: [secret]\n" in shown(config=True)
    text = shown(full=True, diff=True)
    assert "x" * 500 in text
    assert "y" * 500 in text


# ------------------------------------------------------------------ stack graph

BUCKET = "urn:pulumi:dev::proj::fake:index:Bucket::"
STATES = [
    State(urn=STACK_URN, type="pulumi:pulumi:Stack", custom=False),
    State(urn=BUCKET + "a", type="fake:index:Bucket", custom=True, parent=STACK_URN),
    State(
        urn=BUCKET + 'b"\\',
        type="fake:index:Bucket",
        custom=True,
        parent=STACK_URN,
        dependencies=[BUCKET + "a"],
        property_dependencies={"source": [BUCKET + "a"], "other": []},
    ),
]


def test_a_graph_of_the_stack() -> None:
    assert list(dot(STATES, GraphOptions(short_names=True))) == [
        "strict digraph {",
        '    Resource0 [label="proj-dev"];',
        '    Resource1 [label="a"];',
        '    Resource2 [label="b\\"\\\\"];',
        '    Resource1 -> Resource0 [color = "#AA6639"];',
        '    Resource1 -> Resource2 [color = "#246C60", label = "source"];',
        '    Resource2 -> Resource0 [color = "#AA6639"];',
        "}",
    ]
    assert not [line for line in dot(STATES, GraphOptions(parents=False, dependencies=False)) if "->" in line]


def test_the_graph_is_written_to_a_file(workspace: Workspace, deployment: FakeDeployment) -> None:
    assert "has no resources" in workspace.fails("stack", "graph", "out.dot").stderr
    workspace.run(*UP)
    workspace.run("stack", "graph", "out.dot", "--dependency-edge-color", "red")
    assert (workspace.folder / "out.dot").read_text().startswith("strict digraph {\n")


# ------------------------------------------------------------------ another passphrase


def changed(workspace: Workspace, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the command says to a new passphrase on its input."""
    import engine.command

    streams = engine.command.Streams

    def with_input(**known: Any) -> Any:
        return streams(**{**known, "stdin": io.StringIO(text)})

    with monkeypatch.context() as patch:
        patch.setattr(engine.command, "Streams", with_input)
        return workspace.run("stack", "change-secrets-provider", "passphrase").stdout


def test_everything_secret_gets_the_new_passphrase(
    workspace: Workspace, deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.run("config", "set", "--secret", "pw", "hunter22")
    workspace.run("config", "set", "--secret", "--path", "deep.list[0]", "hunter33")
    workspace.run("config", "set", "plain", "open")
    workspace.run(*UP)
    before = json.loads(workspace.run("stack", "export", "--show-secrets").stdout)
    said = changed(workspace, "new-pass\n", monkeypatch)
    assert "set PULUMI_CONFIG_PASSPHRASE to it" in said
    for words in (("config", "get", "pw"), ("stack", "output", "--show-secrets")):
        assert "incorrect passphrase" in workspace.fails(*words).stderr
    new = {"PULUMI_CONFIG_PASSPHRASE": "new-pass"}
    assert workspace.run("config", "get", "pw", **new).stdout == "hunter22"
    assert workspace.run("config", "get", "--path", "deep.list[0]", **new).stdout == "hunter33"
    assert workspace.run("config", "get", "plain", **new).stdout == "open"
    after = json.loads(workspace.run("stack", "export", "--show-secrets", **new).stdout)
    assert after["deployment"]["resources"] == before["deployment"]["resources"]
    assert after["deployment"]["secrets_providers"] != before["deployment"]["secrets_providers"]
    workspace.run(*UP, **new)
    assert not workspace.locks


def test_the_old_passphrase_must_be_the_right_one(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.run("config", "set", "--secret", "pw", "hunter22")
    settings, state = (workspace.folder / "Pulumi.dev.yaml").read_bytes(), workspace.state_file.read_bytes()
    workspace.env["PULUMI_CONFIG_PASSPHRASE"] = "wrong"
    with pytest.raises(Exception, match="incorrect passphrase"):
        changed(workspace, "new\n", monkeypatch)
    del workspace.env["PULUMI_CONFIG_PASSPHRASE"]
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    with pytest.raises(Exception, match="PULUMI_CONFIG_PASSPHRASE"):
        changed(workspace, "new\n", monkeypatch)
    assert (workspace.folder / "Pulumi.dev.yaml").read_bytes() == settings
    assert workspace.state_file.read_bytes() == state


def test_without_a_new_passphrase_nothing_is_done(workspace: Workspace) -> None:
    result = workspace.fails("stack", "change-secrets-provider", "passphrase")
    assert "give it as the first line of the input" in result.stderr


def test_settings_that_cannot_be_written_leave_the_state_as_it_was(
    workspace: Workspace, deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.config import StackSettings
    from engine.errors import StateError

    workspace.run(*UP)

    def refuse(_: StackSettings) -> None:
        raise StateError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(StackSettings, "save", refuse)
        with pytest.raises(Exception, match="the disk is full"):
            changed(workspace, "new-pass\n", monkeypatch)
    assert json.loads(workspace.run("stack", "output", "--json", "--show-secrets").stdout) == {"pw": "hush", "n": 3}


# ------------------------------------------------------------------ settings keep what people wrote


def test_config_set_keeps_comments(workspace: Workspace) -> None:
    path = workspace.folder / "Pulumi.dev.yaml"
    path.write_text(path.read_text() + "# our settings\nconfig:\n  # metres\n  proj:size: 3  # small\n  proj:b: x\n")
    workspace.run("config", "set", "size", "4")
    workspace.run("config", "set", "new", "5")
    workspace.run("config", "rm", "b")
    text = path.read_text()
    assert "# our settings\nconfig:\n  # metres\n  proj:size: '4'  # small\n  proj:new: '5'\n" in text
    workspace.run("config", "set", "--secret", "size", "5")
    assert workspace.run("config", "get", "size").stdout == "5"
    assert "# metres" in path.read_text()


# ------------------------------------------------------------------ at a terminal


class Terminal:
    """The command line in a process whose terminal is a test."""

    def __init__(self, workspace: Workspace, *words: str) -> None:
        self._ours, theirs = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k != "CI"} | workspace.env
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine", *words],
            cwd=workspace.folder,
            env={**environment, "PYTHONPATH": ":".join(sys.path)},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def until(self, text: str) -> str:
        """What it says, up to a text that must come."""
        said = ""
        deadline = time.monotonic() + 30
        while text not in said and time.monotonic() < deadline:
            if select.select([self._ours], [], [], 0.2)[0]:
                try:
                    said += os.read(self._ours, 4096).decode()
                except OSError:
                    break  # it has gone
        if text not in said:
            self.process.kill()
            self.end()
        assert text in said, said
        return said

    def answer(self, text: str) -> None:
        os.write(self._ours, f"{text}\n".encode())

    def end(self) -> int:
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self._ours)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_a_question_ends_the_command(workspace: Workspace, number: int) -> None:
    terminal = Terminal(workspace, "stack", "rm", "dev")
    terminal.until("Type its name to go on: ")
    terminal.process.send_signal(number)
    terminal.until("nothing more was done")
    assert terminal.end() == 1
    assert workspace.state_file.exists()


def test_an_answer_at_a_question(workspace: Workspace) -> None:
    terminal = Terminal(workspace, "stack", "rm", "dev")
    terminal.until("Type its name to go on: ")
    terminal.answer("dev")
    terminal.until("has been removed!")
    assert terminal.end() == 0
    assert not workspace.state_file.exists()


def test_a_new_passphrase_is_asked_for_twice(workspace: Workspace) -> None:
    # Made by a process like those that follow: with as many rounds for its key.
    assert Terminal(workspace, "stack", "init", "prod").end() == 0
    for second, end in (("other", "the two are not the same"), ("new-pass", "encrypted with the new passphrase")):
        terminal = Terminal(workspace, "stack", "change-secrets-provider", "passphrase", "-s", "prod")
        terminal.until("Enter your new passphrase to protect config/secrets: ")
        terminal.answer("new-pass")
        terminal.until("to confirm: ")
        terminal.answer(second)
        assert "new-pass" not in terminal.until(end)
        assert terminal.end() == (end == "the two are not the same")

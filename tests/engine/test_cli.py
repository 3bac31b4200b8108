"""Commands through the Automation API's own seam, EmbeddedCommand, with a deployment that does as it is told."""

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

import engine.deployment
from engine import secrets
from engine.command import EmbeddedCommand
from engine.errors import BailError, EngineError
from engine.journal import whole_change
from engine.operation import Operation, Outcome
from engine.resource import Secret, State
from engine.snapshot import PendingOperation, Snapshot
from tests.signals import interrupting

STACK_URN = "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"
THING_URN = "urn:pulumi:dev::proj::pkg:mod:Thing::a"
Script = Callable[[Operation], EngineError | None]


class Workspace:
    """A project in a folder of its own, and the command on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = EmbeddedCommand(in_process=True)
        self.env = {"PULUMI_CONFIG_PASSPHRASE": "test", "PULUMI_HOME": str(folder / "home"), "HOME": str(folder)}
        body = {"name": "proj", "runtime": "python", "backend": {"url": "file://./state"}}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(body))

    def run(self, *words: str, **env: str) -> auto.CommandResult:
        return self.command.run(list(words), str(self.folder), {**self.env, **env})

    def fails(self, *words: str, **env: str) -> auto.CommandResult:
        """The result of a command that must fail."""
        try:
            self.run(*words, **env)
        except auto.CommandError as error:
            code, stdout, stderr = (
                str(error).removeprefix("\n code: ").replace("\n stderr: ", "\n stdout: ").split("\n stdout: ")
            )
            return auto.CommandResult(stdout=stdout, stderr=stderr, code=int(code))
        raise AssertionError(f"{words} did not fail")

    @property
    def state_file(self) -> Path:
        return self.folder / "state" / ".pulumi" / "stacks" / "proj" / "dev.json"

    @property
    def locks(self) -> list[Path]:
        return list((self.folder / "state" / ".pulumi" / "locks").rglob("*.json"))


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in a millisecond; `test_secrets` has the real number of rounds."""
    monkeypatch.setattr(secrets, "ROUNDS", 1000)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path)
    found.run("stack", "init", "dev")
    return found


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> "FakeDeployment":
    fake = FakeDeployment()
    monkeypatch.setattr(engine.deployment, "run_operation", fake.run)
    return fake


class FakeDeployment:
    """Keeps the operations it was given; makes one resource, as `script` says or by itself."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.script: Script = makes_a_thing

    def run(self, operation: Operation) -> Outcome:
        self.operations.append(operation)
        error = self.script(operation)
        operation.emit({"summaryEvent": {"resourceChanges": {"create": 1}, "isPreview": operation.options.dry_run}})
        return Outcome(changes={"create": 1, "same": 0}, outputs={}, error=error, duration_seconds=0.1)


def makes_a_thing(operation: Operation) -> None:
    root = State(urn=STACK_URN, type="pulumi:pulumi:Stack", custom=False, outputs={"pw": Secret("hush"), "n": 3})
    thing = State(
        urn=THING_URN,
        type="pkg:mod:Thing",
        custom=True,
        id="t",
        inputs={"pw": Secret({"deep": "hush"})},
        parent=STACK_URN,
    )
    if not operation.options.dry_run:
        operation.save(
            whole_change(Snapshot(resources=[root], pending=[PendingOperation(type="creating", resource=thing)]))
        )
        operation.save(whole_change(Snapshot(resources=[root, thing])))


def up(workspace: Workspace, *more: str) -> auto.CommandResult:
    return workspace.run("up", "--yes", "--skip-preview", "--client=127.0.0.1:1", *more)


# ------------------------------------------------------------------ stacks


def test_a_stack_from_init_to_rm(workspace: Workspace) -> None:
    assert workspace.fails("stack", "init", "dev").stderr == "error: stack 'organization/proj/dev' already exists"
    listed = json.loads(workspace.run("stack", "ls", "--json").stdout)
    assert listed == [{"name": "dev", "current": True, "updateInProgress": False}]
    workspace.run("stack", "rename", "prod", "-s", "dev")
    assert (workspace.folder / "Pulumi.prod.yaml").exists()
    assert workspace.run("stack", "--show-name").stdout == "prod"
    workspace.run("stack", "rm", "prod", "--yes")
    assert json.loads(workspace.run("stack", "ls", "--json").stdout) == []
    assert not (workspace.folder / "Pulumi.prod.yaml").exists()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("stack", "select", "nope"), auto.StackNotFoundError),
        (("up", "--yes", "-s", "nope"), auto.StackNotFoundError),
        (("stack", "init", "dev"), auto.StackAlreadyExistsError),
    ],
)
def test_errors_are_those_of_the_automation_api(workspace: Workspace, words: tuple[str, ...], kind: type) -> None:
    with pytest.raises(kind):
        workspace.run(*words)


def test_without_a_passphrase_nothing_is_made(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    del workspace.env["PULUMI_CONFIG_PASSPHRASE"]
    assert "PULUMI_CONFIG_PASSPHRASE" in workspace.fails("stack", "init", "dev").stderr
    assert not (tmp_path / "state").exists()
    assert not (tmp_path / "Pulumi.dev.yaml").exists()


def test_another_secrets_provider_is_refused(workspace: Workspace) -> None:
    assert "awskms" in workspace.fails("stack", "init", "x", "--secrets-provider", "awskms://key").stderr


def test_a_stack_with_resources_is_not_removed(workspace: Workspace, deployment: FakeDeployment) -> None:
    up(workspace)
    assert "'dev' still has resources; removal rejected" in workspace.fails("stack", "rm", "dev", "--yes").stderr
    assert workspace.locks == []
    workspace.run("stack", "rm", "dev", "--yes", "--force")
    assert not workspace.state_file.exists()


def test_rename_rewrites_every_urn(workspace: Workspace, deployment: FakeDeployment) -> None:
    up(workspace)
    workspace.run("stack", "rename", "prod")
    exported = workspace.run("stack", "export", "--show-secrets").stdout
    assert "urn:pulumi:dev" not in exported
    assert "urn:pulumi:prod::proj::pulumi:pulumi:Stack::proj-prod" in exported
    assert [entry["kind"] for entry in json.loads(workspace.run("stack", "history", "--json").stdout)] == ["update"]


def test_tags(workspace: Workspace) -> None:
    workspace.run("stack", "tag", "set", "team", "blue")
    assert workspace.run("stack", "tag", "get", "team").stdout == "blue"
    assert json.loads(workspace.run("stack", "tag", "ls", "--json").stdout) == {"team": "blue"}
    workspace.run("stack", "tag", "rm", "team")
    assert "'team' not found" in workspace.fails("stack", "tag", "get", "team").stderr


# ------------------------------------------------------------------ configuration


def test_configuration_by_command(workspace: Workspace) -> None:
    workspace.run("config", "set", "plain", "--plaintext", "--", "--odd value")
    workspace.run("config", "set", "pw", "--secret", "hush")
    workspace.run("config", "set", "--path", "tree.list[0]", "true")
    workspace.run("config", "set-all", "--plaintext", "a=b=c", "--secret", "t=hush2")
    workspace.run("config", "set-all", "--json", '{"proj:j": {"objectValue": {"x": 1}, "secret": false}}')
    text = (workspace.folder / "Pulumi.dev.yaml").read_text()
    assert "hush" not in text
    shown = json.loads(workspace.run("config", "--json", "--show-secrets").stdout)
    assert {key: (v["value"], v["secret"]) for key, v in shown.items()} == {
        "proj:a": ("b=c", False),
        "proj:j": ('{"x":1}', False),
        "proj:plain": ("--odd value", False),
        "proj:pw": ("hush", True),
        "proj:t": ("hush2", True),
        "proj:tree": ('{"list":[true]}', False),
    }
    hidden = workspace.run("config", "--json").stdout
    assert "hush" not in hidden + workspace.run("config").stdout
    assert json.loads(hidden)["proj:pw"] == {"secret": True}
    assert json.loads(workspace.run("config", "get", "pw", "--json").stdout)["value"] == "hush"
    assert workspace.run("config", "get", "--path", "tree.list[0]").stdout == "true"
    workspace.run("config", "rm", "--path", "tree.list[0]")
    workspace.run("config", "rm-all", "plain", "a", "j")
    assert set(json.loads(workspace.run("config", "--json").stdout)) == {"proj:pw", "proj:t", "proj:tree"}
    missing = workspace.fails("config", "get", "nope").stderr
    assert missing == "error: configuration key 'nope' not found for stack 'dev'"


def test_configuration_reaches_the_program(workspace: Workspace, deployment: FakeDeployment) -> None:
    workspace.run("config", "set", "pw", "--secret", "hush")
    up(workspace, "-c", "n=3")
    target = deployment.operations[0].target
    assert dict(target.config) == {"proj:n": "3", "proj:pw": "hush"}
    assert target.secret_keys == {"proj:pw"}
    assert target.environment["PULUMI_CONFIG_PASSPHRASE"] == "test"
    history = workspace.run("stack", "history", "--json").stdout
    assert "hush" not in history
    assert json.loads(history)[0]["config"] == {"proj:n": {"value": "3", "secret": False}, "proj:pw": {"secret": True}}
    assert "hush" in workspace.run("stack", "history", "--json", "--show-secrets").stdout


def test_the_last_updates_configuration_comes_back(workspace: Workspace, deployment: FakeDeployment) -> None:
    workspace.run("config", "set", "n", "1")
    up(workspace)
    workspace.run("config", "set", "n", "2")
    assert "--force" in workspace.fails("config", "refresh").stderr
    workspace.run("config", "refresh", "--force")
    assert workspace.run("config", "get", "n").stdout == "1"


def test_a_required_value_that_is_missing_is_named(workspace: Workspace, deployment: FakeDeployment) -> None:
    body = yaml.safe_load((workspace.folder / "Pulumi.yaml").read_text())
    (workspace.folder / "Pulumi.yaml").write_text(yaml.safe_dump({**body, "config": {"size": {"type": "integer"}}}))
    assert "'proj:size'" in workspace.fails("up", "--yes", "--skip-preview").stderr
    assert deployment.operations == []
    assert workspace.locks == []


# ------------------------------------------------------------------ operations


def test_the_options_of_an_operation(workspace: Workspace, deployment: FakeDeployment) -> None:
    up(
        workspace,
        "--parallel",
        "0",
        "--target",
        "x",
        "--target",
        "y",
        "--target-dependents",
        "--replace",
        "z",
        "--refresh",
    )
    workspace.run(
        "destroy", "--yes", "--skip-preview", "--continue-on-error", "--exclude-protected", "--run-program=false"
    )
    workspace.run("refresh", "--preview-only", "--clear-pending-creates")
    first, second, third = (op.options for op in deployment.operations)
    assert (first.parallel, first.targets, first.target_dependents, first.replace, first.refresh) == (
        1,
        ("x", "y"),
        True,
        ("z",),
        True,
    )
    assert (second.continue_on_error, second.exclude_protected, second.run_program, second.dry_run) == (
        True,
        True,
        False,
        False,
    )
    assert (third.dry_run, third.clear_pending_creates) == (True, True)
    assert [op.kind.value for op in deployment.operations] == ["update", "destroy", "refresh"]
    assert [op.program is None for op in deployment.operations] == [False, True, True]


def test_state_outputs_and_history_after_an_update(workspace: Workspace, deployment: FakeDeployment) -> None:
    result = up(workspace, "--message", "why")
    assert "hush" not in workspace.state_file.read_text() + result.stdout
    assert json.loads(workspace.run("stack", "output", "--json").stdout) == {"pw": "[secret]", "n": 3}
    assert json.loads(workspace.run("stack", "output", "--json", "--show-secrets").stdout)["pw"] == "hush"
    assert workspace.run("stack", "output", "pw").stdout == "[secret]"
    assert "nope" in workspace.fails("stack", "output", "nope").stderr
    entry = json.loads(workspace.run("stack", "history", "--json").stdout)[0]
    assert (entry["kind"], entry["result"], entry["message"], entry["resourceChanges"]) == (
        "update",
        "succeeded",
        "why",
        {"create": 1},
    )
    assert workspace.locks == []


def test_secrets_of_an_unchanged_state_keep_their_bytes(workspace: Workspace, deployment: FakeDeployment) -> None:
    up(workspace)
    before = json.loads(workspace.state_file.read_text())["checkpoint"]["latest"]["resources"]
    deployment.script = lambda operation: operation.save(whole_change(operation.snapshot))
    up(workspace)
    assert json.loads(workspace.state_file.read_text())["checkpoint"]["latest"]["resources"] == before


@pytest.mark.parametrize(
    ("error", "code", "stderr"),
    [(BailError("told"), 1, ""), (EngineError("update canceled"), 1, "error: update canceled")],
)
def test_a_failed_update_is_recorded(
    workspace: Workspace, deployment: FakeDeployment, error: EngineError, code: int, stderr: str
) -> None:
    deployment.script = lambda operation: (makes_a_thing(operation), error)[1]
    failed = workspace.fails("up", "--yes", "--skip-preview")
    assert (failed.code, failed.stderr) == (code, stderr)
    assert json.loads(workspace.run("stack", "history", "--json").stdout)[0]["result"] == "failed"
    assert workspace.locks == []


def test_expect_no_changes_is_exit_code_seven(workspace: Workspace, deployment: FakeDeployment) -> None:
    failed = workspace.fails("preview", "--expect-no-changes")
    assert (failed.code, failed.stderr) == (7, "error: no changes were expected for preview but changes were proposed")
    assert workspace.fails("up", "--yes", "--skip-preview", "--expect-no-changes").code == 7
    assert json.loads(workspace.run("stack", "history", "--json").stdout)[0]["result"] == "succeeded"


def test_nothing_is_done_without_being_told(workspace: Workspace, deployment: FakeDeployment) -> None:
    assert "--yes or --skip-preview" in workspace.fails("destroy").stderr
    assert deployment.operations == []


def test_a_preview_writes_nothing_and_needs_no_lock(workspace: Workspace, deployment: FakeDeployment) -> None:
    before = workspace.state_file.read_bytes()
    lock = workspace.folder / "state/.pulumi/locks/organization/proj/dev/x.json"
    lock.parent.mkdir(parents=True)
    lock.write_text("{}")
    workspace.run("preview")
    assert workspace.state_file.read_bytes() == before
    with pytest.raises(auto.ConcurrentUpdateError):
        up(workspace)
    assert len(deployment.operations) == 1
    workspace.run("cancel", "--yes")
    workspace.run("cancel", "--yes")
    up(workspace)


def test_a_wrong_passphrase_is_noticed_before_anything_is_done(
    workspace: Workspace, deployment: FakeDeployment
) -> None:
    up(workspace)
    before = workspace.state_file.read_bytes()
    for words in (
        ("up", "--yes", "--skip-preview"),
        ("destroy", "--yes", "--skip-preview"),
        ("preview",),
        ("stack", "output"),
    ):
        failed = workspace.fails(*words, PULUMI_CONFIG_PASSPHRASE="other")
        assert "incorrect passphrase" in failed.stderr
    assert len(deployment.operations) == 1
    assert workspace.state_file.read_bytes() == before
    assert workspace.locks == []


def test_a_wrong_passphrase_where_there_is_no_secret_yet(workspace: Workspace, deployment: FakeDeployment) -> None:
    """Nothing had to be decrypted, so the first save, before the first step, is where it shows."""
    begun = []

    def script(operation: Operation) -> None:
        operation.save(whole_change(Snapshot()))
        begun.append(operation)

    deployment.script = script
    failed = workspace.fails("up", "--yes", "--skip-preview", PULUMI_CONFIG_PASSPHRASE="other")
    assert "incorrect passphrase" in failed.stderr
    assert begun == []


def test_destroy_and_remove(workspace: Workspace, deployment: FakeDeployment) -> None:
    deployment.script = lambda operation: operation.save(whole_change(Snapshot()))
    workspace.run("destroy", "--yes", "--skip-preview", "--remove")
    assert not workspace.state_file.exists()


def test_events_end_with_cancel_and_are_numbered(
    workspace: Workspace, deployment: FakeDeployment, tmp_path: Path
) -> None:
    log = tmp_path / "events"
    up(workspace, "--event-log", str(log))
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["sequence"] for event in events] == list(range(len(events)))
    assert all(isinstance(event["timestamp"], int) for event in events)
    assert events[-1]["cancelEvent"] == {}


def test_a_preview_as_json(workspace: Workspace, deployment: FakeDeployment) -> None:
    body = json.loads(workspace.run("preview", "--json").stdout)
    assert body["changeSummary"] == {"create": 1}
    assert isinstance(body["duration"], int)


def test_interrupt_reaches_the_running_operation(workspace: Workspace, deployment: FakeDeployment) -> None:
    begun = threading.Event()

    def script(operation: Operation) -> EngineError:
        begun.set()
        assert operation.cancel.requested.wait(10)
        return EngineError("update canceled")

    deployment.script = script
    failures: list[Any] = []
    thread = threading.Thread(target=lambda: failures.append(workspace.fails("up", "--yes", "--skip-preview")))
    thread.start()
    assert begun.wait(10)
    workspace.command.interrupt()
    thread.join(10)
    assert failures[0].stderr == "error: update canceled"


def test_ctrl_c_in_the_main_thread_stops_in_order(workspace: Workspace, deployment: FakeDeployment) -> None:
    def script(operation: Operation) -> EngineError:
        os.kill(os.getpid(), signal.SIGINT)
        assert operation.cancel.requested.wait(10)
        return EngineError("update canceled")

    deployment.script = script
    with interrupting(signal.SIGINT):
        assert workspace.fails("up", "--yes", "--skip-preview").code == 1
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_several_stacks_at_once_in_one_process(tmp_path: Path, deployment: FakeDeployment) -> None:
    """Folder, environment and passphrase belong to each command, not to the process."""
    barrier = threading.Barrier(4)
    deployment.script = lambda operation: (barrier.wait(20), makes_a_thing(operation))[1]
    before = (Path.cwd(), dict(os.environ))

    def run(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        one = Workspace(folder)
        one.env["PULUMI_CONFIG_PASSPHRASE"] = f"pass-{number}"
        one.run("stack", "init", "dev")
        up(one)
        results[number] = json.loads(one.run("stack", "output", "--json", "--show-secrets").stdout)

    results: dict[int, Any] = {}
    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {number: {"pw": "hush", "n": 3} for number in range(4)}
    assert (Path.cwd(), dict(os.environ)) == before
    passphrases = {op.target.environment["PULUMI_CONFIG_PASSPHRASE"] for op in deployment.operations}
    assert passphrases == {f"pass-{number}" for number in range(4)}


# ------------------------------------------------------------------ export, import, state


def test_export_and_import(workspace: Workspace, deployment: FakeDeployment, tmp_path: Path) -> None:
    up(workspace)
    shown = json.loads(workspace.run("stack", "export", "--show-secrets").stdout)
    hidden = workspace.run("stack", "export").stdout
    assert "hush" not in hidden
    shown["deployment"]["pending_operations"] = [{"type": "creating", "resource": shown["deployment"]["resources"][1]}]
    (tmp_path / "state.json").write_text(json.dumps(shown))
    workspace.run("stack", "import", "--file", "state.json")
    again = json.loads(workspace.run("stack", "export", "--show-secrets").stdout)
    assert again["deployment"]["resources"] == shown["deployment"]["resources"]
    assert "pending_operations" not in again["deployment"]
    assert "hush" not in workspace.state_file.read_text()


def test_import_of_what_does_not_hold_together_needs_force(
    workspace: Workspace, deployment: FakeDeployment, tmp_path: Path
) -> None:
    up(workspace)
    before = workspace.state_file.read_bytes()
    body = json.loads(workspace.run("stack", "export").stdout)
    del body["deployment"]["resources"][0]
    (tmp_path / "state.json").write_text(json.dumps(body))
    failed = workspace.fails("stack", "import", "--file", "state.json")
    assert failed.stderr.startswith("error: 2 errors occurred:\n    1) state file contains errors: ")
    assert failed.stderr.endswith("2) importing this file could be dangerous; rerun with --force to proceed anyway")
    assert workspace.state_file.read_bytes() == before
    workspace.run("stack", "import", "--file", "state.json", "--force")
    damaged = workspace.fails("preview")
    assert str(workspace.state_file) in damaged.stderr
    assert "missing" in damaged.stderr
    assert len(deployment.operations) == 1
    # It can still be taken out, to be mended.
    assert THING_URN in workspace.run("stack", "export").stdout


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"deployment": 3}', '{"version": 9, "deployment": {}}'])
def test_import_of_nonsense(workspace: Workspace, tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert "deployment" in workspace.fails("stack", "import", "--file", "state.json").stderr


def test_a_truncated_state_is_refused_everywhere(workspace: Workspace, deployment: FakeDeployment) -> None:
    up(workspace)
    whole = workspace.state_file.read_bytes()
    workspace.state_file.write_bytes(whole[: len(whole) // 2])
    for words in (
        ("preview",),
        ("up", "--yes", "--skip-preview"),
        ("stack", "export"),
        ("stack", "rm", "--yes", "--force", "dev"),
    ):
        failed = workspace.fails(*words)
        assert f"{workspace.state_file} cannot be used" in failed.stderr
        assert "dev.json.bak" in failed.stderr
    assert len(deployment.operations) == 1
    assert '"dev"' in workspace.run("stack", "ls", "--json").stdout


def test_outputs_are_read_without_the_rest_of_the_state(workspace: Workspace, deployment: FakeDeployment) -> None:
    up(workspace)
    whole = json.loads(workspace.state_file.read_text())
    thing = next(r for r in whole["checkpoint"]["latest"]["resources"] if r["urn"] == THING_URN)
    thing["inputs"]["pw"]["ciphertext"] = "damaged"
    workspace.state_file.write_text(json.dumps(whole))
    assert json.loads(workspace.run("stack", "output", "--json", "--show-secrets").stdout) == {"pw": "hush", "n": 3}
    assert "damaged" in workspace.fails("stack", "export", "--show-secrets").stderr
    whole["checkpoint"]["latest"]["resources"][0]["outputs"] = ["not", "outputs"]
    workspace.state_file.write_text(json.dumps(whole))
    assert f"{STACK_URN}: outputs is a list" in workspace.fails("stack", "output").stderr


def test_protection_and_forgetting(workspace: Workspace, deployment: FakeDeployment) -> None:
    up(workspace)
    assert workspace.run("state", "protect", THING_URN, "--yes").stdout == "1 resources protected"
    assert "protected" in workspace.fails("state", "delete", THING_URN, "--yes").stderr
    needed = workspace.fails("state", "delete", STACK_URN, "--yes").stderr
    assert "can't be safely deleted because the following resources depend on it" in needed
    assert workspace.run("state", "unprotect", "--all", "--yes").stdout == "All resources unprotected"
    workspace.run("state", "delete", THING_URN, "--yes")
    assert THING_URN not in workspace.run("stack", "export").stdout
    assert "No such resource" in workspace.fails("state", "delete", THING_URN, "--yes").stderr


def test_taint(workspace: Workspace, deployment: FakeDeployment) -> None:
    up(workspace)

    def tainted() -> list[str]:
        resources = json.loads(workspace.run("stack", "export").stdout)["deployment"]["resources"]
        return [resource["urn"] for resource in resources if resource.get("taint")]

    assert workspace.run("state", "taint", THING_URN, STACK_URN, "--yes").stdout == "2 resources tainted"
    assert tainted() == [STACK_URN, THING_URN]
    assert workspace.run("state", "untaint", STACK_URN, "--yes").stdout == "1 resources untainted"
    assert tainted() == [THING_URN]
    assert workspace.run("state", "untaint", "--all", "--yes").stdout == "All resources untainted"
    assert tainted() == []
    nobody = THING_URN.replace("::a", "::nobody")
    failed = workspace.fails("state", "taint", nobody, THING_URN, "--yes")
    assert f'No such resource "{nobody}" exists in the current state' in failed.stderr
    assert tainted() == [], "all or nothing"
    assert "name the URNs" in workspace.fails("state", "taint", "--yes").stderr
    assert "or --all" in workspace.fails("state", "untaint", THING_URN, "--all", "--yes").stderr


# ------------------------------------------------------------------ targets


def test_targets_reach_the_operation(workspace: Workspace, deployment: FakeDeployment) -> None:
    up(workspace, "-t", "**::a", "--target-dependents", "--replace", "**::b", "--target-replace", "**::c")
    options = deployment.operations[-1].options
    assert options.targets == ("**::a", "**::c")
    assert options.replace == ("**::b", "**::c")
    assert options.target_dependents
    workspace.run("refresh", "--yes", "--skip-preview", "-x", "**::a", "--exclude-dependents")
    options = deployment.operations[-1].options
    assert options.excludes == ("**::a",)
    assert options.exclude_dependents


def test_targets_that_contradict_other_options(workspace: Workspace, deployment: FakeDeployment) -> None:
    failed = workspace.fails("up", "--yes", "--skip-preview", "--client=127.0.0.1:1", "-t", "a", "--exclude", "b")
    assert "[exclude target] were all set" in failed.stderr
    failed = workspace.fails("destroy", "--yes", "--skip-preview", "-t", "a", "--exclude-protected")
    assert "you cannot specify --target and --exclude-protected" in failed.stderr
    assert not deployment.operations


def test_a_destroy_that_leaves_something_does_not_remove_the_stack(
    workspace: Workspace, deployment: FakeDeployment
) -> None:
    up(workspace)
    destroy = ("destroy", "--yes", "--skip-preview", "--remove")
    workspace.run(*destroy, "-t", "**::a")
    assert '"dev"' in workspace.run("stack", "ls", "--json").stdout
    workspace.run("state", "protect", THING_URN, "--yes")
    left = workspace.run(*destroy, "--exclude-protected").stdout
    assert "There are still 1 protected resources associated with this stack." in left
    assert '"dev"' in workspace.run("stack", "ls", "--json").stdout


# ------------------------------------------------------------------ the rest


def test_who_and_what(workspace: Workspace) -> None:
    assert workspace.run("version").stdout == f"v{workspace.command.version}"
    assert json.loads(workspace.run("whoami", "--json").stdout)["user"]
    assert isinstance(json.loads(workspace.run("plugin", "ls", "--json").stdout), list)
    assert "up " in workspace.run("--help").stdout
    assert "state " in workspace.run("--help").stdout
    assert "unprotect " in workspace.run("state").stdout
    assert "--expect-no-changes" in workspace.run("up", "--help").stdout


def test_output_is_told_line_by_line(workspace: Workspace) -> None:
    lines: list[str] = []
    workspace.command.run(["stack", "ls"], str(workspace.folder), workspace.env, on_output=lines.append)
    assert len(lines) == 2
    assert lines[1].startswith("dev*")


def test_a_listener_that_fails_does_not_stop_the_command(workspace: Workspace) -> None:
    def fails(_line: str) -> None:
        raise ValueError("mine")

    with pytest.warns(RuntimeWarning, match="mine"):
        result = workspace.command.run(["stack", "ls"], str(workspace.folder), workspace.env, on_output=fails)
    assert "dev*" in result.stdout


def test_cwd_and_its_absence(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = workspace.command.run(["-C", "..", "stack", "--show-name"], str(elsewhere), workspace.env)
    assert result.stdout == "dev"
    assert "no such folder" in workspace.fails("-C", "nowhere", "stack").stderr


def test_the_disk_is_waited_for_before_an_object_is_touched(
    workspace: Workspace, deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[str] = []
    log: list[list[str]] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (waits.append("fsync"), real(descriptor))[1])

    def save(operation: Operation, snapshot: Snapshot) -> None:
        waits.clear()
        operation.save(whole_change(snapshot))
        log.append(list(waits))

    def script(operation: Operation) -> None:
        component = State(urn=STACK_URN, type="pulumi:pulumi:Stack", custom=False)
        thing = State(urn=THING_URN, type="pkg:mod:Thing", custom=True, parent=STACK_URN)
        save(operation, Snapshot(pending=[PendingOperation(type="creating", resource=component)]))
        save(operation, Snapshot(resources=[component], pending=[PendingOperation(type="creating", resource=thing)]))
        save(operation, Snapshot(resources=[component, thing]))
        waits.clear()

    deployment.script = script
    up(workspace)
    assert [bool(entry) for entry in log] == [False, True, False]
    assert waits, "the last save is waited for"

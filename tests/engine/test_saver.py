"""What an operation writes when nothing has changed, or nothing more comes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import engine.deployment
from engine import secrets
from engine.errors import EngineError, LockLostError
from engine.journal import Journal
from engine.journal_store import JournalStore
from engine.operation import Operation
from engine.resource import State
from engine.saver import WHOLE_BYTES
from tests.engine.test_cli import STACK_URN, THING_URN, FakeDeployment, Workspace, makes_a_thing, up

ROOT = State(urn=STACK_URN, type="pulumi:pulumi:Stack", custom=False)
LARGE = State(
    urn=THING_URN, type="pkg:mod:Thing", custom=True, id="t", parent=STACK_URN, outputs={"text": "x" * WHOLE_BYTES}
)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of entries that each journal began with."""
    found: list[int] = []
    real = JournalStore.begin

    def begin(self: JournalStore, base: str, entries: list[object], **more: object) -> None:
        found.append(len(entries))
        real(self, base, entries, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(JournalStore, "begin", begin)
    monkeypatch.setattr(secrets, "ROUNDS", 1000)
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path)
    found.run("stack", "init", "dev")
    return found


def test_a_run_whose_lock_was_broken_writes_nothing_more(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one may have begun in the meantime: its state must not be undone."""
    monkeypatch.setattr(secrets, "ROUNDS", 1000)
    fake = FakeDeployment()
    monkeypatch.setattr(engine.deployment, "run_operation", fake.run)
    begun = []

    def broken(operation: Operation) -> EngineError | None:
        journal = Journal(operation.snapshot, operation.save)
        journal.begin("creating", ROOT)
        workspace.run("cancel", "--yes")
        fake.script = makes_a_thing
        up(workspace)
        other = workspace.state_file.read_bytes()
        begun.append(other)
        try:
            journal.end(ROOT, made=ROOT)
        except LockLostError as error:
            return error
        return None

    fake.script = broken
    failed = workspace.fails("up", "--yes", "--skip-preview", "--client=127.0.0.1:1").stderr
    assert "the lock of this update was removed by somebody (`pulumi cancel`)" in failed
    assert workspace.state_file.read_bytes() == begun[0]
    (unsaved,) = workspace.folder.glob("proj-dev-*.unsaved.json")
    assert "warning: this update is not in the history: the lock of this update was removed" in failed
    assert len(json.loads(workspace.run("stack", "history", "--json").stdout)) == 1
    assert f"is in {unsaved}. Compare it with `pulumi stack export`" in failed


def unchanged(operation: Operation, *, then_one_more: bool) -> None:
    """Makes two resources, or finds both the same."""
    journal = Journal(operation.snapshot, operation.save)
    if not operation.snapshot.resources:
        for state in (ROOT, LARGE):
            journal.begin("creating", state)
            journal.end(state, made=state)
        return
    root, thing = operation.snapshot.resources
    told = replace(thing, protect=True)
    journal.same(root, replace(root), changed=False)
    journal.same(thing, told, changed=False)
    journal.finish()
    if then_one_more:
        told.outputs = {"text": "y" * WHOLE_BYTES}
        journal.touched(told)


@pytest.mark.parametrize("then_one_more", [False, True])
def test_an_update_that_changes_nothing_writes_its_state_once(
    workspace: Workspace, begun: list[int], monkeypatch: pytest.MonkeyPatch, then_one_more: bool
) -> None:
    fake = FakeDeployment()
    fake.script = lambda operation: unchanged(operation, then_one_more=then_one_more)
    monkeypatch.setattr(engine.deployment, "run_operation", fake.run)
    up(workspace)
    assert begun, "the state is large enough for a journal"
    begun.clear()
    up(workspace)
    assert begun == []
    state = workspace.state_file.read_text()
    assert state.count('"protect": true') == 1
    assert ("yyyy" in state) == then_one_more

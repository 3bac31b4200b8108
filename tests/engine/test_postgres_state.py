"""Stacks whose state is in PostgreSQL, through the Automation API: their whole life, two workers, and a server gone."""

import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pulumi
import pytest
from pulumi import automation as auto

from engine.backend import DiyBackend
from engine.bucket_postgres import PostgresBucket
from engine.command import EmbeddedCommand
from engine.stack_ref import StackRef
from sandbox import postgres as sandbox_postgres
from tests.conftest import MainDatabase
from tests.engine.things import Thing, names
from tests.servers import own_postgres

ROOT = Path(__file__).parents[2]
REF = StackRef(project="proj", name="dev")


class Workspace:
    """A worker with a folder of its own; its backend is the database."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.url = url

    def stack(self, name: str = "dev", program: Callable[[], None] = lambda: None) -> auto.Stack:
        options = auto.LocalWorkspaceOptions(
            work_dir=str(self.folder),
            pulumi_command=EmbeddedCommand(),
            env_vars={
                "PULUMI_CONFIG_PASSPHRASE": "correct horse",
                "PULUMI_HOME": str(self.folder / "home"),
                "PYTHONPATH": str(ROOT),
            },
            project_settings=auto.ProjectSettings(
                name="proj", runtime="python", backend=auto.ProjectBackend(url=self.url)
            ),
        )
        return auto.create_or_select_stack(name, project_name="proj", program=program, opts=options)

    def backend(self) -> DiyBackend:
        return DiyBackend(PostgresBucket(self.url, {}))


@pytest.fixture
def things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "things"
    folder.mkdir()
    monkeypatch.setenv("THINGS", str(folder))
    return folder


@pytest.fixture
def workspace(tmp_path: Path, main_db: MainDatabase, things: Path) -> Workspace:
    return Workspace(tmp_path / "worker", main_db.url)


def program(size: int) -> Callable[[], None]:
    def run() -> None:
        a = Thing("a", size=size, secret=pulumi.Output.secret("hush"))
        Thing("b", size=1, of=a.id)
        pulumi.export("size", size)
        pulumi.export("password", pulumi.Output.secret("hush"))

    return run


def test_the_whole_life_of_a_stack(workspace: Workspace, main_db: MainDatabase, tmp_path: Path) -> None:
    stack = workspace.stack(program=program(1))
    assert stack.preview().change_summary == {"create": 3}
    assert stack.up().summary.resource_changes == {"create": 3}
    assert names() == ["a", "b"]
    outputs = stack.outputs()
    assert (outputs["size"].value, outputs["password"].value, outputs["password"].secret) == (1, "hush", True)
    assert stack.refresh().summary.resource_changes == {"same": 3}
    # Another worker, on another host: only the database is common.
    other = Workspace(tmp_path / "other", main_db.url)
    changed = other.stack(program=program(2)).up()
    assert changed.summary.resource_changes == {"same": 2, "update": 1}
    assert [entry.kind for entry in stack.history()] == ["update", "refresh", "update"]
    assert len(stack.history(page_size=1, page=2)) == 1
    exported = stack.export_stack()
    with main_db.connect() as connection:
        assert connection.execute("SELECT key FROM pulumi_state WHERE data LIKE '%hush%'::bytea").fetchall() == []
    stack.import_stack(exported)
    stack.workspace.set_tag("dev", "team", "blue")
    assert stack.workspace.list_tags("dev") == {"team": "blue"}
    assert [found.name for found in stack.workspace.list_stacks()] == ["dev"]
    stack.rename("prod")
    renamed = workspace.stack("prod", program(2))
    assert renamed.workspace.get_tag("prod", "team") == "blue"
    assert renamed.preview().change_summary == {"same": 3}
    assert len(renamed.history()) == 3
    lock = workspace.backend()
    lock.locks(StackRef(project="proj", name="prod")).take()
    lock.close()
    with pytest.raises(auto.ConcurrentUpdateError, match=rf"\(pid {os.getpid()}\)"):
        renamed.up()
    renamed.cancel()
    assert renamed.destroy().summary.resource_changes == {"delete": 3}
    assert names() == []
    renamed.workspace.remove_stack("prod")
    assert renamed.workspace.list_stacks() == []
    with main_db.connect() as connection:
        kept = [str(key) for (key,) in connection.execute("SELECT key FROM pulumi_state ORDER BY key").fetchall()]
    assert {re.sub(r"\d{15,}", "N", key) for key in kept} == {
        ".pulumi/backups/proj/dev/dev.N.json",
        ".pulumi/backups/proj/prod/prod.N.json",
        ".pulumi/meta.yaml",
        ".pulumi/stacks/proj/dev.json.bak",
        ".pulumi/stacks/proj/prod.json.bak",
    }


def test_no_password_is_shown(workspace: Workspace, main_db: MainDatabase) -> None:
    stack = workspace.stack()
    password = main_db.server.password
    command, env = EmbeddedCommand(), {"PULUMI_HOME": str(workspace.folder / "home")}
    for words in (
        ["whoami", "--json"],
        ["about"],
        ["about", "--json"],
        ["stack"],
        ["stack", "ls"],
        ["stack", "output"],
    ):
        done = command.run(words, str(workspace.folder), {**env, "PULUMI_CONFIG_PASSPHRASE": "correct horse"})
        assert password not in done.stdout + done.stderr
    assert main_db.name in command.run(["whoami", "--json"], str(workspace.folder), env).stdout
    backend = workspace.backend()
    backend.bucket.write(backend.stack_key(REF), b"{")
    backend.close()
    with pytest.raises(auto.CommandError, match="cannot be used") as failure:
        stack.export_stack()
    assert password not in str(failure.value)


def test_two_workers_at_once_are_told_of_each_other(
    workspace: Workspace, main_db: MainDatabase, tmp_path: Path
) -> None:
    """The first one waits in its program, with the lock, until the second has been refused."""
    held, go_on = threading.Event(), threading.Event()

    def waiting() -> None:
        held.set()
        assert go_on.wait(60)

    stack = workspace.stack(program=waiting)
    failed: list[BaseException] = []

    def first() -> None:
        try:
            stack.up()
        except BaseException as error:  # noqa: BLE001 - shown below
            failed.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert held.wait(60)
        other = Workspace(tmp_path / "other", main_db.url).stack(program=program(1))
        with pytest.raises(auto.ConcurrentUpdateError, match=r"created by \w+@.* \(pid \d+\) at 20"):
            other.up()
    finally:
        go_on.set()
        thread.join(60)
    assert not failed
    assert other.up().summary.result == "succeeded"


def test_a_server_that_goes_in_the_middle_of_an_update(tmp_path: Path, things: Path) -> None:
    with own_postgres() as (home, server):
        workspace = Workspace(tmp_path / "worker", server.url())

        def stopping(folder: str) -> Callable[[], None]:
            def run() -> None:
                a = Thing("a", size=1)
                Thing("b", size=1, of=a.id, stop=folder)
                Thing("c", size=1)

            return run

        stack = workspace.stack(program=stopping(str(home)))
        started = time.monotonic()
        with pytest.raises(auto.CommandError, match="cannot be reached") as failure:
            stack.up()
        assert time.monotonic() - started < 90
        assert server.password not in str(failure.value)
        assert "What was written before is intact" in str(failure.value)
        (unsaved,) = workspace.folder.glob("*.unsaved.json")
        assert f"is in {unsaved}. When it can be written again" in str(failure.value)
        sandbox_postgres.start(home)
        state = stack.export_stack().deployment
        made = {resource["urn"].split("::")[-1] for resource in state["resources"] if resource["custom"]}
        assert "a" in made
        pending = {(op["type"], op["resource"]["urn"].split("::")[-1]) for op in state["pending_operations"]}
        assert ("creating", "b") in pending
        stack.cancel()
        again = workspace.stack(program=stopping("")).up()
        assert "interrupted while creating" in again.stdout
        assert again.summary.result == "succeeded"
        # What was done while nobody could write it down.
        kept = json.loads(unsaved.read_text())["deployment"]
        assert {"a", "b"} <= {resource["urn"].split("::")[-1] for resource in kept["resources"]}
        stack.import_stack(auto.Deployment(version=3, deployment=kept))

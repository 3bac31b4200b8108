"""Hooks, transforms and programs run for a refresh or a destroy, with the real SDK on the whole engine."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation as auto

from engine.command import EmbeddedCommand
from tests.engine import things
from tests.engine.test_program import Project
from tests.engine.things import Thing

Program = Callable[[], None]


class Runs:
    """One stack in a folder, and the program that it is run with next."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seen: list[str] = []
        self.told: list[Any] = []

    def stack(self, program: Program) -> auto.Stack:
        settings = auto.ProjectSettings(
            name="proj", runtime="python", backend=auto.ProjectBackend(url=f"file://{self._folder}")
        )
        return auto.create_or_select_stack(
            "dev",
            project_name="proj",
            program=program,
            opts=auto.LocalWorkspaceOptions(
                project_settings=settings,
                pulumi_command=EmbeddedCommand(),
                env_vars={"PULUMI_CONFIG_PASSPHRASE": "test"},
            ),
        )

    def hook(self, name: str, error: str = "", **options: bool) -> pulumi.ResourceHook:
        def run(args: pulumi.ResourceHookArgs) -> None:
            self.seen.append(f"{name} {args.name}")
            self.told.append(args)
            if error:
                raise ValueError(error)

        return pulumi.ResourceHook(name, run, pulumi.ResourceHookOptions(**options))

    def state(self, stack: auto.Stack) -> dict[str, Any]:
        resources = stack.export_stack().deployment.get("resources", [])
        return {resource["urn"].rsplit("::", 1)[1]: resource for resource in resources}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    (tmp_path / "things").mkdir()
    monkeypatch.setenv("THINGS", str(tmp_path / "things"))
    return Runs(tmp_path)


def test_hooks_of_the_sdk(runs: Runs, tmp_path: Path) -> None:
    def program(size: int) -> Program:
        def run() -> None:
            hooks = pulumi.ResourceHookBinding(
                before_create=[runs.hook("before_create")],
                after_update=[runs.hook("after_update")],
                before_delete=[runs.hook("before_delete")],
            )
            Thing("a", pulumi.ResourceOptions(hooks=hooks), size=size, secret=pulumi.Output.secret("hush"))

        return run

    stack = runs.stack(program(1))
    stack.up()
    stack = runs.stack(program(2))
    stack.up()
    assert runs.seen == ["before_create a", "after_update a"]
    assert runs.told[0].new_inputs["size"] == 1
    assert runs.told[0].old_inputs is None
    # A secret stays one, also where the program itself is told of it.
    assert isinstance(runs.told[0].new_inputs["secret"], pulumi.Output)
    (file,) = (tmp_path / ".pulumi" / "stacks" / "proj").glob("dev.json")
    assert "hush" not in file.read_text(encoding="utf-8")
    with pytest.raises(auto.CommandError, match="run with the `--run-program` flag"):
        stack.destroy()
    stack.destroy(run_program=True)
    assert runs.seen[-1] == "before_delete a"
    assert things.names() == []


def test_a_resource_that_left_the_program_has_its_hooks_run(runs: Runs) -> None:
    def program(*names: str) -> Program:
        def run() -> None:
            hooks = pulumi.ResourceHookBinding(after_delete=[runs.hook("after_delete")])
            for name in names:
                Thing(name, pulumi.ResourceOptions(hooks=hooks), size=1)

        return run

    runs.stack(program("a", "b")).up()
    runs.stack(program("a")).up()
    assert runs.seen == ["after_delete b"]


def test_hooks_that_fail_and_hooks_that_wait(runs: Runs) -> None:
    async def slow(_: pulumi.ResourceHookArgs) -> None:
        await asyncio.sleep(0.2)
        runs.seen.append("slow")

    def failing() -> None:
        hook = runs.hook("bad", error="oh no")
        Thing("a", pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[hook])), size=1)

    def waiting() -> None:
        hook = pulumi.ResourceHook("slow", slow)
        Thing("a", pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(after_create=[hook])), size=1)

    with pytest.raises(auto.CommandError, match='before hook "bad" failed: oh no'):
        runs.stack(failing).up()
    assert things.names() == []
    runs.stack(waiting).up()
    assert runs.seen[-1] == "slow"
    assert things.names() == ["a"]


def test_an_error_hook_of_the_sdk(runs: Runs, tmp_path: Path) -> None:
    marker = tmp_path / "ready"

    def again(args: pulumi.ErrorHookArgs) -> bool:
        runs.told.append(args)
        marker.mkdir()
        return True

    def program() -> None:
        hooks = pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("again", again)])
        Thing("a", pulumi.ResourceOptions(hooks=hooks), size=1, needs=str(marker))

    result = runs.stack(program).up()
    assert result.summary.resource_changes == {"create": 2}
    (args,) = runs.told
    assert (args.failed_operation, args.name, len(args.errors)) == ("create", "a", 1)
    assert "not ready" in args.errors[0]


def test_transforms_of_the_sdk(runs: Runs) -> None:
    def program() -> None:
        def grow(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
            if args.name != "b":
                return None
            runs.told.append(args.props["of"])
            opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(protect=True))
            return pulumi.ResourceTransformResult({**args.props, "size": args.props["size"] + 1}, opts)

        def once_more(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult:
            return pulumi.ResourceTransformResult({**args.props, "size": args.props["size"] * 10}, args.opts)

        pulumi.runtime.register_resource_transform(grow)
        a = Thing("a", size=1)
        Thing("b", pulumi.ResourceOptions(transforms=[once_more]), size=4, of=a.size)

    stack = runs.stack(program)
    stack.up()
    b = runs.state(stack)["b"]
    assert b["inputs"]["size"] == 41
    assert b["protect"]
    # The SDK gives plain values back, without what they depend on; the resource itself still says it.
    assert b["dependencies"] == [runs.state(stack)["a"]["urn"]]
    assert stack.up().summary.resource_changes == {"same": 3}


def test_a_refresh_runs_the_program(runs: Runs, tmp_path: Path) -> None:
    def program(*names: str) -> Program:
        def run() -> None:
            for name in names:
                Thing(name, size=1)

        return run

    stack = runs.stack(program("a", "b", "c"))
    stack.up()
    (gone,) = (tmp_path / "things").glob("b.*")
    gone.unlink()
    stack = runs.stack(program("b", "c", "new"))
    result = stack.refresh(run_program=True)
    assert result.summary.resource_changes == {"delete": 1, "same": 5}
    assert {"a", "c"} == set(runs.state(stack)) - {"proj-dev", "default"}
    assert things.names() == ["a", "c"]


def test_the_state_says_where_a_resource_comes_from(runs: Runs) -> None:
    def program() -> None:
        Thing("a", size=1)

    stack = runs.stack(program)
    stack.up()
    position = runs.state(stack)["a"]["sourcePosition"]
    assert position.startswith("project:///")
    assert "things.py#" in position


DYING = """
import os
import pulumi
from pulumi import ResourceHook, ResourceHookBinding, ResourceOptions
from tests.engine.things import Thing

hook = ResourceHook("die", lambda args: os._exit(3))
opts = ResourceOptions(hooks=ResourceHookBinding(before_delete=[hook]))
if os.environ.get("WITH"):
    Thing("a", opts, size=1)
"""


def test_a_program_that_dies_in_its_hook(tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    project = Project(tmp_path, DYING)
    project.env.update(THINGS=str(tmp_path / "things"), WITH="1")
    project.run("stack", "init", "dev")
    project.run("up", "--yes", "--skip-preview", "--stack", "dev")
    del project.env["WITH"]
    started = time.monotonic()
    output = project.run("up", "--yes", "--skip-preview", "--stack", "dev", code=1)
    assert time.monotonic() - started < 60
    assert 'before hook "die" failed' in output
    assert [path.name.split(".")[0] for path in (tmp_path / "things").iterdir()] == ["a"]
    # Nothing is locked, and the state is whole.
    exported = json.loads(project.run("stack", "export", "--stack", "dev"))
    assert any(r["urn"].endswith("::a") for r in exported["deployment"]["resources"])

"""`pulumi import` and `preview --import-file`, by hand and through the Automation API."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from engine.command import EmbeddedCommand
from tests.engine.core.cloud import Cloud
from tests.engine.core.program import BUCKET

COMPONENT_PROGRAM = """
import pulumi
class Bucket(pulumi.CustomResource):
    def __init__(self, name, props=None, opts=None):
        super().__init__("fake:index:Bucket", name, props or {}, opts)
class Group(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("fake:index:Group", name)
group = Group("g")
Bucket("a", {"size": 1}, pulumi.ResourceOptions(parent=group))
"""


class Project:
    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.folder = folder
        self.cloud = cloud
        self.command = EmbeddedCommand()
        self.env = {
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_HOME": str(folder / "home"),
            "HOME": str(folder),
            "PULUMI_DEBUG_PROVIDERS": f"fake:{cloud.port}",
        }
        body = {"name": "proj", "runtime": "python", "backend": {"url": "file://./state"}}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(body))
        (folder / "__main__.py").write_text(COMPONENT_PROGRAM)
        self.run("stack", "init", "dev")

    def run(self, *words: str) -> auto.CommandResult:
        return self.command.run(list(words), str(self.folder), self.env)

    def fails(self, *words: str) -> str:
        with pytest.raises(auto.CommandError) as caught:
            self.run(*words)
        return str(caught.value)

    def import_(self, *words: str) -> str:
        return self.run("import", "--yes", "--skip-preview", *words).stdout

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        exported = json.loads(self.run("stack", "export").stdout)
        return {r["urn"].rsplit("::", 1)[-1]: r for r in exported["deployment"].get("resources", [])}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    cloud = Cloud()
    try:
        yield Project(tmp_path, cloud)
    finally:
        cloud.close()


def test_one_object_on_the_command_line(project: Project) -> None:
    project.cloud.put("a", "a-1", size=3, label="x")
    out = project.import_(BUCKET, "a", "a-1", "--properties", "size")
    assert "Please copy the following code into your Pulumi application." in out
    assert "marked as protected" in out
    code = out[out.index("import pulumi") :].split("\n\n\n")[0]
    assert 'a = fake.Bucket("a",\n    size=3,\n    opts=pulumi.ResourceOptions(protect=True))' in code
    assert project.resources["a"]["protect"] is True
    assert project.resources["a"]["inputs"] == {"size": 3}
    (entry,) = json.loads(project.run("stack", "history", "--json").stdout)
    assert (entry["kind"], entry["result"]) == ("resource-import", "succeeded")
    assert entry["resourceChanges"] == {"create": 1, "import": 1}


def test_a_file_and_code_in_another_one(project: Project) -> None:
    project.cloud.put("a", "a-1", size=1)
    project.cloud.put("b", "b-1", size=2)
    resources = [
        {"type": BUCKET, "name": "a", "id": "a-1"},
        {"type": BUCKET, "name": "b", "id": "b-1", "parent": "a", "logicalName": "bee"},
    ]
    (project.folder / "in.json").write_text(json.dumps({"resources": resources}))
    out = project.import_("--file", "in.json", "--out", "code.py", "--protect=false")
    assert "import pulumi" not in out
    code = (project.folder / "code.py").read_text()
    ast.parse(code)
    assert 'b = fake.Bucket("bee",\n    size=2,\n    opts=pulumi.ResourceOptions(parent=a))' in code
    assert "protect" not in project.resources["bee"]


def test_secrets_are_not_in_the_code(project: Project) -> None:
    project.run("config", "set", "--secret", "fake:account", "hush")
    project.cloud.put("a", "a-1", size=1)
    out = project.import_(BUCKET, "a", "a-1")
    assert "hush" not in out
    assert "hush" not in (project.folder / "state" / ".pulumi" / "stacks" / "proj" / "dev.json").read_text()


def test_an_object_that_does_not_exist(project: Project) -> None:
    project.cloud.put("a", "a-1", size=1)
    resources = [{"type": BUCKET, "name": n, "id": f"{n}-1"} for n in "ad"]
    (project.folder / "in.json").write_text(json.dumps({"resources": resources}))
    message = project.fails("import", "--yes", "--skip-preview", "--file", "in.json", "--out", "code.py")
    assert "error: resource 'd-1' does not exist" in message
    assert "error: update failed: step application failed: resource 'd-1' does not exist" in message
    # What was imported all the same is in the state, so its code is written.
    assert 'a = fake.Bucket("a"' in (project.folder / "code.py").read_text()


def test_a_preview_imports_nothing(project: Project) -> None:
    project.cloud.put("a", "a-1", size=1)
    out = project.run("import", "--preview-only", BUCKET, "a", "a-1").stdout
    assert out.startswith("Previewing import (dev):")
    assert "1 to import" in out
    assert project.resources == {}


def test_code_is_not_generated_where_nobody_wants_it(project: Project) -> None:
    project.cloud.put("a", "a-1", size=1)
    result = project.run("import", "--yes", "--skip-preview", "--generate-code=false", "--out=x.py", BUCKET, "a", "a-1")
    assert "Please copy" not in result.stdout
    assert "Output file will not be used as --generate-code is false." in result.stderr


def test_a_runtime_whose_code_cannot_be_written_is_named(project: Project) -> None:
    body = {"name": "proj", "runtime": "nodejs", "backend": {"url": "file://./state"}}
    (project.folder / "Pulumi.yaml").write_text(yaml.safe_dump(body))
    project.cloud.put("a", "a-1", size=1)
    result = project.run("import", "--yes", "--skip-preview", BUCKET, "a", "a-1")
    assert "no code is generated: the embedded engine writes Python only" in result.stderr
    assert "a" in project.resources


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "missing type, name, and id"),
        ((BUCKET,), "missing name and id"),
        ((BUCKET, "a"), "missing id"),
        ((BUCKET, "a", "1", "--file", "x"), "may not be specified in conjunction with an import file"),
        (("--file", "none.json"), "could not read import file: open none.json: No such file or directory"),
        (("--file", "empty.json"), "the import file names no resources"),
        ((BUCKET, "a", "1", "--from", "terraform"), "--from is not served"),
        ((BUCKET, "a", "1", "--parent", "x"), "invalid parent URN: 'x'"),
    ],
)
def test_what_an_import_cannot_be_told(project: Project, words: tuple[str, ...], message: str) -> None:
    (project.folder / "empty.json").write_text("{}")
    assert message in project.fails("import", "--yes", "--skip-preview", *words)


def test_an_import_has_to_be_confirmed(project: Project) -> None:
    message = project.fails("import", BUCKET, "a", "a-1")
    assert "must be passed in to proceed when running in non-interactive mode" in message


# ------------------------------------------------------------------ preview --import-file


def test_a_program_is_adopted_by_way_of_a_file(project: Project) -> None:
    project.run("preview", "--import-file", "import.json")
    body = json.loads((project.folder / "import.json").read_text())
    assert body["resources"] == [
        {"type": "fake:index:Group", "name": "g", "component": True},
        {"type": BUCKET, "name": "a", "id": "<PLACEHOLDER>", "parent": "g"},
    ]
    project.cloud.put("a", "a-1", size=1)
    body["resources"][1]["id"] = "a-1"
    (project.folder / "import.json").write_text(json.dumps(body))
    project.import_("--file", "import.json", "--generate-code=false", "--protect=false")
    out = project.run("up", "--yes", "--skip-preview", "--expect-no-changes").stdout
    assert "unchanged" in out
    assert project.cloud.calls.count("create a") == 0


def test_a_preview_that_fails_writes_no_file(project: Project) -> None:
    (project.folder / "__main__.py").write_text("raise SystemExit(1)")
    project.fails("preview", "--import-file", "import.json")
    assert not (project.folder / "import.json").exists()


# ------------------------------------------------------------------ the Automation API


def test_the_automation_api(project: Project) -> None:
    project.cloud.put("a", "a-1", size=1)
    workspace = auto.LocalWorkspace(work_dir=str(project.folder), pulumi_command=project.command, env_vars=project.env)
    stack = auto.Stack.select("dev", workspace)
    result = stack.import_resources(
        resources=[{"type": BUCKET, "name": "a", "id": "a-1"}], protect=False, message="adopt"
    )
    assert 'a = fake.Bucket("a",\n    size=1)' in result.generated_code
    assert result.summary.kind == "resource-import"
    assert result.summary.message == "adopt"

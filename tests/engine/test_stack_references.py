"""One stack's outputs in another one's program, and references to resources, through the SDK and a file backend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from pulumi import automation as auto

from engine.command import EmbeddedCommand

GIVES = """
import pulumi
pulumi.export("size", 3)
pulumi.export("pw", pulumi.Output.secret("hush"))
"""
TAKES = """
import pulumi
other = pulumi.StackReference("{name}")
pulumi.export("size", other.get_output("size"))
pulumi.export("pw", other.require_output("pw"))
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"PULUMI_CONFIG_PASSPHRASE": "test", "PULUMI_HOME": str(folder / "home"), "HOME": str(folder)}
        body = {"name": "proj", "runtime": "python", "backend": {"url": "file://./state"}}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(body))

    def run(self, *words: str) -> str:
        return EmbeddedCommand().run(list(words), str(self.folder), self.env).stdout

    def up(self, stack: str, program: str) -> str:
        (self.folder / "__main__.py").write_text(program)
        return self.run("up", "--yes", "--skip-preview", "--stack", stack)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path)
    for stack in ("one", "two"):
        found.run("stack", "init", stack)
    found.up("one", GIVES)
    return found


@pytest.mark.parametrize("name", ["organization/proj/one", "one"])
def test_outputs_of_another_stack(project: Project, name: str) -> None:
    out = project.up("two", TAKES.format(name=name))
    assert "hush" not in out
    shown = json.loads(project.run("stack", "output", "--json", "--show-secrets", "--stack", "two"))
    assert shown == {"size": 3, "pw": "hush"}
    masked = json.loads(project.run("stack", "output", "--json", "--stack", "two"))
    assert masked["pw"] == "[secret]"
    assert "hush" not in (project.folder / "state" / ".pulumi" / "stacks" / "proj" / "two.json").read_text()


@pytest.mark.parametrize("name", ["organization/proj/none", "organization/other/one", "elsewhere/proj/one"])
def test_a_stack_that_is_not_there(project: Project, name: str) -> None:
    with pytest.raises(auto.CommandError) as caught:
        project.up("two", TAKES.format(name=name))
    assert f'unknown stack "{name}"' in str(caught.value)


STASHES = """
import pulumi
class Found(pulumi.CustomResource):
    output: pulumi.Output[str]
    def __init__(self, urn):
        super().__init__("pulumi:index:Stash", "s", {{"output": None}}, pulumi.ResourceOptions(urn=urn))
kept = pulumi.Stash("s", input="{value}")
pulumi.export("kept", kept.output)
pulumi.export("found", kept.urn.apply(lambda urn: Found(urn).__dict__["output"]))
"""


def test_a_stash_and_a_resource_by_its_urn(project: Project) -> None:
    project.up("two", STASHES.format(value="first"))
    project.up("two", STASHES.format(value="second"))
    shown = json.loads(project.run("stack", "output", "--json", "--stack", "two"))
    assert shown == {"kept": "first", "found": "first"}

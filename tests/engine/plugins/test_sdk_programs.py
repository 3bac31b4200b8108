"""Programs of the SDK that use plugins of the SDK, on the whole engine: as users write both."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

from tests.engine.test_program import Project

COMPONENTS = """
from typing import Optional, TypedDict
import pulumi
from pulumi.provider.experimental import component_provider_host

class GreeterArgs(TypedDict):
    who: pulumi.Input[str]
    password: Optional[pulumi.Input[str]]

class Greeter(pulumi.ComponentResource):
    greeting: pulumi.Output[str]
    hush: pulumi.Output[Optional[str]]

    def __init__(self, name: str, args: GreeterArgs, opts: Optional[pulumi.ResourceOptions] = None):
        super().__init__("greetings:index:Greeter", name, args, opts)
        below = pulumi.ResourceOptions(parent=self)
        pulumi.ComponentResource("greetings:index:Inner", f"{name}-inner", {}, below)
        self.greeting = pulumi.Output.concat("Hello, ", args["who"])
        self.hush = pulumi.Output.from_input(args.get("password"))
        self.register_outputs({"greeting": self.greeting, "hush": self.hush})

if __name__ == "__main__":
    component_provider_host(name="greetings", components=[Greeter])
"""

PROGRAM = """
import pulumi

class Greeter(pulumi.ComponentResource):
    greeting: pulumi.Output[str]
    hush: pulumi.Output[str]

    def __init__(self, name, who, password=None, opts=None):
        props = {"who": who, "password": password, "greeting": None, "hush": None}
        super().__init__("greetings:index:Greeter", name, props, opts, remote=True)

first = Greeter("first", "world", pulumi.Output.secret("hunter2"))
second = Greeter("second", first.greeting, opts=pulumi.ResourceOptions(depends_on=[first]))
pulumi.export("greeting", second.greeting)
pulumi.export("hush", first.hush)
"""


def test_components_that_are_written_with_the_component_host(tmp_path: Path) -> None:
    folder = tmp_path / "greetings"
    folder.mkdir()
    (folder / "PulumiPlugin.yaml").write_text("runtime: python\nname: greetings\n", encoding="utf-8")
    (folder / "__main__.py").write_text(COMPONENTS, encoding="utf-8")
    plugins = {"providers": [{"name": "greetings", "path": "greetings"}]}
    project = Project(tmp_path, PROGRAM, plugins=plugins)
    project.run("stack", "init", "dev")
    previewed = project.run("preview")
    assert "greetings:index:Greeter first create" in " ".join(previewed.split())
    assert "greetings:index:Inner first-inner create" in " ".join(previewed.split())
    project.run("up", "--yes", "--skip-preview")
    assert json.loads(project.run("stack", "output", "--json")) == {
        "greeting": "Hello, Hello, world",
        "hush": "[secret]",
    }
    resources = json.loads(project.run("stack", "export"))["deployment"]["resources"]
    by_name = {resource["urn"].rsplit("::", 1)[1]: resource for resource in resources}
    assert by_name["first-inner"]["parent"] == by_name["first"]["urn"]
    assert "hunter2" not in json.dumps(resources)
    assert "5 unchanged" in project.run("up", "--yes", "--skip-preview")
    project.run("destroy", "--yes", "--skip-preview")


CALLS = """
import pulumi

class Pair(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("things:index:Nothing", name, {}, opts)

pair = Pair("p")
answer = pulumi.runtime.call("things:index:Pair/negate", {"__self__": pair, "by": 4}, pair)
pulumi.export("by", answer.apply(lambda found: found["by"]))
told = pulumi.runtime.invoke_output("things:index:look", {"n": 1})
pulumi.export("token", told.apply(lambda found: found["token"]))
"""


def test_methods_and_functions_of_an_executable_on_path(tmp_path: Path) -> None:
    executable = tmp_path / "bin" / "pulumi-resource-things"
    executable.parent.mkdir()
    source = Path(__file__).with_name("things_plugin.py").read_text(encoding="utf-8")
    executable.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
    executable.chmod(executable.stat().st_mode | stat.S_IXUSR)
    project = Project(tmp_path, CALLS)
    project.env["PATH"] = f"{executable.parent}:{project.env['PATH']}"
    project.run("stack", "init", "dev")
    project.run("up", "--yes", "--skip-preview")
    assert json.loads(project.run("stack", "output", "--json")) == {"by": -4, "token": "things:index:look"}
    assert "things" in project.run("plugin", "ls")

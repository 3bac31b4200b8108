"""`plugin ls`, `install` and `rm`: which plugins there are, of whatever origin, and those in PULUMI_HOME."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from engine.cli_plugins import in_range
from engine.plugin_search import find_plugin
from tests.engine.plugins.test_search import script
from tests.engine.test_cli import Workspace


def test_plugins_of_every_origin(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    home = tmp_path / "home" / "plugins"
    for version in ("1.0.0", "2.0.0-beta.1"):
        script(home / f"resource-fake-v{version}" / "pulumi-resource-fake", "x" * 90)
        (home / f"resource-fake-v{version}" / "PulumiPlugin.yaml").write_text("runtime: python\n")
    (home / "resource-half-v1.0.0").mkdir()
    (home / "resource-half-v1.0.0.partial").touch()
    script(tmp_path / "bin" / "pulumi-resource-ambient", "")
    script(tmp_path / "mine" / "pulumi-resource-own", "")
    body = (tmp_path / "Pulumi.yaml").read_text()
    (tmp_path / "Pulumi.yaml").write_text(body + "plugins: {providers: [{name: own, path: mine}]}\n")
    path = {"PATH": str(tmp_path / "bin")}
    found = json.loads(workspace.run("plugin", "ls", "--json", **path).stdout)
    assert [(p["name"], p["version"]) for p in found if p["name"] in ("ambient", "fake", "half", "own")] == [
        ("ambient", ""),
        ("fake", "1.0.0"),
        ("fake", "2.0.0-beta.1"),
    ]
    (first,) = [p for p in found if (p["name"], p["version"]) == ("fake", "1.0.0")]
    assert (first["kind"], first["size"] > 100, first["installTime"][-1]) == ("resource", True, "Z")
    shown = workspace.run("plugin", "ls", "--project", **path).stdout
    assert [line.split() for line in shown.splitlines() if line.startswith("own")] == [["own", "resource"]]


def installed(workspace: Workspace) -> list[str]:
    found = json.loads(workspace.run("plugin", "ls", "--json", PATH="").stdout)
    return [f"{p['name']} {p['version']}" for p in found if p["name"] in ("fake", "other")]


def test_plugins_are_installed_from_files(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    source = script(tmp_path / "built" / "pulumi-resource-fake", "print(1)")
    with tarfile.open(tmp_path / "fake.tar.gz", "w:gz") as archive:
        archive.add(source, arcname="pulumi-resource-fake")
    workspace.run("plugin", "install", "resource", "fake", "v1.0.0", "--file", "fake.tar.gz")
    workspace.run("plugin", "install", "resource", "fake", "1.1.0", "--file", str(source))
    workspace.run("plugin", "install", "resource", "other", "0.1.0", "-f", str(source.parent))
    assert installed(workspace) == ["fake 1.0.0", "fake 1.1.0", "other 0.1.0"]
    env = {"PULUMI_HOME": str(tmp_path / "home"), "PATH": ""}
    for version in ("1.0.0", "1.1.0"):
        (command,) = find_plugin("fake", version, env, "python").argv
        assert os.access(command, os.X_OK)
        assert "print(1)" in Path(command).read_text()
    workspace.run("plugin", "install", "resource", "fake", "1.0.0")
    assert "downloads none" in workspace.fails("plugin", "install", "resource", "fake", "1.2.0").stderr
    assert "downloads no plugins" in workspace.fails("plugin", "install", "--server", "https://x").stderr
    gone = workspace.fails("plugin", "install", "resource", "fake", "3.0.0", "--file", "none.tar.gz")
    assert "installing plugin from" in gone.stderr
    assert installed(workspace) == ["fake 1.0.0", "fake 1.1.0", "other 0.1.0"]
    assert not list((tmp_path / "home" / "plugins").glob("*.partial"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["install", "resource", "fake"], "needs a kind, a name and a version"),
        (["install", "language", "python", "1.0.0"], "plugins of kind 'language' are not served"),
        (["install", "resource", "fake", "new"], "'new' is not a version"),
        (["rm"], "please pass --all"),
        (["rm", "resource", "none", "--yes"], "no plugins found to uninstall"),
        (["rm", "resource", "fake", ">=new", "--yes"], "'new' is not a version"),
        (["rm", "resource", "fake"], "pass --yes"),
    ],
)
def test_what_is_no_plugin(words: list[str], message: str, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    script(tmp_path / "home" / "plugins" / "resource-fake-v1.0.0" / "pulumi-resource-fake", "")
    assert message in workspace.fails("plugin", *words).stderr
    assert installed(workspace) == ["fake 1.0.0"]


def test_plugins_are_removed_by_name_and_version(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for name in ("fake-v1.0.0", "fake-v1.5.0", "fake-v2.0.0", "fake-v3.0.0", "other-v1.0.0"):
        script(tmp_path / "home" / "plugins" / f"resource-{name}" / "x", "")
    workspace.run("plugin", "rm", "resource", "fake", ">=1.0.0 <2.0.0 || 3.0.0", "--yes")
    assert installed(workspace) == ["fake 2.0.0", "other 1.0.0"]
    workspace.run("plugin", "rm", "resource", "other", "--yes")
    assert installed(workspace) == ["fake 2.0.0"]
    workspace.run("plugin", "rm", "--all", "--yes")
    assert installed(workspace) == []
    assert in_range("1.2.3", "!=1.2.4")
    assert not in_range("1.2.3", "!1.2.3")

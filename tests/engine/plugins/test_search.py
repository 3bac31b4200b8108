"""Where plugins are found, and which of several: the stock engine's order and choice."""

from __future__ import annotations

import stat
import sys
from importlib import metadata
from pathlib import Path

import pytest

from engine import plugin_search
from engine.errors import PluginError, UsageError
from engine.operation import ProjectPlugin
from engine.plugin_search import find_plugin, installed_plugins, parse_version
from engine.plugins import attached_plugin
from engine.project import load_project


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{body}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_plugin_on_path_comes_first(tmp_path: Path) -> None:
    here = script(tmp_path / "bin" / "pulumi-resource-fake", "")
    script(tmp_path / "plugins" / "resource-fake-v1.0.0" / "pulumi-resource-fake", "")
    found = find_plugin("fake", "", {"PATH": str(here.parent), "PULUMI_HOME": str(tmp_path)}, "python")
    assert found.argv == (str(here),)
    assert "$PATH" in found.origin


def test_an_installed_plugin_of_that_version_or_the_newest(tmp_path: Path) -> None:
    for version in ("1.0.0", "1.10.0", "1.9.0"):
        script(tmp_path / "plugins" / f"resource-fake-v{version}" / "pulumi-resource-fake", "")
    (tmp_path / "plugins" / "resource-fake-v9.0.0.tmp123").mkdir()
    script(tmp_path / "plugins" / "resource-fake-v9.1.0" / "pulumi-resource-fake", "")
    (tmp_path / "plugins" / "resource-fake-v9.1.0.partial").touch()
    env = {"PATH": "", "PULUMI_HOME": str(tmp_path)}
    assert "v1.9.0" in find_plugin("fake", "1.9.0", env, "python").origin
    assert "v1.10.0" in find_plugin("fake", "", env, "python").origin
    with pytest.raises(PluginError, match=r"at version v7.7.7 or on your \$PATH: .*\(only 1.0.0, 1.10.0, 1.9.0\)"):
        find_plugin("fake", "7.7.7", env, "python")
    assert "v1.10.0" in find_plugin("fake", "1.2.0", {**env, "PULUMI_ENABLE_LEGACY_PLUGIN_SEARCH": "1"}, "py").origin


def test_a_plugin_of_a_python_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = metadata.EntryPoint(name="fake", value="some.module", group=plugin_search.ENTRY_POINTS)
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [entry])
    found = find_plugin("fake", "", {"PATH": "", "HOME": str(tmp_path)}, "python")
    assert (found.argv[0], found.argv[-1]) == (sys.executable, "some.module")


def test_dynamic_providers_run_in_the_programs_python() -> None:
    found = find_plugin("pulumi-python", "", {}, "py")
    assert (found.argv[0], Path(found.argv[-1]).name) == ("py", "dynamic_host")


def test_no_plugin_says_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"'pulumi-resource-nowhere' found in the workspace at version v1.2.3 or on"):
        find_plugin("nowhere", "1.2.3", {"PATH": "", "HOME": str(tmp_path)}, "python")


def test_a_plugin_that_runs_already() -> None:
    env = {"PULUMI_DEBUG_PROVIDERS": "other:1,fake:4711"}
    attached = attached_plugin("fake", env)
    assert attached is not None
    assert attached.address() == "127.0.0.1:4711"
    assert attached.alive()
    attached.stop()
    assert attached_plugin("third", env) is None
    with pytest.raises(PluginError, match="not of the form name:port"):
        attached_plugin("fake", {"PULUMI_DEBUG_PROVIDERS": "fake"})


def test_a_stable_version_is_taken_before_a_later_pre_release(tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0-alpha.2", "2.0.0-alpha.10"):
        script(tmp_path / "plugins" / f"resource-fake-v{version}" / "pulumi-resource-fake", "")
    env = {"PATH": "", "PULUMI_HOME": str(tmp_path)}
    assert "v1.0.0" in find_plugin("fake", "", env, "python").origin
    assert "alpha.10" in find_plugin("fake", "2.0.0-alpha.10", env, "python").origin
    assert [plugin.version for plugin in installed_plugins(tmp_path / "plugins")] == [
        "1.0.0",
        "2.0.0-alpha.10",
        "2.0.0-alpha.2",
    ]


def test_versions_sort_as_semver_says() -> None:
    order = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0",
        "1.0.1",
        "v2",
    ]
    found = [parse_version(text) for text in order]
    assert None not in found
    assert sorted(found, key=lambda version: version or (0, 0, 0, 0, ())) == found
    assert parse_version("1.2.3+build") == parse_version("1.2.3")
    assert parse_version("latest") is None


def test_plugins_on_path_can_be_ignored(tmp_path: Path) -> None:
    here = script(tmp_path / "bin" / "pulumi-resource-fake", "")
    env = {"PATH": str(here.parent), "PULUMI_HOME": str(tmp_path), "PULUMI_IGNORE_AMBIENT_PLUGINS": "true"}
    with pytest.raises(PluginError, match="found in the workspace: there is none in"):
        find_plugin("fake", "", env, "python")


def test_a_plugin_of_the_project_comes_before_all_others(tmp_path: Path) -> None:
    here = script(tmp_path / "bin" / "pulumi-resource-fake", "")
    mine = script(tmp_path / "mine" / "pulumi-resource-fake", "")
    env = {"PATH": str(here.parent), "HOME": str(tmp_path)}
    own = (ProjectPlugin(name="fake", path=mine.parent, version="1.0.0"),)
    assert find_plugin("fake", "", env, "python", own).argv == (str(mine),)
    assert find_plugin("fake", "1.0.0", env, "python", own).argv == (str(mine),)
    assert find_plugin("fake", "2.0.0", env, "python", own).argv == (str(here),)


def test_a_folder_that_describes_a_python_program(tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "resource-fake-v1.0.0"
    folder.mkdir(parents=True)
    (folder / "PulumiPlugin.yaml").write_text("runtime: python\n", encoding="utf-8")
    env = {"PATH": "", "PULUMI_HOME": str(tmp_path)}
    with pytest.raises(PluginError, match=r"neither __main__.py nor a buildable pyproject"):
        find_plugin("fake", "", env, "python")
    (folder / "pyproject.toml").write_text("[project]\nname = 'fake-things'\n", encoding="utf-8")
    assert find_plugin("fake", "", env, "python").argv[-2:] == ("pulumi.run.plugin", "fake-things")
    (folder / "__main__.py").touch()
    found = find_plugin("fake", "", env, "python")
    assert (found.argv[0], found.argv[-1], found.wants_address) == ("python", str(folder), True)
    script(folder / "venv" / "bin" / "python", "")
    assert find_plugin("fake", "", env, "python").argv[0] == str(folder / "venv" / "bin" / "python")


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("runtime: nodejs", "runs on 'nodejs': the embedded engine starts executables and Python programs"),
        ("runtime: {name: python, options: {virtualenv: env}}", "names the virtual environment .*env, which is not"),
        ("name: x", "names no runtime"),
        ("runtime: [", "cannot be read"),
    ],
)
def test_folders_that_cannot_be_started(description: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "resource-fake-v1.0.0"
    folder.mkdir(parents=True)
    env = {"PATH": "", "PULUMI_HOME": str(tmp_path)}
    with pytest.raises(PluginError, match=r"neither pulumi-resource-fake nor a PulumiPlugin.yaml"):
        find_plugin("fake", "", env, "python")
    (folder / "PulumiPlugin.yaml").write_text(description, encoding="utf-8")
    with pytest.raises(PluginError, match=message):
        find_plugin("fake", "", env, "python")


def test_plugins_that_a_project_names(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.yaml"
    body = "name: p\nruntime: python\nplugins:\n  providers:\n    - {name: fake, path: mine, version: 1.0.0}\n"
    path.write_text(body + "packages:\n  local: ./here\n  remote: terraform-provider\n", encoding="utf-8")
    assert load_project(path).plugins == (
        ProjectPlugin(name="fake", path=tmp_path / "mine", version="1.0.0"),
        ProjectPlugin(name="local", path=tmp_path / "here"),
    )
    path.write_text("name: p\nruntime: python\nplugins:\n  providers:\n    - {name: fake}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="needs a name and a path"):
        load_project(path)

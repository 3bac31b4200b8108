"""`plugin ls`: which plugins there are, of whatever origin."""

from __future__ import annotations

import json
from pathlib import Path

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

"""Interrupted creations on the command line of `refresh`: what is said of them, and what is asked."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from engine.cli import main
from engine.command import EmbeddedCommand
from engine.streams import Streams
from tests.engine.core.cloud import Cloud
from tests.engine.core.program import BUCKET

PROGRAM = """
import pulumi
class Bucket(pulumi.CustomResource):
    def __init__(self, name, props):
        super().__init__("fake:index:Bucket", name, props)
Bucket("other", {"size": 1})
"""
URN = f"urn:pulumi:dev::proj::{BUCKET}::a"


class Project:
    """A stack in which the creation of `a` was interrupted; its object is `a-1`."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.folder = folder
        self.env = {
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_HOME": str(folder / "home"),
            "HOME": str(folder),
            "PULUMI_DEBUG_PROVIDERS": f"fake:{cloud.port}",
        }
        body = {"name": "proj", "runtime": "python", "backend": {"url": "file://./state"}}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(body))
        (folder / "__main__.py").write_text(PROGRAM)
        self.run("stack", "init", "dev")
        self.run("up", "--yes", "--skip-preview")
        cloud.put("a", "a-1", size=7)
        path = folder / "state" / ".pulumi" / "stacks" / "proj" / "dev.json"
        state = json.loads(path.read_text())
        latest = state["checkpoint"]["latest"]
        other = next(r for r in latest["resources"] if r["urn"].endswith("::other"))
        interrupted = {key: value for key, value in other.items() if key not in ("id", "outputs")}
        latest["pending_operations"] = [{"type": "creating", "resource": {**interrupted, "urn": URN}}]
        path.write_text(json.dumps(state))

    def run(self, *words: str) -> str:
        return EmbeddedCommand().run(list(words), str(self.folder), self.env).stdout

    def by_hand(self, answers: str, *words: str) -> tuple[int, str]:
        """A command of somebody who answers; (exit code, what was shown)."""
        out = io.StringIO()
        streams = Streams(stdin=io.StringIO(answers), stdout=out, stderr=out, interactive=True)
        code = main(words, cwd=self.folder, environment=self.env, streams=streams)
        return code, out.getvalue()

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("stack", "export"))["deployment"]
        return found

    @property
    def pending(self) -> list[str]:
        return [p["resource"]["urn"] for p in self.state.get("pending_operations", [])]

    @property
    def ids(self) -> dict[str, str]:
        return {r["urn"].rsplit("::", 1)[-1]: r.get("id", "") for r in self.state["resources"]}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    cloud = Cloud()
    try:
        yield Project(tmp_path, cloud)
    finally:
        cloud.close()


def test_a_creation_is_completed_by_its_id(project: Project) -> None:
    project.run(
        "refresh", "--yes", "--skip-preview", "--import-pending-creates", URN, "--import-pending-creates", "a-1"
    )
    assert project.pending == []
    assert project.ids["a"] == "a-1"


def test_a_creation_is_forgotten(project: Project) -> None:
    project.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    assert project.pending == []
    assert "a" not in project.ids


def test_nothing_is_asked_where_nobody_answers(project: Project) -> None:
    out = project.run("refresh", "--yes", "--skip-preview")
    assert "pending CREATE" not in out
    assert project.pending == [URN]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--import-pending-creates", URN), "each URN must be followed by an ID: found an odd number of entries"),
        (
            ("--skip-pending-creates", "--clear-pending-creates"),
            "cannot set both --skip-pending-creates and --clear-pending-creates",
        ),
    ],
)
def test_what_cannot_be_said(project: Project, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(auto.CommandError) as caught:
        project.run("refresh", "--yes", "--skip-preview", *words)
    assert message in str(caught.value)


def test_somebody_is_asked_and_gives_the_id(project: Project) -> None:
    code, shown = project.by_hand("what\nimport\na-1\n", "refresh", "--skip-preview")
    assert code == 0, shown
    assert f"Options for pending CREATE of {URN}" in shown
    assert (project.pending, project.ids["a"]) == ([], "a-1")


def test_somebody_is_asked_and_clears(project: Project) -> None:
    code, shown = project.by_hand("clear\n", "refresh", "--skip-preview")
    assert code == 0, shown
    assert project.pending == []


@pytest.mark.parametrize("answers", ["skip\n", ""])
def test_somebody_is_asked_and_leaves_it(project: Project, answers: str) -> None:
    code, shown = project.by_hand(answers, "refresh", "--skip-preview")
    assert code == 0, shown
    assert project.pending == [URN]


def test_nobody_is_asked_who_does_not_want_to_be(project: Project) -> None:
    code, shown = project.by_hand("", "refresh", "--skip-preview", "--skip-pending-creates")
    assert code == 0, shown
    assert "pending CREATE" not in shown

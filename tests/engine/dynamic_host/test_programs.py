"""Programs with dynamic providers of their own, on the whole engine."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pulumi.dynamic import dynamic

from engine.command import EmbeddedCommand
from tests.engine.dynamic_host.cases import Echo
from tests.engine.dynamic_host.hosts import ROOT
from tests.engine.test_program import Project

HEAD = """
import os, pathlib, threading
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

HERE = pathlib.Path(os.environ["HERE"])

class Mine(ResourceProvider):
    def __init__(self, mark):
        super().__init__()
        self.mark = mark
        self.told = False

    def create(self, props):
        (HERE / f"begun-{self.mark}").touch()
        import time
        while props.get("waits") and not self.told:
            time.sleep(0.02)
        return CreateResult(self.mark, {"mark": self.mark})

    def give_up(self, urn, operation):
        if self.mark == "obliging":
            self.told = True
        (HERE / f"told-{self.mark}").write_text(f"{operation} {urn}")

class Thing(Resource):
    def __init__(self, name, opts=None, **props):
        super().__init__(Mine(name), name, props, opts)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HERE", str(tmp_path))
    return tmp_path


def project(folder: Path, body: str) -> Project:
    made = Project(folder, HEAD + body)
    made.run("stack", "init", "dev")
    return made


def test_a_program_may_make_many_resources_of_its_own_class(folder: Path) -> None:
    """The SDK alone breaks off at the 320th."""
    made = project(folder, "for n in range(340):\n    Thing(str(n))\n")
    assert "+ 341 to create" in " ".join(made.run("preview").split())


def test_a_create_that_takes_longer_than_its_custom_timeout(folder: Path) -> None:
    body = """
Thing("quick")
Thing("slow", pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="1s")), waits=True)
"""
    made = project(folder, body)
    said = made.run("up", "--yes", "--skip-preview", code=1)
    assert "the create took longer than the 1 seconds that its customTimeouts allow" in said
    assert "dynamic:Resource::slow" in said
    assert (folder / "told-slow").read_text().startswith("create urn:pulumi:dev::proj::")
    exported = made.run("stack", "export")
    assert '"quick"' in exported
    assert "::slow" not in exported


def test_an_interrupted_update_tells_the_provider_and_keeps_what_it_made(folder: Path) -> None:
    made = project(folder, 'Thing("obliging", waits=True)\n')
    with made.start("up", "--yes", "--skip-preview") as process:
        deadline = time.monotonic() + 60
        while not (folder / "begun-obliging").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stdout + stderr
    assert "update canceled" in stdout
    assert (folder / "told-obliging").exists()
    assert "dynamic:Resource::obliging" in made.run("stack", "export")


CONSTRUCTIONS = """
import resource, sys
from engine.program_host import adapt_sdk
adapt_sdk()
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider

class Mine(ResourceProvider):
    def __init__(self, mark):
        self.mark = mark

def most_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

first = serialize_provider(Mine("0"))
for n in range(500):
    serialize_provider(Mine(str(n)))
before = most_memory()
for n in range(500, 5000):
    serialize_provider(Mine(str(n)))
assert serialize_provider(Mine("0")) == first
sys.exit(most_memory() - before > 10 * 1024)
"""


def test_five_thousand_constructions_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(CONSTRUCTIONS)
    env = {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "program.py"], check=True, cwd=tmp_path, env=env, timeout=120)


def test_constructions_in_several_threads_leave_the_pickler_as_it_was() -> None:
    EmbeddedCommand()
    pickler = pickle._Pickler
    before = (pickler._batch_setitems, pickler.save_dict, pickle.Pickler)
    expected = dynamic.serialize_provider(Echo("x"))
    made: list[str] = []

    def construct() -> None:
        made.extend(dynamic.serialize_provider(Echo("x")) for _ in range(50))

    threads = [threading.Thread(target=construct) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [expected] * 200
    assert (pickler._batch_setitems, pickler.save_dict, pickle.Pickler) == before

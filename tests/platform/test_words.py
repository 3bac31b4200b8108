"""`tenantry platform` on the command line: what is wrong is refused before anything, and where it would act is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pulumi.automation.events import DiagnosticEvent, EngineEvent

from automation import installing
from automation.engines import EngineChoice
from automation.settings import Settings
from tests.automation.helpers import PASSPHRASE, ROOT


class Terminal:
    """A project with a platform.yaml, and a kubeconfig of a cluster that nobody reaches; nobody answers questions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
        (folder / "platform.yaml").write_text("image: registry.example/tenantry:1\ndatabase: {host: db}\n")
        clusters = [{"name": name, "cluster": {"server": f"https://127.0.0.1:{port}"}} for name, port in _PORTS.items()]
        contexts = [{"name": name, "context": {"cluster": name}} for name in _PORTS]
        config = {"clusters": clusters, "contexts": contexts, "users": [], "current-context": "one"}
        (folder / "kubeconfig").write_text(yaml.safe_dump(config))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "KUBECONFIG": str(self._folder / "kubeconfig"),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "TENANTRY_ENGINE": "embedded",
            "TENANTRY_KUBERNETES_PATIENCE": "0.1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        }
        return subprocess.run(
            [sys.executable, "-m", "automation", "platform", *words],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


_PORTS = {"one": 1, "two": 2}
_ENGINE = EngineChoice(name="embedded", reason="asked for")


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.mark.parametrize(("word", "name"), [("preview", "../x y"), ("up", ""), ("up", "a" * 101), ("destroy", "-a")])
def test_a_name_that_is_none_is_wrong_input(terminal: Terminal, word: str, name: str) -> None:
    done = terminal.run(word, f"--stack={name}", "--json")
    assert done.returncode == 2, done.stdout + done.stderr
    assert json.loads(done.stdout)["error"]["message"].startswith("--stack ")


def test_a_removal_that_nobody_can_confirm_is_refused_with_the_word_that_does(terminal: Terminal) -> None:
    done = terminal.run("destroy")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Remove the installation 'tenantry' from https://127.0.0.1:1?" in done.stderr
    assert "--yes" in done.stderr


def test_the_cluster_is_told_before_anything_is_done_there(terminal: Terminal, tmp_path: Path) -> None:
    assert "cluster: https://127.0.0.1:1" in terminal.run("preview").stderr
    with (tmp_path / "platform.yaml").open("a") as file:
        file.write("context: two\n")
    assert "cluster: https://127.0.0.1:2" in terminal.run("preview").stderr


def test_what_is_waited_for_is_told_with_its_resource() -> None:
    said: list[str] = []
    run = installing._Run(settings=Settings(), choice=_ENGINE, operation="up", name="a", say=said.append)
    for kind, ephemeral in (("Deployment::web", True), ("Service::web", False)):
        urn = f"urn:pulumi:a::tenantry-platform::kubernetes:apps/v1:{kind}"
        message = DiagnosticEvent(message="Waiting", color="never", severity="info", urn=urn, ephemeral=ephemeral)
        run.heed(EngineEvent(sequence=1, timestamp=1, diagnostic_event=message))
    assert said == ["Deployment web: Waiting", "Waiting"]

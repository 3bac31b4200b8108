"""`make demo` and `make clean-demo`, as they are, in a folder of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from automation.demo import TENANTS, main
from sandbox import authorization, caddy, postgres, supervisor
from sandbox.n8n import server as n8n
from tests.automation.helpers import ROOT

pytestmark = pytest.mark.timeout(600)


def test_the_demo_and_its_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / ".tenantry" / "demo"
    try:
        assert main(["run"], root=tmp_path) == 0, capfd.readouterr()
        told = capfd.readouterr()
        for tenant in TENANTS:
            assert f"{tenant}: up succeeded" in told.out
        assert "slots of 20 minutes, booking 21 days ahead" in told.out
        assert "would change settings.branding.primaryColor: #0E7490 -> #9D174D" in told.out
        assert "is refused (409): " in told.out
        assert "petits-sourires: ✗ Settings" in told.out
        assert "petits-sourires: up rolled back" in told.out
        assert "petits-sourires: rollback succeeded" in told.out
        assert told.out.count("nothing to change") == 2
        assert "audit: demo from 127.0.0.1" in told.out
        for name in ("passphrase", "jwt-key", "env"):
            assert (folder / name).stat().st_mode & 0o777 == 0o600
            assert (folder / name).read_text() not in told.out + told.err
        # What runs on is told, and nothing else does.
        region = folder / "region"
        for word, server in {
            "PostgreSQL": postgres.attach(folder / "postgres"),
            "Caddy": caddy.attach(region / "gateway"),
            "authorization server": authorization.attach(region / "authorization"),
            "n8n": n8n.attach(region / "n8n"),
            "supervisor": supervisor.attach(region / "supervisor"),
        }.items():
            assert server is not None, word
            assert word in told.out.rpartition("The service and the worker are stopped.")[2]
        assert "the department's application" in told.out
        url = re.search(r"the service listens on (http://\S+);", told.out)
        assert url is not None
        with pytest.raises(httpx.ConnectError):
            httpx.get(url[1], trust_env=False)
    finally:
        assert main(["clean"], root=tmp_path) == 0
    assert not folder.exists()
    assert "destroy of cabinet-rive: succeeded" in capfd.readouterr().out
    assert main(["clean"], root=tmp_path) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
def test_ctrl_c_in_the_middle_and_once_more(tmp_path: Path) -> None:
    """What a stopped demo leaves, its fault and its job included, is no hindrance to the next."""
    said = tmp_path / "said"
    command = [sys.executable, "-m", "automation.demo"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with said.open("w") as file:
        first = subprocess.Popen(
            [*command, "run"],
            cwd=tmp_path,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 250
        # The fault is in, and the job that meets it has been accepted.
        while "settings fail.\n$ PUT" not in said.read_text() and time.monotonic() < until:
            assert first.poll() is None, said.read_text()
            time.sleep(0.1)
        # As a terminal does: to all of them.
        os.killpg(first.pid, signal.SIGINT)
        assert first.wait(timeout=90) == 130, said.read_text()
        assert "`make demo` goes on from what there is" in said.read_text()
        assert main(["run"], root=tmp_path) == 0
    finally:
        assert main(["clean"], root=tmp_path) == 0


def test_wrong_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dance"], root=tmp_path) == 2
    assert "run|clean" in capfd.readouterr().err

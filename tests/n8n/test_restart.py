"""A real n8n that was killed and starts again: nothing is taken for gone meanwhile, and nothing is made twice."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from providers.n8n import api
from providers.n8n.tag import N8nTagProvider
from providers.n8n.workflow import N8nWorkflowProvider
from tests.n8n.conftest import REGION, Server, inputs

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "n8n"


def listens(url: str) -> bool:
    where = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((str(where.hostname), int(where.port or 80))) == 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("n8n", ["real"], indirect=True)
def test_a_server_that_comes_up_again_is_waited_for(n8n: Server, mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "READY_SECONDS", 300.0)
    home = os.environ["TENANTRY_TEST_N8N_HOME"]
    props = {"region": REGION, "tenant_mark": mark}
    tag = N8nTagProvider().create(props)
    provider, wanted = N8nWorkflowProvider(), inputs(mark)
    made = provider.create(wanted)
    subprocess.run([SCRIPT, "kill", home], check=True, timeout=60)
    assert not listens(n8n.url)
    with subprocess.Popen([SCRIPT, "start", home]) as starting:
        deadline = time.monotonic() + 300
        while not listens(n8n.url) and time.monotonic() < deadline:
            time.sleep(0.02)
        # It listens long before its API knows what there is, and says 404 of all of it meanwhile.
        assert provider.read(made.id, made.outs).outs == made.outs
        assert provider.create(wanted).id == made.id
        assert httpx.get(made.outs["health_url"], timeout=30).json()["status"] == "ok"
        assert starting.wait(300) == 0
    provider.delete(made.id, made.outs)
    N8nTagProvider().delete(tag.id, tag.outs)
    assert n8n.workflows(mark) == []

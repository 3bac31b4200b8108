"""A process that is killed while it makes, changes or removes a route: whoever comes next finds or makes the one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from providers.caddy.route import GatewayRouteProvider
from sandbox.caddy import EmbeddedCaddy
from tests.automation.helpers import ROOT
from tests.caddy.helpers import backends_file, props
from tests.caddy.test_faults import passed_on, proxy

ROUTES = "/config/apps/http/servers/tenants/routes"
_CHILD = """
import sys
from providers.caddy.route import GatewayRouteProvider
from tests.caddy.helpers import props
provider, call = GatewayRouteProvider(), sys.argv[1]
if call == "create":
    provider.create(props())
elif call == "update":
    provider.update("", {}, props(upstream="127.0.0.1:8"))
else:
    provider.delete("tenantry-acme.tenants.localhost", props())
"""


@pytest.mark.parametrize("when", ["before it is sent on", "after it was made"])
@pytest.mark.parametrize("call", ["create", "update", "delete"])
def test_one_route_or_none(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, admin: httpx.Client, tmp_path: Path, call: str, when: str
) -> None:
    children: list[subprocess.Popen[bytes]] = []

    def kill() -> None:
        children[0].send_signal(signal.SIGKILL)
        children[0].wait(30)

    def meddle(request: dict[str, Any], done: httpx.Response) -> Any:
        if request["method"] == "GET":
            if when == "before it is sent on":
                kill()
            return passed_on(done)
        kill()
        return None

    if call != "create":
        provider.create(props())
    folder = tmp_path / "child"
    folder.mkdir()
    with proxy(caddy, meddle) as between:
        file = backends_file(folder, caddy, admin=f"http://{between.address}")
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TENANTRY_BACKENDS": str(file)}
        children.append(subprocess.Popen([sys.executable, "-c", _CHILD, call], env=environment))
        assert children[0].wait(120) == -signal.SIGKILL
    made = when == "after it was made"
    there = [route["@id"] for route in admin.get(ROUTES).json()]
    assert ("tenantry-acme.tenants.localhost" in there) is (
        made if call == "create" else not (made and call == "delete")
    )
    if call == "delete":
        provider.delete("tenantry-acme.tenants.localhost", props())
        assert [route["@id"] for route in admin.get(ROUTES).json()] == ["no-such-tenant"]
        return
    outs = provider.create(props(upstream="127.0.0.1:8")).outs
    assert outs is not None
    assert [route["@id"] for route in admin.get(ROUTES).json()] == [outs["route_id"], "no-such-tenant"]
    assert provider.read(outs["route_id"], outs).outs == outs

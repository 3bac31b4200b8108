"""Many changes at once: of one process as one, of several one after another, and none cuts a request that runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from providers.caddy import batch
from providers.caddy.admin import Gateway
from providers.caddy.plan import Drop, Put
from providers.caddy.route import GatewayRouteProvider
from providers.caddy.routes import RouteSpec
from providers.errors import OwnershipError
from sandbox.caddy import EmbeddedCaddy
from tests.automation.helpers import ROOT
from tests.caddy.helpers import Visitor, props
from tests.caddy.upstream import Upstream

ROUTES = "/config/apps/http/servers/tenants/routes"
MANY = 1000


def ids(admin: httpx.Client) -> list[str]:
    return [route["@id"] for route in admin.get(ROUTES).json()]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The method of each change that Caddy was sent."""
    seen: list[str] = []
    write = Gateway.write

    def watched(self: Gateway, edit: Any, etag: str, what: str) -> bool:
        seen.append(edit.method)
        return write(self, edit, etag, what)

    monkeypatch.setattr(Gateway, "write", watched)
    return seen


def all_at_once(gateway: Gateway, wanted: list[batch.Change]) -> None:
    """Holds the line until all wait in it."""
    line = batch._lines.setdefault(gateway, batch._Line())
    with ThreadPoolExecutor(len(wanted)) as pool:
        with line.turn:
            waiting = [pool.submit(batch.change, gateway, one, one.id) for one in wanted]
            while len(line.waiting) < len(wanted):
                time.sleep(0.005)
        for one in waiting:
            one.result(120)


def spec(number: int, upstream: str = "127.0.0.1:9") -> RouteSpec:
    return RouteSpec(host=f"t{number}.tenants.localhost", mark=f"tenantry/t{number}", upstream=upstream)


def test_changes_of_one_process_are_one_of_caddys(
    caddy: EmbeddedCaddy, admin: httpx.Client, visitor: Visitor, written: list[str]
) -> None:
    gateway = Gateway(admin=caddy.admin, server=caddy.server)
    with Upstream(name="ninth") as ninth:
        wanted: list[batch.Change] = [Put(spec=spec(number)) for number in range(9)]
        all_at_once(gateway, [*wanted, Put(spec=spec(9, ninth.address))])
        assert written == ["PATCH"]
        assert sorted(ids(admin)) == sorted([*(spec(number).id for number in range(10)), "no-such-tenant"])
        assert visitor.get("t9").json()["name"] == "ninth"
        gone: list[batch.Change] = [Drop(id=spec(number).id, mark=spec(number).mark) for number in range(10)]
        all_at_once(gateway, gone)
    assert written == ["PATCH", "PATCH"]
    assert ids(admin) == ["no-such-tenant"]


def test_who_is_refused_does_not_hold_up_the_others(
    caddy: EmbeddedCaddy, admin: httpx.Client, written: list[str]
) -> None:
    gateway = Gateway(admin=caddy.admin, server=caddy.server)
    thief = RouteSpec(host=spec(1).host, mark="tenantry/thief", upstream="127.0.0.1:1")
    batch.change(gateway, Put(spec=spec(1)), "one")
    with pytest.raises(OwnershipError, match="is tenantry/t1's"):
        all_at_once(gateway, [Put(spec=thief), Put(spec=spec(2)), Put(spec=spec(3))])
    assert set(ids(admin)) == {spec(1).id, spec(2).id, spec(3).id, "no-such-tenant"}
    assert admin.get(f"/id/{spec(1).id}").json() == spec(1).to_json()


def test_one_change_is_one_small_request(caddy: EmbeddedCaddy, admin: httpx.Client, written: list[str]) -> None:
    gateway = Gateway(admin=caddy.admin, server=caddy.server)
    batch.change(gateway, Put(spec=spec(1)), "one")
    batch.change(gateway, Put(spec=spec(2)), "two")
    batch.change(gateway, Put(spec=spec(2, "127.0.0.1:1")), "two")
    batch.change(gateway, Put(spec=spec(2, "127.0.0.1:1")), "two")
    batch.change(gateway, Drop(id=spec(2).id, mark=spec(2).mark), "two")
    batch.change(gateway, Drop(id=spec(2).id, mark=spec(2).mark), "two")
    # The first one brings the definition that all share.
    assert written == ["PATCH", "PUT", "PATCH", "DELETE"]


_CHILD = """
import sys
from providers.caddy import batch
from providers.caddy.admin import Gateway
from providers.caddy.plan import Drop, Put
from providers.caddy.routes import RouteSpec
admin, name = sys.argv[1:]
gateway = Gateway(admin=admin, server="tenants")
specs = [RouteSpec(host=f"{name}{n}.tenants.localhost", mark=f"tenantry/{name}{n}", upstream="h:1") for n in range(8)]
for spec in specs:
    batch.change(gateway, Put(spec=spec), spec.host)
for spec in specs[:4]:
    batch.change(gateway, Drop(id=spec.id, mark=spec.mark), spec.host)
"""


def test_processes_that_change_at_once_lose_nothing(caddy: EmbeddedCaddy, admin: httpx.Client, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD, caddy.admin, name],
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for name in ("a", "b", "c")
    ]
    try:
        for child in children:
            _, said = child.communicate(timeout=120)
            assert child.returncode == 0, said
    finally:
        for child in children:
            child.kill()
            child.wait()
    expected = {f"tenantry-{name}{number}.tenants.localhost" for name in ("a", "b", "c") for number in range(4, 8)}
    assert set(ids(admin)) == expected | {"no-such-tenant"}
    assert len(ids(admin)) == len(expected) + 1


def test_somebody_elses_change_in_between_is_noticed(
    caddy: EmbeddedCaddy, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch, written: list[str]
) -> None:
    gateway = Gateway(admin=caddy.admin, server=caddy.server)
    theirs = {"@id": "theirs", "match": [{"host": ["theirs.localhost"]}], "handle": [{"handler": "vars"}]}
    read = Gateway.read
    others: list[Callable[[], Any]] = [lambda: admin.put(f"{ROUTES}/0", json=theirs)]

    def read_and_be_slow(self: Gateway, what: str) -> Any:
        found = read(self, what)
        if others:
            others.pop()()
        return found

    monkeypatch.setattr(Gateway, "read", read_and_be_slow)
    batch.change(gateway, Put(spec=spec(1)), "one")
    assert len(written) == 2
    assert ids(admin) == ["theirs", spec(1).id, "no-such-tenant"]


def test_a_stream_survives_changes(
    provider: GatewayRouteProvider, upstream: Upstream, visitor: Visitor, admin: httpx.Client
) -> None:
    made = provider.create(props(upstream=upstream.address))
    heard: list[str] = []

    def listen() -> None:
        with visitor.client.stream(
            "GET",
            f"{visitor.base}/stream",
            headers={"Host": visitor.host("acme")},
            extensions={"sni_hostname": "acme.tenants.localhost"},
        ) as answer:
            heard.extend(line for line in answer.iter_lines() if line)

    thread = threading.Thread(target=listen)
    thread.start()
    assert upstream.begun.wait(30)
    for number in range(5):
        provider.create(props(f"beta{number}"))
    provider.update(made.id, made.outs or {}, props(upstream="127.0.0.1:9"))
    provider.delete(made.id, made.outs or {})
    upstream.go_on.set()
    thread.join(30)
    assert heard == ["data: first", "data: last"]
    assert visitor.get("acme").status_code == 404


def test_a_websocket_survives_changes(provider: GatewayRouteProvider, caddy: EmbeddedCaddy, visitor: Visitor) -> None:
    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            provider.create(props(upstream=f"127.0.0.1:{server.socket.getsockname()[1]}"))
            with connect(
                f"wss://acme.tenants.localhost:{caddy.port}/", sock=visitor.socket(), ssl=visitor.context, proxy=None
            ) as socket:
                socket.send("before")
                assert socket.recv(30) == "before"
                for number in range(3):
                    provider.create(props(f"beta{number}"))
                socket.send("after")
                assert socket.recv(30) == "after"
        finally:
            server.shutdown()
            thread.join(30)


def test_a_thousand_tenants(
    caddy: EmbeddedCaddy, admin: httpx.Client, provider: GatewayRouteProvider, visitor: Visitor, upstream: Upstream
) -> None:
    gateway = Gateway(admin=caddy.admin, server=caddy.server)
    wanted = [Put(spec=spec(number, upstream.address)) for number in range(MANY)]
    assert not batch.apply(gateway, wanted, "a thousand routes").refused
    assert len(ids(admin)) == MANY + 1
    made = provider.create(props("one-more", upstream=upstream.address))
    assert provider.read(made.id, made.outs or {}).outs == made.outs
    for label in ("t0", "t500", "t999", "one-more"):
        assert visitor.get(label).status_code == 200
    # One certificate for them all.
    issued = caddy.ca_file.parents[3] / "certificates" / "local"
    assert [one.name for one in issued.iterdir()] == ["wildcard_.tenants.localhost"]
    provider.delete(made.id, made.outs or {})
    assert visitor.get("one-more").status_code == 404
    assert visitor.get("t999").status_code == 200

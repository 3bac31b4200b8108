"""Tokens and limits at the gateway, with the real service behind it: who passes, as whom, and how often."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from providers.caddy.route import GatewayRouteProvider
from sandbox.caddy import EmbeddedCaddy
from tests.automation.helpers import PASSPHRASE, ROOT
from tests.caddy.conftest import name_region
from tests.caddy.helpers import SECRET, SECRET_NAME, Visitor, backends_file, props
from tests.caddy.upstream import Upstream
from tests.conftest import MainDatabase
from tests.service.helpers import SECRET as KEY
from tests.service.helpers import token
from tests.service.server import served

MINE = {"Authorization": f"Bearer {token('zoé', tenants={'acme': 'member'})}"}
OTHERS = {"Authorization": f"Bearer {token('otto', tenants={'other': 'owner'})}"}


@pytest.fixture
def service(
    caddy: EmbeddedCaddy, main_db: MainDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The service, which knows the gateway by a secret; the region `here` asks it."""
    folder = tmp_path / "service"
    folder.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", folder / "Pulumi.yaml")
    environment = {
        **main_db.server.env(),
        "DB_NAME": main_db.name,
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "TENANTRY_JWT_SECRET": KEY,
        "TENANTRY_BACKENDS": str(backends_file(folder, caddy, authSecretFrom=SECRET_NAME)),
        SECRET_NAME: SECRET,
        # What a caller of the API may do is not what a visitor of a tenant may.
        "TENANTRY_REQUESTS_PER_MINUTE": "1",
    }
    with served(environment, folder) as url:
        name_region(monkeypatch, tmp_path, caddy, authUrl=url, authSecretFrom=SECRET_NAME)
        yield url


def test_the_whole_way(
    provider: GatewayRouteProvider, service: str, upstream: Upstream, visitor: Visitor, caddy: EmbeddedCaddy
) -> None:
    _who_passes(provider, upstream, visitor)
    _how_often(provider, upstream, visitor)
    _websockets(provider, caddy, visitor)
    _who_may_ask(service)


def _who_passes(provider: GatewayRouteProvider, upstream: Upstream, visitor: Visitor) -> None:
    provider.create(props(upstream=upstream.address, auth="jwt"))
    nobody = visitor.get("acme", "/a", headers={"X-Tenantry-Subject": "forged", "X-Tenantry-Auth": "none"})
    assert nobody.status_code == 401
    assert nobody.headers["WWW-Authenticate"] == 'Bearer realm="tenantry"'
    assert nobody.json()["detail"] == "nobody is signed in"
    stranger = visitor.get("acme", headers=OTHERS)
    assert stranger.status_code == 403
    assert stranger.headers["Content-Type"] == "application/problem+json"
    assert upstream.heard == []
    for _ in range(3):
        forged = {"X-Tenantry-Role": "owner", "X-Tenantry-Gateway": "x", "Cookie": "a=b"}
        sent: dict[str, Any] = {"headers": {**MINE, **forged}, "content": b"x" * 200_000}
        answer = visitor.send("POST", "acme", "/path?secret=1", **sent)
        assert answer.status_code == 200
    heard = upstream.heard[-1]
    assert (heard["method"], heard["path"], len(heard["body"])) == ("POST", "/path?secret=1", 200_000)
    headers = heard["headers"]
    assert (headers["x-tenantry-subject"], headers["x-tenantry-role"]) == ("zo%C3%A9", "member")
    assert headers["cookie"] == "a=b"
    # Neither the token, with which our API could be used, nor what the gateway is known by.
    assert "authorization" not in headers
    assert "x-tenantry-gateway" not in headers
    assert SECRET not in str(headers)


def _how_often(provider: GatewayRouteProvider, upstream: Upstream, visitor: Visitor) -> None:
    provider.create(props("limited", upstream=upstream.address, requests_per_minute=3))
    answers = [visitor.get("limited", headers={"Authorization": "Basic own"}) for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[0].headers["RateLimit-Limit"] == "3"
    assert answers[0].headers["RateLimit-Remaining"] == "2"
    assert answers[0].json()["headers"]["authorization"] == "Basic own"
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 120
    provider.create(props(upstream=upstream.address, auth="jwt", requests_per_minute=2))
    answers = [visitor.get("acme", headers=MINE) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert "RateLimit-Remaining" in answers[1].headers


def _websockets(provider: GatewayRouteProvider, caddy: EmbeddedCaddy, visitor: Visitor) -> None:
    def echo(connection: ServerConnection) -> None:
        assert connection.request is not None
        connection.send(connection.request.headers["X-Tenantry-Subject"])

    with serve(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"127.0.0.1:{server.socket.getsockname()[1]}"
            provider.create(props(upstream=address, auth="jwt"))
            where: dict[str, Any] = {"ssl": visitor.context, "proxy": None, "open_timeout": 60}
            url = f"wss://acme.tenants.localhost:{caddy.port}/"
            with connect(url, sock=visitor.socket(), additional_headers=MINE, **where) as socket:
                assert socket.recv(30) == "zo%C3%A9"
            with pytest.raises(InvalidStatus, match="401"):
                connect(url, sock=visitor.socket(), **where)
        finally:
            server.shutdown()
            thread.join(30)


def _who_may_ask(service: str) -> None:
    import httpx

    asked = {"X-Tenantry-Tenant": "acme", "X-Tenantry-Auth": "none"}
    path = f"{service}/api/v1/gateway/auth"
    assert httpx.get(path, headers=asked).status_code == 403
    assert httpx.get(path, headers={**asked, "X-Tenantry-Gateway": SECRET}).status_code == 204


def test_when_our_service_is_away_nobody_passes(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    upstream: Upstream,
    visitor: Visitor,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    name_region(monkeypatch, tmp_path, caddy, authUrl="http://127.0.0.1:9")
    provider.create(props(upstream=upstream.address, auth="jwt"))
    assert visitor.get("acme", headers=MINE).status_code == 502
    assert upstream.heard == []


def test_a_service_that_moves_is_a_change_of_the_routes_that_ask_it(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name_region(monkeypatch, tmp_path, caddy, authUrl="http://127.0.0.1:9")
    asking = provider.create(props(auth="jwt")).outs
    silent = provider.create(props("open")).outs
    assert asking is not None
    assert silent is not None
    name_region(monkeypatch, tmp_path, caddy, authUrl="https://service.example/base/")
    assert provider.diff("", asking, props(auth="jwt")).changes
    assert not provider.diff("", silent, props("open")).changes
    assert provider.update("", asking, props(auth="jwt")).outs != asking

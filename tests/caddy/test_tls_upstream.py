"""A container that is reached with TLS, by a name of its own, as on a platform elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.caddy import routes
from providers.caddy.route import GatewayRouteProvider
from providers.caddy.routes import RouteSpec, name_of
from sandbox import caddy as sandbox_caddy
from tests.caddy.conftest import name_region
from tests.caddy.helpers import Visitor, props
from tests.caddy.upstream import Upstream
from tests.certificates import self_signed


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Upstream]:
    context = self_signed("localhost").server(tmp_path)
    made = Upstream(name="elsewhere")
    made._server.socket = context.wrap_socket(made._server.socket, server_side=True)
    with made:
        yield made


def test_it_is_asked_with_tls_by_its_own_name(
    elsewhere: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = elsewhere.address.rpartition(":")[2]
    monkeypatch.setattr(routes, "TLS_PORT", int(port))
    caddy = sandbox_caddy.start(tmp_path / "gw", environment={"SSL_CERT_FILE": str(tmp_path / "tls.crt")})
    try:
        name_region(monkeypatch, tmp_path, caddy)
        provider = GatewayRouteProvider()
        made = provider.create(props(upstream=f"localhost:{port}"))
        with Visitor(caddy) as visitor:
            answer = visitor.get("acme", "/hello")
        assert answer.json()["name"] == "elsewhere"
        heard = elsewhere.heard[-1]["headers"]
        assert heard["host"] == "localhost"
        assert heard["x-forwarded-host"].startswith("acme.tenants.localhost")
        assert made.outs is not None
        assert provider.diff(made.id, made.outs, props(upstream=f"localhost:{port}")).changes is False
    finally:
        sandbox_caddy.remove(caddy.directory)


def test_each_kind_has_a_definition_of_its_own() -> None:
    plain = RouteSpec(host="h", mark="m/h", upstream="u:8443")
    tls = RouteSpec(host="h", mark="m/h", upstream="app.up.railway.app:443")
    assert name_of(plain.definition) != name_of(tls.definition)

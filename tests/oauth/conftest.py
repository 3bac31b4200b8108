"""Authorization servers that keep one contract: the embedded one, the same without its lookup, and a real Keycloak."""

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from providers import http as providers_http
from providers.oauth import clients as oauth_clients
from sandbox import authorization
from sandbox.authorization import AuthorizationServer
from tests.oauth.places import EmbeddedPlace, KeycloakPlace, Place, write_region

Props = dict[str, Any]
SCOPES = ("documents", "workflows")


@pytest.fixture(scope="session")
def embedded() -> Iterator[AuthorizationServer]:
    """The session's server. Tests that stop or break a server start their own."""
    with tempfile.TemporaryDirectory(prefix="tenantry-test-oauth-") as home:
        yield authorization.start(Path(home) / "server", scopes=SCOPES)
        authorization.remove(Path(home) / "server")


def _keycloak(name: str) -> str:
    value = os.environ.get(f"TENANTRY_TEST_KEYCLOAK_{name}", "")
    if not value and os.environ.get("TENANTRY_REQUIRE_SERVERS"):
        pytest.fail(f"TENANTRY_REQUIRE_SERVERS is set, but TENANTRY_TEST_KEYCLOAK_{name} is not")
    if not value:
        pytest.skip("no Keycloak: .ci/keycloak starts one")
    return value


@pytest.fixture(autouse=True)
def _own_http_client() -> Iterator[None]:
    """No connection of one test serves another, whose server has the same port by chance, or outlives them all."""
    yield
    providers_http._client(True).close()
    providers_http._made_client.cache_clear()


@pytest.fixture
def region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes region `eu` one whose authorization server is as given; secrets go into variables."""
    return lambda **oauth: write_region(tmp_path / "backends.yaml", monkeypatch, **oauth)


def _make(kind: str, request: pytest.FixtureRequest, region: Callable[..., None]) -> Place:
    if kind in {"embedded", "standards"}:
        server: AuthorizationServer = request.getfixturevalue("embedded")
        region(issuer=server.issuer, initial_token=server.initial_token)
        if kind == "standards":
            patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
            patch.setattr(oauth_clients, "finder_of", lambda _server, _keycloak: None)
        return EmbeddedPlace(server=server)
    rotating = kind == "keycloak-rotating"
    issuer = _keycloak("ROTATING_ISSUER" if rotating else "ISSUER")
    user, password = _keycloak("ADMIN_USER"), _keycloak("ADMIN_PASSWORD")
    resource = (_keycloak("RESOURCE_ID"), _keycloak("RESOURCE_SECRET"))
    place = KeycloakPlace(issuer=issuer, user=user, password=password, resource=resource)
    if kind == "keycloak-standards":
        region(issuer=issuer, initial_token=place.initial_token())
    else:
        own = kind != "keycloak"
        region(issuer=issuer, admin_user=user, admin_password=password, rotation="keycloak" if own else "successor")
    return place


@pytest.fixture(params=["embedded", "standards", "keycloak", "keycloak-standards"])
def place(request: pytest.FixtureRequest, region: Callable[..., None]) -> Iterator[Place]:
    """Each server; rotation by a successor."""
    made = _make(request.param, request, region)
    yield made
    made.clean()


@pytest.fixture(params=["embedded", "keycloak"])
def finding(request: pytest.FixtureRequest, region: Callable[..., None]) -> Iterator[Place]:
    """Each server that can be asked which clients it has."""
    made = _make(request.param, request, region)
    yield made
    made.clean()


@pytest.fixture(params=["standards", "keycloak-standards"])
def silent(request: pytest.FixtureRequest, region: Callable[..., None]) -> Iterator[Place]:
    """Each server that cannot."""
    made = _make(request.param, request, region)
    yield made
    made.clean()


@pytest.fixture(params=["keycloak-rotating", "keycloak-at-once"])
def own_rotation(request: pytest.FixtureRequest, region: Callable[..., None]) -> Iterator[Place]:
    """Keycloak's own rotation, in a realm that keeps the old secret, and in one that does not."""
    made = _make(request.param, request, region)
    yield made
    made.clean()


@pytest.fixture
def local(request: pytest.FixtureRequest, region: Callable[..., None]) -> Iterator[Place]:
    made = _make("embedded", request, region)
    yield made
    made.clean()


@pytest.fixture
def props() -> Props:
    """A client's inputs, for a tenant of the test's own."""
    return {
        "region": "eu",
        "tenant_mark": f"tenantry/t{secrets.token_hex(4)}",
        "client_name": 'Billing "Zoé" 🦷',
        "scopes": ["documents"],
        "rotation": 0,
        "grace_seconds": 0,
    }


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries as many times as ever, without the waiting."""
    monkeypatch.setattr("providers.http.WAITS", (0.01, 0.01, 0.01))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the provider's clock on by seconds."""
    moved = [0.0]
    real = time.time

    class _Time:
        @staticmethod
        def time() -> float:
            return real() + moved[0]

    monkeypatch.setattr("providers.oauth.resource.time", _Time)

    def move(seconds: float) -> None:
        moved[0] += seconds

    return move

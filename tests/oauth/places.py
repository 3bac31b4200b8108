"""What a test knows of an authorization server that the provider does not: how many clients there are, what a token is
worth to a resource server, and how somebody else changes a client."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from providers.oauth.token import Works, access_token, works
from sandbox.authorization import AuthorizationServer
from sandbox.authorization.store import Store

Props = dict[str, Any]
SECONDS = 120


class Place(Protocol):
    def named(self, full_name: str) -> list[str]: ...
    def introspect(self, token: str) -> bool: ...
    def meddle(self, client_id: str, *, name: str | None = None, scope: str | None = None) -> None: ...
    def forget(self, client_id: str) -> None: ...
    def lose_token(self, client_id: str) -> None: ...
    def clean(self) -> None: ...


def write_region(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    issuer: str,
    initial_token: str = "",
    admin_user: str = "",
    admin_password: str = "",
    rotation: str = "successor",
    **more: Any,
) -> None:
    oauth: dict[str, Any] = {"issuer": issuer, "rotation": rotation, **more}
    for key, variable, value in (
        ("initialTokenFrom", "TENANTRY_BACKEND_TEST_INITIAL", initial_token),
        ("adminUserFrom", "TENANTRY_BACKEND_TEST_ADMIN", admin_user),
        ("adminPasswordFrom", "TENANTRY_BACKEND_TEST_PASSWORD", admin_password),
    ):
        if value:
            oauth[key] = variable
            monkeypatch.setenv(variable, value)
    others = {
        "database": {"host": "db", "user": "admin", "name": "departments"},
        "container": {"platform": "docker"},
        "n8n": {"url": "http://n8n", "keyFrom": "TENANTRY_BACKEND_TEST_N8N"},
        "gateway": {"admin": "http://caddy", "domain": "tenants.localhost", "url": "http://caddy"},
    }
    path.write_text(json.dumps({"regions": {"eu": {"oauth": oauth, **others}}}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))


def full_name(props: Props) -> str:
    return f"{props['client_name']} ({props['tenant_mark']})"


def token(outs: Props, **more: Any) -> str:
    return access_token(outs["token_endpoint"], outs["client_id"], outs["client_secret"], what="a token", **more)


def alive(outs: Props) -> bool:
    return works(outs["token_endpoint"], outs["client_id"], outs["client_secret"], what="a token") is Works.YES


@dataclass(frozen=True, kw_only=True)
class EmbeddedPlace:
    server: AuthorizationServer

    @property
    def store(self) -> Store:
        return Store(self.server.directory / "clients.sqlite")

    def named(self, full_name: str) -> list[str]:
        mark = full_name.rpartition(" (")[2].rstrip(")")
        rows = self.store.of_software(mark)
        return [row.client_id for row in rows if row.metadata["client_name"] == full_name]

    def introspect(self, token: str) -> bool:
        auth = (self.server.resource_id, self.server.resource_secret)
        return _introspect(f"{self.server.issuer}/introspect", token, auth)

    def meddle(self, client_id: str, *, name: str | None = None, scope: str | None = None) -> None:
        row = self.store.get(client_id)
        assert row is not None
        changed = {key: value for key, value in (("client_name", name), ("scope", scope)) if value is not None}
        metadata = {**row.metadata, **changed}
        self.store.change(client_id, registration_digest=row.registration_digest, metadata=metadata)

    def forget(self, client_id: str) -> None:
        self.store.delete(client_id)

    def lose_token(self, client_id: str) -> None:
        self.store.change(client_id, registration_digest="another")

    def clean(self) -> None:
        """Its clients are gone with it."""


@dataclass(frozen=True, kw_only=True)
class KeycloakPlace:
    issuer: str
    user: str
    password: str = field(repr=False)
    resource: tuple[str, str] = field(repr=False)

    def named(self, full_name: str) -> list[str]:
        rows = self._admin("GET", "/clients", params={"max": 10_000}).json()
        return [row["clientId"] for row in rows if row.get("name") == full_name]

    def introspect(self, token: str) -> bool:
        return _introspect(f"{self.issuer}/protocol/openid-connect/token/introspect", token, self.resource)

    def meddle(self, client_id: str, *, name: str | None = None, scope: str | None = None) -> None:
        uuid, client = self._client(client_id)
        if name is not None:
            self._admin("PUT", f"/clients/{uuid}", json={**client, "name": name})
        if scope is not None:
            ids = {row["name"]: row["id"] for row in self._admin("GET", "/client-scopes").json()}
            for present in client["optionalClientScopes"]:
                self._admin("DELETE", f"/clients/{uuid}/optional-client-scopes/{ids[present]}")
            for wanted in scope.split():
                self._admin("PUT", f"/clients/{uuid}/optional-client-scopes/{ids[wanted]}")

    def forget(self, client_id: str) -> None:
        self._admin("DELETE", f"/clients/{self._client(client_id)[0]}")

    def lose_token(self, client_id: str) -> None:
        self._admin("POST", f"/clients/{self._client(client_id)[0]}/registration-access-token")

    def initial_token(self) -> str:
        made = self._admin("POST", "/clients-initial-access", json={"expiration": 600, "count": 20}).json()
        return str(made["token"])

    def clean(self) -> None:
        for row in self._admin("GET", "/clients", params={"max": 10_000}).json():
            if "(tenantry/t" in row.get("name", ""):
                self._admin("DELETE", f"/clients/{row['id']}")

    def _client(self, client_id: str) -> tuple[str, dict[str, Any]]:
        [found] = self._admin("GET", "/clients", params={"clientId": client_id}).json()
        return found["id"], found

    def _admin(self, method: str, path: str, **sent: Any) -> httpx.Response:
        # A session of the administrator lasts a minute, a test may take longer.
        session = access_token(
            f"{self.issuer}/protocol/openid-connect/token", self.user, self.password, what="the administrator"
        )
        url = f"{self.issuer.replace('/realms/', '/admin/realms/')}{path}"
        headers = {"Authorization": f"Bearer {session}"}
        answer = httpx.request(method, url, headers=headers, timeout=SECONDS, trust_env=False, **sent)
        assert answer.is_success, (method, path, answer.text)
        return answer


def _introspect(url: str, token: str, auth: tuple[str, str]) -> bool:
    answer = httpx.post(url, data={"token": token}, auth=auth, timeout=SECONDS, trust_env=False)
    assert answer.status_code == 200, answer.text
    active: bool = answer.json()["active"]
    return active


def without(outs: Props, *names: str) -> Props:
    return {name: value for name, value in outs.items() if name not in names}

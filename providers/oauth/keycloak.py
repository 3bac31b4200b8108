"""Keycloak's administration, for what the standards leave open: finding a client, its secrets, an initial token.

Measured on Keycloak 26.7: it keeps no software_id, so a client is known by its whole name, and its registration access
token is another one after every change. The role manage-clients is enough. With its preview feature
client-secret-rotation and a client policy that has the executor secret-rotation, the old secret lives on for the
policy's time; without them it ends at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from providers.errors import ConfigurationError, ProviderError, RefusedError
from providers.oauth.server import Server, json_of
from providers.oauth.token import access_token

_PAGE = 200
_MOST_PAGES = 500
_EXPIRES = "client.secret.expiration.time"
_OLD_EXPIRES = "client.secret.rotated.expiration.time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keycloak:
    """An administrator of a realm. Its session lasts a minute by default, and is begun anew when it has ended."""

    server: Server
    base: str
    user: str
    password: str = field(repr=False)
    _session: list[str] = field(default_factory=list, repr=False)

    def named(self, full_name: str, what: str) -> list[str]:
        """The clients of this name, by client_id, oldest first as far as Keycloak knows. It can only list them all."""
        found = [
            (str(client.get("attributes", {}).get("client.secret.creation.time", "")), str(client["clientId"]))
            for client in self._clients(what)
            if client.get("name") == full_name
        ]
        return [client_id for _, client_id in sorted(found)]

    def exists(self, client_id: str, what: str) -> bool:
        return self._uuid(client_id, what) is not None

    def renewed(self, client_id: str, what: str) -> tuple[str, str] | None:
        """(registration_client_uri, a new registration access token); None where the client is gone."""
        uuid = self._uuid(client_id, what)
        if uuid is None:
            return None
        body = self._json("POST", f"/clients/{uuid}/registration-access-token", what)
        uri = f"{self.server.registration_endpoint}/{quote(client_id, safe='')}"
        return uri, self._text(body, "registrationAccessToken", what)

    def initial_token(self, what: str) -> str:
        """A token for one registration, within a minute."""
        made = self._json(
            "POST", "/clients-initial-access", what, expect=(200, 201), json={"expiration": 60, "count": 1}
        )
        return self._text(made, "token", what)

    def secret(self, client_id: str, what: str) -> str:
        return self._text(
            self._json("GET", f"/clients/{self._known(client_id, what)}/client-secret", what), "value", what
        )

    def keeps_old(self, client_id: str, what: str) -> bool:
        """Whether the old secret lives on when this client's is exchanged: its policy gives every secret an end."""
        return _EXPIRES in self._attributes(client_id, what)

    def exchange(self, client_id: str, what: str) -> str:
        """A new secret. Without `keeps_old`, the one before it ends now."""
        # Never by itself again: the one that consumers have would be the last but one.
        path = f"/clients/{self._known(client_id, what)}/client-secret"
        return self._text(self._json("POST", path, what), "value", what)

    def old_until(self, client_id: str, what: str) -> int:
        """Until when the secret before this one lives (Unix time); 0 where there is none."""
        text = str(self._attributes(client_id, what).get(_OLD_EXPIRES, "0"))
        return int(text) if text.isdecimal() else 0

    def end_old(self, client_id: str, what: str) -> None:
        """Ends the secret before this one. None, or a client that is gone, is no failure."""
        uuid = self._uuid(client_id, what)
        if uuid is None or not self.old_until(client_id, what):
            return
        # Without a rotated secret Keycloak says 401, as it does for a wrong administrator: asked above.
        self._call("DELETE", f"/clients/{uuid}/client-secret/rotated", what, expect=(204, 404))

    def _attributes(self, client_id: str, what: str) -> Mapping[str, Any]:
        body = self._json("GET", f"/clients/{self._known(client_id, what)}", what)
        found = body.get("attributes") if isinstance(body, dict) else None
        return found if isinstance(found, dict) else {}

    def _known(self, client_id: str, what: str) -> str:
        uuid = self._uuid(client_id, what)
        if uuid is None:
            raise ProviderError(
                f"{what}: its client {client_id!r} is gone from {self.server.name}. "
                "Run refresh, then up, to make it again."
            )
        return uuid

    def _uuid(self, client_id: str, what: str) -> str | None:
        found = self._json("GET", "/clients", what, params={"clientId": client_id})
        rows = [row for row in found if isinstance(row, dict) and row.get("clientId") == client_id]
        return quote(str(rows[0]["id"]), safe="") if rows else None

    def _clients(self, what: str) -> Iterator[dict[str, Any]]:
        for number in range(_MOST_PAGES):
            page = self._json("GET", "/clients", what, params={"first": number * _PAGE, "max": _PAGE})
            yield from page
            if len(page) < _PAGE:
                return
        raise ProviderError(
            f"{what}: {self.server.name} lists more than {_PAGE * _MOST_PAGES} clients. "
            "Give the region a realm of its own, or remove clients that nobody uses."
        )

    def _json(self, method: str, path: str, what: str, **sent: Any) -> Any:
        return json_of(self._call(method, path, what, **sent), what, self.server.name)

    def _call(self, method: str, path: str, what: str, **sent: Any) -> Any:
        try:
            return self._sent(method, path, what, **sent)
        except RefusedError as error:
            if error.status == 401:
                self._session.clear()
                return self._sent(method, path, what, **sent)
            if error.status != 403:
                raise
            raise RefusedError(
                f"{what}: {self.server.name} does not let its administrator {method} clients. "
                "Give the account of adminUserFrom the role manage-clients of the client realm-management.",
                status=403,
            ) from None

    def _sent(self, method: str, path: str, what: str, **sent: Any) -> Any:
        if not self._session:
            self._session.append(_login(self.server, self.user, self.password, what))
        [token] = self._session
        headers = {"Authorization": f"Bearer {token}"}
        return self.server.api(self.password, token).call(
            method, f"{self.base}{path}", what=what, headers=headers, **sent
        )

    def _text(self, body: Any, key: str, what: str) -> str:
        value = body.get(key) if isinstance(body, dict) else None
        if not isinstance(value, str) or not value:
            raise ProviderError(f"{what}: {self.server.name} has answered without {key}.")
        return value


def keycloak_of(server: Server, what: str) -> Keycloak | None:
    """The administrator of the server's realm; None where the region has none. Raises ConfigurationError."""
    backend = server.backend
    if backend.admin_user_from is None or backend.admin_password_from is None:
        return None
    from providers.backends import secret

    user, password = secret(backend.admin_user_from), secret(backend.admin_password_from)
    parts = urlsplit(server.issuer)
    before, found, realm = parts.path.rpartition("/realms/")
    if not found or "/" in realm.strip("/"):
        raise ConfigurationError(
            f"{what}: {server.name} has an administrator (adminUserFrom), but is no realm of a Keycloak: its issuer "
            "ends in /realms/NAME. Take adminUserFrom away, or correct the issuer."
        )
    base = urlunsplit(parts._replace(path=f"{before}/admin/realms/{realm.strip('/')}"))
    return Keycloak(server=server, base=base, user=user, password=password)


def _login(server: Server, user: str, password: str, what: str) -> str:
    what = f"{what}: login of the region's administrator (adminUserFrom)"
    verify = server.backend.ca_file or True
    if server.backend.admin_is == "client":
        return access_token(server.token_endpoint, user, password, what=what, verify=verify)
    form = {"grant_type": "password", "client_id": "admin-cli", "username": user, "password": password}
    api = server.api(password)
    body = json_of(api.call("POST", server.token_endpoint, what=what, repeatable=True, data=form), what, server.name)
    token = body.get("access_token") if isinstance(body, dict) else None
    if not isinstance(token, str) or not token:
        raise ProviderError(f"{what}: {server.name} has answered without an access token.")
    return token

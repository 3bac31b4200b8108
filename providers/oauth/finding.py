"""How clients are found that no state knows: their registration was cut off before its answer could be kept.

RFC 7591 cannot ask a server which clients it has. Keycloak's administrator can, and a server whose metadata name a
`client_lookup_endpoint` lists the clients of a software_id. Elsewhere nobody can, and whoever calls has to say which
client may be left.
"""

from __future__ import annotations

from typing import Any, Protocol

from providers.errors import RefusedError
from providers.http import Api
from providers.oauth.keycloak import Keycloak
from providers.oauth.registration import Wanted
from providers.oauth.server import Server, json_of


class Finder(Protocol):
    """Clients by what they were registered with."""

    def named(self, wanted: Wanted, what: str) -> list[str]:
        """The client_ids of the tenant's clients of this name, oldest first."""

    def exists(self, client_id: str, mark: str, what: str) -> bool: ...

    def renewed(self, client_id: str, what: str) -> tuple[str, str] | None:
        """(registration_client_uri, a new registration access token); None where the client is gone."""


class KeycloakFinder:
    def __init__(self, keycloak: Keycloak) -> None:
        self._keycloak = keycloak

    def named(self, wanted: Wanted, what: str) -> list[str]:
        return self._keycloak.named(wanted.full_name, what)

    def exists(self, client_id: str, mark: str, what: str) -> bool:  # noqa: ARG002 - Keycloak keeps no mark of its own
        return self._keycloak.exists(client_id, what)

    def renewed(self, client_id: str, what: str) -> tuple[str, str] | None:
        return self._keycloak.renewed(client_id, what)


class LookupFinder:
    """The embedded server's extension; see `sandbox.authorization`."""

    def __init__(self, server: Server, endpoint: str) -> None:
        self._server, self._endpoint = server, endpoint

    def named(self, wanted: Wanted, what: str) -> list[str]:
        rows = [row for row in self._rows(wanted.mark, what) if row.get("client_name") == wanted.full_name]
        return [str(row["client_id"]) for row in rows]

    def exists(self, client_id: str, mark: str, what: str) -> bool:
        return any(row.get("client_id") == client_id for row in self._rows(mark, what))

    def renewed(self, client_id: str, what: str) -> tuple[str, str] | None:
        uri = f"{self._server.registration_endpoint}/{client_id}"
        try:
            answer = self._api().call(
                "POST", f"{uri}/registration-access-token", what=what, repeatable=True, headers=self._headers()
            )
        except RefusedError as error:
            if error.status == 404:
                return None
            raise
        return uri, str(json_of(answer, what, self._server.name)["registration_access_token"])

    def _rows(self, mark: str, what: str) -> list[dict[str, Any]]:
        answer = self._api().call(
            "GET", self._endpoint, what=what, headers=self._headers(), params={"software_id": mark}
        )
        found = json_of(answer, what, self._server.name)
        rows: list[dict[str, Any]] = found.get("clients", []) if isinstance(found, dict) else []
        return rows

    def _api(self) -> Api:
        return self._server.api()

    def _headers(self) -> dict[str, str]:
        token = self._server.initial_token
        return {"Authorization": f"Bearer {token}"} if token else {}


def finder_of(server: Server, keycloak: Keycloak | None) -> Finder | None:
    """None where the server cannot be asked."""
    if keycloak is not None:
        return KeycloakFinder(keycloak)
    return LookupFinder(server, server.lookup_endpoint) if server.lookup_endpoint else None

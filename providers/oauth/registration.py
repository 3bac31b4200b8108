"""A client's registration: RFC 7591 to make it, RFC 7592 to read, change and delete it.

Decides what a client is registered with, and what an answer has to hold. Whose a client is, is decided by who calls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from providers.errors import ProviderError, RefusedError
from providers.oauth.server import Server, json_of

if TYPE_CHECKING:
    import httpx

GRANT = "client_credentials"
AUTH_METHOD = "client_secret_basic"
_REFUSED = frozenset({400, 401, 403})
_OF_TOKENS = frozenset({"access_denied", "invalid_token", "invalid_client"})


_LOST = "lost"
"""Instead of a token that is lost: it is refused like a wrong one, and what to do then is decided in one place."""


class WrongTokenError(RefusedError):
    """The token is not taken. RFC 7592 says 401 then, also for a client that is gone; a stock Authlib says 400."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a client is to be; `scopes` sorted. Its name holds the tenant's mark: some servers keep no software_id.

    `dropped` are the scopes it had been given until all were taken from the manifest.
    """

    name: str
    mark: str
    scopes: Sequence[str]
    dropped: Sequence[str] = ()

    @property
    def full_name(self) -> str:
        return full_name(self.name, self.mark)

    def metadata(self) -> dict[str, Any]:
        return {
            "client_name": self.full_name,
            "grant_types": [GRANT],
            "response_types": [],
            "token_endpoint_auth_method": AUTH_METHOD,
            "software_id": self.mark,
            # Without it a server gives its default ones, or leaves those that a client has.
            **({"scope": " ".join(self.scopes)} if self.scopes or self.dropped else {}),
        }

    def met_by(self, found: Registered) -> bool:
        """Whether nothing has to be changed."""
        scoped = self.scoped(found) == tuple(self.scopes) and not self.kept(found)
        return found.name == self.full_name and found.as_asked and scoped

    def missing(self, found: Registered) -> list[str]:
        """The scopes that the server does not give it."""
        return sorted(set(self.scopes) - set(found.scopes))

    def kept(self, found: Registered) -> list[str]:
        """The scopes that the server leaves it although all were taken away."""
        return sorted(set(self.dropped) & set(found.scopes))

    def scoped(self, found: Registered) -> tuple[str, ...]:
        """The scopes that count: none, where the server was left the choice."""
        return found.scopes if self.scopes else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A client as the server has it. `secret` is None where it does not say; `expires_at` 0 means never (Unix time)."""

    client_id: str
    secret: str | None = field(repr=False)
    uri: str
    token: str = field(repr=False)
    name: str
    scopes: tuple[str, ...]
    software_id: str | None
    as_asked: bool
    expires_at: int


def full_name(name: str, mark: str) -> str:
    """A client's name on the server, which is where its tenant is seen: `Billing (tenantry/acme)`."""
    return f"{name} ({mark})"


def register(server: Server, wanted: Wanted, initial_token: str | None, what: str) -> Registered:
    """A new client. Raises ProviderError; where the answer was lost, the client may be there nevertheless."""
    sent = {"json": wanted.metadata()}
    answer = _asked(server, "POST", server.registration_endpoint, initial_token, what, (201, 200), **sent)
    return _registered(server, json_of(answer, what, server.name), what)


def read(server: Server, uri: str, token: str, what: str) -> Registered:
    """The client. Raises WrongTokenError, also for a client that is gone, and RefusedError."""
    answer = _asked(server, "GET", server.kept(uri, what), token or _LOST, what, (200,))
    return _registered(server, json_of(answer, what, server.name), what, uri=uri, token=token)


def change(server: Server, uri: str, token: str, client_id: str, wanted: Wanted, what: str) -> Registered:
    """The client as wanted. Its registration access token may be another one afterwards."""
    sent = {"json": {"client_id": client_id, **wanted.metadata()}}
    # Once only: a server may have taken the token back by the time that its answer was lost.
    answer = _asked(server, "PUT", server.kept(uri, what), token or _LOST, what, (200,), repeatable=False, **sent)
    return _registered(server, json_of(answer, what, server.name), what, uri=uri, token=token)


def delete(server: Server, uri: str, token: str, what: str) -> None:
    """Raises RefusedError, as `read` does."""
    _asked(server, "DELETE", server.kept(uri, what), token or _LOST, what, (204, 200, 404, 410))


def _asked(
    server: Server, method: str, url: str, token: str | None, what: str, expect: Collection[int], **sent: Any
) -> httpx.Response:
    api = server.api(token or "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = api.call(method, url, what=what, expect={*expect, *_REFUSED}, headers=headers, **sent)
    if answer.status_code in expect:
        return answer
    refused = api.refused(answer, what)
    if answer.status_code == 400 and _error(answer) not in _OF_TOKENS:
        raise refused
    raise WrongTokenError(str(refused), status=refused.status)


def _error(answer: httpx.Response) -> str:
    """The answer's error code (RFC 6749, section 5.2); empty where it has none."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    return _text(body, "error") if isinstance(body, dict) else ""


def _registered(server: Server, body: Any, what: str, *, uri: str = "", token: str = "") -> Registered:
    given: Mapping[str, Any] = body if isinstance(body, dict) else {}
    client_id, own_uri, own_token = (
        _text(given, key) or instead
        for key, instead in (("client_id", ""), ("registration_client_uri", uri), ("registration_access_token", token))
    )
    missing = [
        key
        for key, value in (
            ("client_id", client_id),
            ("registration_client_uri", own_uri),
            ("registration_access_token", own_token),
        )
        if not value
    ]
    if missing:
        raise ProviderError(
            f"{what}: {server.name} has answered a registration without {', '.join(missing)}. "
            f"Tenantry needs a server that lets a client be changed and deleted (RFC 7592){_left(client_id)}."
        )
    grants, method = given.get("grant_types"), given.get("token_endpoint_auth_method")
    expires = given.get("client_secret_expires_at")
    return Registered(
        client_id=client_id,
        secret=_text(given, "client_secret") or None,
        uri=server.mine(own_uri, what),
        token=own_token,
        name=_text(given, "client_name"),
        scopes=tuple(sorted(_text(given, "scope").split())),
        software_id=_text(given, "software_id") or None,
        as_asked=grants in (None, [GRANT]) and method in (None, AUTH_METHOD),
        expires_at=int(expires) if isinstance(expires, (int, float)) else 0,
    )


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    return value if isinstance(value, str) else ""


def _left(client_id: str) -> str:
    return f"; delete the client {client_id!r} there" if client_id else ""

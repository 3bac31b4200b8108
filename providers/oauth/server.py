"""An authorization server, and what it says of itself (RFC 8414, or OpenID's discovery).

Decides where metadata are looked for, and refuses those that are not the issuer's: a credential is only ever sent to an
endpoint that the issuer's own metadata name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from providers.errors import ConfigurationError, ProviderError, RefusedError
from providers.http import Api

if TYPE_CHECKING:
    from providers.backends import OAuthBackend

CALL_SECONDS = 15.0
"""Of one call: three of them fit into a step's minute."""
_ENDPOINTS = ("token_endpoint", "registration_endpoint", "client_lookup_endpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`lookup_endpoint` is an extension: it lists a software_id's clients. `initial_token` None: it was given none."""

    backend: OAuthBackend
    issuer: str
    token_endpoint: str
    registration_endpoint: str
    lookup_endpoint: str | None
    initial_token: str | None = field(repr=False)

    def api(self, *secrets: str) -> Api:
        """Calls by whole URLs. `secrets` are never shown in its errors."""
        hidden = tuple(each for each in (self.initial_token, *secrets) if each)
        return _api(self.backend, hidden)

    def mine(self, url: str, what: str) -> str:
        """`url`, which the server gave for a client. Raises ProviderError where it is on another server."""
        if _origin(url) != _origin(self.registration_endpoint):
            raise ProviderError(
                f"{what}: {self.name} gives {url!r} as the place of its registration, which is another server. "
                "Correct the server's own address (a proxy in front of it may hide it)."
            )
        return url

    def kept(self, url: str, what: str) -> str:
        """`url`, which a state has of a client. Raises ConfigurationError where it is on another server."""
        if _origin(url) != _origin(self.registration_endpoint):
            raise ConfigurationError(
                f"{what}: its client is at {url}, but the region now has {self.name}. Set the region's issuer back; "
                "to move, destroy first, or give the tenant another region."
            )
        return url

    @property
    def name(self) -> str:
        return f"the authorization server {self.issuer}"


def server_of(region: str, what: str) -> Server:
    """The authorization server of `region`. Raises ProviderError."""
    from providers.backends import oauth_of, secret

    backend = oauth_of(region)
    metadata = _metadata(backend, what)
    issuer = backend.issuer.rstrip("/")
    if str(metadata.get("issuer", "")).rstrip("/") != issuer:
        raise ConfigurationError(
            f"{what}: the metadata at {issuer} are of the issuer {str(metadata.get('issuer'))[:200]!r}. "
            "Set the region's issuer to exactly what the server calls itself."
        )
    found = {name: _endpoint(metadata, name, issuer, what) for name in _ENDPOINTS}
    if found["registration_endpoint"] is None or found["token_endpoint"] is None:
        raise ConfigurationError(
            f"{what}: the authorization server {issuer} offers no dynamic client registration. "
            "Turn it on there (RFC 7591), or choose another server for the region."
        )
    return Server(
        backend=backend,
        issuer=str(metadata["issuer"]),
        token_endpoint=found["token_endpoint"],
        registration_endpoint=found["registration_endpoint"],
        lookup_endpoint=found["client_lookup_endpoint"],
        initial_token=secret(backend.initial_token_from) if backend.initial_token_from else None,
    )


def json_of(answer: Any, what: str, name: str) -> Any:
    """An answer's JSON. Raises ProviderError, which shows nothing of the answer: it may hold a secret."""
    try:
        return answer.json()
    except ValueError:
        raise ProviderError(
            f"{what}: {name} answered {answer.status_code} to {answer.request.method} {answer.request.url.path} "
            "with something that is no JSON. Check that the region's issuer is an authorization server."
        ) from None


def _metadata(backend: OAuthBackend, what: str) -> dict[str, Any]:
    api = _api(backend, ())
    places = _places(backend.issuer)
    for number, place in enumerate(places, 1):
        try:
            answer = api.call("GET", place, what=what)
        except RefusedError as error:
            if number < len(places) and error.status in {400, 401, 403, 404, 405}:
                continue
            raise
        found = json_of(answer, what, api.name)
        if isinstance(found, dict):
            return found
    raise ProviderError(f"{what}: {api.name} has metadata that are no JSON object. Check the region's issuer.")


def _places(issuer: str) -> tuple[str, ...]:
    """RFC 8414's place, then OpenID's: they differ for an issuer with a path."""
    parts = urlsplit(issuer.rstrip("/"))
    first = urlunsplit(parts._replace(path=f"/.well-known/oauth-authorization-server{parts.path}"))
    return first, f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def _endpoint(metadata: dict[str, Any], name: str, issuer: str, what: str) -> str | None:
    url = metadata.get(name)
    if url is None:
        return None
    if not isinstance(url, str) or urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ProviderError(f"{what}: the authorization server {issuer} has a {name} that is no URL.")
    if urlsplit(issuer).scheme == "https" and urlsplit(url).scheme != "https":
        raise ProviderError(
            f"{what}: the authorization server {issuer} has a {name} without TLS. Correct the server's own address."
        )
    return url


def _api(backend: OAuthBackend, secrets: tuple[str, ...]) -> Api:
    name = f"the authorization server {backend.issuer.rstrip('/')}"
    return Api(name=name, base_url="", secrets=secrets, seconds=CALL_SECONDS, verify=backend.ca_file or True)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port

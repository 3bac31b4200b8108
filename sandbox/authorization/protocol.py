"""What the server decides about clients and tokens, on Authlib's classes: who may ask, what is kept, what is answered.

Never touches HTTP: requests come as plain data, answers are (status, body, headers).
"""

import json
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer as AuthlibServer
from authlib.oauth2.rfc6749 import ClientMixin, JsonPayload, JsonRequest, OAuth2Request, TokenMixin
from authlib.oauth2.rfc6749.errors import InvalidScopeError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7591.errors import InvalidClientMetadataError
from authlib.oauth2.rfc7592 import ClientConfigurationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from sandbox.authorization.store import Row, Store, digest_of

TOKEN_SECONDS = 300
GRANT = "client_credentials"
AUTH_METHODS = ("client_secret_basic", "client_secret_post")
_LONGEST_TEXT = 255

Answer = tuple[int, Any, Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request, read."""

    method: str
    url: str
    headers: Mapping[str, str]
    form: Mapping[str, str]
    body: Any = None

    @property
    def bearer(self) -> str:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What this server's folder says. `scopes` None: any."""

    issuer: str
    initial_token: str
    resource_id: str
    resource_secret: str
    scopes: Collection[str] | None
    key: RSAKey


class _Form(OAuth2Request):  # type: ignore[misc]  # Authlib has no types
    def __init__(self, incoming: Incoming) -> None:
        super().__init__(incoming.method, incoming.url, headers=incoming.headers)
        self.payload = BasicOAuth2Payload(dict(incoming.form))

    @property
    def args(self) -> dict[str, str]:
        return {}

    @property
    def form(self) -> Mapping[str, str]:
        data: Mapping[str, str] = self.payload.data
        return data


class _Body(JsonPayload):  # type: ignore[misc]
    def __init__(self, data: Any) -> None:
        self._data = data

    @property
    def data(self) -> Any:
        return self._data


class Client(ClientMixin):  # type: ignore[misc]
    """A registered client, or the resource server, as Authlib asks about it."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.client_metadata = dict(row.metadata)
        self.client_info = {
            "client_id": row.client_id,
            "client_secret": row.secret,
            "client_id_issued_at": row.issued_at,
            "client_secret_expires_at": 0,
        }

    def get_client_id(self) -> str:
        return self.row.client_id

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.row.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return bool(method == self.client_metadata.get("token_endpoint_auth_method", AUTH_METHODS[0]))

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.client_metadata.get("grant_types", ())

    def get_allowed_scope(self, scope: str | None) -> str:
        """What it may have of `scope`; all of its own where none is asked for."""
        own = str(self.client_metadata.get("scope", ""))
        return scope or own


class Token(TokenMixin):  # type: ignore[misc]
    """An access token, as its signature says."""

    def __init__(self, claims: Mapping[str, Any], *, revoked: bool) -> None:
        self.claims = claims
        self.revoked = revoked

    def check_client(self, client: Client) -> bool:
        return bool(self.claims["client_id"] == client.get_client_id())

    def is_expired(self) -> bool:
        return bool(self.claims["exp"] <= time.time())

    def is_revoked(self) -> bool:
        return self.revoked


class Server(AuthlibServer):  # type: ignore[misc]
    """All of it. `answer(endpoint, incoming)` is the answer to a request."""

    def __init__(self, rules: Rules, store: Store) -> None:
        super().__init__(scopes_supported=None if rules.scopes is None else sorted(rules.scopes))
        self.rules, self.store = rules, store
        self.register_token_generator("default", _Tokens(rules))
        self.register_grant(_Grant)
        for endpoint in (_Registration, _Configuration, _Introspection, _Revocation):
            self.register_endpoint(endpoint)

    def query_client(self, client_id: str) -> Client | None:
        if client_id == self.rules.resource_id:
            row = Row(
                client_id=client_id,
                secret=self.rules.resource_secret,
                registration_digest="",
                issued_at=0,
                metadata={"grant_types": []},
            )
            return Client(row)
        found = self.store.get(client_id)
        return None if found is None else Client(found)

    def save_token(self, token: Mapping[str, Any], request: OAuth2Request) -> None:
        """A token says everything itself, and lasts minutes: only those that are revoked are kept."""

    def token(self, text: str) -> Token | None:
        """None where it is not ours, or its client is gone."""
        try:
            claims = jwt.decode(text, self.rules.key, algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return None
        if claims.get("iss") != self.rules.issuer or self.query_client(claims["client_id"]) is None:
            return None
        return Token(claims, revoked=self.store.is_revoked(claims["jti"]))

    def create_oauth2_request(self, request: Incoming) -> _Form:
        return _Form(request)

    def create_json_request(self, request: Incoming) -> JsonRequest:
        made = JsonRequest(request.method, request.url, request.headers)
        made.payload = _Body(request.body)
        return made

    def handle_response(self, status: int, body: Any, headers: Sequence[tuple[str, str]]) -> Answer:
        return status, body, headers

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def answer(self, endpoint: str, incoming: Incoming) -> Answer:
        made: Answer = (
            self.create_token_response(incoming)
            if endpoint == "token"
            else self.create_endpoint_response(endpoint, incoming)
        )
        return made

    def initial(self, incoming: Incoming) -> bool:
        """Whether the request carries the initial token."""
        return secrets.compare_digest(incoming.bearer.encode(), self.rules.initial_token.encode())

    def registration_uri(self, client_id: str) -> str:
        return f"{self.rules.issuer}/register/{client_id}"

    def renewed(self, client_id: str, metadata: Mapping[str, Any] | None = None) -> str | None:
        """A new registration access token of a client, in place of the last one; None where it is gone."""
        token = secrets.token_urlsafe(32)
        changed = self.store.change(client_id, registration_digest=digest_of(token), metadata=metadata)
        return token if changed else None


class _Tokens(JWTBearerTokenGenerator):  # type: ignore[misc]
    def __init__(self, rules: Rules) -> None:
        super().__init__(rules.issuer, expires_generator=TOKEN_SECONDS)
        self._rules = rules

    def get_jwks(self) -> KeySet:
        # Of a set, the token's header says which key it was.
        return KeySet([self._rules.key])

    def get_audiences(self, client: Client, user: Any, scope: str) -> list[str]:
        return [self._rules.resource_id]


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def validate_requested_scope(self) -> None:
        # Authlib would leave out what the client may not have; RFC 6749 has an error for it.
        asked = set((self.request.payload.scope or "").split())
        if not asked <= set(str(self.client.client_metadata.get("scope", "")).split()):
            raise InvalidScopeError


def _checked(metadata: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """What is kept of a client's metadata. Raises InvalidClientMetadataError for what this server cannot do."""
    metadata.setdefault("grant_types", [GRANT])
    metadata.setdefault("response_types", [])
    for name in ("client_name", "software_id", "software_version", "scope"):
        if not isinstance(metadata.get(name, ""), str) or len(metadata.get(name, "")) > _LONGEST_TEXT:
            raise InvalidClientMetadataError(f"{name} has to be text of at most {_LONGEST_TEXT} characters")
    if metadata["grant_types"] != [GRANT] or metadata["response_types"]:
        raise InvalidClientMetadataError(f"grant_types has to be {GRANT} alone, without response_types")
    if metadata["token_endpoint_auth_method"] not in AUTH_METHODS:
        raise InvalidClientMetadataError(f"token_endpoint_auth_method has to be one of {', '.join(AUTH_METHODS)}")
    unknown = set(metadata.get("scope", "").split()) - set(rules.scopes) if rules.scopes is not None else set()
    if unknown:
        raise InvalidClientMetadataError("scope has values that this server does not have")
    return metadata


class _Registration(ClientRegistrationEndpoint):  # type: ignore[misc]
    def authenticate_token(self, request: JsonRequest) -> str | None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        rules: Rules = self.server.rules
        if kind.lower() != "bearer" or not secrets.compare_digest(token.encode(), rules.initial_token.encode()):
            raise InvalidTokenError
        return str(token)

    def extract_client_metadata(self, request: JsonRequest) -> dict[str, Any]:
        return _checked(_extracted(super(), request), self.server.rules)

    def get_server_metadata(self) -> dict[str, Any]:
        return {}

    def save_client(self, info: dict[str, Any], metadata: dict[str, Any], request: JsonRequest) -> Client:
        # Authlib answers with what was saved, so the token that belongs to it is made here.
        row = Row(
            client_id=info["client_id"],
            secret=info["client_secret"],
            registration_digest="",
            issued_at=info["client_id_issued_at"],
            metadata=metadata,
        )
        token = secrets.token_urlsafe(32)
        self.server.store.add(replace(row, registration_digest=digest_of(token)))
        request.credential = token
        return Client(row)

    def generate_client_registration_info(self, client: Client, request: JsonRequest) -> dict[str, str]:
        return {
            "registration_client_uri": self.server.registration_uri(client.get_client_id()),
            "registration_access_token": request.credential,
        }


class _Configuration(ClientConfigurationEndpoint):  # type: ignore[misc]
    def authenticate_token(self, request: JsonRequest) -> "_Owner":
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        row = self.server.store.get(_last_of(request.uri))
        known = row is not None and secrets.compare_digest(row.registration_digest, digest_of(token))
        # One answer for a wrong token and for a client that is gone (RFC 7592, section 2.1): who asks learns nothing.
        if kind.lower() != "bearer" or not known:
            raise InvalidTokenError
        return _Owner(row=row, token=token)

    def authenticate_client(self, request: JsonRequest) -> Client:
        return Client(request.credential.row)

    def check_permission(self, client: Client, request: JsonRequest) -> bool:
        return True

    def extract_client_metadata(self, request: JsonRequest) -> dict[str, Any]:
        return _checked(_extracted(super(), request), self.server.rules)

    def get_server_metadata(self) -> dict[str, Any]:
        return {}

    def update_client(self, client: Client, metadata: dict[str, Any], request: JsonRequest) -> Client:
        token = self.server.renewed(client.get_client_id(), metadata)
        if token is None:
            raise InvalidTokenError
        request.credential = _Owner(row=client.row, token=token)
        return Client(replace(client.row, metadata=metadata))

    def delete_client(self, client: Client, request: JsonRequest) -> None:
        self.server.store.delete(client.get_client_id())

    def generate_client_registration_info(self, client: Client, request: JsonRequest) -> dict[str, str]:
        return {
            "registration_client_uri": self.server.registration_uri(client.get_client_id()),
            "registration_access_token": request.credential.token,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    """Who holds a client's registration access token."""

    row: Row
    token: str

    def check_client(self, client: Client) -> bool:
        return client.get_client_id() == self.row.client_id


class _Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        found: Token | None = self.server.token(token_string)
        return found

    def check_permission(self, token: Token, client: Client, request: OAuth2Request) -> bool:
        # As Keycloak does it: only for whom a token was made.
        return client.get_client_id() in token.claims["aud"]

    def introspect_token(self, token: Token) -> dict[str, Any]:
        return {"active": True, "token_type": "Bearer", **token.claims}


class _Revocation(RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        found: Token | None = self.server.token(token_string)
        return found

    def revoke_token(self, token: Token, request: OAuth2Request) -> None:
        self.server.store.revoke(token.claims["jti"], token.claims["exp"], int(time.time()))


def _extracted(parent: Any, request: JsonRequest) -> dict[str, Any]:
    if not isinstance(request.payload.data, dict):
        raise InvalidClientMetadataError("the request has to be a JSON object")
    try:
        found: dict[str, Any] = parent.extract_client_metadata(request)
    except (TypeError, AttributeError, ValueError):
        # Authlib takes the types of some values for granted.
        raise InvalidClientMetadataError("a value is of the wrong type") from None
    return found


def _last_of(uri: str) -> str:
    return uri.partition("?")[0].rstrip("/").rsplit("/", 1)[-1]


def as_json(body: Any) -> bytes:
    return b"" if body == "" or body is None else json.dumps(body).encode()

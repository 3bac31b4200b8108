"""What a client does itself: asking for a token with its secret (RFC 6749, section 4.4).

Decides what a refusal says about the client: that it works, that it is gone, or neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from providers.errors import ProviderError
from providers.http import Api
from providers.oauth.server import json_of


class Works(StrEnum):
    """What a token request told of a client. GONE may also be a client whose secret is another one by now."""

    YES = "yes"
    GONE = "gone"
    UNCLEAR = "unclear"


def access_token(
    token_endpoint: str,
    client_id: str,
    client_secret: str,
    *,
    what: str,
    scopes: Sequence[str] = (),
    verify: bool | str = True,
) -> str:
    """A client's access token by client_credentials. Raises ProviderError, which shows neither secret nor token."""
    answer = _asked(token_endpoint, client_id, client_secret, what, (200,), scopes, verify)
    body = json_of(answer, what, f"the token endpoint {token_endpoint}")
    token = body.get("access_token") if isinstance(body, dict) else None
    if not isinstance(token, str) or not token:
        raise ProviderError(f"{what}: the token endpoint {token_endpoint} has answered without an access token.")
    return token


def works(token_endpoint: str, client_id: str, client_secret: str, *, what: str, verify: bool | str = True) -> Works:
    """Whether the client gets a token. Raises UnreachableError."""
    answer = _asked(token_endpoint, client_id, client_secret, what, (200, 400, 401, 403), (), verify)
    if answer.status_code == 200:
        return Works.YES
    body = json_of(answer, what, f"the token endpoint {token_endpoint}")
    error = body.get("error") if isinstance(body, dict) else None
    return Works.GONE if error == "invalid_client" else Works.UNCLEAR


def _asked(
    endpoint: str,
    client_id: str,
    client_secret: str,
    what: str,
    expect: tuple[int, ...],
    scopes: Sequence[str],
    verify: bool | str,
) -> Any:
    from urllib.parse import quote

    form = {"grant_type": "client_credentials"} | ({"scope": " ".join(scopes)} if scopes else {})
    api = Api(name=f"the token endpoint {endpoint}", base_url="", secrets=(client_secret,), verify=verify)
    # RFC 6749, section 2.3.1: both are encoded as in a form before they are joined. Asking twice does no harm.
    credential = (quote(client_id, safe=""), quote(client_secret, safe=""))
    return api.call("POST", endpoint, what=what, expect=expect, repeatable=True, data=form, auth=credential)

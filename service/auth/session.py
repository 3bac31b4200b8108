"""The browser's session: a cookie that holds the token, and what keeps other sites' pages from using it.

Decides the cookie's name and marks, and which requests with a cookie count as the session's own. No session is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from service.auth.errors import CrossSiteError

CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_COOKIE = "tenantry_session"
# Browsers set a cookie with this prefix from https only, and for this very host only.
_SECURE_COOKIE = "__Host-tenantry_session"
_HINT = "open the page again and repeat what you did there"


def cookie_name(connection: HTTPConnection) -> str:
    """The session cookie's name, which is another one over TLS."""
    return _SECURE_COOKIE if _is_secure(connection) else _COOKIE


def _is_secure(connection: HTTPConnection) -> bool:
    return connection.url.scheme in {"https", "wss"}


def session_token(connection: HTTPConnection) -> str | None:
    """The token in the session's cookie."""
    return connection.cookies.get(cookie_name(connection)) or None


def start_session(connection: HTTPConnection, response: Response, token: str, expires_at: float) -> None:
    """Makes `response` set the session's cookie, which ends with the token."""
    response.set_cookie(
        cookie_name(connection),
        token,
        max_age=max(0, int(expires_at - time.time())),
        path="/",
        secure=_is_secure(connection),
        httponly=True,
        samesite="lax",
    )


def end_session(connection: HTTPConnection, response: Response) -> None:
    """Makes `response` remove the session's cookie."""
    response.delete_cookie(
        cookie_name(connection), path="/", secure=_is_secure(connection), httponly=True, samesite="lax"
    )


def csrf_token(connection: HTTPConnection) -> str:
    """What the session's own forms carry in the field `csrf_token`; '' without a session.

    It follows from the session's token, so that nothing is stored, and says nothing about it.
    """
    token = session_token(connection)
    return hmac.new(token.encode(), b"tenantry csrf 1", hashlib.sha256).hexdigest() if token else ""


def demand_same_origin(connection: HTTPConnection) -> None:
    """Raises CrossSiteError where the browser says that another site's page made the request.

    The sign-in form is checked by this alone: there is no session yet that a token could belong to.
    """
    origin = connection.headers.get("origin")
    if origin is not None:
        given = urlsplit(origin)
        if given.netloc.lower() != connection.headers.get("host", "").lower():
            raise CrossSiteError(f"the request comes from a page of {given.netloc[:100] or 'nowhere'!r}", hint=_HINT)
    elif connection.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise CrossSiteError("the request comes from another site's page", hint=_HINT)


async def demand_own_request(connection: HTTPConnection) -> None:
    """Raises CrossSiteError unless a request with a session's cookie was made by the session's own pages.

    Reading is free, as other sites cannot see the answer; a WebSocket, which they could read, must be of our origin.
    """
    if not isinstance(connection, Request):
        if connection.headers.get("origin") is None:
            raise CrossSiteError("a socket with a session's cookie must say its origin", hint="use a bearer token")
        demand_same_origin(connection)
        return
    if connection.method in SAFE_METHODS:
        return
    demand_same_origin(connection)
    given = connection.headers.get(CSRF_HEADER) or await _form_field(connection)
    if not hmac.compare_digest(given.encode(errors="replace"), csrf_token(connection).encode()):
        raise CrossSiteError("the form's token is missing or is of another session", hint=_HINT)


async def _form_field(request: Request) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return ""
    value = (await request.form(max_files=1, max_fields=1000)).get(CSRF_FIELD)
    return value if isinstance(value, str) else ""

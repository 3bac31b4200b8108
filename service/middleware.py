"""What surrounds every request: which proxy to believe, ids, the log line, headers, and what other sites may do.

Decides headers and the shape of the log line. It never looks at a body, and never decides who may do what.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from automation.logs import bound, is_correlation_id
from service.auth.errors import Quota
from service.auth.settings import AuthSettings
from service.metrics import route_of

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it a form's own Origin would be "null", and no longer tell our pages from others'.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OFTEN = ("/healthz", "/readyz", "/metrics", "/static/", "/api/v1/gateway/")
_CORS_ALLOWED = (
    *("Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key"),
    *("Last-Event-ID", "X-Correlation-ID", "X-Request-ID"),
)
_CORS_EXPOSED = (
    *("ETag", "Link", "Location", "Retry-After", "X-Correlation-ID", "X-Request-ID"),
    *("RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
)

log = structlog.get_logger("tenantry.request")


def install(app: FastAPI, settings: AuthSettings) -> None:
    """Puts everything around `app`; after `problems.install`, so that the answer to a fault has headers too."""
    # The last one added is the outermost.
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=_CORS_ALLOWED,
            expose_headers=_CORS_EXPOSED,
            # Tokens, not cookies: another site's page never acts with a session of ours.
            allow_credentials=False,
            max_age=600,
        )
    app.add_middleware(SecurityHeaders, hsts_seconds=settings.hsts_seconds)
    app.add_middleware(RequestContext)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))


class RequestContext:
    """Gives each request its ids, binds them to the log, writes the request's line, and says ids and limits back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        correlation_id = _sent_id(Headers(scope=scope)) or request_id
        state = scope.setdefault("state", {})
        state["request_id"], state["correlation_id"] = request_id, correlation_id
        line = _Line(scope)

        async def tell(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start", "websocket.accept"}:
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"], headers["X-Correlation-ID"] = request_id, correlation_id
                if isinstance(quota := state.get("quota"), Quota):
                    for name, value in quota.headers().items():
                        headers.setdefault(name, value)
            line.note(message)
            await send(message)

        with bound(correlation_id=correlation_id, request_id=request_id):
            try:
                await self._app(scope, receive, tell)
            except Exception:
                line.failed()
                raise
            finally:
                line.write()


def _sent_id(headers: Headers) -> str | None:
    for name in ("x-correlation-id", "x-request-id"):
        given = headers.get(name, "")
        # Anything else would let a caller write into our logs, and into the names of database sessions.
        if is_correlation_id(given):
            return given
    return None


class _Line:
    """The log line of one request."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._started = time.perf_counter()
        self._status: int | None = None
        self._bytes = 0

    def note(self, message: Message) -> None:
        kind = message["type"]
        if kind in {"http.response.start", "websocket.http.response.start"}:
            self._status = message["status"]
        elif kind in {"http.response.body", "websocket.http.response.body"}:
            self._bytes += len(message.get("body", b""))
        elif kind == "websocket.accept":
            self._status = 101
        elif kind == "websocket.close" and self._status is None:
            self._status = 403

    def failed(self) -> None:
        self._status = 500

    def write(self) -> None:
        scope, status = self._scope, self._status
        fields: dict[str, Any] = {
            "method": scope.get("method", "WEBSOCKET"),
            # Without the query: what people put there is not for a log.
            "path": scope["path"][:500],
            "route": route_of(scope),
            "status": status,
            "duration_ms": round((time.perf_counter() - self._started) * 1000, 1),
            "bytes": self._bytes,
            "address": scope["client"][0] if scope.get("client") else None,
            "subject": scope["state"].get("subject"),
            "user_agent": Headers(scope=scope).get("user-agent", "")[:200],
        }
        if status is None:
            log.warning("request left by its caller", **fields)
        elif status >= 500:
            log.error("request", **fields)
        elif scope["path"].startswith(_OFTEN):
            log.debug("request", **fields)
        else:
            log.info("request", **fields)


class SecurityHeaders:
    """Headers that keep browsers from what our pages never need. A route's own value of one counts."""

    def __init__(self, app: ASGIApp, hsts_seconds: int) -> None:
        self._app = app
        self._hsts = f"max-age={hsts_seconds}; includeSubDomains" if hsts_seconds else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                # RFC 6797, section 7.2: not over plain http.
                if self._hsts and scope.get("scheme") in {"https", "wss"}:
                    headers["Strict-Transport-Security"] = self._hsts
            await send(message)

        await self._app(scope, receive, tell)

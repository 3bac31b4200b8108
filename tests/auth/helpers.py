"""Tokens of every kind for the tests, and an app with one route of each kind."""

from __future__ import annotations

import time
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, WebSocket
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse

from automation.errors import NotFoundError, TenantryError
from service.auth.deps import Permission, Principal, principal, require
from service.auth.errors import AuthenticationError, ForbiddenError, RateLimitedError

KEY = "a key for tests, of more than sixty-four bytes, so that HS512 takes it too"
OTHER_KEY = "another key for tests, of more than sixty-four bytes, so that HS512 takes it too"
# Many are made when tests are collected, and used when their turn has come: at the end of a long run.
LIFETIME = 6 * 3600
SignedIn = Annotated[Principal, Depends(principal)]
STATUSES = {AuthenticationError: 401, ForbiddenError: 403, NotFoundError: 404, RateLimitedError: 429}


def token(subject: str = "ada", *, key: Any = KEY, algorithm: str = "HS256", header: Any = None, **claims: Any) -> str:
    """A token that is good unless the arguments say otherwise; a claim of None is left out."""
    now = int(time.time())
    content = {"sub": subject, "aud": "tenantry", "iat": now, "exp": now + LIFETIME, **claims}
    content = {name: value for name, value in content.items() if value is not None}
    return jwt.encode(content, key, algorithm=algorithm, headers=header)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def _answer(connection: HTTPConnection, error: Exception) -> JSONResponse:
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 500)
    content = error.to_dict() if isinstance(error, TenantryError) else {}
    return JSONResponse(content, status)


def small_app() -> FastAPI:
    """An app whose routes do nothing but ask for a permission."""
    app = FastAPI()
    app.add_exception_handler(TenantryError, _answer)

    @app.get("/me")
    async def me(who: SignedIn) -> dict[str, Any]:
        return {"subject": who.subject, "admin": who.platform_admin, "roles": dict(who.roles), "address": who.address}

    @app.post("/me")
    async def change_me(who: SignedIn) -> str:
        return who.subject

    @app.websocket("/live", dependencies=[Depends(require(Permission.SIGNED_IN))])
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    for method, path, permission, create in (
        ("GET", "/list", Permission.SIGNED_IN, False),
        ("POST", "/tenants", Permission.TENANT_CREATE, False),
        ("GET", "/tenants/{slug}", Permission.TENANT_READ, False),
        ("PUT", "/tenants/{slug}", Permission.TENANT_UP, True),
        ("PUT", "/tenants/{slug}/members", Permission.MEMBERS_WRITE, False),
        ("GET", "/jobs/{job_id}", Permission.TENANT_READ, False),
        ("POST", "/jobs/{job_id}/cancel", Permission.JOB_CANCEL, False),
        ("POST", "/jobs/{job_id}/retry", Permission.JOB_RETRY, False),
        ("GET", "/deployments/{deploymentId}", Permission.TENANT_READ, False),
        ("GET", "/webhooks/{webhook_id}", Permission.WEBHOOKS_READ, False),
        ("GET", "/nothing/{other}", Permission.TENANT_READ, False),
    ):
        app.add_api_route(path, _done, methods=[method], dependencies=[Depends(require(permission, create=create))])
    return app


async def _done() -> str:
    return "done"

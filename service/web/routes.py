"""All routes of the page: the parts, signing in and out, static files."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from service.auth.deps import authenticate
from service.auth.errors import AuthenticationError, RateLimitedError
from service.auth.session import demand_same_origin, end_session, start_session
from service.problems import Problem
from service.state import State, StateDep
from service.web import (
    routes_account,
    routes_forms,
    routes_jobs,
    routes_platform,
    routes_tenant_parts,
    routes_tenants,
    routes_webhooks,
    routes_workspaces,
)
from service.web.pages import ASSETS, PageRoute, render
from service.web.targets import safe_target

MAX_TOKEN = 3_800
"""Browsers keep about 4 kB of a cookie; a longer token would silently sign nobody in."""

_FOR_EVER = "public, max-age=31536000, immutable"
_HINT = "check that the whole token was copied, or ask for a new one"

router = APIRouter(include_in_schema=False)
_own = APIRouter(route_class=PageRoute, include_in_schema=False)


@_own.get("/")
async def front_page() -> Response:
    """The tenants are what people come for."""
    return RedirectResponse("/tenants", status_code=303)


@_own.get("/sign-in")
async def sign_in_page(request: Request) -> Response:
    """Asks for a token."""
    ended = "Your session has ended: sign in again" if "ended" in request.query_params else ""
    return _sign_in(request, request.query_params.get("next", ""), wrong=ended)


@_own.post("/sign-in")
async def sign_in(request: Request, state: StateDep) -> Response:
    """Begins a session, if the token is good, or the e-mail address and password of an account."""
    demand_same_origin(request)
    form = await request.form()
    token, target, email = (str(form.get(name) or "").strip() for name in ("token", "next", "email"))
    password = form.get("password")
    if not token and email and isinstance(password, str):
        return await _by_password(request, state, email, password, target)
    if not token:
        return _sign_in(request, target, wrong="There is no token", status=422)
    if len(token) > MAX_TOKEN:
        wrong = f"This token has {len(token)} characters; a browser keeps no more than {MAX_TOKEN}"
        return _sign_in(request, target, wrong=wrong, status=422)
    return await _entered(request, token, target)


async def _by_password(request: Request, state: State, email: str, password: str, target: str) -> Response:
    address = request.client.host if request.client else None
    try:
        token = await state.accounts.sign_in(email, password, address)
    except RateLimitedError:
        raise
    except AuthenticationError as error:
        return _sign_in(request, target, wrong=error.message.capitalize(), status=401, email=email)
    return await _entered(request, token, target)


async def _entered(request: Request, token: str, target: str) -> Response:
    """The session of who has this token."""
    try:
        who = await authenticate(request, token)
    except RateLimitedError:
        raise
    except AuthenticationError as error:
        return _sign_in(request, target, wrong=f"This token is not accepted: {error.message}", status=401)
    if not who.has_role:
        wrong = f"'{who.subject}' has no role here: ask an owner of a tenant for one"
        return _sign_in(request, target, wrong=wrong, status=403)
    answer = RedirectResponse(safe_target(target), status_code=303)
    start_session(request, answer, token, who.expires_at)
    return answer


def _sign_in(request: Request, target: str, *, wrong: str = "", status: int = 200, email: str = "") -> Response:
    accounts = request.app.state.tenantry.accounts.there
    hint = "" if email else _HINT
    values = {"next": safe_target(target), "wrong": wrong, "hint": hint, "email": email, "accounts": accounts}
    return render(request, "sign_in.html", None, code=status, **values)


@_own.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Ends the session. Needs no proof but that of the browser: nothing is lost by it."""
    demand_same_origin(request)
    answer = RedirectResponse("/sign-in", status_code=303)
    end_session(request, answer)
    return answer


@_own.get("/static/{digest}/{name}")
async def static_file(digest: str, name: str) -> Response:
    """A static file, by the hash of its content."""
    asset = ASSETS.get(name)
    if asset is None or asset.address != f"/static/{digest}/{name}":
        raise Problem(404, f"there is no file {name!r} of this version", hint="load the page again")
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": _FOR_EVER})


for _part in (
    routes_account,
    routes_forms,
    routes_tenants,
    routes_tenant_parts,
    routes_jobs,
    routes_platform,
    routes_webhooks,
    routes_workspaces,
):
    router.include_router(_part.router)
router.include_router(_own)

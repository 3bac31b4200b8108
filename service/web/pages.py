"""The ground that all pages share: rendering, static files, lists in pages, and errors as pages.

Decides how an error reads to a person, and that somebody who is not signed in is sent to sign in. What a page shows is
its route's. No page holds a script or a style of its own: the security headers allow none.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import jinja2
import structlog
from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from markupsafe import Markup, escape
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from automation.errors import TenantryError
from automation.jobs.database import looking_up
from automation.jobs.reading_pages import COUNT_LIMIT
from service.auth.deps import Permission, Principal, principal
from service.auth.session import CSRF_FIELD, csrf_token, end_session, session_token
from service.problems import Problem, correlation_of, problem_of
from service.state import State
from service.web import views
from service.web.fields import Field
from stacks.problems import InputError as StacksInputError

PART_HEADER = "x-tenantry-part"
SIZE = 50
_CODE = re.compile(r"`([^`<>]{1,200})`")
_HERE = Path(__file__).resolve().parent
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_EXPECTED = (Problem, TenantryError, StacksInputError, RequestValidationError, HTTPException)

log = structlog.get_logger("tenantry.web")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A static file. `address` has a hash of the content, so that browsers may keep it for ever."""

    address: str
    content: bytes
    media_type: str


def _assets() -> Mapping[str, Asset]:
    found = {}
    for path in sorted((_HERE / "static").iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            found[path.name] = Asset(
                address=f"/static/{digest}/{path.name}", content=content, media_type=_TYPES[path.suffix]
            )
    return found


ASSETS = _assets()


def _slugged(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower())


def capitalised(text: str) -> Markup:
    """A sentence as a page shows it: with a capital, and with what stands between backticks as code."""
    # A plain str: `sub` on Markup would escape the tags again.
    safe = str(escape(text[:1].upper() + text[1:]))
    return Markup(_CODE.sub(r"<code>\1</code>", safe))  # noqa: S704 - escaped above


def breakable(path: str) -> Markup:
    """A dotted path that a narrow column breaks after a dot, and not within a word."""
    return Markup(str(escape(path)).replace(".", ".<wbr>"))  # noqa: S704 - escaped here


def _clock(moment: str) -> str:
    found = views.parsed(moment)
    return f"{found:%H:%M:%S}" if found else ""


def _within(field: Field, paths: Mapping[str, Any]) -> int:
    return sum(path == field.path or path.startswith(f"{field.path}.") for path in paths)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "ago": views.ago,
        "breakable": breakable,
        "capitalised": capitalised,
        "clock": _clock,
        "duration": views.duration,
        "exact": views.exact,
        "money": views.money,
        "operation": views.operation_word,
        "query": lambda values: urlencode({key: value for key, value in values.items() if value not in (None, "")}),
        "shortened": views.shortened,
        "slugged": _slugged,
        "tone": views.tone,
        "word": views.status_word,
    }
    environment.globals |= {"asset": lambda name: ASSETS[name].address, "csrf_field": CSRF_FIELD, "within": _within}
    return environment


_TEMPLATES = _environment()

# What a redirect after a form may say; never text out of the address.
SAID = {
    "account-known": "There was an account of that e-mail address: it owns the workspace, and keeps its own password.",
    "address-taken": "That e-mail address is of somebody who signs in with a token: they own the workspace, and no "
    "password was set.",
    "cancelled": "The job is being cancelled.",
    "password-changed": "Your password is changed, and every session of yours has ended. Sign in with the new one.",
    "stopping": "The provisioning is being stopped.",
    "webhook-changed": "The webhook is changed.",
    "webhook-deleted": "The webhook is deleted.",
    "webhook-ping": "A ping is on its way; it is listed with the deliveries.",
    "webhook-resent": "It is sent again; the new delivery is listed first.",
}


def render(
    request: Request,
    name: str,
    who: Principal | None,
    *,
    section: str = "",
    code: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page. `section` is the address of the part of the menu that it belongs to."""
    content = _TEMPLATES.get_template(name).render(
        who=who,
        nav=_nav(who),
        section=section,
        csrf_value=csrf_token(request),
        now=datetime.now(UTC).isoformat(),
        said=SAID.get(request.query_params.get("said", "")),
        **values,
    )
    # What is shown is somebody's own: nobody between may keep it, and `back` must not show it after signing out.
    return HTMLResponse(content, status_code=code, headers={"Cache-Control": "no-store", **(headers or {})})


def _nav(who: Principal | None) -> list[tuple[str, str]]:
    if who is None or not who.has_role:
        return []
    entries = [("/tenants", "Tenants"), ("/jobs", "Jobs"), ("/templates", "Templates")]
    for permission, address, text in (
        (Permission.AUDIT_READ, "/audit", "Audit"),
        (Permission.WEBHOOKS_READ, "/webhooks", "Webhooks"),
    ):
        if who.visible(permission) is None or who.visible(permission):
            entries.append((address, text))
    if who.may(Permission.PLATFORM_READ):
        entries.append(("/system", "System"))
    return entries


async def remember(request: Request, who: Annotated[Principal, Depends(principal)]) -> None:
    """A dependency of all pages: an error's page, too, knows who is signed in."""
    request.state.who = who


def wants_part(request: Request) -> bool:
    """Whether the page's script asks, which takes over only the parts that have changed."""
    return PART_HEADER in request.headers


def to(address: str, said: str = "") -> RedirectResponse:
    """The answer to a form: go there, and read."""
    return RedirectResponse(f"{address}?said={said}" if said else address, status_code=303)


@contextlib.asynccontextmanager
async def reader(state: State) -> AsyncIterator[AsyncConnection]:
    """A connection to read with."""
    async with looking_up(state.engine, state.settings) as connection:
        yield connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Where a list stands. `total` is at most COUNT_LIMIT, where counting stops."""

    page: int
    total: int
    path: str
    query: Mapping[str, str]
    size: int = SIZE

    @property
    def first(self) -> int:
        return (self.page - 1) * self.size + 1

    @property
    def last(self) -> int:
        return min(self.page * self.size, max(self.total, self.first))

    @property
    def total_text(self) -> str:
        return f"{self.total:,} or more" if self.total >= COUNT_LIMIT else f"{self.total:,}"

    @property
    def before(self) -> str:
        return self._address(self.page - 1) if self.page > 1 else ""

    @property
    def after(self) -> str:
        more = self.last < self.total or (self.total >= COUNT_LIMIT and self.page < COUNT_LIMIT)
        return self._address(self.page + 1) if more else ""

    def _address(self, page: int) -> str:
        values = {key: value for key, value in self.query.items() if value}
        return f"{self.path}?{urlencode({**values, 'page': page})}"


def page_number(request: Request) -> int:
    """The page that the address names; the first for anything that is no page."""
    text = request.query_params.get("page", "1")
    return min(int(text), 10_000) if text.isascii() and text.isdigit() and 0 < len(text) < 9 and int(text) else 1


def asked(request: Request, name: str) -> str:
    """A filter in the address, without blanks around it."""
    return request.query_params.get(name, "").strip()[:200]


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except _EXPECTED as error:
                return problem_page(request, problem_of(error))
            except Exception as error:
                correlation = correlation_of(request.scope)
                log.exception("a page could not be made", path=request.url.path, correlation_id=correlation)
                return problem_page(request, problem_of(error))

        return handle


def problem_page(request: Request, problem: Problem) -> Response:
    """An error as a page. Whoever is not signed in is asked to."""
    if problem.status == 401:
        return _sign_in(request)
    document = problem.document(request.url.path, correlation_of(request.scope))
    answer = render(
        request,
        "problem.html",
        getattr(request.state, "who", None),
        code=problem.status,
        number=problem.status,
        title=_TITLES.get(problem.status, document["title"]),
        detail=problem.detail,
        hint=problem.hint,
        errors=[{"message": "", "given": "", "valid": "", **one} for one in document.get("errors", ())],
        correlation=document["correlation_id"],
        job=problem.extra.get("job"),
        back="",
    )
    answer.headers.update(again_headers(problem))
    return answer


def again_headers(problem: Problem) -> dict[str, str]:
    """When a browser may come again, where the error says so."""
    return {name: text for name, text in problem.headers.items() if name == "Retry-After"}


def shown_again(error: TenantryError | None, problems: object) -> tuple[int, dict[str, str]]:
    """Status and headers of a form that is shown again: 422 for what is wrong in it, else the error's own."""
    if problems or error is None:
        return 422 if problems else 200, {}
    problem = problem_of(error)
    return problem.status, again_headers(problem)


_TITLES = {
    403: "You may not do this",
    404: "There is nothing here",
    409: "Not now",
    422: "This cannot be used",
    429: "Too many requests",
    500: "Something went wrong here",
    503: "Not available at the moment",
}


def _sign_in(request: Request) -> Response:
    if wants_part(request):
        return Response(status_code=401)
    target = request.url.path if request.method == "GET" else "/tenants"
    if request.method == "GET" and request.url.query:
        target += f"?{request.url.query}"
    ended = session_token(request) is not None
    address = f"/sign-in?next={quote(target, safe='')}" + ("&ended=1" if ended else "")
    answer = RedirectResponse(address, status_code=303)
    if ended:
        end_session(request, answer)
    return answer

"""Errors as the API answers them: application/problem+json (RFC 9457) for everything, whoever raised it.

Decides statuses and what of an error a caller may read: field, given and valid of wrong input; never a secret, and of
the service's own faults nothing but the correlation id under which the log has them.
"""

from __future__ import annotations

import http
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from automation.errors import DatabaseError, InputError, LockedError, NotFoundError, TenantryError
from automation.jobs.model import BusyError, ConflictError
from automation.queues.seam import QueueError
from service.auth.errors import AuthenticationError, ForbiddenError, KeysUnavailableError, RateLimitedError
from service.encoding import dumps
from service.health_checks import HealthUnknownError
from service.problem_documents import MEDIA_TYPE
from stacks.problems import InputError as StacksInputError
from stacks.problems import path_of, shown

log = structlog.get_logger("tenantry.service")

_KINDS = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "timed_out",
    409: "conflict",
    412: "precondition_failed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_input",
    429: "rate_limited",
    500: "fault",
    503: "unavailable",
}
_OF_BUSY = ("job", "operation", "actor", "since")
_RETRY_SECONDS = 5
_PROGRAMS = frozenset({"/api", "/iam"})
_OF_PROGRAMS = ("/api/", "/iam/")
_SHOWN_PROBLEMS = 100


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """An answer that is an error. `errors` has one mapping with field, given and valid for each wrong field."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        hint: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind or _KINDS.get(status, "error")
        self.hint = hint
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = extra

    def document(self, instance: str, correlation_id: str) -> dict[str, Any]:
        """The body of the answer."""
        hidden = len(self.errors) - _SHOWN_PROBLEMS
        return {
            "type": f"urn:tenantry:problem:{self.kind}",
            "title": _title(self.status),
            "status": self.status,
            "detail": self.detail if hidden <= 0 else f"{self.detail} ({hidden} more are not shown)",
            "instance": instance,
            "correlation_id": correlation_id,
            **({"hint": self.hint} if self.hint else {}),
            **({"errors": [dict(one) for one in self.errors[:_SHOWN_PROBLEMS]]} if self.errors else {}),
            **self.extra,
        }


def problem_of(error: Exception) -> Problem:
    """What to answer where `error` was raised."""
    match error:
        case Problem():
            return error
        case RequestValidationError() | WebSocketRequestValidationError():
            return _of_request(error)
        case StacksInputError():
            return _of_manifest(error)
        case TenantryError():
            return _of_tenantry(error)
        case HTTPException():
            return Problem(error.status_code, str(error.detail), headers=error.headers)
        case _:
            return Problem(500, "Something went wrong in the service itself; its log has the reason.")


def _of_tenantry(error: TenantryError) -> Problem:
    match error:
        case AuthenticationError():
            headers = {"WWW-Authenticate": error.challenge}
            return Problem(401, error.message, hint=error.hint, headers=headers)
        case ForbiddenError():
            return Problem(403, error.message, kind=error.kind, hint=error.hint)
        case RateLimitedError():
            return Problem(429, error.message, hint=error.hint, headers=error.headers(), retry_after=error.retry_after)
        case KeysUnavailableError() | HealthUnknownError():
            return Problem(503, error.message, hint=error.hint, headers={"Retry-After": str(_RETRY_SECONDS)})
        case BusyError():
            known = {name: error.details[name] for name in _OF_BUSY if name in error.details}
            return Problem(409, error.message, kind="busy", hint=error.hint, **known)
        case ConflictError() | LockedError():
            known = {"job": error.details["job"]} if "job" in error.details else {}
            return Problem(409, error.message, hint=error.hint, **known)
        case NotFoundError():
            return Problem(404, error.message, hint=error.hint)
        case InputError():
            rows = [{"field": field, "given": given, "valid": text} for field, given, text in error.problems]
            return Problem(422, error.message, hint=error.hint, errors=rows)
        case DatabaseError() | QueueError():
            what = "database" if isinstance(error, DatabaseError) else "queue"
            headers = {"Retry-After": str(_RETRY_SECONDS)}
            return Problem(
                503, f"The service's {what} cannot be used now.", hint="try again in a few seconds", headers=headers
            )
        case _:
            return Problem(500, "Something went wrong in the service itself; its log has the reason.")


def _of_manifest(error: StacksInputError) -> Problem:
    count = len(error.problems)
    return Problem(
        422,
        f"The {error.noun} has {count} problem{'' if count == 1 else 's'}; nothing was touched.",
        hint="correct what is listed, then send it again",
        errors=[one.to_dict() for one in error.problems],
    )


def _of_request(error: RequestValidationError | WebSocketRequestValidationError) -> Problem:
    rows = []
    for item in error.errors():
        where, *path = item["loc"]
        field = f"{where}.{path_of(path)}" if path else str(where)
        missing = item["type"] == "missing"
        given = "nothing" if missing else shown(item.get("input"))
        valid = "this is required" if missing else str(item["msg"]).removeprefix("Value error, ")
        rows.append({"field": field, "given": given, "valid": valid})
    return Problem(422, "The request has parameters that are not valid; nothing was touched.", errors=rows)


def _title(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def respond(problem: Problem, request: HTTPConnection) -> Response:
    """The answer to `request`."""
    body = problem.document(request.url.path, correlation_of(request.scope))
    return Response(dumps(body), status_code=problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def correlation_of(scope: Scope) -> str:
    """The request's correlation id, as the middleware gave it."""
    return str(scope.get("state", {}).get("correlation_id") or "")


class FaultMiddleware:
    """Answers what nobody else has caught, inside of the other middleware: so that it has their headers and is logged.

    An answer that has begun cannot be changed: then the fault goes on to the server, which cuts the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            log.exception("a request failed", path=scope["path"], correlation_id=correlation_of(scope))
            if begun:
                raise
            await respond(problem_of(error), Request(scope))(scope, receive, send)


async def _handle(connection: Request | WebSocket, error: Exception) -> Response | None:
    problem = problem_of(error)
    if problem.status >= 500:
        reason = error.message if isinstance(error, TenantryError) else repr(error)
        correlation = correlation_of(connection.scope)
        log.error("a request could not be served", path=connection.url.path, reason=reason, correlation_id=correlation)
    response = respond(problem, connection)
    if not isinstance(connection, WebSocket):
        return response
    # Answered here, and not by the framework: returned as well it would be a second answer.
    if connection.application_state is WebSocketState.CONNECTING:
        await connection.send_denial_response(response)
    else:
        await connection.close(1011)
    return None


def _for_people(connection: Request) -> bool:
    """Whether a browser asks for a page: everywhere but where programs ask."""
    path = connection.url.path
    of_programs = path in _PROGRAMS or path.startswith(_OF_PROGRAMS)
    return "text/html" in connection.headers.get("accept", "") and not of_programs


def _unrouted(app: FastAPI, path: str) -> Problem:
    """The answer where no route takes the request: whether another method would be taken there."""
    routes = [
        one for one in iter_route_contexts(app.routes) if (own := getattr(one, "path_regex", None)) and own.match(path)
    ]
    methods = sorted({method for one in routes for method in getattr(one, "methods", None) or ()})
    if not methods:
        return Problem(404, f"There is nothing at {path[:200]}.", hint="the API is described at /api/v1/openapi.json")
    # The framework's own answer names the methods of the first route with that path only (RFC 9110, 15.5.6: all).
    return Problem(405, f"{path[:200]} takes {', '.join(methods)} only.", headers={"Allow": ", ".join(methods)})


def install(app: FastAPI, *, page: Callable[[Request, Problem], Response] | None = None) -> None:
    """Makes every error of `app` a problem document, and where a browser asks for a page, what `page` makes of it."""

    async def handle(connection: Request | WebSocket, error: Exception) -> Response | None:
        if isinstance(error, HTTPException) and error.status_code in {404, 405}:
            error = _unrouted(app, connection.url.path)
        if page is not None and isinstance(connection, Request) and _for_people(connection):
            return page(connection, problem_of(error))
        return await _handle(connection, error)

    kinds = (Problem, TenantryError, StacksInputError, RequestValidationError, WebSocketRequestValidationError)
    for kind in (*kinds, HTTPException):
        # Starlette's types know a handler for requests or one for sockets; this one is asked for both.
        app.add_exception_handler(kind, handle)  # type: ignore[arg-type]
    app.add_middleware(FaultMiddleware)

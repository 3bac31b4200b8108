"""Refuses query parameters that a route does not know: a mistyped filter that is ignored shows the wrong things."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from starlette.requests import HTTPConnection

from service.auth.deps import Principal, principal
from service.problems import Problem
from stacks.problems import closest, shown


async def known_query(connection: HTTPConnection, _who: Annotated[Principal, Depends(principal)]) -> None:
    """A router's dependency. The caller comes first: nobody learns of a route's parameters without a token."""
    if not connection.query_params or not isinstance(connection, Request):
        return
    known = _known(connection.app, connection.scope["route"].name)
    unknown = [name for name in connection.query_params if name not in known]
    if unknown:
        valid = f"one of {', '.join(known)}" if known else "no parameter here"
        errors = [
            {
                "field": f"query.{name}"[:200],
                "given": f"an unknown parameter with the value {shown(connection.query_params[name])}",
                "valid": valid,
                "suggestion": closest(name, known),
            }
            for name in dict.fromkeys(unknown)
        ]
        raise Problem(422, "The query has parameters that this route does not know.", errors=errors)


def _known(app: FastAPI, operation: str) -> list[str]:
    """The names of the operation's parameters, as the OpenAPI document tells them."""
    names: dict[str, list[str]] | None = getattr(app.state, "query_names", None)
    if names is None:
        names = app.state.query_names = {
            one["operationId"]: [each["name"] for each in one.get("parameters", []) if each["in"] == "query"]
            for path in app.openapi()["paths"].values()
            for one in path.values()
        }
    return names[operation]

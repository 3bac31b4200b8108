"""Refuses query parameters that a route does not know: a mistyped filter that is ignored shows the wrong things."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.utils import get_flat_dependant
from starlette.requests import HTTPConnection

from service.auth.deps import Principal, principal
from service.problems import Problem
from stacks.problems import closest, shown


async def known_query(connection: HTTPConnection, _who: Annotated[Principal, Depends(principal)]) -> None:
    """A router's dependency. The caller comes first: nobody learns of a route's parameters without a token."""
    if not connection.query_params or not isinstance(connection, Request):
        return
    route = connection.scope["route"]
    known = [one.alias for one in get_flat_dependant(route.dependant).query_params]
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

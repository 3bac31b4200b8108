"""Refuses parameters of the query that a route does not know, or that come twice: a filter that is ignored misleads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from starlette.requests import HTTPConnection

from service.auth.deps import Principal, principal
from service.metrics import route_of
from service.problems import Problem
from stacks.problems import closest, shown


async def known_query(connection: HTTPConnection, _who: Annotated[Principal, Depends(principal)]) -> None:
    """A router's dependency. The caller comes first: nobody learns of a route's parameters without a token."""
    if not connection.query_params or not isinstance(connection, Request):
        return
    given = connection.query_params.multi_items()
    known = _known(connection.app, route_of(connection.scope), connection.method)
    if known is None:
        return
    errors = [_unknown(name, value, known) for name, value in given if name not in known]
    twice = [name for name, count in Counter(name for name, _ in given).items() if count > 1 and name in known]
    errors += [{"field": f"query.{name}", "given": "several values", "valid": "one value"} for name in twice]
    if errors:
        raise Problem(422, "The query has parameters that are not valid here.", errors=errors)


def _unknown(name: str, value: str, known: Sequence[str]) -> dict[str, str | None]:
    return {
        "field": f"query.{name}"[:200],
        "given": f"an unknown parameter with the value {shown(value)}",
        "valid": f"one of {', '.join(known)}" if known else "no parameter here",
        "suggestion": closest(name, known),
    }


def _known(app: FastAPI, path: str, method: str) -> list[str] | None:
    """The names of the route's parameters, as the OpenAPI document tells them; None for a route that it leaves out."""
    names: dict[tuple[str, str], list[str]] | None = getattr(app.state, "query_names", None)
    if names is None:
        names = app.state.query_names = {
            (path, method.upper()): [each["name"] for each in one.get("parameters", []) if each["in"] == "query"]
            for path, methods in app.openapi()["paths"].items()
            for method, one in methods.items()
        }
    return names.get((path, method))

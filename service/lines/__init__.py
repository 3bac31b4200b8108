"""The routes of the product lines, as their own requirements write them, on the same actions as the API.

Decides which lines have routes of their own. A new line is a router in a module of its own, and one more entry here.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Depends, FastAPI

from service.api.query import known_query
from service.lines import cabinet
from service.problem_documents import EVERYWHERE

ROUTERS: Mapping[str, APIRouter] = {"cabinet": cabinet.router}


def install(app: FastAPI) -> None:
    """Adds the routes of all lines to `app`."""
    for kind in sorted(ROUTERS):
        app.include_router(ROUTERS[kind], responses=EVERYWHERE, dependencies=[Depends(known_query)])

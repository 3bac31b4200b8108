"""The routes of the product lines, as their own requirements write them, on the same actions as the API.

Decides which are served: those of each module here whose line there is. How a module looks is told by `seam`.
"""

from __future__ import annotations

import importlib
import pkgutil

from fastapi import Depends, FastAPI

from service.api.query import known_query
from service.lines.seam import LineRoutes
from service.problem_documents import EVERYWHERE
from stacks.lines import LINES


def served() -> list[LineRoutes]:
    """The routes of the lines that there are, by kind."""
    modules = [importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__)]
    found = [routes for module in modules if isinstance(routes := getattr(module, "ROUTES", None), LineRoutes)]
    return sorted((one for one in found if one.kind in LINES), key=lambda one: one.kind)


def install(app: FastAPI) -> None:
    """Adds the routes of all lines to `app`."""
    for one in served():
        app.include_router(one.router, responses=EVERYWHERE, dependencies=[Depends(known_query)])

"""The API of our own under /api/v1. Routes only translate: `actions` acts, `automation.jobs.reading` reads."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI

from service.api import accounts, audit, gateway, jobs, live, members, system, templates, tenants, webhooks
from service.api.query import known_query
from service.problem_documents import EVERYWHERE

PREFIX = "/api/v1"


def install(app: FastAPI) -> None:
    """Adds all routes to `app`."""
    router = APIRouter(prefix=PREFIX, responses=EVERYWHERE, dependencies=[Depends(known_query)])
    for part in (tenants, members, accounts, jobs, live, templates, audit, webhooks, system):
        router.include_router(part.router)
    app.include_router(router)
    # Nobody's own request: the gateway asks, and what it asks about is no query.
    app.include_router(gateway.router, prefix=PREFIX)

"""Pages that ask a tenant's own parts: whether each of them works now, and what the tenant costs. They take seconds."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from automation import costs
from automation.jobs import reading
from automation.jobs.model import ConflictError
from service.state import StateDep
from service.web.pages import PageRoute, reader, remember, render
from service.web.routes_tenants import SECTION, Reader

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(remember)])


@router.get("/tenants/{slug}/health")
async def health_page(request: Request, state: StateDep, who: Reader, slug: str) -> Response:
    """Whether each part works now, as its users use it."""
    async with reader(state) as connection:
        tenant = await reading.tenant(connection, slug)
    found: Any = None
    nothing = ""
    try:
        found = await state.health.of(slug)
    except ConflictError as error:
        nothing = error.message
    return render(request, "health.html", who, section=SECTION, tenant=tenant, found=found, nothing=nothing)


@router.get("/tenants/{slug}/cost")
async def cost_page(request: Request, state: StateDep, who: Reader, slug: str) -> Response:
    """What a tenant costs in a month, and what it has cost since it was created."""
    async with reader(state) as connection:
        tenant = await reading.tenant(connection, slug)
        known = await connection.run_sync(costs.facts, slug)
    cost = await asyncio.to_thread(costs.cost, known)
    return render(request, "cost.html", who, section=SECTION, tenant=tenant, cost=cost)

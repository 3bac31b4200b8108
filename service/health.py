"""`/healthz` and `/readyz`: whether this process lives, and whether it can do its work. Nobody has to sign in.

Decides what being ready means: the main database answers and has our tables, and the queue answers. Says which of them
does not, and never where it is.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel
from sqlalchemy import text

from automation.errors import DatabaseError
from automation.jobs.database import transaction
from automation.models import HEAD
from automation.queues.seam import QueueError
from service.fresh import Fresh
from service.metrics import Measured

CHECK_SECONDS = 3.0

_log = structlog.get_logger("tenantry.health")
router = APIRouter(tags=["operations"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Each part: ok, or why it is not."""

    status: Literal["ok", "unavailable"]
    database: str
    queue: str


@router.get("/healthz", response_model=Alive, include_in_schema=False)
async def healthz() -> Alive:
    """Whether this process lives. Asks nothing of anybody: a lost database must not restart every process."""
    return Alive()


@router.get("/readyz", response_model=Ready, include_in_schema=False)
async def readyz(request: Request, response: Response) -> Ready:
    """Whether this process can do its work: the database answers and has our tables, and the queue answers."""
    readiness: Fresh[Ready] = request.app.state.readiness
    found = await readiness.get(lambda: check(request.app.state.tenantry))
    if found.status != "ok":
        response.status_code = 503
    response.headers["Cache-Control"] = "no-store"
    return found


async def check(source: Measured) -> Ready:
    """Asks both, at once, within CHECK_SECONDS."""
    database, queue = await asyncio.gather(_database(source), _queue(source))
    ok = database == queue == "ok"
    if not ok:
        _log.warning("health.not_ready", database=database, queue=queue)
    return Ready(status="ok" if ok else "unavailable", database=database, queue=queue)


async def _database(source: Measured) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS), transaction(source.engine, source.settings) as connection:
            there = (await connection.execute(text("SELECT to_regclass('alembic_version')"))).scalar_one()
            if there is None:
                return "has no tables yet"
            found = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
    except (DatabaseError, TimeoutError) as error:
        _log.warning("health.database_unavailable", error=str(error) or "no answer in time")
        return "cannot be reached"
    return "ok" if found == HEAD else f"has tables of revision {found or 'none'}, not {HEAD}"


async def _queue(source: Measured) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await source.queue.depth()
    except (QueueError, DatabaseError, TimeoutError) as error:
        _log.warning("health.queue_unavailable", error=str(error) or "no answer in time")
        return "cannot be reached"
    return "ok"


def install(app: FastAPI) -> None:
    """Adds both to `app`."""
    app.state.readiness = Fresh[Ready]()
    app.include_router(router)

"""What one process of the service holds while it runs. Made by `app`, read by routes, actions and pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import HTTPConnection

from automation.jobs.live import EventHub
from automation.jobs.store import JobStore
from automation.queues.seam import Queue
from automation.settings import Settings
from automation.webhooks.manage import Webhooks
from service.auth.accounts import Accounts
from service.auth.limits import Limits
from service.engine_checks import EngineChecks
from service.health_checks import HealthChecks
from service.live_readers import Readers
from service.publishing import Publisher
from service.settings import ServiceSettings
from service.templates import Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The open parts of the service. `settings` holds passwords: it is never shown."""

    settings: Settings
    service: ServiceSettings
    engine: AsyncEngine
    store: JobStore
    hub: EventHub
    queue: Queue
    publisher: Publisher
    templates: Templates
    limits: Limits
    readers: Readers
    webhooks: Webhooks
    health: HealthChecks
    engines: EngineChecks
    accounts: Accounts


async def state_of(connection: HTTPConnection) -> State:
    """The state of the app that serves this request or WebSocket. Async, as others go through FastAPI's threads."""
    state: State = connection.app.state.tenantry
    return state


StateDep = Annotated[State, Depends(state_of)]

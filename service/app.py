"""The service's application: routes, errors, and what is opened and closed with it.

Decides what belongs to the app and in which order it starts. It never decides what a route answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version

import structlog
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.database import ensure_ready
from automation.errors import DatabaseError
from automation.jobs.database import async_engine_for
from automation.jobs.live import EventHub
from automation.jobs.store import JobStore
from automation.queues.choose import choose
from automation.queues.seam import QueueError
from automation.settings import Settings, load_settings
from automation.tokens import TokenSettings
from automation.webhooks.manage import Webhooks
from service import api, health, incoming, lines, metrics, middleware, openapi, problems
from service.auth.accounts import Accounts
from service.auth.deps import Auth
from service.auth.settings import AuthSettings, load_auth_settings
from service.engine_checks import EngineChecks
from service.health_checks import HealthChecks
from service.live_readers import Readers
from service.publishing import Publisher
from service.settings import ServiceSettings, load_service_settings
from service.state import State
from service.templates import Templates
from service.web.pages import problem_page
from service.web.routes import router as web

RETRY_SECONDS = 2.0
"""How often a start tries again while the database or the queue is not there."""

log = structlog.get_logger("tenantry.service")


def create_app(service: ServiceSettings | None = None, settings: Settings | None = None) -> FastAPI:
    """The application. Without arguments it is configured by the environment. Raises InputError for wrong settings."""
    service = service or load_service_settings()
    settings = settings or load_settings()
    auth_settings, token_settings = load_auth_settings()
    app = FastAPI(
        title="Tenantry",
        version=_version(),
        summary="Provisions, changes and removes the tenants of a product.",
        description=openapi.DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(service, settings, auth_settings, token_settings),
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    problems.install(app, page=problem_page)
    incoming.install(app, service.body_limit)
    api.install(app)
    lines.install(app)
    app.include_router(web)
    openapi.install(app)
    middleware.install(app, auth_settings)
    health.install(app)
    # The last one is the outermost: it counts what every other one answers, too.
    metrics.install(app)
    return app


def _version() -> str:
    try:
        return version("tenantry")
    except PackageNotFoundError:
        return "0"


def _lifespan(
    service: ServiceSettings, settings: Settings, auth_settings: AuthSettings, token_settings: TokenSettings
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = async_engine_for(settings, application="tenantry service", pool_size=service.database_pool)
        auth = Auth(engine, settings, auth_settings, token_settings)
        state = _state(service, settings, engine, auth, token_settings)
        app.state.auth = auth
        app.state.tenantry = state
        starting = asyncio.create_task(_start(state))
        try:
            # Usually all is there; what is not comes later, and until then answers say so.
            await asyncio.wait({starting}, timeout=RETRY_SECONDS)
            yield
        finally:
            await _stop(state, auth, starting)

    return lifespan


def _state(
    service: ServiceSettings, settings: Settings, engine: AsyncEngine, auth: Auth, tokens: TokenSettings
) -> State:
    store = JobStore(engine, settings)
    queue = choose(settings)
    return State(
        settings=settings,
        service=service,
        engine=engine,
        store=store,
        hub=EventHub(engine, settings),
        queue=queue,
        publisher=Publisher(store, queue),
        templates=Templates(),
        limits=auth.limits,
        readers=Readers(service.live_readers),
        webhooks=Webhooks(engine, settings),
        health=HealthChecks(),
        engines=EngineChecks(),
        accounts=Accounts(engine, settings, tokens, auth.limits),
    )


async def _start(state: State) -> None:
    """Opens what the service stands on. What is not there is tried again: until then answers are 503."""
    await _until_done("database", lambda: asyncio.to_thread(ensure_ready, state.settings))
    await state.hub.start()
    await _until_done("queue", state.queue.open)


async def _until_done(what: str, begin: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await begin()
            return
        except (DatabaseError, QueueError) as error:
            log.warning("the service waits for what it needs", what=what, reason=error.message, retry=RETRY_SECONDS)
        await asyncio.sleep(RETRY_SECONDS)


async def _stop(state: State, auth: Auth, starting: asyncio.Task[None]) -> None:
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await state.hub.stop()
    await state.publisher.close()
    await state.queue.close()
    await auth.close()
    await state.engine.dispose()

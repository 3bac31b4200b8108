"""`/metrics` for Prometheus: totals of all processes, what is going on now, and this service's own requests.

Decides names, labels and what is asked at the moment of a scrape. Totals and what the database says are the same in
every replica of the service: queries take `max without (instance, pod)` of them before they add anything up. No tenant,
user or address is ever a label.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Protocol

import structlog
from fastapi import APIRouter, FastAPI, Header, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from automation.errors import DatabaseError
from automation.jobs import gauges, totals
from automation.jobs.database import transaction
from automation.jobs.totals import JOBS, Total
from automation.models_jobs import JobOperation, JobStatus
from automation.queues.seam import Depth, Queue, QueueError
from automation.settings import Settings
from service.fresh import Fresh
from stacks.lines import LINES

SCRAPE_SECONDS = 5.0
_SHARED = "PROMETHEUS_MULTIPROC_DIR"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_log = structlog.get_logger("tenantry.metrics")
router = APIRouter(tags=["operations"])


class Measured(Protocol):
    """What a scrape asks: the parts of the service's state that it needs."""

    @property
    def engine(self) -> AsyncEngine: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def queue(self) -> Queue: ...


class MetricsSettings(BaseSettings):
    """TENANTRY_METRICS_TOKEN: when it is set, /metrics is only given to whoever sends it as a bearer token."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, env_prefix="TENANTRY_METRICS_"
    )

    token: SecretStr | None = None


class HttpMetrics:
    """The requests of this service. Also the middleware that counts them; to be the outermost one."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "tenantry_http_requests",
            "Requests that were answered, by route and status; route is other where no route fits.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tenantry_http_request_duration_seconds",
            "Seconds until an answer began; a live stream goes on after that.",
            ("method", "route"),
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._open = Gauge(
            "tenantry_http_requests_in_progress",
            "Requests and live streams that are open now.",
            ("kind",),
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        for kind in ("http", "websocket"):
            self._open.labels(kind)
        ProcessCollector(registry=self.registry)

    def report_to(self, registry: CollectorRegistry) -> None:
        """Adds what was counted to `registry`: by every process of this `tenantry serve`, where there are several."""
        if shared := os.environ.get(_SHARED):
            registry.register(Processes(living(Path(shared))))
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # prometheus_client has no types there
        else:
            registry.register(_Registered(self.registry))

    def around(self, app: ASGIApp) -> ASGIApp:
        """`app`, counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in {"http", "websocket"}:
                await app(scope, receive, send)
                return
            watch = _Watch(self, scope)

            async def tell(message: Message) -> None:
                watch.note(message)
                await send(message)

            with self._open.labels(scope["type"]).track_inprogress():
                try:
                    await app(scope, receive, tell)
                finally:
                    watch.end()

        return counted

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


def living(shared: Path) -> list[int]:
    """The processes that count into the folder. What one that died had open, it has no longer."""
    found = []
    for pid in sorted({int(path.stem.rpartition("_")[2]) for path in shared.glob("gauge_live*_*.db")}):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(shared))  # type: ignore[no-untyped-call] # as above
        except PermissionError:
            found.append(pid)
        else:
            found.append(pid)
    return found


class Processes(Collector):
    """The process_* metrics of several processes, each with its pid: prometheus_client has them of one only."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = tuple(pids)

    def collect(self) -> Iterator[Metric]:
        """One family each, with a sample per process."""
        families: dict[str, Metric] = {}
        for pid in self._pids:
            for metric in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    family.add_sample(sample.name, {**sample.labels, "pid": str(pid)}, sample.value)
        yield from families.values()


class _Watch:
    """One request, from its arrival to where its answer begins."""

    def __init__(self, metrics: HttpMetrics, scope: Scope) -> None:
        self._metrics, self._scope = metrics, scope
        self._started = time.perf_counter()
        self._status: int | None = None
        self._seconds = 0.0

    def note(self, message: Message) -> None:
        status = message.get("status") if message["type"].endswith("http.response.start") else None
        if message["type"] == "websocket.accept":
            status = 101
        if status is not None and self._status is None:
            self._status, self._seconds = status, time.perf_counter() - self._started

    def end(self) -> None:
        if self._status is None:
            # Broke before it answered, or hung up on before it was heard.
            self._status, self._seconds = 500, time.perf_counter() - self._started
        method = self._scope.get("method", "WEBSOCKET")
        method = method if method in METHODS or method == "WEBSOCKET" else "other"
        self._metrics.count(method, route_of(self._scope), self._status, self._seconds)


def route_of(scope: Scope) -> str:
    """The route's template, such as /api/v1/tenants/{slug}: what a caller writes must not become a label."""
    # A router's own template lacks the prefix that it was included under; FastAPI keeps the whole one beside it.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return getattr(route, "path_format", None) or getattr(route, "path", None) or "other"


class Snapshot(Collector):
    """What the database and the queue said at one moment. None: it could not be asked."""

    def __init__(
        self,
        *,
        queue: str,
        depth: Depth | None,
        added: list[Total] | None,
        now: gauges.Gauges | None,
        pool: dict[str, int],
        version: str,
    ) -> None:
        self._queue, self._depth, self._added, self._now = queue, depth, added, now
        self._pool, self._version = pool, version

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        yield _gauge("tenantry_build_info", "The version that runs.", ("version",), [((self._version,), 1)])
        up = self._now is not None and self._added is not None
        yield _gauge("tenantry_database_up", "Whether the main database answers.", (), [((), float(up))])
        yield _gauge(
            "tenantry_database_pool_connections",
            "Connections of this process to the main database: in use, and the most that it may have.",
            ("state",),
            [((state,), number) for state, number in self._pool.items()],
        )
        yield from self._of_queue()
        if self._now is not None:
            for name, help_, labels, values in self._now.families():
                yield _gauge(name, help_, labels, values)
        if self._added is not None:
            yield from _totals(self._added)

    def _of_queue(self) -> Iterator[Metric]:
        queue, depth = self._queue, self._depth
        up = float(depth is not None)
        yield _gauge("tenantry_queue_up", "Whether the queue answers.", ("queue",), [((queue,), up)])
        if depth is None:
            return
        yield _gauge(
            "tenantry_queue_messages",
            "Messages in the queue: waiting, and parked because nobody could handle them.",
            ("queue", "state"),
            [((queue, "waiting"), depth.waiting), ((queue, "parked"), depth.parked)],
        )
        if depth.oldest_seconds is not None:
            oldest = [((queue,), depth.oldest_seconds)]
            yield _gauge("tenantry_queue_oldest_seconds", "Age of the oldest message.", ("queue",), oldest)


async def snapshot(source: Measured, version: str) -> Snapshot:
    """Asks the database and the queue, within SCRAPE_SECONDS. What cannot be asked is left out, and said."""
    (added, now), depth = await asyncio.gather(_ask_database(source), _ask_queue(source))
    checked_out = getattr(source.engine.pool, "checkedout", int)()
    size = getattr(source.engine.pool, "size", int)()
    return Snapshot(
        queue=source.queue.name.split()[0],
        depth=depth,
        added=added,
        now=now,
        pool={"in_use": checked_out, "most": size},
        version=version,
    )


async def _ask_database(source: Measured) -> tuple[list[Total] | None, gauges.Gauges | None]:
    try:
        async with asyncio.timeout(SCRAPE_SECONDS), transaction(source.engine, source.settings) as connection:
            return await totals.read(connection), await gauges.read(connection)
    except (DatabaseError, TimeoutError) as error:
        _log.warning("metrics.database_unavailable", error=str(error) or "no answer in time")
        return None, None


async def _ask_queue(source: Measured) -> Depth | None:
    try:
        async with asyncio.timeout(SCRAPE_SECONDS):
            return await source.queue.depth()
    except (QueueError, DatabaseError, TimeoutError) as error:
        _log.warning("metrics.queue_unavailable", error=str(error) or "no answer in time")
        return None


def _gauge(
    name: str, help_: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_, labels=labels)
    for given, value in values:
        family.add_metric(given, value)
    return family


def _totals(added: list[Total]) -> Iterator[Metric]:
    by_name: dict[str, list[Total]] = {name: [] for name in totals.TOTALS}
    for total in added:
        by_name[total.definition.name].append(total)
    for name, definition in totals.TOTALS.items():
        if definition.buckets:
            histogram = HistogramMetricFamily(name, definition.help, labels=definition.labels)
            for one in by_name[name]:
                histogram.add_metric(list(one.labels.values()), buckets=list(one.buckets), sum_value=one.value)
            yield histogram
            continue
        counter = CounterMetricFamily(name, definition.help, labels=definition.labels)
        values = {tuple(one.labels.values()): one.value for one in by_name[name]}
        # From 0 to 1 is an increase that Prometheus sees; from nothing to 1 is none.
        for labels in _always_there(name, definition.labels):
            values.setdefault(labels, 0.0)
        for given, value in sorted(values.items()):
            counter.add_metric(given, value)
        yield counter


def _always_there(name: str, labels: tuple[str, ...]) -> list[tuple[str, ...]]:
    if name == JOBS:
        ended = set(JobStatus) - {JobStatus.PENDING, JobStatus.RUNNING}
        return [(line, operation, status) for line in LINES for operation in JobOperation for status in sorted(ended)]
    return [] if labels else [()]


@router.get("/metrics", include_in_schema=False)
async def metrics(
    request: Request, accept: Annotated[str, Header()] = "", authorization: Annotated[str, Header()] = ""
) -> Response:
    """Everything, in the format that the scraper asks for."""
    own: HttpMetrics = request.app.state.http_metrics
    token: SecretStr | None = request.app.state.metrics_settings.token
    if token is not None:
        expected = f"Bearer {token.get_secret_value()}"
        if not hmac.compare_digest(expected.encode(), authorization.encode("utf-8", "replace")):
            return Response("a bearer token is needed\n", 401, {"WWW-Authenticate": "Bearer"}, "text/plain")
    source: Measured = request.app.state.tenantry
    registry = CollectorRegistry(auto_describe=False)
    said: Fresh[Snapshot] = request.app.state.snapshots
    registry.register(await said.get(lambda: snapshot(source, request.app.version)))
    own.report_to(registry)
    encode, content_type = choose_encoder(accept)
    return Response(encode(registry), media_type=None, headers={"Content-Type": content_type})


class _Registered(Collector):
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        yield from self._registry.collect()


def install(app: FastAPI) -> None:
    """Adds /metrics, and counts every request of `app`. To be called after everything that adds a middleware."""
    own = HttpMetrics()
    app.state.http_metrics = own
    app.state.metrics_settings = MetricsSettings()
    app.state.snapshots = Fresh[Snapshot]()
    app.include_router(router)
    app.add_middleware(own.around)

"""A gateway of a thousand tenants: how long one more takes, one that changes, one that goes, and ten at once.

Each time is that of the provider's own call, from reading the configuration to the answer of the changed gateway.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from benchmarks.figures import GATEWAY_MS, GATEWAY_ROUTES, LatencyFigure
from providers import backends
from providers.caddy import batch
from providers.caddy.admin import Gateway
from providers.caddy.plan import Put
from providers.caddy.route import GatewayRouteProvider
from providers.caddy.routes import Guard, RouteSpec
from sandbox import caddy as sandbox_caddy
from sandbox.caddy import EmbeddedCaddy

_UPSTREAM = "127.0.0.1:9"
_SERVICE = "http://127.0.0.1:8000"
_REGION = "benchmark"
_TOGETHER = 10


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[LatencyFigure]:
    """Figures of each kind of change, to tenants that all have tokens and limits checked."""
    import os

    rounds = 5 if quick else 40
    running = sandbox_caddy.start(folder / "caddy")
    before = os.environ.get(backends.VARIABLE)
    try:
        os.environ[backends.VARIABLE] = str(_regions(folder, running))
        say(f"gateway: {GATEWAY_ROUTES} routes")
        _fill(running)
        say(f"gateway: {rounds} of each change")
        return _figures(GatewayRouteProvider(), rounds)
    finally:
        sandbox_caddy.remove(running.directory)
        if before is None:
            del os.environ[backends.VARIABLE]
        else:
            os.environ[backends.VARIABLE] = before


def _regions(folder: Path, caddy: EmbeddedCaddy) -> Path:
    gateway = {"admin": caddy.admin, "domain": caddy.domain, "url": caddy.url, "caFile": str(caddy.ca_file)}
    region = {
        "database": {"host": "none", "user": "none", "name": "none"},
        "oauth": {"issuer": "http://none"},
        "container": {"platform": "docker"},
        "n8n": {"url": "http://none", "keyFrom": "TENANTRY_BACKEND_NONE"},
        "gateway": gateway | {"authUrl": _SERVICE},
    }
    path = folder / "backends.yaml"
    path.write_text(yaml.safe_dump({"regions": {_REGION: region}}))
    return path


def _fill(caddy: EmbeddedCaddy) -> None:
    guard = Guard(url=_SERVICE)
    wanted = [
        Put(
            spec=RouteSpec(
                host=f"t{number}.{caddy.domain}",
                mark=f"tenantry/t{number}",
                upstream=_UPSTREAM,
                auth="jwt",
                requests_per_minute=60,
                guard=guard,
            )
        )
        for number in range(GATEWAY_ROUTES)
    ]
    gateway = Gateway(admin=caddy.admin, server=caddy.server, ca_file=str(caddy.ca_file))
    made = batch.apply(gateway, wanted, "the routes of the benchmark")
    assert not made.refused


def _props(label: str, upstream: str = _UPSTREAM) -> dict[str, Any]:
    return {
        "region": _REGION,
        "label": label,
        "tenant_mark": f"tenantry/{label}",
        "upstream": upstream,
        "auth": "jwt",
        "requests_per_minute": 60,
    }


def _figures(provider: GatewayRouteProvider, rounds: int) -> list[LatencyFigure]:
    taken: dict[str, list[float]] = {}

    def timed(title: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        done = work()
        taken.setdefault(title, []).append((time.perf_counter() - began) * 1000)
        return done

    for number in range(rounds):
        label = f"new-{number}"
        made = timed("add a route", lambda label=label: provider.create(_props(label)))
        outs = made.outs
        timed("find it unchanged", lambda outs=outs, made=made: provider.read(made.id, outs))
        changed = _props(label, "127.0.0.1:10")
        timed("change it", lambda outs=outs, made=made, news=changed: provider.update(made.id, outs, news))
        timed("remove it", lambda outs=outs, made=made: provider.delete(made.id, outs))
    for turn in range(max(1, rounds // 4)):
        labels = [f"many-{turn}-{number}" for number in range(_TOGETHER)]
        with ThreadPoolExecutor(_TOGETHER) as pool:
            timed(f"add {_TOGETHER} at once", lambda labels=labels, pool=pool: _all(pool, provider.create, labels))
            _all(
                pool, lambda props: provider.delete(f"tenantry-{props['label']}.{sandbox_caddy.DOMAIN}", props), labels
            )
    # What is held against the target is what was asked for; ten at once are as many calls.
    return [
        LatencyFigure.of(title, times, failed=0, target=GATEWAY_MS * (_TOGETHER if "at once" in title else 1))
        for title, times in taken.items()
    ]


def _all(pool: ThreadPoolExecutor, work: Callable[[dict[str, Any]], Any], labels: list[str]) -> None:
    for done in [pool.submit(work, _props(label)) for label in labels]:
        done.result()

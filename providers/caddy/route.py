"""A tenant's route through the gateway: from a host of its own, under the region's domain, to its container.

Decides what identifies a route (region, label and tenant mark) and what is owned of it (upstream, who may pass, and how
often). The label's host is one tenant's: whoever has it keeps it. It never touches another route.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from providers.backends import GatewayBackend, gateway_of
from providers.caddy import batch, probe
from providers.caddy.admin import Gateway
from providers.caddy.plan import Drop, Put
from providers.caddy.routes import Guard, RouteSpec, Seen, seen
from providers.errors import ConfigurationError, ProviderError
from providers.moved import check_kept
from providers.props import diff_of, required

IDENTITY = ("region", "label", "tenant_mark", "host")
OWNED = ("upstream", "auth", "requests_per_minute", "version")
AUTHS = ("none", "jwt")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_UPSTREAM = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?):([0-9]{1,5})")
_MOST_REQUESTS = 10_000_000
_LAST_PORT = 65_535


class GatewayRouteProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        failures = required(news, ("region", "label", "tenant_mark", "auth")).failures
        return CheckResult(news, failures or _wrong(news))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        news = dict(_news)
        backend = _backend(news)
        news["host"] = _host(news, backend)
        # An upstream that is not known yet differs by itself.
        if isinstance(news.get("upstream"), str):
            news["version"] = _spec(news, backend).version
        return diff_of(_olds, news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        outs = _made(props)
        return CreateResult(outs["route_id"], outs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        if not props.get("tenant_mark"):
            raise ProviderError(
                f"gateway route {id_!r}: it cannot be imported. A tenant's `up` adopts a route of its own."
            )
        _check_kept(id_, props)
        found = _found(id_, props)
        if found is None:
            return ReadResult("", {})
        there = {
            "upstream": found.upstream,
            "auth": found.auth,
            "requests_per_minute": found.requests_per_minute,
            "version": found.version,
        }
        return ReadResult(id_, _plain({**props, **there}))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        _check_kept(_id, {**_olds, **_news})
        return UpdateResult(_made(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        _check_kept(_id, _props)
        gateway = Gateway.of(_backend(_props))
        batch.change(gateway, Drop(id=_id, mark=_props["tenant_mark"]), _what(_props))


class GatewayRoute(Resource, module="tenantry", name="GatewayRoute"):
    """`url` is where the tenant is reached, once the route is made: it is live then."""

    url: pulumi.Output[str]
    host: pulumi.Output[str]
    route_id: pulumi.Output[str]
    version: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        outputs = dict.fromkeys(("url", "host", "route_id", "version"))
        super().__init__(GatewayRouteProvider(), name, {**props, **outputs}, opts)


def _made(props: Mapping[str, Any]) -> dict[str, Any]:
    backend = _backend(props)
    spec = _spec(props, backend)
    gateway = Gateway.of(backend)
    first = batch.change(gateway, Put(spec=spec), _what(props))
    try:
        probe.wait_served(backend, spec.host, spec.version)
    except ProviderError:
        if first:
            # A create that fails is in no state: nobody would remove what it has made. What it found stays.
            with contextlib.suppress(ProviderError):
                batch.change(gateway, Drop(id=spec.id, mark=spec.mark), _what(props))
        raise
    made = {
        "url": probe.public_url(backend, spec.host),
        "host": spec.host,
        "route_id": spec.id,
        "version": spec.version,
        "server": _server(backend),
    }
    return {**_plain(props), **made}


def _plain(props: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in props.items() if value is not None}


def _found(id_: str, props: Mapping[str, Any]) -> Seen | None:
    """The tenant's route as it is; None where there is none, or it is somebody else's by now."""
    state = Gateway.of(_backend(props)).read(_what(props))
    server: Mapping[str, Any] = state[0] if state else {}
    route = next((one for one in server.get("routes") or [] if one.get("@id") == id_), None)
    if route is None:
        return None
    found = seen(route, server.get("named_routes") or {})
    return found if found is not None and found.mark == props["tenant_mark"] else None


def _check_kept(id_: str, props: Mapping[str, Any]) -> None:
    """Raises ConfigurationError where the route is at a gateway that the region had before."""
    check_kept(
        props.get("server"),
        _server(_backend(props)),
        what=_what(props),
        key="gateway",
        there=lambda: _found(id_, props) is not None,
    )


def _server(backend: GatewayBackend) -> str:
    """All that says which gateway it is: behind an admin API on loopback may be any Caddy's tunnel."""
    return f"{backend.admin.rstrip('/')} (server {backend.server!r}, serving at {backend.url.rstrip('/')})"


def _backend(props: Mapping[str, Any]) -> GatewayBackend:
    return gateway_of(str(props["region"]))


def _host(props: Mapping[str, Any], backend: GatewayBackend) -> str:
    return f"{props['label']}.{backend.domain}".lower()


def _what(props: Mapping[str, Any]) -> str:
    return f"gateway route {props.get('host') or props['label']!r}"


def _spec(props: Mapping[str, Any], backend: GatewayBackend) -> RouteSpec:
    limit = props.get("requests_per_minute")
    guard = None
    if props["auth"] != "none" or limit:
        if backend.auth_url is None:
            raise ConfigurationError(
                f"{_what(props)}: region {props['region']!r} has no gateway.authUrl, which tokens and limits need. Set "
                "it to our service's URL in TENANTRY_BACKENDS, or give the route neither."
            )
        guard = Guard(url=backend.auth_url, variable=backend.auth_secret_from)
    return RouteSpec(
        host=_host(props, backend),
        mark=str(props["tenant_mark"]),
        upstream=str(props["upstream"]),
        auth=props["auth"],
        requests_per_minute=int(limit) if limit else None,
        guard=guard,
    )


def _wrong(news: Mapping[str, Any]) -> list[CheckFailure]:
    """What is wrong with values that are known; an upstream comes from a container, which may not be there yet."""
    found = []
    if not _LABEL.fullmatch(str(news["label"])):
        found.append(CheckFailure("label", f"label is {news['label']!r}: give a DNS label of a-z, 0-9 and -"))
    if news["auth"] not in AUTHS:
        found.append(CheckFailure("auth", f"auth is {news['auth']!r}: give one of {', '.join(AUTHS)}"))
    limit = news.get("requests_per_minute")
    if limit is not None and not (isinstance(limit, (int, float)) and 1 <= limit <= _MOST_REQUESTS and limit % 1 == 0):
        words = f"give a whole number from 1 to {_MOST_REQUESTS}, or none"
        found.append(CheckFailure("requests_per_minute", f"requests_per_minute is {limit!r}: {words}"))
    upstream = news.get("upstream")
    if isinstance(upstream, str) and upstream and not _is_upstream(upstream):
        found.append(CheckFailure("upstream", f"upstream is {upstream!r}: give host:port"))
    return found


def _is_upstream(text: str) -> bool:
    found = _UPSTREAM.fullmatch(text)
    return found is not None and 1 <= int(found[3]) <= _LAST_PORT

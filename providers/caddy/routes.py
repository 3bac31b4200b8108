"""How a tenant's route looks in Caddy's configuration, and what a route that is there says. Pure.

A tenant's route is small: it matches the tenant's host, sets variables and invokes a named route of the server, which
all tenants share. Caddy provisions its whole configuration anew at each change, so what a route costs is paid a
thousand times over by each change of a thousand tenants. A named route is called after a digest of its content: another
definition gets another name, so that two versions of this program never overwrite each other's.

Decides names, order and content. No secret is ever in a route: the one that our service knows the gateway by is named
there as a variable of Caddy's own environment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

PREFIX = "tenantry-"
PROBE_PATH = "/.well-known/tenantry"
PROBE_HEADER = "X-Tenantry-Route"
AUTH_PATH = "/api/v1/gateway/auth"
UNLIMITED = "none"
TLS_PORT = 443
_FORGEABLE = "X-Tenantry-*"
_QUOTA = ("RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
# How long an upgraded connection outlives a change of any tenant's route.
_STREAM_DELAY = "1h"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Our service, which is asked about each request. `variable` of Caddy's environment holds what it knows us by."""

    url: str
    variable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSpec:
    """What a tenant's route is to be. `upstream` is host:port, which is spoken to with TLS where the port is 443.

    `guard` is None where nobody is asked about requests.
    """

    host: str
    mark: str
    upstream: str
    auth: Literal["none", "jwt"] = "none"
    requests_per_minute: int | None = None
    guard: Guard | None = None

    @property
    def id(self) -> str:
        return route_id(self.host)

    @property
    def definition(self) -> Json:
        """The shared named route that this one invokes."""
        return _definition(self.guard, tls=self.upstream.endswith(f":{TLS_PORT}"))

    def to_json(self) -> Json:
        """The route as Caddy has it."""
        route = self._unversioned()
        route["handle"][0]["tenantry_version"] = digest(route)
        return route

    @property
    def version(self) -> str:
        return digest(self._unversioned())

    def _unversioned(self) -> Json:
        variables = {
            "handler": "vars",
            "tenantry_mark": self.mark,
            "tenantry_tenant": self.mark.rpartition("/")[2],
            "tenantry_upstream": self.upstream,
            "tenantry_auth": self.auth,
            "tenantry_limit": str(self.requests_per_minute or UNLIMITED),
        }
        return {
            "@id": self.id,
            "match": [{"host": [self.host]}],
            "handle": [variables, {"handler": "invoke", "name": name_of(self.definition)}],
            "terminal": True,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a route of ours that is there says. `version` is the digest of what it holds, whoever wrote that."""

    mark: str
    upstream: str
    auth: str
    requests_per_minute: int | None
    version: str


def route_id(host: str) -> str:
    """The `@id` of the route of a host: unique in all of Caddy's configuration."""
    return f"{PREFIX}{host}"


def name_of(definition: Mapping[str, Any]) -> str:
    """What a definition is called as a named route."""
    return f"{PREFIX}{digest(definition)}"


def digest(value: Mapping[str, Any]) -> str:
    """16 hexadecimal digits for a JSON value, however its keys are ordered."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def mark_of(route: Mapping[str, Any]) -> str | None:
    """The tenant mark of a route; None where it is not one of ours."""
    variables = _variables(route)
    return str(variables["tenantry_mark"]) if "tenantry_mark" in variables else None


def seen(route: Mapping[str, Any], definitions: Mapping[str, Any]) -> Seen | None:
    """What a route says; None where it is not one of ours. `definitions` are the server's named routes."""
    mark = mark_of(route)
    if mark is None:
        return None
    variables = dict(_variables(route))
    variables.pop("tenantry_version", None)
    handlers = [variables, *route["handle"][1:]]
    invoked = next((one.get("name", "") for one in handlers if one.get("handler") == "invoke"), "")
    content = dict(route) | {"handle": handlers}
    if not is_whole(invoked, definitions):
        content["broken"] = invoked
    limit = str(variables.get("tenantry_limit", UNLIMITED))
    return Seen(
        mark=mark,
        upstream=str(variables.get("tenantry_upstream", "")),
        auth=str(variables.get("tenantry_auth", "none")),
        requests_per_minute=int(limit) if limit.isdecimal() else None,
        version=digest(content),
    )


def is_whole(name: str, definitions: Mapping[str, Any]) -> bool:
    """Whether the named route is there, and is what its name says."""
    found = definitions.get(name)
    return isinstance(found, Mapping) and name_of(found) == name


def with_host(routes: Sequence[Mapping[str, Any]], host: str) -> Mapping[str, Any] | None:
    """The first route that names exactly this host; one with a wildcard does not."""
    return next((one for one in routes if host in _hosts(one)), None)


def place_for(routes: Sequence[Mapping[str, Any]], host: str) -> int:
    """Where a new route belongs: before the first one of others that would answer for its host, else at the end."""
    for index, route in enumerate(routes):
        if mark_of(route) is None and route.get("terminal") and _takes(route, host):
            return index
    return len(routes)


def _variables(route: Mapping[str, Any]) -> Mapping[str, Any]:
    handlers = route.get("handle") or [{}]
    first = handlers[0]
    return first if isinstance(first, Mapping) and first.get("handler") == "vars" else {}


def _hosts(route: Mapping[str, Any]) -> set[str]:
    return {str(host).lower() for matcher in route.get("match") or [] for host in matcher.get("host") or []}


def _takes(route: Mapping[str, Any], host: str) -> bool:
    matchers = route.get("match") or [{}]
    wildcard = f"*.{host.partition('.')[2]}"
    return any(not matcher.get("host") or {host, wildcard} & set(matcher["host"]) for matcher in matchers)


def _definition(guard: Guard | None, *, tls: bool) -> Json:
    """The chain of a request: its probe, the strip of what nobody may forge, our service's word, the tenant."""
    probe = {
        "match": [{"path": [PROBE_PATH]}],
        "handle": [
            {
                "handler": "static_response",
                "status_code": 204,
                "headers": {PROBE_HEADER: ["{http.vars.tenantry_version}"]},
            }
        ],
        "terminal": True,
    }
    strip = {"handler": "headers", "request": {"delete": [_FORGEABLE]}}
    asked = [_asked(guard)] if guard else []
    return {"handle": [{"handler": "subroute", "routes": [probe, {"handle": [strip, *asked, _proxied(tls=tls)]}]}]}


def _proxied(*, tls: bool) -> Json:
    proxy: Json = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": "{http.vars.tenantry_upstream}"}],
        "transport": {"protocol": "http", "dial_timeout": "5s"},
        # A container that is just being restarted.
        "load_balancing": {"try_duration": "3s", "try_interval": "250ms"},
        "stream_close_delay": _STREAM_DELAY,
    }
    if tls:
        # A container elsewhere, behind an edge that knows it by its own name; the tenant's is in X-Forwarded-Host.
        proxy["transport"]["tls"] = {}
        proxy["headers"] = {"request": {"set": {"Host": ["{http.reverse_proxy.upstream.host}"]}}}
    return proxy


def _asked(guard: Guard) -> Json:
    """Forward auth, as Caddy's own directive of that name writes it."""
    parts = urlsplit(guard.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    transport: Json = {"protocol": "http", "dial_timeout": "3s", "response_header_timeout": "10s"}
    if parts.scheme == "https":
        transport["tls"] = {}
    told = {
        "Host": ["{http.reverse_proxy.upstream.hostport}"],
        "X-Tenantry-Tenant": ["{http.vars.tenantry_tenant}"],
        "X-Tenantry-Auth": ["{http.vars.tenantry_auth}"],
        "X-Tenantry-Limit": ["{http.vars.tenantry_limit}"],
        "X-Tenantry-Client": ["{http.vars.client_ip}"],
    }
    if guard.variable:
        told["X-Tenantry-Gateway"] = ["{env." + guard.variable + "}"]
    # Upgrades are for the tenant: our service would take the question itself for a WebSocket.
    left_out = ["Cookie", "Connection", "Upgrade", "Sec-WebSocket-*"]
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{parts.hostname}:{port}"}],
        "transport": transport,
        "rewrite": {"method": "GET", "uri": f"{parts.path.rstrip('/')}{AUTH_PATH}"},
        "headers": {"request": {"set": told, "delete": left_out}},
        "handle_response": [{"match": {"status_code": [2]}, "routes": _allowed()}],
    }


def _allowed() -> list[Json]:
    """What becomes of a request that our service lets pass. Any other answer of it is the caller's."""
    who = {name: [_answered(name)] for name in ("X-Tenantry-Subject", "X-Tenantry-Role")}
    quota = {name: [_answered(name)] for name in _QUOTA}
    return [
        # The token is one for our own API: the tenant's container must not be able to act with it.
        {
            "match": [{"vars": {"tenantry_auth": ["jwt"]}}],
            "handle": [{"handler": "headers", "request": {"set": who}}, _without_token()],
        },
        {
            "match": [{"not": [{"vars": {"tenantry_limit": [UNLIMITED]}}]}],
            "handle": [{"handler": "headers", "response": {"set": quota}}],
        },
    ]


def _answered(name: str) -> str:
    """The placeholder of a header of the answer, which Caddy knows as Go spells it: RateLimit is Ratelimit."""
    return "{http.reverse_proxy.header." + name.title() + "}"


def _without_token() -> Json:
    return {"handler": "headers", "request": {"delete": ["Authorization"]}}

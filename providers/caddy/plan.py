"""Which one request to Caddy makes a number of changes, given the server as it is. Pure: no I/O, no clock.

Decides who owns a route (the tenant mark in it), and that a change which is refused does not keep the others from being
made. One change that needs no new definition is one small request; several, or a new definition, are one of the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from providers.caddy.routes import Json, RouteSpec, is_whole, mark_of, name_of, place_for, with_host
from providers.errors import OwnershipError, ProviderError

SERVERS = "/config/apps/http/servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A route that is to be there, and be so."""

    spec: RouteSpec

    @property
    def id(self) -> str:
        return self.spec.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A route that is to be gone, where it is the tenant's."""

    id: str
    mark: str


Change = Put | Drop


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One request to the admin API."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`edit` makes all changes but the refused ones; None where nothing is to be done.

    By the changes' positions: `refused` says why, `new` has the routes that were not there before, and `there` those
    that were as they are to be.
    """

    edit: Edit | None
    refused: Mapping[int, ProviderError] = field(default_factory=dict)
    new: frozenset[int] = frozenset()
    there: frozenset[int] = frozenset()


def plan(name: str, server: Mapping[str, Any], changes: Sequence[Change], gateway: str) -> Plan:
    """The plan for the server called `name`. `gateway` is how errors call the gateway."""
    routes: list[Any] = list(server.get("routes") or [])
    definitions: Json = dict(server.get("named_routes") or {})
    edits: list[Edit] = []
    refused: dict[int, ProviderError] = {}
    new: set[int] = set()
    there: set[int] = set()
    for position, change in enumerate(changes):
        if isinstance(change, Put) and _position(routes, change.id) is None:
            new.add(position)
        try:
            made = _put(name, routes, change, gateway) if isinstance(change, Put) else _drop(routes, change)
        except OwnershipError as error:
            refused[position] = error
            continue
        if made is not None:
            edits.append(made)
        elif isinstance(change, Put):
            there.add(position)
    told = Plan(edit=None, refused=refused, new=frozenset(new), there=frozenset(there))
    needed = _needed(changes, refused, definitions)
    small = len(edits) == 1 and not needed and server.get("routes") is not None
    if small or not (edits or needed):
        return replace(told, edit=edits[0] if edits else None)
    kept = {one: definitions[one] for one in definitions if not one.startswith("tenantry-") or _invoked(routes, one)}
    whole = dict(server) | {"routes": routes, "named_routes": {**kept, **needed}}
    return replace(told, edit=Edit(method="PATCH", path=f"{SERVERS}/{quote(name)}", body=whole))


def _put(name: str, routes: list[Any], change: Put, gateway: str) -> Edit | None:
    spec = change.spec
    wanted = spec.to_json()
    at = _position(routes, spec.id)
    taken = routes[at] if at is not None else with_host(routes, spec.host)
    if taken is not None and (at is None or mark_of(taken) != spec.mark):
        raise taken_by(spec.host, taken, gateway)
    if at is None:
        at = place_for(routes, spec.host)
        path = f"{SERVERS}/{quote(name)}/routes"
        # An array takes what is put at one of its places; what comes after the last one is posted.
        edit = Edit(method="POST", path=path, body=wanted)
        if at < len(routes):
            edit = Edit(method="PUT", path=f"{path}/{at}", body=wanted)
        routes.insert(at, wanted)
        return edit
    if routes[at] == wanted:
        return None
    routes[at] = wanted
    return Edit(method="PATCH", path=_by_id(spec.id), body=wanted)


def _drop(routes: list[Any], change: Drop) -> Edit | None:
    at = _position(routes, change.id)
    # Somebody else's, by now: ours is gone.
    if at is None or mark_of(routes[at]) != change.mark:
        return None
    del routes[at]
    return Edit(method="DELETE", path=_by_id(change.id))


def taken_by(host: str, route: Mapping[str, Any], gateway: str) -> OwnershipError:
    """The error for a host that is somebody else's."""
    mark = mark_of(route)
    owner = f"is {mark}'s" if mark else f"is that of a route that Tenantry did not make (@id {route.get('@id')!r})"
    return OwnershipError(f"gateway route {host!r}: this host {owner} at {gateway}. Choose another label.")


def _needed(changes: Sequence[Change], refused: Mapping[int, ProviderError], definitions: Json) -> Json:
    """The definitions that the routes to be need, and that are not there as they should be."""
    wanted = [one.spec.definition for at, one in enumerate(changes) if at not in refused and isinstance(one, Put)]
    return {name: one for one in wanted if not is_whole(name := name_of(one), definitions)}


def _invoked(routes: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(handler.get("name") == name for route in routes for handler in route.get("handle") or [])


def _position(routes: Sequence[Mapping[str, Any]], id_: str) -> int | None:
    return next((at for at, route in enumerate(routes) if route.get("@id") == id_), None)


def _by_id(id_: str) -> str:
    return f"/id/{quote(id_)}"

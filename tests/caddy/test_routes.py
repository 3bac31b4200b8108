"""The pure part: what a route holds, what is read out of one, and which request makes which changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.caddy.plan import Change, Drop, Put, plan
from providers.caddy.routes import Guard, RouteSpec, digest, name_of, place_for, seen, with_host
from providers.errors import OwnershipError

GUARD = Guard(url="https://service.example/base", variable="TENANTRY_BACKEND_X")
labels = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)


@st.composite
def specs(draw: st.DrawFn) -> RouteSpec:
    limit = draw(st.none() | st.integers(1, 10_000))
    auth = draw(st.sampled_from(["none", "jwt"]))
    return RouteSpec(
        host=f"{draw(labels)}.tenants.example",
        mark=f"tenantry/{draw(labels)}",
        upstream=f"{draw(labels)}:{draw(st.integers(1, 65_535))}",
        auth=auth,  # type: ignore[arg-type]
        requests_per_minute=limit,
        guard=GUARD if limit or auth == "jwt" else None,
    )


@given(specs())
def test_what_was_written_is_read(spec: RouteSpec) -> None:
    route = json.loads(json.dumps(spec.to_json()))
    found = seen(route, {name_of(spec.definition): spec.definition})
    assert found is not None
    assert (found.mark, found.upstream, found.auth) == (spec.mark, spec.upstream, spec.auth)
    assert (found.requests_per_minute, found.version) == (spec.requests_per_minute, spec.version)
    without = seen(route, {})
    assert without is not None
    assert without.version != spec.version


@given(st.lists(specs(), max_size=6), st.lists(specs(), max_size=6), st.data())
def test_a_plan_makes_what_it_was_asked_for_and_touches_nobody_elses(
    there: list[RouteSpec], wanted: list[RouteSpec], data: st.DataObject
) -> None:
    first = list({one.host: one for one in there}.values())
    server: dict[str, Any] = {
        "listen": [":443"],
        "routes": [{"@id": "theirs", "handle": []}, *(one.to_json() for one in first)],
        "named_routes": {name_of(one.definition): one.definition for one in first},
    }
    changes: list[Change] = [
        Put(spec=one) if data.draw(st.booleans()) else Drop(id=one.id, mark=one.mark) for one in wanted
    ]
    before = json.dumps(server)
    found = plan("gw", server, changes, "the gateway")
    assert json.dumps(server) == before
    after = _carried_out(server, found.edit)
    owners = {one.id: one.mark for one in first}
    for position, change in enumerate(changes):
        mark = change.spec.mark if isinstance(change, Put) else change.mark
        free = owners.get(change.id, mark) == mark
        assert (position in found.refused) == (isinstance(change, Put) and not free)
        if free:
            owners[change.id] = mark
            if isinstance(change, Drop):
                del owners[change.id]
    routes = {route["@id"]: route for route in after["routes"]}
    assert len(routes) == len(after["routes"])
    assert set(routes) == {"theirs", *owners}
    for route in after["routes"][1:]:
        read = seen(route, after["named_routes"])
        assert read is not None
        assert read.version == route["handle"][0]["tenantry_version"]
        assert read.mark == owners[route["@id"]]
    again = plan("gw", after, [one for at, one in enumerate(changes) if at not in found.refused][-1:], "the gateway")
    assert again.edit is None


def _carried_out(server: dict[str, Any], edit: Any) -> dict[str, Any]:
    """As Caddy carries it out."""
    if edit is None:
        return server
    if edit.path.endswith("/servers/gw"):
        return dict(edit.body)
    routes = list(server["routes"])
    if edit.path.startswith("/id/"):
        at = next(at for at, route in enumerate(routes) if route["@id"] == edit.path.removeprefix("/id/"))
        routes[at : at + 1] = [] if edit.method == "DELETE" else [edit.body]
    elif edit.method == "POST":
        routes.append(edit.body)
    else:
        routes.insert(int(edit.path.rpartition("/")[2]), edit.body)
    return server | {"routes": routes}


def test_the_guard_is_asked_at_its_own_address() -> None:
    spec = RouteSpec(host="h", mark="tenantry/h", upstream="u:1", auth="jwt", guard=GUARD)
    text = json.dumps(spec.definition)
    assert '"dial": "service.example:443"' in text
    assert '"tls": {}' in text
    assert '"uri": "/base/api/v1/gateway/auth"' in text
    assert "{env.TENANTRY_BACKEND_X}" in text
    plain = RouteSpec(host="h", mark="m/h", upstream="u:1", auth="jwt", guard=Guard(url="http://s"))
    assert '"dial": "s:80"' in json.dumps(plain.definition)
    assert "tls" not in json.dumps(plain.definition)


def test_definitions_are_called_after_what_they_hold() -> None:
    one = RouteSpec(host="a.x", mark="t/a", upstream="u:1")
    other = RouteSpec(host="b.x", mark="t/b", upstream="v:1")
    guarded = RouteSpec(host="b.x", mark="t/b", upstream="v:1", auth="jwt", guard=GUARD)
    assert name_of(one.definition) == name_of(other.definition) != name_of(guarded.definition)
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})


@pytest.mark.parametrize(
    ("route", "place"),
    [
        ({"handle": [], "terminal": True}, 0),
        ({"match": [{"host": ["*.x"]}], "terminal": True}, 0),
        ({"match": [{"path": ["/a"]}], "terminal": True}, 0),
        ({"match": [{"host": ["b.x"]}], "terminal": True}, 1),
        ({"match": [{"host": ["*.y"]}], "terminal": True}, 1),
        ({"match": [{"host": ["*.x"]}]}, 1),
        (RouteSpec(host="b.x", mark="t/b", upstream="u:1").to_json(), 1),
    ],
)
def test_a_route_goes_before_what_would_answer_for_its_host(route: dict[str, Any], place: int) -> None:
    assert place_for([route], "a.x") == place


def test_a_host_is_found_however_it_is_written() -> None:
    routes = [{"match": [{"path": ["/"]}, {"host": ["B.x", "A.X"]}]}, {"match": [{"host": ["*.x"]}]}]
    assert with_host(routes, "a.x") is routes[0]
    assert with_host(routes, "c.x") is None


def test_two_tenants_for_one_host_in_one_batch() -> None:
    one, other = (RouteSpec(host="a.x", mark=f"t/{name}", upstream="u:1") for name in "ab")
    found = plan("gw", {"routes": []}, [Put(spec=one), Put(spec=other)], "the gateway")
    assert found.edit is not None
    assert [route["handle"][0]["tenantry_mark"] for route in found.edit.body["routes"]] == ["t/a"]
    assert isinstance(found.refused[1], OwnershipError)
    assert "is t/a's at the gateway" in str(found.refused[1])

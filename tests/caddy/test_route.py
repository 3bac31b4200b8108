"""A tenant's route: made once whatever happens, found again, changed, seen when somebody else changes it, and gone."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from providers.caddy.route import GatewayRouteProvider
from providers.errors import ConfigurationError, NotReadyError, OwnershipError
from sandbox.caddy import EmbeddedCaddy
from tests.caddy.helpers import Visitor, props
from tests.caddy.upstream import Upstream

ROUTES = "/config/apps/http/servers/tenants/routes"


def ids(admin: httpx.Client) -> list[str]:
    return [route["@id"] for route in admin.get(ROUTES).json()]


def test_a_route_leads_to_its_container(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, upstream: Upstream, visitor: Visitor
) -> None:
    made = provider.create(props(upstream=upstream.address))
    assert made.outs is not None
    assert made.id == made.outs["route_id"] == "tenantry-acme.tenants.localhost"
    assert made.outs["url"] == f"https://acme.tenants.localhost:{caddy.port}"
    answer = visitor.get("acme", "/hello?a=1", headers={"X-Tenantry-Subject": "forged", "Authorization": "Basic x"})
    assert answer.status_code == 200
    seen = answer.json()
    assert (seen["name"], seen["path"]) == ("tenant", "/hello?a=1")
    assert "x-tenantry-subject" not in seen["headers"]
    # Without tokens the gateway has no say in who signs in at the container.
    assert seen["headers"]["authorization"] == "Basic x"
    assert visitor.get("other").status_code == 404
    provider.delete(made.id, made.outs)
    assert visitor.get("acme").status_code == 404
    provider.delete(made.id, made.outs)


def test_created_again_it_is_adopted_and_brought_up_to_date(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, upstream: Upstream, visitor: Visitor, admin: httpx.Client
) -> None:
    first = provider.create(props())
    before = admin.get("/config/").text
    assert provider.create(props()).outs == first.outs
    assert admin.get("/config/").text == before
    second = provider.create(props(upstream=upstream.address))
    assert second.id == first.id
    assert ids(admin).count(first.id) == 1
    assert visitor.get("acme").json()["name"] == "tenant"


def test_an_update_changes_where_it_leads(
    provider: GatewayRouteProvider, upstream: Upstream, visitor: Visitor, admin: httpx.Client
) -> None:
    old = provider.create(props()).outs
    assert old is not None
    news = props(upstream=upstream.address)
    assert provider.diff("", old, news).changes
    assert not provider.diff("", old, news).replaces
    assert visitor.get("acme").status_code == 502
    new = provider.update("", old, news).outs
    assert new is not None
    assert not provider.diff("", new, news).changes
    assert visitor.get("acme").status_code == 200


@pytest.mark.parametrize("other", [{"label": "other"}, {"tenant_mark": "tenantry/other"}])
def test_another_identity_is_another_route(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, other: dict[str, str]
) -> None:
    old = provider.create(props()).outs
    assert old is not None
    found = provider.diff("", old, props(**other))
    assert found.changes
    assert found.delete_before_replace
    assert set(found.replaces or []) >= set(other)


def test_a_host_is_one_tenants(provider: GatewayRouteProvider, caddy: EmbeddedCaddy, admin: httpx.Client) -> None:
    first = provider.create(props())
    with pytest.raises(
        OwnershipError, match=r"acme\.tenants\.localhost.* is tenantry/acme's .*another label"
    ) as caught:
        provider.create(props(tenant_mark="tenantry/thief"))
    assert "\n" not in str(caught.value)
    # Who has no right to it can neither remove it nor see it as its own.
    stranger = props(tenant_mark="tenantry/thief")
    provider.delete(first.id, stranger)
    assert provider.read(first.id, stranger).id == ""
    assert first.id in ids(admin)


@pytest.mark.parametrize("id_", ["tenantry-acme.tenants.localhost", "by-hand"])
def test_a_host_that_others_have_is_named(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, admin: httpx.Client, id_: str
) -> None:
    taken = {"@id": id_, "match": [{"host": ["acme.tenants.localhost"]}], "handle": [{"handler": "vars"}]}
    admin.put(f"{ROUTES}/0", json=taken).raise_for_status()
    with pytest.raises(OwnershipError, match=f"Tenantry did not make .*{id_}"):
        provider.create(props())
    assert admin.get(f"/id/{id_}").json() == taken


def test_an_id_that_another_server_has_is_named(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, admin: httpx.Client
) -> None:
    route = {"@id": "tenantry-acme.tenants.localhost", "handle": [{"handler": "vars", "tenantry_mark": "tenantry/old"}]}
    admin.put("/config/apps/http/servers/second", json={"listen": [], "routes": [route]}).raise_for_status()
    provider.create(props("first"))  # so that the next one is a small request
    with pytest.raises(OwnershipError, match=r"is tenantry/old's .*in another server"):
        provider.create(props())


def test_drift_is_seen_and_repaired(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, upstream: Upstream, visitor: Visitor, admin: httpx.Client
) -> None:
    wanted = props(upstream=upstream.address)
    made = provider.create(wanted)
    assert made.outs is not None
    unchanged = provider.read(made.id, made.outs)
    assert (unchanged.id, unchanged.outs) == (made.id, made.outs)
    path = f"/id/{made.id}"
    admin.patch(f"{path}/handle/0/tenantry_upstream", json="127.0.0.1:1").raise_for_status()
    moved = provider.read(made.id, made.outs).outs
    assert moved is not None
    assert moved["upstream"] == "127.0.0.1:1"
    assert provider.diff(made.id, moved, wanted).changes
    provider.update(made.id, moved, wanted)
    admin.put(f"{path}/handle/1", json={"handler": "static_response", "body": "mine"}).raise_for_status()
    assert visitor.get("acme").text == "mine"
    more = provider.read(made.id, made.outs).outs
    assert more is not None
    assert more["version"] != made.outs["version"]
    assert provider.diff(made.id, more, wanted).changes
    assert provider.update(made.id, more, wanted).outs == made.outs
    assert visitor.get("acme").json()["name"] == "tenant"


@pytest.mark.parametrize("how", ["emptied", "gone"])
def test_a_definition_that_is_broken_by_hand_is_drift(
    provider: GatewayRouteProvider, upstream: Upstream, visitor: Visitor, admin: httpx.Client, how: str
) -> None:
    wanted = props(upstream=upstream.address)
    made = provider.create(wanted)
    assert made.outs is not None
    name = admin.get(f"/id/{made.id}/handle/1/name").json()
    path = f"/config/apps/http/servers/tenants/named_routes/{name}"
    answer = admin.delete(path) if how == "gone" else admin.patch(path, json={"handle": []})
    answer.raise_for_status()
    found = provider.read(made.id, made.outs).outs
    assert found is not None
    assert provider.diff(made.id, found, wanted).changes
    assert provider.update(made.id, found, wanted).outs == made.outs
    assert visitor.get("acme").json()["name"] == "tenant"


def test_a_route_that_is_gone_is_told(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, admin: httpx.Client
) -> None:
    made = provider.create(props())
    assert made.outs is not None
    admin.delete(f"/id/{made.id}").raise_for_status()
    assert provider.read(made.id, made.outs).id == ""
    admin.delete("/config/apps/http/servers/tenants").raise_for_status()
    assert provider.read(made.id, made.outs).id == ""
    provider.delete(made.id, made.outs)
    admin.delete("/config/apps").raise_for_status()
    assert provider.read(made.id, made.outs).id == ""
    provider.delete(made.id, made.outs)
    with pytest.raises(ConfigurationError, match=r"has no server 'tenants'.*gateway\.server"):
        provider.create(props())


def test_a_server_without_routes_gets_its_first(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, admin: httpx.Client, visitor: Visitor
) -> None:
    admin.delete(ROUTES).raise_for_status()
    made = provider.create(props())
    assert ids(admin) == [made.id]
    provider.delete(made.id, made.outs or {})
    assert ids(admin) == []
    provider.create(props())
    assert ids(admin) == [made.id]


def test_what_others_have_in_the_server_stays_and_keeps_its_place(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, admin: httpx.Client, visitor: Visitor, upstream: Upstream
) -> None:
    header = {"@id": "header", "handle": [{"handler": "headers", "response": {"set": {"X-Site": ["ours"]}}}]}
    catch = {"@id": "catch", "match": [{"host": ["*.tenants.localhost"]}], "terminal": True}
    admin.put(f"{ROUTES}/0", json=header).raise_for_status()
    admin.put(f"{ROUTES}/1", json=catch | {"handle": [{"handler": "error", "status_code": 410}]}).raise_for_status()
    server = "/config/apps/http/servers/tenants"
    admin.put(f"{server}/named_routes/theirs", json={"handle": [{"handler": "vars"}]}).raise_for_status()
    made = provider.create(props(upstream=upstream.address))
    assert ids(admin) == ["header", made.id, "catch", "no-such-tenant"]
    assert visitor.get("acme").headers["X-Site"] == "ours"
    assert visitor.get("other").status_code == 410
    provider.create(props("beta", auth="none", requests_per_minute=None))
    provider.delete(made.id, made.outs or {})
    assert ids(admin) == ["header", "tenantry-beta.tenants.localhost", "catch", "no-such-tenant"]
    assert "theirs" in admin.get(f"{server}/named_routes").json()


def test_definitions_that_nobody_invokes_are_cleared_by_the_next_new_one(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, admin: httpx.Client
) -> None:
    old = {"tenantry-0123456789abcdef": {"handle": []}}
    admin.post("/config/apps/http/servers/tenants/named_routes", json=old).raise_for_status()
    made = provider.create(props())
    assert list(admin.get("/config/apps/http/servers/tenants/named_routes").json()) == [
        admin.get(f"/id/{made.id}/handle/1/name").json()
    ]


def test_a_route_that_does_not_come_through_is_taken_back(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.caddy.probe.READY_SECONDS", 0.5)
    admin.put(f"{ROUTES}/0", json={"@id": "first", "handle": [{"handler": "static_response", "body": "hi"}]})
    with pytest.raises(
        NotReadyError, match=r"something else answers for that host, with 200: a route before"
    ) as caught:
        provider.create(props())
    assert "\n" not in str(caught.value)
    assert ids(admin) == ["first", "no-such-tenant"]
    # One that was there, and perhaps served its tenant until now, stays.
    admin.delete("/id/first").raise_for_status()
    made = provider.create(props())
    admin.put(f"{ROUTES}/0", json={"@id": "first", "handle": [{"handler": "static_response", "body": "hi"}]})
    for again in (lambda: provider.create(props()), lambda: provider.update("", {}, props(upstream="127.0.0.1:8"))):
        with pytest.raises(NotReadyError):
            again()
        assert ids(admin) == ["first", made.id, "no-such-tenant"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"label": ""}, "label"),
        ({"label": "Acme"}, "label"),
        ({"label": "a.b"}, "label"),
        ({"label": "-a"}, "label"),
        ({"label": "a" * 64}, "label"),
        ({"region": None}, "region"),
        ({"tenant_mark": None}, "tenant_mark"),
        ({"auth": "basic"}, "auth"),
        ({"upstream": "http://h:1"}, "upstream"),
        ({"upstream": "h"}, "upstream"),
        ({"upstream": "h:0"}, "upstream"),
        ({"upstream": "h:65536"}, "upstream"),
        ({"upstream": "{env.SECRET}:1"}, "upstream"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"requests_per_minute": 1.5}, "requests_per_minute"),
        ({"requests_per_minute": "60"}, "requests_per_minute"),
    ],
)
def test_wrong_inputs_are_named(provider: GatewayRouteProvider, given: dict[str, Any], field: str) -> None:
    assert [failure.property for failure in provider.check({}, props(**given)).failures] == [field]


@pytest.mark.parametrize("upstream", [None, "h:1", "10.0.0.1:65535", "[::1]:80", "a-b.c_d:8080"])
def test_right_inputs_pass(provider: GatewayRouteProvider, upstream: str | None) -> None:
    given = props("a1-b", upstream=upstream, auth="jwt", requests_per_minute=60.0)
    assert provider.check({}, given).failures == []


def test_an_upstream_that_is_not_known_yet_is_a_change(provider: GatewayRouteProvider, caddy: EmbeddedCaddy) -> None:
    import pulumi

    old = provider.create(props()).outs
    assert old is not None
    news = props(upstream=pulumi.output.Unknown())
    assert provider.check(old, news).failures == []
    assert provider.diff("", old, news).changes


def test_tokens_and_limits_need_our_service(provider: GatewayRouteProvider, caddy: EmbeddedCaddy) -> None:
    for given in ({"auth": "jwt"}, {"requests_per_minute": 5}):
        with pytest.raises(ConfigurationError, match=r"region 'here' has no gateway\.authUrl"):
            provider.create(props(**given))

"""The component, run by the embedded engine: up, no-op, change, drift, replacement, destroy; and killed in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pulumi
import pytest
from pulumi import automation

from components.gateway import Gateway, GatewayPolicy
from sandbox.caddy import EmbeddedCaddy
from tests.caddy.helpers import Visitor
from tests.caddy.upstream import Upstream
from tests.embedded import stacks_in

ROUTES = "/config/apps/http/servers/tenants/routes"
Program = Callable[[], None]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return stacks_in(tmp_path, monkeypatch)


def program_for(given: dict[str, Any]) -> Program:
    def program() -> None:
        tenant = pulumi.ComponentResource("tests:Tenant", "acme")
        made = Gateway(
            "acme",
            label=given["label"],
            upstream=pulumi.Output.from_input(given["upstream"]),
            region="here",
            tenant_mark="tests/acme",
            policy=given.get("policy", GatewayPolicy()),
            tenant=tenant,
            after=[],
        )
        assert made.anchor is made.ready
        pulumi.export("url", made.url)

    return program


def ids(admin: httpx.Client) -> list[str]:
    return [route["@id"] for route in admin.get(ROUTES).json()]


def test_up_no_op_change_drift_replacement_destroy(
    caddy: EmbeddedCaddy, admin: httpx.Client, visitor: Visitor, upstream: Upstream, stack: Any
) -> None:
    given: dict[str, Any] = {"label": "acme", "upstream": "127.0.0.1:9"}
    run = stack(program_for(given))
    assert run.preview().change_summary == {"create": 4}
    assert ids(admin) == ["no-such-tenant"]
    first = run.up()
    assert first.outputs["url"].value == f"https://acme.tenants.localhost:{caddy.port}"
    assert not first.outputs["url"].secret
    assert run.up().summary.resource_changes == {"same": 4}

    given["upstream"] = upstream.address
    assert run.up().summary.resource_changes == {"same": 3, "update": 1}
    assert visitor.get("acme").json()["name"] == "tenant"

    admin.patch("/id/tenantry-acme.tenants.localhost/handle/0/tenantry_upstream", json="127.0.0.1:1").raise_for_status()
    assert run.refresh().summary.resource_changes["update"] == 1
    assert run.up().summary.resource_changes == {"same": 3, "update": 1}
    assert visitor.get("acme").status_code == 200

    admin.delete("/id/tenantry-acme.tenants.localhost").raise_for_status()
    assert run.refresh().summary.resource_changes["delete"] == 1
    assert run.up().summary.resource_changes == {"create": 1, "same": 3}

    given["label"] = "beta"
    assert run.up().summary.resource_changes == {"replace": 1, "same": 3}
    assert ids(admin) == ["tenantry-beta.tenants.localhost", "no-such-tenant"]
    run.destroy()
    assert ids(admin) == ["no-such-tenant"]


def test_what_is_wrong_is_told_before_anything_is_touched(
    caddy: EmbeddedCaddy, admin: httpx.Client, stack: Any
) -> None:
    run = stack(program_for({"label": "A.b", "upstream": "127.0.0.1:9"}))
    with pytest.raises(automation.CommandError, match="give a DNS label"):
        run.preview()
    taken = {"@id": "x", "match": [{"host": ["acme.tenants.localhost"]}], "handle": [{"handler": "vars"}]}
    admin.put(f"{ROUTES}/0", json=taken).raise_for_status()
    run = stack(program_for({"label": "acme", "upstream": "127.0.0.1:9"}))
    with pytest.raises(automation.CommandError, match="a route that Tenantry did not make"):
        run.up()
    assert ids(admin) == ["x", "no-such-tenant"]
    run.destroy()
    assert ids(admin) == ["x", "no-such-tenant"]


def test_a_policy_that_needs_our_service_says_so(caddy: EmbeddedCaddy, stack: Any) -> None:
    policy = GatewayPolicy(auth="jwt", requests_per_minute=60)
    run = stack(program_for({"label": "acme", "upstream": "127.0.0.1:9", "policy": policy}))
    with pytest.raises(automation.CommandError, match=r"has no gateway\.authUrl"):
        run.up()

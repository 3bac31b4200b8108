"""Pages of a department's parts: where it is, whether each part works, what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import text

from automation import manifests
from automation.jobs.database import transaction
from automation.jobs.model import ConflictError
from service.health_checks import HealthChecks
from service.state import State
from stacks.lines import DEPARTMENT
from tests.service.helpers import as_

MANIFEST = {
    "kind": "department",
    "slug": "finance",
    "name": "Finance",
    "region": "here",
    "adminEmail": "head@finance.example",
    "workflows": ["database"],
}
REGION = {
    "database": {"host": "db", "user": "u", "name": "departments"},
    "oauth": {"issuer": "https://login.example"},
    "container": {"platform": "docker"},
    "n8n": {"url": "https://n8n.example", "keyFrom": "TENANTRY_BACKEND_N8N"},
    "gateway": {"admin": "http://127.0.0.1:2019", "url": "https://edge.example:8443", "domain": "tenants.example"},
}


Says = Callable[[Mapping[str, Any] | ConflictError], None]


@pytest.fixture
async def department(state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A department that is active, in a region that is known here."""
    file = tmp_path / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {"here": REGION}}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))
    async with transaction(state.engine, state.settings) as connection:
        await connection.execute(
            text(
                "INSERT INTO tenants (slug, line, name, status, template_id, template_version, manifest_version)"
                " VALUES ('finance', 'department', 'Finance', 'active', 'standard', '1.0.0', 1)"
            )
        )
        await connection.execute(
            text("INSERT INTO manifests (tenant, version, manifest, actor) VALUES ('finance', 1, :manifest, 'ann')"),
            {"manifest": json.dumps(MANIFEST)},
        )
    return "/tenants/finance"


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> Says:
    """Says what the tenant's own process would tell."""

    def says(found: Mapping[str, Any] | ConflictError) -> None:
        async def of(_self: HealthChecks, slug: str) -> Mapping[str, Any]:
            assert slug == "finance"
            if isinstance(found, ConflictError):
                raise found
            return found

        monkeypatch.setattr(HealthChecks, "of", of)

    return says


async def page(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(path, headers=as_() | {"accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_its_page_says_where_it_is_and_leads_to_health_and_cost(
    client: httpx.AsyncClient, department: str
) -> None:
    shown = await page(client, department)
    assert 'href="https://finance.tenants.example:8443"' in shown
    assert all(f'href="{department}/{part}"' in shown for part in ("health", "cost"))


async def test_a_region_that_is_not_known_here_is_no_address(
    client: httpx.AsyncClient, department: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENANTRY_BACKENDS")
    assert "tenants.example" not in await page(client, department)


async def test_each_part_says_what_was_seen(client: httpx.AsyncClient, department: str, health: Says) -> None:
    parts = [
        {"part": "database", "ok": True, "detail": "", "duration_ms": 12},
        {"part": "container", "ok": False, "detail": "connection refused by <it>", "duration_ms": 2300},
    ]
    found = {"type": "health", "healthy": False, "parts": parts, "checked_at": "2026-11-21T10:00:00+00:00"}
    health(found)
    shown = await page(client, f"{department}/health")
    assert "Connection refused by &lt;it&gt;" in shown
    assert (shown.count("Does not work"), shown.count("</svg>Works")) == (2, 1)


async def test_what_has_no_checks_is_no_error(client: httpx.AsyncClient, department: str, health: Says) -> None:
    health(ConflictError("'finance' has no parts that could be checked"))
    assert "has no parts that could be checked" in await page(client, f"{department}/health")


async def test_its_cost_in_a_month(client: httpx.AsyncClient, state: State, department: str) -> None:
    shown = await page(client, f"{department}/cost")
    assert "It has no settings in force" in shown
    assert "Since it was created: 0.00 EUR" in shown
    async with transaction(state.engine, state.settings) as connection:
        await connection.execute(
            text("UPDATE tenants SET last_good_manifest = :good"),
            {"good": json.dumps(_resolved())},
        )
    shown = await page(client, f"{department}/cost")
    assert "A month with the settings in force: " in shown
    assert "Workflow runs" in shown


def _resolved() -> dict[str, Any]:
    return manifests.resolved(DEPARTMENT.parse(MANIFEST), None).to_dict()

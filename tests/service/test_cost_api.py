"""`GET /api/v1/tenants/{slug}/cost`: what a tenant costs, in a month and so far."""

import httpx
import pytest
from psycopg.types.json import Jsonb

from automation.manifests import parsed, resolved
from tests.conftest import MainDatabase
from tests.service.helpers import as_, manifest

URL = "/api/v1/tenants/acme/cost"


@pytest.fixture
def tenant(app: object, main_db: MainDatabase) -> None:
    """A cabinet that has been there for a hundred hours."""
    applied = Jsonb(resolved(parsed(manifest()), None).to_dict())
    with main_db.connect() as connection:
        connection.execute(
            "INSERT INTO tenants (slug, name, status, last_good_manifest) VALUES ('acme', 'Acme', 'active', %s)",
            (applied,),
        )
        connection.execute(
            "INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine,"
            " manifest, ended_at) VALUES (gen_random_uuid(), 'acme', 'up', 'succeeded', 'c', 'a', 'h', 1, 'e', %s,"
            " now() - interval '100 h')",
            (applied,),
        )


async def test_a_tenants_cost(client: httpx.AsyncClient, tenant: None) -> None:
    answer = await client.get(URL, headers=as_("ann", acme="member"))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["tenant"], found["line"], found["currency"], found["warnings"]) == ("acme", "cabinet", "EUR", [])
    assert found["sizing"]["connections"] == 20
    assert found["month"]["amount"] == "5.8400"
    assert found["since"]["amount"].startswith("0.80")
    assert found["since"]["workflow_runs"] == 0
    assert (await client.get(URL, headers=as_("bob", other="owner"))).status_code == 404


async def test_a_tenant_that_was_asked_for_and_is_not_there_yet(
    client: httpx.AsyncClient, app: object, main_db: MainDatabase
) -> None:
    with main_db.connect() as connection:
        connection.execute("INSERT INTO tenants (slug, name, status) VALUES ('acme', 'Acme', 'pending')")
    found = (await client.get(URL, headers=as_())).json()
    assert (found["month"], found["sizing"], found["since"]["from"]) == (None, None, None)


async def test_an_unknown_tenant(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL, headers=as_())
    assert answer.status_code == 404
    assert answer.json()["detail"] == "there is no tenant 'acme'"


async def test_a_price_table_that_is_wrong_is_the_services_own_fault(
    client: httpx.AsyncClient, tenant: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANTRY_PRICES", "nowhere.yaml")
    answer = await client.get(URL, headers=as_())
    assert answer.status_code == 500
    assert "nowhere" not in answer.text

"""One correlation id from the request through job, log and run to the sessions in which providers work."""

import json
import uuid

import httpx
import pytest

from automation.models_jobs import JobStatus
from service.app import create_app
from service.settings import ServiceSettings
from tests.service.helpers import SECRET, as_
from tests.worker.yard import Yard

pytestmark = pytest.mark.timeout(240)

ID = "order-4711.a"

# Where the record's provider writes, and where the plugin for databases and roles begins.
_TOLD = "INSERT INTO public.told VALUES (current_setting('application_name'))"
_IN_MAIN = (
    "CREATE TABLE public.told (name text)",
    f"CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_TOLD}; RETURN NEW; END $$",
    "CREATE TRIGGER tells BEFORE INSERT ON cabinets FOR EACH ROW EXECUTE FUNCTION public.tell()",
)
_IN_MAINTENANCE = (
    "CREATE TABLE public.told (name text)",
    f"CREATE FUNCTION public.tell() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN {_TOLD}; END $$",
    "CREATE EVENT TRIGGER tells ON login EXECUTE FUNCTION public.tell()",
)


def told(yard: Yard, database: str) -> set[str]:
    return {row["name"] for row in yard.query("SELECT name FROM public.told", database=database)}


async def test_from_the_request_to_the_provider(own_yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard = own_yard
    for statement in _IN_MAIN:
        yard.query(statement)
    for statement in _IN_MAINTENANCE:
        yard.query(statement, database="postgres")
    monkeypatch.setenv("TENANTRY_JWT_SECRET", SECRET)
    worker = yard.worker()
    app = create_app(ServiceSettings(), yard.settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service.test", timeout=60) as client,
    ):
        headers = as_() | {"X-Correlation-ID": ID}
        answer = await client.post("/api/v1/tenants", json=yard.manifest(), headers=headers)
    assert (answer.status_code, answer.headers["X-Correlation-ID"]) == (202, ID)
    job = await yard.ended(uuid.UUID(answer.json()["id"]))
    assert (job.status, job.correlation_id) == (JobStatus.SUCCEEDED, ID)
    worker.terminate()
    assert await yard.gone(worker) == 0
    rows = yard.query("SELECT correlation_id FROM deployments UNION SELECT correlation_id FROM audit")
    assert [row["correlation_id"] for row in rows] == [ID]
    lines = [json.loads(line) for line in yard.said().splitlines() if line.startswith("{")]
    assert {line["correlation_id"] for line in lines if line.get("job") == str(job.id)} == {ID}
    # The SDK's provider in the main database, and the PostgreSQL provider on the server.
    assert {name.partition(" ")[0] for name in told(yard, yard.name)} == {ID}
    assert any(name.startswith(f"{ID} ") and "postgresql" in name for name in told(yard, "postgres"))

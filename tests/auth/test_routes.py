"""Every route of the service with every kind of caller. The table is `routes_table`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from automation.secretbox import secret_box
from service.app import create_app
from tests.auth.helpers import OTHER_KEY, token
from tests.auth.routes_table import Row, rows
from tests.automation.helpers import PASSPHRASE, ROOT
from tests.conftest import MainDatabase
from tests.service.helpers import SECRET, manifest
from tests.service.seed import Seeded, seed

WEBHOOK, DELIVERY, PREVIEW = uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3)
CALLERS = {
    "nobody": None,
    "forger": token("eve", key=OTHER_KEY, roles=["admin"], tenants={"acme": "owner"}),
    "latecomer": token("root", key=SECRET, roles=["admin"], exp=1_000_000_000),
    "roleless": token("nick", key=SECRET),
    "outsider": token("otto", key=SECRET, tenants={"other": "owner"}),
    "creator": token("carla", key=SECRET, roles=["creator"]),
    "member": token("mia", key=SECRET, tenants={"acme": "member"}),
    "tenant_admin": token("adam", key=SECRET, tenants={"acme": "admin"}),
    "owner": token("olga", key=SECRET, tenants={"acme": "owner"}),
    "platform_admin": token("root", key=SECRET, roles=["admin"]),
}


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """(method, path) of every route, with those of included routers."""
    found = set()
    for route in iter_route_contexts(app.routes):
        path = getattr(route, "path", None)
        assert path is not None, f"a route without a path: {route}"
        methods = set(getattr(route, "methods", None) or {"WEBSOCKET"})
        found |= {(method, path) for method in methods - {"HEAD", "OPTIONS"} or methods}
    return found


@pytest.fixture
async def app(main_db: MainDatabase, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    settings = {
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "TENANTRY_JWT_SECRET": SECRET,
        "TENANTRY_PROVISIONINGS_PER_HOUR": "0",
        "TENANTRY_REQUESTS_PER_MINUTE": "0",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    made = create_app()
    async with made.router.lifespan_context(made):
        yield made


def test_every_route_has_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("TENANTRY_JWT_SECRET", SECRET)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    there, written = routes_of(create_app()), {row.key for row in rows()}
    assert len(there) > 60
    assert there - written == set(), "routes without a row in tests/auth/routes_table.py"
    assert written - there == set(), "rows without a route"


def test_a_new_route_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_JWT_SECRET", SECRET)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    app = create_app()
    app.add_api_route("/api/v1/backdoor", lambda: "in", methods=["POST"])
    assert routes_of(app) - {row.key for row in rows()} == {("POST", "/api/v1/backdoor")}


def restore(connection: psycopg.Connection[Any]) -> None:
    """What the requests before have removed or begun is as at first.

    In a thread only: the service, which still notes that a job was queued, may hold a row that is waited for here.
    """
    connection.execute("DELETE FROM jobs WHERE status IN ('pending', 'running')")
    connection.execute("UPDATE tenants SET status = 'active' WHERE slug = 'acme'")
    connection.execute(
        "INSERT INTO webhooks (id, tenant, url, events, secret, created_by)"
        " VALUES (%s, 'acme', 'https://receiver.example/', '[\"*\"]', %s, 'olga') ON CONFLICT DO NOTHING",
        (WEBHOOK, secret_box().seal("a secret of a webhook", bound_to=str(WEBHOOK))),
    )
    connection.execute(
        "INSERT INTO webhook_deliveries (id, webhook_id, event, payload, status, ended_at)"
        " VALUES (%s, %s, 'job.succeeded', '{}', 'delivered', now()) ON CONFLICT DO NOTHING",
        (DELIVERY, WEBHOOK),
    )
    connection.execute(
        "INSERT INTO tenant_members (tenant, subject, role, added_by) VALUES ('acme', 'zoe', 'member', 'olga')"
        " ON CONFLICT DO NOTHING"
    )
    connection.execute(
        "INSERT INTO accounts (email, name, password_hash, created_by) VALUES ('zoe', 'Zoe', 'none', 'olga')"
        " ON CONFLICT DO NOTHING"
    )
    connection.execute(
        "INSERT INTO jobs (id, tenant, line, operation, status, actor, correlation_id, options, ended_at)"
        " VALUES (%s, 'acme', 'cabinet', 'preview', 'succeeded', 'olga', 'c', %s, now()) ON CONFLICT DO NOTHING",
        (PREVIEW, json.dumps({"manifest": manifest("acme")})),
    )


def address(row: Row, seeded: Seeded) -> str:
    """The row's path with real objects in it."""
    job = PREVIEW if row.case == "of_a_preview" else seeded.job
    values = {
        **dict.fromkeys(("slug", "tenantId", "tenant_id"), "acme"),
        "id": seeded.job,
        "step": "step_2_company" if row.case == "of_a_shop" else "record",
        "what": "retry",
        "version": "1",
        "subject": "zoe",
        "kind": "cabinet",
        "job_id": job,
        "webhook_id": WEBHOOK,
        "delivery_id": DELIVERY,
        "delivery": DELIVERY,
        "digest": "none",
        "name": "none.css",
        **dict.fromkeys(("deployment_id", "run_id", "deploymentId"), seeded.deployment),
        **dict.fromkeys(("template_id", "templateId"), "default-dental"),
    }
    # A stream of events is asked for what comes after its end, so that there is nothing to wait for.
    return row.path.format(**values) + ("?after=1000000" if row.path.endswith(("/events", "/ws")) else "")


@contextlib.asynccontextmanager
async def of_its_line(connection: psycopg.Connection[Any], row: Row) -> AsyncIterator[None]:
    """The tenant and its jobs are of the line whose route this is."""
    lines = {"of_a_department": "department", "of_an_isp": "isp", "of_a_shop": "pos", "of_a_site": "site"}
    line = lines.get(row.case)
    if line is None:
        yield
        return
    await asyncio.to_thread(set_line, connection, line)
    yield
    await asyncio.to_thread(set_line, connection, "cabinet")


def set_line(connection: psycopg.Connection[Any], line: str) -> None:
    for table, key in (("tenants", "slug"), ("jobs", "tenant")):
        connection.execute(f"UPDATE {table} SET line = %s WHERE {key} = 'acme'", (line,))


def body(row: Row) -> dict[str, Any]:
    """A body that says what the request is about, where the path does not."""
    if row.path == "/tenants/new":
        return {"_line": "cabinet"}
    if row.case == "of_a_site":
        return {"tenant_id": "acme", "job_type": "delete_site"}
    if "/webhooks" not in row.path or not row.case:
        return {}
    content = {"tenant": "acme" if row.case == "of_the_tenant" else None, "url": "https://receiver.example/new"}
    return {**content, "events": ["job.succeeded"]}


async def send(client: httpx.AsyncClient, app: FastAPI, row: Row, path: str, text: str | None) -> str:
    """What became of the request: `through`, or 401, 403, 404."""
    headers = {"Authorization": f"Bearer {text}"} if text else {}
    if row.who == "VISITORS":
        headers["X-Tenantry-Tenant"] = "acme"
    if row.method == "WEBSOCKET":
        return await connect(app, path, headers)
    content: dict[str, Any] = {}
    if row.method not in {"GET", "DELETE"}:
        form = {name: value if isinstance(value, str) else "" for name, value in body(row).items()}
        content = {"json": body(row)} if row.path.startswith(("/api/", "/iam/")) else {"data": form}
    answer = await client.request(row.method, path, headers=headers, **content)
    assert answer.status_code < 500, f"{row.method} {path}: {answer.text}"
    if answer.is_redirect and answer.headers["location"].startswith("/sign-in") and row.path != "/sign-out":
        return "401"
    if "static" in row.path and answer.status_code == 404:
        return "through"  # a file of no version is not there for anybody
    return str(answer.status_code) if answer.status_code in {401, 403, 404} else "through"


async def connect(app: FastAPI, path: str, headers: dict[str, str]) -> str:
    sent: list[Any] = []
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not sent:
            return {"type": "websocket.connect"}
        await gone.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def tell(message: Any) -> None:
        sent.append(message)
        if message["type"] == "websocket.close":
            gone.set()

    address, _, query = path.partition("?")
    scope = {
        "type": "websocket",
        "path": address,
        "raw_path": address.encode(),
        "scheme": "ws",
        "query_string": query.encode(),
        "root_path": "",
        "subprotocols": [],
        "client": ("192.0.2.7", 1),
        "server": ("service.test", 80),
        "extensions": {"websocket.http.response": {}},
        "headers": [(b"host", b"service.test"), *((k.lower().encode(), v.encode()) for k, v in headers.items())],
    }
    await asyncio.wait_for(app(scope, receive, tell), 60)
    return "through" if sent[0]["type"] == "websocket.accept" else str(sent[0].get("status", sent[0]))


@pytest.mark.parametrize("part", ["/api/v1/tenants", "/api/v1/", "/api/", "/"])
async def test_each_caller_gets_as_far_as_the_table_says(app: FastAPI, main_db: MainDatabase, part: str) -> None:
    parts = ("/api/v1/tenants", "/api/v1/", "/api/", "/")
    mine = [row for row in rows() if next(one for one in parts if row.path.startswith(one)) == part]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    wrong, count = [], 0
    with main_db.connect() as connection:
        seeded = seed(connection)
        restore(connection)
        before = _contents(connection)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.test", timeout=60) as client:
            for through in (False, True):
                for row, caller in itertools.product(mine, CALLERS):
                    expected = row.expected(caller)
                    if (expected == "through") is not through:
                        continue
                    if through and row.method != "GET":
                        await asyncio.to_thread(restore, connection)
                    async with of_its_line(connection, row):
                        found = await send(client, app, row, address(row, seeded), CALLERS[caller])
                    count += 1
                    if found != expected:
                        wrong.append(f"{row.method} {row.path} {row.case}: {caller} gets {found}, not {expected}")
                if not through:
                    assert _contents(connection) == before, "somebody who was refused has changed something"
    assert wrong == []
    assert count == len(mine) * len(CALLERS) >= 50


def _contents(connection: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    tables = ("tenants", "manifests", "jobs", "job_events", "audit", "tenant_members", "webhooks", "webhook_deliveries")
    return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables}


async def test_lists_show_what_the_caller_may_see_only(app: FastAPI, main_db: MainDatabase) -> None:
    with main_db.connect() as connection:
        seed(connection, "acme", owner="olga")
        seed(connection, "secluded", owner="hugo")
        restore(connection)
    lists = ["/api/v1/tenants", "/api/v1/jobs", "/api/v1/audit", "/api/v1/webhooks", "/tenants", "/jobs", "/audit"]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test", timeout=60) as client:
        for caller, sees in (("owner", True), ("outsider", False), ("creator", False)):
            for path in lists:
                answer = await client.get(path, headers={"Authorization": f"Bearer {CALLERS[caller]}"})
                assert answer.status_code == 200, path
                assert "secluded" not in answer.text, (caller, path)
                assert ("acme" in answer.text) == sees, (caller, path)

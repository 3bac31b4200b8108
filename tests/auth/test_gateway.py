"""What the gateway is told about a request to a tenant, by token, role, policy and count; nobody else is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from structlog.testing import capture_logs

from automation.errors import TenantryError
from service.api import gateway
from service.auth import passwords
from service.auth.deps import Auth
from service.auth.errors import Quota
from service.problems import Problem, problem_of
from tests.auth.helpers import bearer, token
from tests.conftest import MainDatabase

PATH = "/api/v1/gateway/auth"
SECRET = "a secret of Caddy and the service"
SECRET_NAME = "TENANTRY_BACKEND_TEST_GATEWAY"
OTHER_NAME = "TENANTRY_BACKEND_TEST_OTHER_GATEWAY"


async def _answer(request: Request, error: Exception) -> JSONResponse:
    problem = problem_of(error)
    return JSONResponse(problem.document("", ""), problem.status, problem.headers)


@pytest.fixture
def app(auth: Auth) -> FastAPI:
    made = FastAPI()
    made.state.auth = auth
    for kind in (Problem, TenantryError):
        made.add_exception_handler(kind, _answer)
    made.include_router(gateway.router, prefix="/api/v1")
    return made


def client_from(app: FastAPI, address: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://service.test")


async def ask(app: FastAPI, text: str | None = None, *, peer: str = "127.0.0.1", **headers: str) -> httpx.Response:
    """`headers` are X-Tenantry's; those of None are left out."""
    wanted = {"Tenant": "acme", **headers}
    sent = {f"X-Tenantry-{name}": value for name, value in wanted.items() if value}
    async with client_from(app, peer) as client:
        return await client.get(PATH, headers={**sent, **(bearer(text) if text else {})})


def name_secret(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str | None = SECRET_NAME) -> None:
    name_secrets(folder, monkeypatch, here=name)


def name_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch, **named: str | None) -> None:
    """Regions, each with the variable of its gateway's secret."""
    given: dict[str, Any] = {"admin": "http://caddy:2019", "domain": "Tenants.example", "url": "https://gw.example"}
    region: dict[str, Any] = {
        "database": {"host": "db", "user": "u", "name": "departments"},
        "oauth": {"issuer": "https://login.example"},
        "container": {"platform": "docker"},
        "n8n": {"url": "https://n8n.example", "keyFrom": "TENANTRY_BACKEND_N8N"},
    }
    regions = {
        key: region | {"gateway": given | ({"authSecretFrom": name} if name else {})} for key, name in named.items()
    }
    path = folder / "backends.yaml"
    path.write_text(yaml.safe_dump({"regions": regions}, sort_keys=False))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))


async def test_a_session_whose_password_was_changed_does_not_pass(app: FastAPI, main_db: MainDatabase) -> None:
    with main_db.connect() as connection:
        connection.execute("INSERT INTO tenants (slug, line, name, status) VALUES ('acme', 'cabinet', 'A', 'active')")
        connection.execute(
            "INSERT INTO tenant_members (tenant, subject, role, added_by) VALUES ('acme', 'zoe', 'admin', 'olga')"
        )
        session = token("zoe", tenantry_account=passwords.mark("a hash"))
        assert (await ask(app, session)).status_code == 401  # there is no such account
        connection.execute(
            "INSERT INTO accounts (email, name, password_hash, created_by) VALUES ('zoe', 'Zoe', 'a hash', 'olga')"
        )
        assert (await ask(app, session)).status_code == 204
        connection.execute("UPDATE accounts SET password_hash = 'another hash'")
        assert (await ask(app, session)).status_code == 401
    assert (await ask(app, token("zoe"))).status_code == 204  # which no password was given for


async def test_who_has_a_role_on_the_tenant_passes(app: FastAPI, main_db: MainDatabase) -> None:
    with main_db.connect() as connection:
        connection.execute("INSERT INTO tenants (slug, line, name, status) VALUES ('acme', 'cabinet', 'A', 'active')")
        connection.execute(
            "INSERT INTO tenant_members (tenant, subject, role, added_by) VALUES ('acme', 'zoe', 'admin', 'olga')"
        )
    for text, role in (
        (token("ada", tenants={"acme": "member"}), "member"),
        (token("olga", tenants={"acme": "owner"}), "owner"),
        (token("zoe"), "admin"),
        (token("root", roles=["admin"]), "platform_admin"),
    ):
        answer = await ask(app, text)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["X-Tenantry-Role"] == role
    named = await ask(app, token("zoë %0a", tenants={"acme": "member"}))
    assert named.headers["X-Tenantry-Subject"] == "zo%C3%AB %250a"


async def test_others_are_told_why_not(app: FastAPI) -> None:
    nobody = await ask(app)
    assert nobody.status_code == 401
    assert nobody.headers["WWW-Authenticate"] == 'Bearer realm="tenantry"'
    for text, status, words in (
        (token("ada", exp=1), 401, "expired"),
        ("no.token", 401, "not a JWT"),
        (token("ada"), 403, "has no role on tenant 'acme'"),
        (token("ada", tenants={"other": "owner"}), 403, "has no role on tenant 'acme'"),
        (token("ada", roles=["creator"]), 403, "has no role on tenant 'acme'"),
    ):
        answer = await ask(app, text)
        assert answer.status_code == status
        assert words in answer.json()["detail"]
        assert text not in answer.text


async def test_without_tokens_everybody_passes_and_is_counted(app: FastAPI) -> None:
    assert (await ask(app, Auth="none")).status_code == 204
    answers = [await ask(app, Auth="none", Limit="2", Client="192.0.2.1") for _ in range(3)]
    assert [one.status_code for one in answers] == [204, 204, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 120
    assert answers[2].headers["RateLimit-Remaining"] == "0"
    # Another visitor, another tenant: counts of their own.
    assert (await ask(app, Auth="none", Limit="2", Client="192.0.2.2")).status_code == 204
    assert (await ask(app, Auth="none", Limit="2", Client="192.0.2.1", Tenant="other")).status_code == 204
    one = await ask(app, Auth="none", Limit="1", Client="2001:db8::1")
    neighbour = await ask(app, Auth="none", Limit="1", Client="2001:db8::2")
    stranger = await ask(app, Auth="none", Limit="1", Client="2001:db8:0:1::2")
    assert [one.status_code, neighbour.status_code, stranger.status_code] == [204, 429, 204]


async def test_a_subject_is_counted_wherever_it_comes_from(app: FastAPI) -> None:
    text = token("ada", tenants={"acme": "member"})
    answers = [await ask(app, text, Limit="3", Client=f"192.0.2.{last}") for last in range(4)]
    assert [one.status_code for one in answers] == [204, 204, 204, 429]
    assert (await ask(app, token("bob", tenants={"acme": "member"}), Limit="3")).status_code == 204


async def test_processes_count_together(app: FastAPI, auth: Auth) -> None:
    second = FastAPI()
    second.state.auth = auth
    second.add_exception_handler(TenantryError, _answer)
    second.include_router(gateway.router, prefix="/api/v1")
    asked = [ask(one, Auth="none", Limit="10", Client="192.0.2.9") for one in (app, second) for _ in range(10)]
    answers = await asyncio.gather(*asked)
    assert sorted(one.status_code for one in answers) == [204] * 10 + [429] * 10


async def test_what_is_left_is_told(app: FastAPI) -> None:
    seen: list[object] = []

    @app.middleware("http")
    async def look(request: Request, call: Any) -> Any:
        answer = await call(request)
        seen.append(getattr(request.state, "quota", None))
        return answer

    await ask(app, Auth="none", Limit="5")
    assert isinstance(seen[0], Quota)
    assert (seen[0].limit, seen[0].remaining) == (5, 4)


async def test_old_counts_are_deleted(app: FastAPI, main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "FORGET_EVERY", 2)
    with main_db.connect() as connection:
        insert = "INSERT INTO rate_limit_windows (caller, kind, number, hits, before) VALUES (%s, %s, %s, 1, 0)"
        connection.execute(insert, ("acme 192.0.2.1", "gateway", 1))
        connection.execute(insert, ("ada", "request", 1))
        for _ in range(2):
            await ask(app, Auth="none", Limit="5", Client="192.0.2.2")
        left = connection.execute("SELECT caller FROM rate_limit_windows ORDER BY caller").fetchall()
    assert left == [("acme 192.0.2.2",), ("ada",)]


@pytest.mark.parametrize(
    "headers",
    [
        {"Tenant": ""},
        {"Tenant": "a.b"},
        {"Tenant": "../x"},
        {"Tenant": "A"},
        {"Auth": "basic"},
        {"Limit": "0"},
        {"Limit": "-1"},
        {"Limit": "1.5"},
        {"Limit": "many"},
        {"Limit": "10000001"},
        {"Limit": "9" * 400},
    ],
)
async def test_what_no_route_asks_is_malformed(app: FastAPI, headers: dict[str, str]) -> None:
    answer = await ask(app, **{"Auth": "none", **headers})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("X-Tenantry-")


async def test_only_a_gateway_on_this_machine_may_ask(app: FastAPI) -> None:
    assert (await ask(app, peer="192.0.2.7", Auth="none")).status_code == 403
    assert (await ask(app, peer="::1", Auth="none")).status_code == 204
    assert (await ask(app, peer="caddy", Auth="none")).status_code == 403


async def test_with_a_secret_only_who_knows_it(app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name_secret(tmp_path, monkeypatch)
    monkeypatch.setenv(SECRET_NAME, SECRET)
    assert (await ask(app, peer="192.0.2.7", Auth="none", Gateway=SECRET)).status_code == 204
    for given in ("", "wrong", SECRET[:-1]):
        answer = await ask(app, Auth="none", Gateway=given)
        assert answer.status_code == 403
        assert SECRET not in answer.text
    monkeypatch.delenv(SECRET_NAME)
    unset = await ask(app, Auth="none", Gateway=SECRET)
    assert unset.status_code == 503
    assert SECRET not in unset.text


async def test_a_region_without_its_secret_shuts_no_other(
    app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(OTHER_NAME, raising=False)
    # The first region is the one that is not set.
    name_secrets(tmp_path, monkeypatch, there=OTHER_NAME, here=SECRET_NAME)
    monkeypatch.setenv(SECRET_NAME, SECRET)
    with capture_logs() as logs:
        for _ in range(3):
            assert (await ask(app, peer="192.0.2.7", Auth="none", Gateway=SECRET)).status_code == 204
            assert (await ask(app, Auth="none", Gateway="")).status_code == 403
    (told,) = logs
    assert (told["log_level"], told["region"]) == ("error", "there")
    assert OTHER_NAME in told["reason"]
    monkeypatch.setenv(OTHER_NAME, "another")
    assert (await ask(app, peer="192.0.2.7", Auth="none", Gateway="another")).status_code == 204
    monkeypatch.delenv(OTHER_NAME)
    monkeypatch.delenv(SECRET_NAME)
    with capture_logs() as logs:
        unset = await ask(app, Auth="none", Gateway=SECRET)
    assert (unset.status_code, unset.json()["detail"]) == (503, "No gateway's secret is known to the service.")
    assert [one["region"] for one in logs] == ["there", "here"]


async def test_where_one_region_names_a_secret_no_gateway_is_believed_without(
    app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_secrets(tmp_path, monkeypatch, there=None, here=SECRET_NAME)
    monkeypatch.setenv(SECRET_NAME, SECRET)
    refused = await ask(app, peer="127.0.0.1", Auth="none")
    assert refused.status_code == 403
    assert "each region's gateway.authSecretFrom" in refused.json()["hint"]
    assert (await ask(app, peer="127.0.0.1", Auth="none", Gateway=SECRET)).status_code == 204
    # Not even while that secret is not set.
    monkeypatch.delenv(SECRET_NAME)
    assert (await ask(app, peer="127.0.0.1", Auth="none")).status_code == 503


async def test_a_file_of_regions_that_cannot_be_used_lets_nobody_in(
    app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "backends.yaml"
    path.write_text("regions: {}")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))
    answer = await ask(app, Auth="none")
    assert answer.status_code == 503
    assert str(path) not in answer.text


async def test_the_tenant_may_be_told_by_its_host(
    app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_secret(tmp_path, monkeypatch, None)
    text = token("ada", tenants={"acme": "member"})
    for host, status in (
        ("acme.tenants.example", 204),
        ("ACME.tenants.example:8443", 204),
        ("other.tenants.example", 403),
        ("acme.elsewhere.example", 400),
        ("deep.acme.tenants.example", 400),
        ("tenants.example", 400),
    ):
        async with client_from(app) as client:
            answer = await client.get(PATH, headers={"X-Forwarded-Host": host, **bearer(text)})
        assert answer.status_code == status, host

"""Who gets through: tokens' roles, members' roles, and the tenant that a path is about."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.auth.helpers import bearer, token
from tests.conftest import MainDatabase

ADMIN = bearer(token("root", roles=["admin"]))
CREATOR = bearer(token("carla", roles=["creator"]))
OWNER = bearer(token("olga", tenants={"acme": "owner"}))
TENANT_ADMIN = bearer(token("adam", tenants={"acme": "admin"}))
MEMBER = bearer(token("mia", tenants={"acme": "member"}))
OUTSIDER = bearer(token("otto", tenants={"other": "owner"}))
NOBODY = bearer(token("nick"))


def make_tenant(main_db: MainDatabase, slug: str) -> None:
    with main_db.connect() as connection:
        connection.execute("INSERT INTO tenants (slug, name, status) VALUES (%s, %s, 'active')", (slug, slug))


def make_job(main_db: MainDatabase, tenant: str, operation: str = "up", actor: str = "olga") -> uuid.UUID:
    job = uuid.uuid4()
    with main_db.connect() as connection:
        connection.execute(
            "INSERT INTO jobs (id, tenant, line, operation, actor, correlation_id) "
            "VALUES (%s, %s, 'cabinet', %s, %s, 'c')",
            (job, tenant, operation, actor),
        )
    return job


@pytest.mark.parametrize(
    ("headers", "expected"),
    [(ADMIN, 200), (CREATOR, 404), (OWNER, 200), (TENANT_ADMIN, 200), (MEMBER, 200), (OUTSIDER, 404), (NOBODY, 403)],
)
async def test_reading_a_tenant_needs_a_role_on_it(client: httpx.AsyncClient, headers: Any, expected: int) -> None:
    assert (await client.get("/tenants/acme", headers=headers)).status_code == expected


async def test_a_member_may_not_change_and_is_told_who_may(client: httpx.AsyncClient) -> None:
    answer = await client.put("/tenants/acme", headers=MEMBER)
    assert answer.status_code == 403
    assert "'mia' (member) may not do this: it needs tenant.up on tenant 'acme'" in answer.json()["message"]
    assert "owner or admin of the tenant" in answer.json()["hint"]


async def test_only_an_owner_changes_members(client: httpx.AsyncClient) -> None:
    statuses = [
        (await client.put("/tenants/acme/members", headers=headers)).status_code
        for headers in (ADMIN, OWNER, TENANT_ADMIN, MEMBER, OUTSIDER)
    ]
    assert statuses == [200, 200, 403, 403, 404]


async def test_a_role_in_the_list_of_members_counts_as_one_in_the_token(
    client: httpx.AsyncClient, main_db: MainDatabase
) -> None:
    make_tenant(main_db, "acme")
    with main_db.connect() as connection:
        connection.execute(
            "INSERT INTO tenant_members VALUES ('acme', 'nick', 'admin', 'test'), ('acme', 'mia', 'owner', 'test')"
        )
    assert (await client.put("/tenants/acme", headers=NOBODY)).status_code == 200
    assert (await client.get("/me", headers=MEMBER)).json()["roles"] == {"acme": "owner"}
    with main_db.connect() as connection:
        connection.execute("DELETE FROM tenant_members")
    assert (await client.put("/tenants/acme", headers=NOBODY)).status_code == 403
    assert (await client.get("/me", headers=MEMBER)).json()["roles"] == {"acme": "member"}


async def test_a_creator_may_use_a_free_name_only(client: httpx.AsyncClient, main_db: MainDatabase) -> None:
    assert (await client.put("/tenants/fresh", headers=CREATOR)).status_code == 200
    assert (await client.put("/tenants/fresh", headers=OUTSIDER)).status_code == 404
    make_tenant(main_db, "taken")
    assert (await client.put("/tenants/taken", headers=CREATOR)).status_code == 404
    assert (await client.post("/tenants", headers=CREATOR)).status_code == 200
    assert (await client.post("/tenants", headers=OWNER)).status_code == 403


async def test_a_job_is_its_tenants(client: httpx.AsyncClient, main_db: MainDatabase) -> None:
    job = make_job(main_db, "acme")
    reads = [(await client.get(f"/jobs/{job}", headers=who)).status_code for who in (ADMIN, MEMBER, OUTSIDER, NOBODY)]
    assert reads == [200, 200, 404, 403]
    cancels = [
        (await client.post(f"/jobs/{job}/cancel", headers=who)).status_code
        for who in (ADMIN, OWNER, TENANT_ADMIN, MEMBER, OUTSIDER)
    ]
    assert cancels == [200, 200, 200, 403, 404]


async def test_an_object_one_may_not_see_reads_as_one_that_is_not_there(
    client: httpx.AsyncClient, main_db: MainDatabase
) -> None:
    there, missing = make_job(main_db, "acme"), uuid.uuid4()
    hidden = (await client.get(f"/jobs/{there}", headers=OUTSIDER)).json()
    absent = (await client.get(f"/jobs/{missing}", headers=OUTSIDER)).json()
    assert hidden["message"].replace(str(there), "ID") == absent["message"].replace(str(missing), "ID")
    assert {**hidden, "message": ""} == {**absent, "message": ""}
    assert (await client.get("/jobs/no-id", headers=ADMIN)).status_code == 404


async def test_a_preview_of_a_tenant_to_come_is_readable_for_whoever_asked(
    client: httpx.AsyncClient, main_db: MainDatabase
) -> None:
    job = make_job(main_db, "to-come", "preview", actor="carla")
    assert (await client.get(f"/jobs/{job}", headers=CREATOR)).status_code == 200
    assert (await client.post(f"/jobs/{job}/cancel", headers=CREATOR)).status_code == 200
    assert (await client.post(f"/jobs/{job}/retry", headers=CREATOR)).status_code == 404
    assert (await client.get(f"/jobs/{job}", headers=OWNER)).status_code == 404
    ordinary = make_job(main_db, "acme", "up", actor="carla")
    assert (await client.get(f"/jobs/{ordinary}", headers=CREATOR)).status_code == 404


async def test_a_webhook_of_all_tenants_is_the_platforms(client: httpx.AsyncClient, main_db: MainDatabase) -> None:
    make_tenant(main_db, "acme")
    of_all, of_one = uuid.uuid4(), uuid.uuid4()
    with main_db.connect() as connection:
        for key, tenant in ((of_all, None), (of_one, "acme")):
            connection.execute(
                "INSERT INTO webhooks (id, tenant, url, events, secret, created_by) "
                "VALUES (%s, %s, 'u', '[]', '', 'x')",
                (key, tenant),
            )
    found = [
        [(await client.get(f"/webhooks/{key}", headers=who)).status_code for who in (ADMIN, OWNER, MEMBER, OUTSIDER)]
        for key in (of_all, of_one)
    ]
    assert found == [[200, 404, 404, 404], [200, 200, 403, 404]]


async def test_a_deployment_is_its_tenants(client: httpx.AsyncClient, main_db: MainDatabase) -> None:
    make_tenant(main_db, "acme")
    key = uuid.uuid4()
    with main_db.connect() as connection:
        connection.execute(
            "INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine) "
            "VALUES (%s, 'acme', 'up', 'running', 'c', 'a', 'h', 1, 'e')",
            (key,),
        )
    assert (await client.get(f"/deployments/{key}", headers=MEMBER)).status_code == 200
    assert (await client.get(f"/deployments/{key}", headers=OUTSIDER)).status_code == 404


async def test_a_route_that_does_not_say_whom_it_is_about_lets_nobody_pass(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nothing/acme", headers=ADMIN)).status_code == 500


async def test_a_token_without_a_role_may_do_nothing(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/list"), ("POST", "/tenants"), ("GET", "/tenants/acme"), ("PUT", "/tenants/new")):
        assert (await client.request(method, path, headers=NOBODY)).status_code == 403
    assert (await client.get("/list", headers=MEMBER)).status_code == 200

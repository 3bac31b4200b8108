"""Passwords of people who sign in with one: changed by themselves, reset by an operator; each ends all sessions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.auth import passwords
from tests.conftest import MainDatabase
from tests.service.helpers import as_

EMAIL, OLD, NEW = "njeri@shop.example", "correct horse battery hunter2", "another long one hunter3"
OWN, OTHERS = "/api/v1/account/password", f"/api/v1/accounts/{EMAIL}"
_FROM = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def sql(main_db: MainDatabase, client: httpx.AsyncClient) -> Callable[..., list[tuple[Any, ...]]]:
    """SQL on the main database, in which Njeri has an account, and is a member of a tenant."""

    def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with main_db.connect() as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return list(cursor.fetchall()) if cursor.description else []

    run("INSERT INTO tenants (slug, line, name, status, manifest_version) VALUES ('shop', 'pos', 'Shop', 'removed', 1)")
    run("INSERT INTO tenant_members (tenant, subject, role, added_by) VALUES ('shop', %s, 'owner', 'ann')", EMAIL)
    run(
        "INSERT INTO accounts (email, name, password_hash, created_by) VALUES (%s, 'Njeri Wambui', %s, 'ann')",
        *(EMAIL, passwords.hashed(OLD)),
    )
    return run


async def sign_in(client: httpx.AsyncClient, password: str) -> str | None:
    """The token of a new session; None where the password is not taken."""
    client.cookies.clear()
    answer = await client.post("/sign-in", data={"email": EMAIL, "password": password}, headers=_FROM)
    assert answer.status_code in {303, 401}, answer.text
    found = client.cookies.get("tenantry_session")
    client.cookies.clear()
    return found


async def alive(client: httpx.AsyncClient, token: str | None) -> bool:
    answer = await client.get("/api/v1/tenants", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


Sql = Callable[..., list[tuple[Any, ...]]]


async def test_a_changed_password_is_the_one_and_ends_every_session(
    client: httpx.AsyncClient, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    here, elsewhere = await sign_in(client, OLD), await sign_in(client, OLD)
    mine = {"Authorization": f"Bearer {here}"}
    answer = await client.put(OWN, json={"current": OLD, "password": NEW}, headers=mine)
    assert (answer.status_code, answer.content) == (204, b"")
    assert not await alive(client, here)
    assert not await alive(client, elsewhere)
    ended = await client.get("/api/v1/tenants", headers=mine)
    assert "its password was changed" in ended.json()["detail"]
    assert await sign_in(client, OLD) is None
    assert await alive(client, await sign_in(client, NEW))
    ((kept,),) = sql("SELECT password_hash FROM accounts")
    assert kept.startswith("$argon2id$")
    assert sql("SELECT actor, object FROM audit WHERE action = 'account.password'") == [(EMAIL, f"account {EMAIL}")]
    told = caplog.text + "".join(row[0] for row in sql("SELECT to_jsonb(a)::text FROM audit a"))
    assert "hunter" not in told
    assert kept not in told


@pytest.mark.parametrize(
    ("changes", "field", "valid"),
    [
        ({"current": "not the one at all"}, "current", "sign in with now"),
        ({"password": "short"}, "password", "10 to 128"),
        ({"password": "Njeri Wambui"}, "password", "something else than"),
        ({"password": EMAIL.upper()}, "password", "something else than"),
        ({"password": OLD}, "password", "another one"),
    ],
)
async def test_what_will_not_do_is_told_and_changes_nothing(
    client: httpx.AsyncClient, sql: Sql, changes: dict[str, str], field: str, valid: str
) -> None:
    token = await sign_in(client, OLD)
    before = sql("SELECT * FROM accounts")
    body = {"current": OLD, "password": NEW, **changes}
    answer = await client.put(OWN, json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 422, answer.text
    (row,) = answer.json()["errors"]
    assert (row["field"], row["given"]) == (field, "[secret]")
    assert valid in row["valid"]
    assert "hunter" not in answer.text
    assert sql("SELECT * FROM accounts") == before
    assert await alive(client, token)


async def test_guessing_the_current_one_is_slowed_down_apart_from_signing_in(
    client: httpx.AsyncClient, sql: Sql
) -> None:
    token = await sign_in(client, OLD)
    # Ten in the window that is now, however long this test takes.
    full = (
        "INSERT INTO rate_limit_windows (caller, kind, number, hits, before) VALUES (%s, %s,"
        " floor(extract(epoch FROM clock_timestamp()) / 60)::bigint + 60, %s, 0)"
        " ON CONFLICT (caller, kind) DO UPDATE SET number = excluded.number, hits = excluded.hits"
    )
    sql(full, f"account {EMAIL}", "password", 10)
    body = {"current": OLD, "password": NEW}  # though it is the right one
    answer = await client.put(OWN, json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 429, answer.text
    assert int(answer.headers["retry-after"]) > 0
    # Who is kept from one is not kept from the other.
    assert await sign_in(client, OLD) is not None
    sql("DELETE FROM rate_limit_windows WHERE kind = 'password'")
    sql(full, f"account {EMAIL}", "sign-in", 100)
    tried = await client.post("/sign-in", data={"email": EMAIL, "password": OLD}, headers=_FROM)
    assert (tried.status_code, tried.headers["retry-after"].isdigit()) == (429, True)
    answer = await client.put(OWN, json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 204, answer.text


async def test_one_address_locks_an_account_for_itself_alone(client: httpx.AsyncClient, sql: Sql) -> None:
    for _ in range(11):
        form = {"email": EMAIL, "password": "not the one at all"}
        guessed = await client.post("/sign-in", data=form, headers=_FROM)
    assert guessed.status_code == 429
    sql(
        "UPDATE rate_limit_windows SET caller = 'from 2001:db8::/64 account ' || %s"
        " WHERE caller LIKE 'from %% account %%'",
        EMAIL,
    )
    assert await sign_in(client, OLD) is not None


async def test_a_password_under_another_key_is_not_told_back(client: httpx.AsyncClient, sql: Sql) -> None:
    token = await sign_in(client, OLD)
    for body in ({"current": OLD, "new": NEW}, {"currrent": OLD, "password": NEW}, [NEW], NEW, {"current": [OLD]}):
        answer = await client.put(OWN, json=body, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 422, answer.text
        assert "hunter" not in answer.text
    answer = await client.put(f"{OTHERS}/password", json={"pasword": NEW}, headers=as_())
    assert (answer.status_code, "hunter" in answer.text) == (422, False)


async def test_who_signs_in_with_a_token_has_no_password(client: httpx.AsyncClient, sql: Sql) -> None:
    answer = await client.put(OWN, json={"current": OLD, "password": NEW}, headers=as_("ann", "creator"))
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:tenantry:problem:not_found")
    page = await client.post("/account/password", data={"current": OLD}, headers=as_("ann", "creator") | _FROM)
    assert page.status_code == 409


async def test_an_operator_resets_it(client: httpx.AsyncClient, sql: Sql, caplog: pytest.LogCaptureFixture) -> None:
    """For somebody who has forgotten theirs; nobody else may."""
    caplog.set_level(logging.DEBUG)
    token = await sign_in(client, OLD)
    owner = {"Authorization": f"Bearer {token}"}
    for who in (owner, as_("ann", "creator")):
        assert (await client.put(f"{OTHERS}/password", json={"password": NEW}, headers=who)).status_code == 403
        assert (await client.delete(OTHERS, headers=who)).status_code == 403
    assert await alive(client, token)
    short = await client.put(f"{OTHERS}/password", json={"password": "short"}, headers=as_())
    assert (short.status_code, short.json()["errors"][0]["field"]) == (422, "password")
    # However the address is written.
    answer = await client.put(f"/api/v1/accounts/{EMAIL.upper()}/password", json={"password": NEW}, headers=as_())
    assert answer.status_code == 204, answer.text
    assert not await alive(client, token)
    assert await sign_in(client, OLD) is None
    assert await alive(client, await sign_in(client, NEW))
    unknown = await client.put("/api/v1/accounts/nobody@x.example/password", json={"password": NEW}, headers=as_())
    assert unknown.status_code == 404
    assert sql("SELECT actor FROM audit WHERE action = 'account.reset'") == [("root",)]
    assert "hunter" not in caplog.text


async def test_an_operator_deletes_an_account_and_what_it_was_a_member_of_stays(
    client: httpx.AsyncClient, sql: Sql
) -> None:
    token = await sign_in(client, OLD)
    assert (await client.delete(OTHERS, headers=as_())).status_code == 204
    assert not await alive(client, token)
    assert await sign_in(client, OLD) is None
    assert (await client.delete(OTHERS, headers=as_())).status_code == 404
    assert sql("SELECT role FROM tenant_members WHERE subject = %s", EMAIL) == [("owner",)]


async def test_on_the_page_it_is_changed_with_the_new_one_given_twice(client: httpx.AsyncClient, sql: Sql) -> None:
    token = await sign_in(client, OLD)
    client.cookies.set("tenantry_session", str(token))
    shown = await client.get("/account/password")
    csrf = shown.text.split('name="csrf_token" value="')[1].split('"')[0]

    async def send(**form: str) -> httpx.Response:
        return await client.post("/account/password", data={"csrf_token": csrf, **form}, headers=_FROM)

    slip = await send(current=OLD, password=NEW, again=NEW + "x")
    assert (slip.status_code, "the same as the new password" in slip.text) == (422, True)
    wrong = await send(current="not the one at all", password=NEW, again=NEW)
    assert (wrong.status_code, "sign in with now" in wrong.text) == (422, True)
    assert "hunter" not in slip.text + wrong.text
    done = await send(current=OLD, password=NEW, again=NEW)
    assert (done.status_code, done.headers["location"]) == (303, "/sign-in?said=password-changed")
    assert 'tenantry_session=""' in done.headers["set-cookie"]
    client.cookies.clear()
    assert "Your password is changed" in (await client.get(done.headers["location"])).text
    assert await sign_in(client, NEW) is not None

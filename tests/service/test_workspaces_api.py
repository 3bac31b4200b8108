"""Workspaces: created, provisioned, watched, tried again, in the words of their requirements (POS-1, POS-5, POS-6)."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from automation.jobs import waiting
from automation.jobs.model import Ending
from automation.models_jobs import JobStatus
from automation.worker.outcome import Ended, Why, ending
from providers.erpnext import health
from sandbox.faults import Kind
from service import engine_checks
from service.auth.accounts import Accounts
from service.state import State
from stacks.lines import POS
from stacks.pos.steps import STEPS
from tests.conftest import MainDatabase
from tests.erpnext.running import REGION, Erp, name_region, quick
from tests.service.helpers import SECRET, as_

__all__ = ["quick"]

IAM = "/iam/tenants"
PASSWORD = "correct horse battery hunter2"
REQUEST: dict[str, Any] = {
    "name": "Mama Njeri's Shop",
    "category": "Retail",
    "country_code": "ke",
    "admin_email": "Njeri@Shop.example",
    "admin_name": "Njeri Wambui",
    "admin_password": PASSWORD,
    "engine": "erpnext",
    "region": REGION,
}
SLUG = "mama-njeri-s-shop"
KEYS = [step.key for step in STEPS]


@pytest.fixture
def erp(service_env: None, quick: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Erp]:
    """The region's ERPNext. After `service_env`, which takes all variables of ours away."""
    # However busy this machine is.
    monkeypatch.setattr(engine_checks, "PATIENCE", 600.0)
    running = Erp()
    name_region(monkeypatch, tmp_path, running.url)
    yield running
    running.stop()


@pytest.fixture
def sql(main_db: MainDatabase) -> Callable[..., Any]:
    """SQL on the main database, as a worker or an administrator would write."""

    def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with main_db.connect() as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return list(cursor.fetchall()) if cursor.description else []

    async def later(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return await asyncio.to_thread(run, statement, *values)

    return later


async def create(client: httpx.AsyncClient, code: int = 202, who: str = "ann", **changes: Any) -> dict[str, Any]:
    headers = {name: changes.pop(name) for name in ("Idempotency-Key",) if name in changes}
    answer = await client.post(IAM, json=REQUEST | changes, headers=as_(who, "creator") | headers)
    assert answer.status_code == code, answer.text
    found: dict[str, Any] = answer.json()
    return found


def path(what: str, slug: str = SLUG) -> str:
    return f"/api/provisioning/tenants/{slug}/{what}"


async def status(client: httpx.AsyncClient, slug: str = SLUG) -> dict[str, Any]:
    answer = await client.get(path("status", slug), headers=as_())
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def post(client: httpx.AsyncClient, what: str, body: object = None, code: int = 202) -> dict[str, Any]:
    answer = await client.post(path(what), json=body, headers=as_())
    assert answer.status_code == code, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Runs:
    """What a worker's runs leave in the rows of the workspace."""

    def __init__(self, state: State, sql: Callable[..., Any]) -> None:
        self.state = state
        self._sql = sql

    async def begins(self) -> tuple[Any, uuid.UUID]:
        """The job's attempt, and its run."""
        job = (await self._sql("SELECT id FROM jobs ORDER BY number DESC LIMIT 1"))[0][0]
        claimed = await self.state.store.claim(job, worker="w", lease_seconds=60)
        assert claimed is not None
        run = uuid.uuid4()
        await self._sql(
            "INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine, job_id)"
            " VALUES (%s, %s, 'up', 'running', 'c', 'ann', 'here', 1, 'embedded', %s)",
            *(run, SLUG, job),
        )
        for position, step in enumerate(STEPS):
            await self._sql(
                "INSERT INTO deployment_steps (deployment_id, key, position, title, status)"
                " VALUES (%s, %s, %s, %s, 'pending')",
                *(run, step.key, position, step.title),
            )
        await self._sql("UPDATE jobs SET deployment_id = %s WHERE id = %s", run, job)
        await self._sql("UPDATE tenants SET status = 'provisioning' WHERE status = 'pending'")
        return claimed[1], run

    async def step(self, run: uuid.UUID, key: str, status: str, error: str | None = None, message: str = "") -> None:
        await self._sql(
            "UPDATE deployment_steps SET status = %s, error = %s, message = %s, duration_ms = 12,"
            " started_at = CASE WHEN %s = 'skipped' THEN NULL ELSE now() END,"
            " ended_at = CASE WHEN %s IN ('running', 'skipped') THEN NULL ELSE now() END"
            " WHERE deployment_id = %s AND key = %s",
            *(status, error, message, status, status, run, key),
        )

    async def ends(
        self, lease: Any, run: uuid.UUID, tenant: str, job: JobStatus, objects: list[dict[str, Any]] | None = None
    ) -> None:
        resolved = POS.resolve(POS.parse(await self.manifest()), POS.templates()).to_dict()
        good = json.dumps(resolved) if tenant == "active" else None
        await self._sql("UPDATE deployments SET status = %s, ended_at = now() WHERE id = %s", "succeeded", run)
        await self._sql(
            "UPDATE tenants SET status = %s, objects = %s, last_good_manifest = coalesce(%s, last_good_manifest)",
            *(tenant, json.dumps(objects) if objects is not None else None, good),
        )
        error = None if job is JobStatus.SUCCEEDED else {"message": "it failed"}
        assert await self.state.store.finish(lease, Ending(status=job, error=error, deployment_id=run)) is not None

    async def manifest(self) -> dict[str, Any]:
        rows = await self._sql("SELECT manifest FROM manifests ORDER BY version DESC LIMIT 1")
        found: dict[str, Any] = rows[0][0]
        return found


@pytest.fixture
def runs(state: State, sql: Callable[..., Any]) -> Runs:
    return Runs(state, sql)


def made(step: str, name: str | None, reason: str | None = None, kind: str = "Warehouse") -> dict[str, Any]:
    known = {"urn": f"urn:{step}:{name}", "step": step, "kind": kind, "name": name, "ours": True}
    return {**known, "ready": reason is None, "reason": reason}


# POS-1


async def test_a_workspace_is_created_and_its_provisioning_begins_by_itself(
    erp: Erp, client: httpx.AsyncClient, runs: Runs, sql: Callable[..., Any]
) -> None:
    answer = await client.post(IAM, json=REQUEST, headers=as_("ann", "creator"))
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["id"], told["name"]) == (SLUG, "Mama Njeri's Shop")
    assert told["engine"] == {"name": "erpnext", "status": "online", "message": ""}
    assert told["admin"] == {
        "email": "njeri@shop.example",
        "name": "Njeri Wambui",
        "role": "owner",
        "signs_in_by": "password",
        "known_before": False,
    }
    assert answer.headers["location"] == told["status_url"] == path("status")
    stands = told["provisioning"]
    assert (stands["status"], stands["progress"], stands["total_steps"]) == ("PROVISIONING", 0, len(STEPS))
    assert (stands["waiting"], stands["steps_completed"]) == (None, 0)
    manifest = await runs.manifest()
    assert {key: manifest[key] for key in ("kind", "slug", "engine", "category", "countryCode", "adminEmail")} == {
        "kind": "pos",
        "slug": SLUG,
        "engine": "erpnext",
        "category": "retail",
        "countryCode": "KE",
        "adminEmail": "njeri@shop.example",
    }
    assert manifest["enableRollback"] is False  # what failed is tried again; nothing that works is thrown away
    assert await sql("SELECT operation, status FROM jobs") == [("up", "pending")]
    owners = await sql("SELECT subject, role FROM tenant_members ORDER BY subject")
    assert owners == [("ann", "owner"), ("njeri@shop.example", "owner")]


async def test_two_of_one_name_do_not_want_one_company(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any]
) -> None:
    """An engine has one company of a name: the second shop of it could never be provisioned."""
    for who in ("ann", "bob", "ann"):
        await create(client, who=who)
    rows = await sql("SELECT manifest FROM manifests ORDER BY manifest->>'slug'")
    asked = [(row[0]["name"], row[0].get("customSettings")) for row in rows]
    name = REQUEST["name"]
    companies = [{"company": {"name": f"{name} ({number})"}} for number in (2, 3)]
    assert asked == [(name, {}), *((name, one) for one in companies)]


async def test_its_id_follows_from_its_name_and_two_of_one_name_have_two(erp: Erp, client: httpx.AsyncClient) -> None:
    assert (await create(client))["id"] == SLUG
    assert (await create(client, who="bob"))["id"] == f"{SLUG}-2"
    assert (await create(client))["id"] == f"{SLUG}-3"
    assert (await create(client, name="Café Zoë"))["id"] == "cafe-zoe"
    assert (await create(client, name="7 Days"))["id"] == "shop-7-days"
    assert (await create(client, name="咖啡店"))["id"] == "shop"


async def test_the_same_key_again_is_the_same_workspace(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any]
) -> None:
    key = {"Idempotency-Key": "one"}
    first = await create(client, **key)
    again = await create(client, **key)
    assert (again["id"], again["provisioning"]["job_id"]) == (first["id"], first["provisioning"]["job_id"])
    assert await sql("SELECT count(*) FROM tenants") == [(1,)]
    assert (await create(client, 409, **key, name="Another"))["type"].endswith("conflict")
    assert await sql("SELECT count(*) FROM tenants") == [(1,)]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "1 to 200"),
    ({"name": None}, "name", "required"),
    ({"category": "!"}, "category", "type of business"),
    ({"category": None}, "category", "required"),
    ({"country_code": "Kenya"}, "country_code", "two-letter"),
    ({"engine": "sap"}, "engine", "erpnext"),
    ({"admin_email": "njeri"}, "admin_email", "@"),
    ({"admin_name": None}, "admin_name", "required"),
    ({"admin_password": "short"}, "admin_password", "10 to 128"),
    ({"admin_password": "Njeri Wambui"}, "admin_password", "something else than"),
    ({"region": "nowhere"}, "region", REGION),
    ({"slug": "mine"}, "slug", "one of the keys name, category"),
    ({"templateId": "retail"}, "templateId", "admin_password"),
]


async def test_what_is_wrong_is_told_by_its_own_name_and_nothing_is_made(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any]
) -> None:
    for changes, field, valid in WRONG:
        body = {key: value for key, value in (REQUEST | changes).items() if value is not None}
        answer = await client.post(IAM, json=body, headers=as_("ann", "creator"))
        assert answer.status_code == 422, (changes, answer.text)
        rows = answer.json()["errors"]
        assert [row["field"] for row in rows] == [field], changes
        assert valid in rows[0]["valid"], changes
        assert PASSWORD not in answer.text
    assert await sql("SELECT count(*) FROM tenants") == [(0,)]
    assert await sql("SELECT count(*) FROM accounts") == [(0,)]


async def test_everything_that_is_wrong_is_told_at_once(erp: Erp, client: httpx.AsyncClient) -> None:
    answer = await client.post(IAM, json={"admin_password": "hunter2"}, headers=as_("ann", "creator"))
    rows = answer.json()["errors"]
    assert [row["field"] for row in rows] == ["name", "category", "country_code", "admin_email", "admin_name"]
    assert "hunter2" not in answer.text
    for body in (None, [], "x"):
        assert (await client.post(IAM, json=body, headers=as_("ann", "creator"))).status_code == 422


async def test_with_the_engine_away_it_is_created_and_waits(
    erp: Erp, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline and degraded are told apart."""
    monkeypatch.setattr(health, "CACHE_SECONDS", 0.0)
    for name, kind, word in (("First", Kind.DROP, "offline"), ("Second", Kind.MAINTENANCE, "degraded")):
        erp.fault(kind)
        told = await create(client, name=name)
        erp.site.faults.heal()
        assert told["engine"]["status"] == word
        assert word in told["engine"]["message"]
        stands = told["provisioning"]
        assert (stands["status"], stands["progress"]) == ("NOT_PROVISIONED", 0)
        assert f"ERPNext is {word}" in stands["waiting"]["reason"]
        assert "begins by itself" in stands["message"]
        assert stands["waiting"]["since"] < stands["waiting"]["until"]
        assert await status(client, name.lower()) == stands


async def test_it_begins_by_itself_once_the_engine_answers(
    erp: Erp, client: httpx.AsyncClient, state: State, runs: Runs, sql: Callable[..., Any]
) -> None:
    erp.stop()
    told = await create(client)
    job = uuid.UUID(told["provisioning"]["job_id"])
    claimed = await state.store.claim(job, worker="w", lease_seconds=60)
    assert claimed is not None
    document = {"type": "error", "error": {"message": "waiting: its engine is offline", "exit_code": 12}}
    how = ending(claimed[0], Ended(code=12, document=document), why=Why.NONE, most=3)
    assert how is not None
    assert await state.store.finish(claimed[1], how) is not None
    waits = await status(client)
    assert (waits["status"], waits["waiting"]["reason"]) == ("NOT_PROVISIONED", "its engine is offline")
    assert waits["waiting"]["next_try_at"] > waits["waiting"]["since"]
    assert waiting.turns(await state.store.get(job)) == 1
    await sql("UPDATE jobs SET not_before = now()")
    await runs.begins()
    begun = await status(client)
    assert (begun["status"], begun["waiting"]) == ("PROVISIONING", None)


async def test_an_engine_that_refuses_our_key_is_told_and_holds_nothing_up(
    erp: Erp, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANTRY_BACKEND_TEST_SECRET", "hunter9")
    told = await create(client)
    assert (told["engine"]["status"], told["provisioning"]["waiting"]) == ("refused", None)
    assert "hunter9" not in json.dumps(told)


async def test_the_engine_is_told_which_request_it_is_asked_for(erp: Erp, client: httpx.AsyncClient) -> None:
    answer = await client.post(
        IAM, json=REQUEST, headers=as_("ann", "creator") | {"X-Correlation-ID": "c0ffee-of-the-shop"}
    )
    assert answer.status_code == 202
    assert {row.correlation for row in erp.asked()} == {"c0ffee-of-the-shop"}


# Its admin


async def test_the_admin_signs_in_with_the_password_and_owns_the_workspace(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await create(client)
    ((kept,),) = await sql("SELECT password_hash FROM accounts")
    assert kept.startswith("$argon2id$")

    async def sign_in(password: str, email: str = "njeri@shop.EXAMPLE") -> httpx.Response:
        form = {"email": email, "password": password, "next": f"/workspaces/{SLUG}"}
        return await client.post("/sign-in", data=form, headers={"sec-fetch-site": "same-origin"})

    wrong, stranger = await sign_in("wrong" + PASSWORD), await sign_in(PASSWORD, "nobody@shop.example")
    assert (wrong.status_code, stranger.status_code) == (401, 401)
    assert "address or the password is wrong" in wrong.text
    assert told_apart(wrong.text) == told_apart(stranger.text)
    good = await sign_in(PASSWORD)
    assert (good.status_code, good.headers["location"]) == (303, f"/workspaces/{SLUG}")
    mine = await client.get(path("status"))
    assert (mine.status_code, mine.json()["tenant_id"]) == (200, SLUG)
    client.cookies.clear()
    tables = ("jobs", "audit", "manifests", "job_events", "accounts", "tenants")
    rows = await sql(" UNION ALL ".join(f"SELECT to_jsonb(r)::text FROM {table} r" for table in tables))
    assert PASSWORD not in caplog.text + "".join(row[0] for row in rows)


async def test_creating_another_workspace_changes_nobodys_password(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any]
) -> None:
    """Whoever may create workspaces must not get at somebody's account by that."""
    await create(client)
    before = await sql("SELECT * FROM accounts")
    told = await create(client, who="mallory", name="Second", admin_password="chosen by mallory")
    assert told["admin"]["known_before"] is True
    assert await sql("SELECT * FROM accounts") == before
    assert await sql("SELECT count(*) FROM tenant_members WHERE subject = 'njeri@shop.example'") == [(2,)]


async def test_who_goes_by_an_address_already_gets_no_account_from_somebody_elses_request(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any]
) -> None:
    """A token's subject may be an address: a password that another chose must not open what is its bearer's."""
    await create(client, who="boss@shop.example", name="First", admin_email="first@shop.example")
    invited = {"role": "owner"}
    answer = await client.put("/api/v1/tenants/first/members/zoe@shop.example", json=invited, headers=as_())
    assert answer.status_code in (200, 201), answer.text
    for number, email in enumerate(("zoe@shop.example", "Boss@shop.example")):
        told = await create(client, who="mallory", name=f"Bait {number}", admin_email=email)
        assert (told["admin"]["signs_in_by"], told["admin"]["known_before"]) == ("token", True)
        form = {"email": email, "password": PASSWORD}
        tried = await client.post("/sign-in", data=form, headers={"sec-fetch-site": "same-origin"})
        assert tried.status_code == 401
    assert await sql("SELECT email FROM accounts") == [("first@shop.example",)]
    assert (await client.get(path("status", "bait-0"), headers=as_("zoe@shop.example"))).status_code == 200


async def test_an_account_that_was_made_for_it_is_not_told_as_known_when_the_request_comes_again(
    erp: Erp, client: httpx.AsyncClient
) -> None:
    for _ in range(2):
        told = await create(client, **{"Idempotency-Key": "k1"})
        assert (told["admin"]["signs_in_by"], told["admin"]["known_before"]) == ("password", False)


async def test_an_address_that_no_token_could_be_for_is_refused(erp: Erp, client: httpx.AsyncClient) -> None:
    long = "a@" + ".".join(letter * 60 for letter in "bcde")
    assert [row["field"] for row in (await create(client, 422, admin_email=long))["errors"]] == ["admin_email"]


async def test_a_misspelt_password_is_not_told(erp: Erp, client: httpx.AsyncClient) -> None:
    for key in ("admin_pasword", "admin_passwd", "pwd"):
        assert "hunter2" not in json.dumps(await create(client, 422, **{key: PASSWORD}))


async def test_an_address_that_asks_too_often_locks_nobodys_account(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any]
) -> None:
    form = {"email": "njeri@shop.example", "password": "x"}

    async def guess() -> int:
        return (await client.post("/sign-in", data=form, headers={"sec-fetch-site": "same-origin"})).status_code

    assert await guess() == 401
    counted = "SELECT hits FROM rate_limit_windows WHERE caller = 'account njeri@shop.example'"
    before = await sql(counted)
    await sql(
        "UPDATE rate_limit_windows SET number = floor(extract(epoch FROM clock_timestamp()) / 60)::bigint + 60,"
        " hits = 60 WHERE kind = 'sign-in' AND caller LIKE 'from %%'"
    )
    assert await guess() == 429
    assert await sql(counted) == before


async def test_guesses_are_counted(erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any]) -> None:
    await create(client)
    # Ten in the window that is now, however long this test takes.
    await sql(
        "INSERT INTO rate_limit_windows (caller, kind, number, hits, before)"
        " VALUES ('from 127.0.0.1 account njeri@shop.example', 'sign-in',"
        " floor(extract(epoch FROM clock_timestamp()) / 60)::bigint + 60, 10, 0)"
    )

    async def guess(email: str) -> int:
        form = {"email": email, "password": PASSWORD}
        return (await client.post("/sign-in", data=form, headers={"sec-fetch-site": "same-origin"})).status_code

    assert await guess("njeri@shop.example") == 429  # though it is the right one
    assert await guess("somebody@else.example") == 401


def told_apart(page: str) -> str:
    """A page without what is another's each time: when it was made, and what was entered."""
    return re.sub(r'data-now="[^"]*"|value="[^"]*@[^"]*"', "", page)


async def test_a_free_slug_is_found_however_many_are_called_so(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any]
) -> None:
    await create(client)
    same = "INSERT INTO tenants (slug, line, name, status, manifest_version) SELECT"
    await sql(f"{same} '{SLUG}-' || n, 'pos', 'x', 'pending', 1 FROM generate_series(2, 120) n WHERE n <> 47")
    assert (await create(client))["id"] == f"{SLUG}-47"
    assert (await create(client))["id"] == f"{SLUG}-121"
    await sql(f"{same} '{SLUG}-' || n, 'pos', 'x', 'pending', 1 FROM generate_series(122, 999) n")
    assert "too many workspaces" in (await create(client, 409))["detail"]


async def test_the_page_tells_too_many_as_too_many(
    erp: Erp, client: httpx.AsyncClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 with when to come again, and what was entered but the password."""
    monkeypatch.setattr(state.limits, "_provisionings", 1)
    await create(client)
    form = await client.post("/workspaces/new", data={**REQUEST, "name": "Other"}, headers=as_("ann", "creator"))
    assert form.status_code == 429, form.text
    assert int(form.headers["retry-after"]) > 0
    assert "more than 1 provisionings" in form.text
    assert 'value="Other"' in form.text
    assert PASSWORD not in form.text


async def test_the_page_says_that_the_password_was_not_taken(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any]
) -> None:
    """Else its owner would try to sign in with a password that is not theirs."""
    await create(client)
    before = await sql("SELECT * FROM accounts")
    form = {**REQUEST, "category": "retail", "admin_password": "another one, hunter3"}
    answer = await client.post("/workspaces/new", data=form, headers=as_("ann", "creator"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/workspaces/{SLUG}-2?said=account-known")
    page = await client.get(answer.headers["location"], headers=as_())
    assert "keeps its own password" in page.text
    assert "hunter3" not in page.text
    assert await sql("SELECT * FROM accounts") == before


# POS-5 and POS-6


async def test_the_status_from_nothing_to_provisioned(erp: Erp, client: httpx.AsyncClient, runs: Runs) -> None:
    await create(client)
    lease, run = await runs.begins()
    await runs.step(run, KEYS[0], "completed")
    await runs.step(run, KEYS[1], "running")
    goes_on = await status(client)
    assert (goes_on["status"], goes_on["steps_completed"], goes_on["errors"]) == ("PROVISIONING", 1, [])
    for key in KEYS[1:]:
        await runs.step(run, key, "completed")
    store = made("step_4_warehouses", "Main Store - SHOP")
    await runs.ends(lease, run, "active", JobStatus.SUCCEEDED, [store])
    done = await status(client)
    assert (done["status"], done["progress"], done["steps_completed"]) == ("PROVISIONED", 100, len(KEYS))
    assert (done["errors"], done["current_step"]) == ([], None)
    assert done["started_at"] <= done["ended_at"]
    assert done["objects"] == [{name: value for name, value in store.items() if name != "urn"}]
    logs = (await client.get(path("logs"), headers=as_())).json()["items"]
    assert [row["step"] for row in logs] == KEYS
    assert {(row["status"], row["duration_ms"]) for row in logs} == {("completed", 12)}
    assert all(row["completed_at"] for row in logs)


async def partial(runs: Runs) -> None:
    lease, run = await runs.begins()
    for key in KEYS:
        wrong = key == "step_6_items"
        await runs.step(run, key, "failed" if wrong else "completed", "no such group" if wrong else None)
    lacking = made("step_6_items", None, "no such group", "Item")
    await runs.ends(lease, run, "active", JobStatus.SUCCEEDED, [lacking])


async def test_what_is_optional_and_fails_leaves_it_partial_until_it_is_tried_again(
    erp: Erp, client: httpx.AsyncClient, runs: Runs, sql: Callable[..., Any]
) -> None:
    await create(client, include_demo_data=True)
    await partial(runs)
    found = await status(client)
    assert (found["status"], found["progress"], found["steps_completed"]) == ("PARTIAL", 100, len(KEYS) - 1)
    (error,) = found["errors"]
    assert (error["step"], error["error"], error["critical"]) == ("step_6_items", "no such group", False)
    again = await post(client, "retry", {"step": "step_6_items"})
    assert again["status"] == "PROVISIONING"
    assert await sql("SELECT options->'steps' FROM jobs ORDER BY number DESC LIMIT 1") == [(["step_6_items"],)]
    lease, run = await runs.begins()
    for key in KEYS:
        await runs.step(run, key, "completed" if key == "step_6_items" else "skipped", message="not needed")
    await runs.ends(lease, run, "active", JobStatus.SUCCEEDED, [made("step_6_items", "SHOP-TEA", kind="Item")])
    healed = await status(client)
    assert (healed["status"], healed["steps_completed"], healed["errors"]) == ("PROVISIONED", len(KEYS), [])


@pytest.mark.parametrize(
    ("what", "body"),
    [("retry", {"step": "step_6_items"}), ("retry", None), ("skip-step", {"step": "step_6_items"})],
    ids=["a step", "all that failed", "skip"],
)
async def test_trying_again_waits_for_an_engine_that_is_away(
    erp: Erp,
    client: httpx.AsyncClient,
    runs: Runs,
    sql: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    body: Any,
) -> None:
    monkeypatch.setattr(health, "CACHE_SECONDS", 0.0)
    await create(client, include_demo_data=True)
    await partial(runs)
    erp.stop()
    waits = await post(client, what, body)
    assert (waits["status"], waits["progress"]) == ("PARTIAL", 100)  # as it stands, until something is done
    assert "ERPNext is offline" in waits["waiting"]["reason"]
    assert [one["step"] for one in waits["errors"]] == ["step_6_items"]
    ((options,),) = await sql("SELECT options FROM jobs ORDER BY number DESC LIMIT 1")
    assert options[waiting.UNTIL] == waits["waiting"]["until"]
    assert options.get("steps") == ([body["step"]] if what == "retry" and body else None)
    # A worker's turn of waiting leaves it as it was.
    job = uuid.UUID(waits["job_id"])
    claimed = await runs.state.store.claim(job, worker="w", lease_seconds=60)
    assert claimed is not None
    document = {"type": "error", "error": {"message": "waiting: its engine is offline", "exit_code": 12}}
    how = ending(claimed[0], Ended(code=12, document=document), why=Why.NONE, most=3)
    assert how is not None
    assert await runs.state.store.finish(claimed[1], how) is not None
    assert (await status(client))["waiting"]["reason"] == "its engine is offline"


async def test_a_critical_failure_is_told_and_all_that_failed_is_tried_again(
    erp: Erp, client: httpx.AsyncClient, runs: Runs
) -> None:
    await create(client)
    refused = await post(client, "retry", code=409)
    assert refused["type"].endswith("busy")
    lease, run = await runs.begins()
    await runs.step(run, KEYS[0], "completed")
    await runs.step(run, KEYS[1], "failed", "a company of that name is there, and not ours")
    for key in KEYS[2:]:
        await runs.step(run, key, "skipped", message="not reached")
    await runs.ends(lease, run, "failed", JobStatus.FAILED)
    found = await status(client)
    assert (found["status"], found["steps_completed"]) == ("FAILED", 1)
    (error,) = found["errors"]
    assert (error["step"], error["critical"]) == ("step_2_company", True)
    assert "not ours" in error["error"]
    again = await post(client, "retry", {})
    assert (again["status"], again["errors"]) == ("PROVISIONING", [])


async def test_nothing_is_tried_again_where_nothing_failed(erp: Erp, client: httpx.AsyncClient, runs: Runs) -> None:
    await create(client)
    lease, run = await runs.begins()
    for key in KEYS:
        await runs.step(run, key, "completed")
    await runs.ends(lease, run, "active", JobStatus.SUCCEEDED)
    assert "has failed: it is PROVISIONED" in (await post(client, "retry", {}, 409))["detail"]
    assert (await post(client, "retry", {"step": "step_1_nothing"}, 404))["hint"].startswith("its steps:")


async def test_only_what_is_optional_is_skipped_and_it_is_a_value_of_the_manifest(
    erp: Erp, client: httpx.AsyncClient, runs: Runs
) -> None:
    await create(client, include_demo_data=True)
    await partial(runs)
    refused = await post(client, "skip-step", {"step": "step_2_company"}, 409)
    assert "step_6_items" in refused["hint"]
    done = await post(client, "skip-step", {"step": "step_5_settings"}, 409)
    assert "was done before" in done["detail"]
    assert (await post(client, "skip-step", {"step": "step_6_items"}))["status"] == "PROVISIONING"
    assert (await runs.manifest())["skip"] == ["step_6_items"]
    for body in ({}, {"step": 3}, {"steps": ["step_6_items"]}):
        await post(client, "skip-step", body, 422)


async def test_it_is_started_again_with_other_wishes(erp: Erp, client: httpx.AsyncClient, runs: Runs) -> None:
    await create(client)
    lease, run = await runs.begins()
    await runs.ends(lease, run, "active", JobStatus.SUCCEEDED)
    wishes = {"include_demo_data": True, "pos_store_enabled": False, "country_template": "Standard"}
    assert (await post(client, "start", wishes))["status"] == "PROVISIONING"
    manifest = await runs.manifest()
    assert (manifest["includeDemoData"], manifest["posStoreEnabled"], manifest["countryTemplate"]) == (
        True,
        False,
        "Standard",
    )
    assert (await post(client, "start", {"includeDemoData": True}, 422))["errors"][0][
        "suggestion"
    ] == "include_demo_data"
    assert (await post(client, "start", None, 409))["type"].endswith("busy")


async def test_who_may_not_and_what_is_no_workspace(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any]
) -> None:
    await create(client)
    stranger, member = as_("bob", other="owner"), as_("mia", **{SLUG: "member"})
    assert (await client.post(IAM, json=REQUEST, headers=stranger)).status_code == 403
    assert (await client.post(IAM, json=REQUEST)).status_code == 401
    assert (await client.get(path("status"), headers=stranger)).status_code == 404
    assert (await client.get(path("status"), headers=member)).status_code == 200
    assert (await client.post(path("retry"), json={}, headers=member)).status_code == 403
    await sql("UPDATE tenants SET line = 'cabinet'")
    assert (await client.get(path("status"), headers=as_())).status_code == 404
    assert (await client.get(path("logs"), headers=as_())).status_code == 404


async def test_where_an_identity_provider_signs_no_password_is_kept_and_the_address_is_enough(
    erp: Erp, client: httpx.AsyncClient, sql: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Accounts, "there", False)
    assert (await create(client))["admin"]["signs_in_by"] == "identity_provider"
    assert await sql("SELECT count(*) FROM accounts") == [(0,)]

    async def seen(**claims: Any) -> int:
        headers = {"Authorization": f"Bearer {claimed('idp|42', **claims)}"}
        return (await client.get(path("status"), headers=headers)).status_code

    assert await seen(email="NJERI@shop.example", email_verified=True) == 200
    for unverified in (False, None, "true"):
        assert await seen(email="njeri@shop.example", email_verified=unverified) == 403  # a token without any role
    assert await seen(email=["njeri@shop.example"], email_verified=True) == 403


def claimed(subject: str, **claims: Any) -> str:
    """A token with more claims than those that are ours."""
    known = {"sub": subject, "aud": "tenantry", "exp": int(time.time()) + 600}
    return jwt.encode({**known, **claims}, SECRET, algorithm="HS256")

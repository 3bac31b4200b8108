"""What people do with webhooks, and what is remembered of it."""

import asyncio
import json
import time
import uuid
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.errors import InputError, NotFoundError
from automation.jobs.database import transaction
from automation.jobs.model import Caller, ConflictError
from automation.models_jobs import audit
from automation.settings import Settings
from automation.webhooks.manage import MOST_PER_TENANT, Webhooks
from automation.webhooks.sign import SignatureError, verify
from tests.webhooks.helpers import ANNA, ended, hook, running, tell
from tests.webhooks.receiver import answer, receiving

URL = "https://127.0.0.1:4430/hook"


async def trail(engine: AsyncEngine, settings: Settings) -> list[Any]:
    async with transaction(engine, settings) as connection:
        return list((await connection.execute(select(audit).order_by(audit.c.id))).mappings())


async def test_the_secret_is_shown_once_and_kept_encrypted(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str, main_db: Any
) -> None:
    made, secret = await hooks.create(ANNA, tenant="acme", url=f"{URL}/t0psecret?k=v", events=["job.failed"])
    again = await hooks.get(uuid.UUID(made["id"]))
    assert again == made
    assert set(made) == {
        *("id", "tenant", "url", "description", "events", "active", "failures", "disabled_at", "disabled_reason"),
        *("created_by", "created_at", "updated_at"),
    }
    changed = await hooks.update(ANNA, uuid.UUID(made["id"]), {"description": "ours", "events": ["*", "*"]})
    assert (changed["description"], changed["events"]) == ("ours", ["*"])
    listed, total = await hooks.find()
    assert (listed, total) == ([changed], 1)
    await hooks.delete(ANNA, uuid.UUID(made["id"]))
    rows = await trail(engine, settings)
    assert [row["action"] for row in rows] == ["webhook.create", "webhook.update", "webhook.delete"]
    assert {(row["actor"], row["address"], row["tenant"], row["object"]) for row in rows} == {
        ("anna", "192.0.2.1", "acme", made["id"])
    }
    assert (rows[1]["before"]["description"], rows[1]["after"]["description"]) == ("", "ours")
    everything = json.dumps([dict(row) for row in rows], default=str) + json.dumps([made, changed, listed])
    assert secret not in everything
    assert "t0psecret" not in json.dumps([dict(row) for row in rows], default=str)
    with main_db.connect() as connection:
        assert connection.execute("SELECT count(*) FROM webhooks").fetchone() == (0,)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "http://example.com/"}, "url"),
        ({"url": ""}, "url"),
        ({"events": []}, "events"),
        ({"events": ["job.exploded"]}, "events"),
        ({"events": ["ping"]}, "events"),
        ({"events": [1]}, "events"),
        ({"description": "x" * 501}, "description"),
        ({"description": "a\0b"}, "description"),
        ({"description": "a\ud800b"}, "description"),
    ],
)
async def test_wrong_fields_are_named_and_nothing_is_made(
    hooks: Webhooks, acme: str, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(InputError) as caught:
        await hooks.create(ANNA, **{"tenant": "acme", "url": URL, "events": ["*"]} | values)
    assert [problem[0] for problem in caught.value.problems] == [field]
    assert await hooks.find() == ([], 0)


async def test_unknown_things(hooks: Webhooks, acme: str) -> None:
    with pytest.raises(NotFoundError, match="no tenant 'nobody'"):
        await hooks.create(ANNA, tenant="nobody", url=URL, events=["*"])
    nobody = uuid.uuid4()
    for call in (
        hooks.get(nobody),
        hooks.update(ANNA, nobody, {"active": False}),
        hooks.delete(ANNA, nobody),
        hooks.rotate(ANNA, nobody),
        hooks.deliveries(nobody),
        hooks.delivery(nobody, nobody),
        hooks.resend(ANNA, nobody, nobody),
        hooks.ping(ANNA, nobody),
    ):
        with pytest.raises(NotFoundError, match=f"webhook {nobody}"):
            await call
    made, _ = await hooks.create(ANNA, tenant="acme", url=URL, events=["*"])
    with pytest.raises(InputError) as caught:
        await hooks.update(ANNA, uuid.UUID(made["id"]), {"secret": "mine", "active": "yes"})
    assert [problem[0] for problem in caught.value.problems] == ["secret", "active"]
    with pytest.raises(InputError, match="no status of a delivery"):
        await hooks.deliveries(uuid.UUID(made["id"]), status="lost")


async def test_who_sees_which(hooks: Webhooks, acme: str) -> None:
    for tenant in ("acme", "other", None):
        await hooks.create(ANNA, tenant=tenant, url=URL, events=["*"])
    assert [one["tenant"] for one in (await hooks.find())[0]] == [None, "other", "acme"]
    assert [one["tenant"] for one in (await hooks.find(visible={"acme"}))[0]] == ["acme"]
    assert await hooks.find(visible=set()) == ([], 0)
    assert [one["tenant"] for one in (await hooks.find(tenant="other"))[0]] == ["other"]
    rows, total = await hooks.find(page=2, size=2)
    assert ([one["tenant"] for one in rows], total) == (["acme"], 3)


async def test_a_tenant_has_a_limit_also_for_two_at_once(hooks: Webhooks, acme: str) -> None:
    tries = [hooks.create(ANNA, tenant="acme", url=URL, events=["*"]) for _ in range(MOST_PER_TENANT + 5)]
    made = await asyncio.gather(*tries, return_exceptions=True)
    refused = [one for one in made if isinstance(one, ConflictError)]
    assert (len(refused), (await hooks.find())[1]) == (5, MOST_PER_TENANT)
    assert all("the most that it may have" in one.message for one in refused)


async def test_both_secrets_sign_while_one_is_rotated(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    async with receiving() as receiver, running(engine, settings):
        webhook, old = await hook(hooks, receiver)
        _, new = await hooks.rotate(ANNA, webhook)
        await tell(engine, settings)
        [request] = await receiver.arrived(1)
        for secret in (old, new):
            verify(secret, request.headers["tenantry-signature"], request.body, now=time.time())
        _, newest = await hooks.rotate(ANNA, webhook)
        await tell(engine, settings)
        request = (await receiver.arrived(2))[1]
        for secret in (new, newest):
            verify(secret, request.headers["tenantry-signature"], request.body, now=time.time())
        with pytest.raises(SignatureError):
            verify(old, request.headers["tenantry-signature"], request.body, now=time.time())
    rotations = [row for row in await trail(engine, settings) if row["action"] == "webhook.rotate"]
    assert len(rotations) == 2
    assert not any(secret in json.dumps([dict(row) for row in rotations], default=str) for secret in (old, new, newest))


async def test_ping_and_resend(engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str) -> None:
    async with receiving(answer(500)) as receiver, running(engine, settings):
        webhook, _ = await hook(hooks, receiver, events=["job.failed"])
        pinged = await hooks.ping(ANNA, webhook)
        assert (pinged["event"], pinged["status"]) == ("ping", "pending")
        [delivery] = await ended(hooks, webhook)
        assert (delivery["status"], delivery["attempts"]) == ("failed", 1)
        assert (await hooks.get(webhook))["failures"] == 0, "trying out is not held against it"
        receiver.behave = answer(200)
        again = await hooks.resend(ANNA, webhook, uuid.UUID(delivery["id"]))
        assert again["resend_of"] == delivery["id"]
        rows = await ended(hooks, webhook, 2)
        assert [row["status"] for row in rows] == ["failed", "delivered"]
        assert json.loads(receiver.requests[0].body) == json.loads(receiver.requests[1].body)
        assert await hooks.delivery(webhook, uuid.UUID(again["id"])) == rows[1]
        assert [row["id"] for row in (await hooks.deliveries(webhook, status="failed"))[0]] == [delivery["id"]]
        other, _ = await hook(hooks, receiver)
        with pytest.raises(NotFoundError, match="has no delivery"):
            await hooks.resend(ANNA, other, uuid.UUID(delivery["id"]))
    assert [row["action"] for row in await trail(engine, settings)][1:3] == ["webhook.ping", "webhook.resend"]


async def test_what_is_still_being_tried_is_not_sent_again(hooks: Webhooks, acme: str) -> None:
    made, _ = await hooks.create(ANNA, tenant="acme", url=URL, events=["*"])
    webhook = uuid.UUID(made["id"])
    pinged = await hooks.ping(ANNA, webhook)
    with pytest.raises(ConflictError, match="still being tried"):
        await hooks.resend(ANNA, webhook, uuid.UUID(pinged["id"]))


async def test_off_and_on(engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str) -> None:
    made, _ = await hooks.create(ANNA, tenant="acme", url=URL, events=["*"])
    webhook = uuid.UUID(made["id"])
    pinged = await hooks.ping(ANNA, webhook)
    off = await hooks.update(ANNA, webhook, {"active": False})
    assert (off["active"], off["disabled_reason"]) == (False, "switched off by anna")
    assert (await hooks.delivery(webhook, uuid.UUID(pinged["id"])))["status"] == "dropped"
    assert await tell(engine, settings) == 0
    for call in (hooks.ping(ANNA, webhook), hooks.resend(ANNA, webhook, uuid.UUID(pinged["id"]))):
        with pytest.raises(ConflictError, match="switched off by anna"):
            await call
    on = await hooks.update(Caller(subject="ben", address=None, correlation_id="c"), webhook, {"active": True})
    assert (on["active"], on["disabled_at"], on["disabled_reason"], on["failures"]) == (True, None, None, 0)
    assert await tell(engine, settings) == 1


async def test_changing_and_delivering_at_once_never_wait_for_each_other(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    fast = settings.model_copy(update={"webhook_retry_delays": (0.01,), "webhook_disable_after": 1000})
    async with receiving(answer(500)) as receiver, running(engine, fast):
        webhook, _ = await hook(hooks, receiver)
        async with asyncio.timeout(60):
            for _ in range(15):
                await asyncio.gather(*(tell(engine, settings) for _ in range(4)))
                await hooks.update(ANNA, webhook, {"active": False})
                await hooks.update(ANNA, webhook, {"active": True})
            await hooks.delete(ANNA, webhook)
    assert await hooks.find() == ([], 0)

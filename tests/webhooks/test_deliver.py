"""Deliveries to real receivers: each arrives, signed; none is lost, and none hurts another."""

import asyncio
import json
import time
import uuid
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from automation.jobs import totals
from automation.jobs.database import async_engine_for, transaction
from automation.models_jobs import audit, webhook_deliveries, webhooks
from automation.secretbox import secret_box
from automation.settings import Settings, load_settings
from automation.webhooks import deliver
from automation.webhooks.deliver import Deliverer
from automation.webhooks.manage import Webhooks
from automation.webhooks.sending import new_client
from automation.webhooks.sign import verify
from tests.webhooks.helpers import ANNA, ended, hook, running, tell, until
from tests.webhooks.receiver import Receiver, answer, hang, one_after_another, receiving


async def counted(engine: AsyncEngine, settings: Settings) -> dict[str, float]:
    async with transaction(engine, settings) as connection:
        return {
            f"{one.definition.name} {' '.join(one.labels.values())}".strip(): one.value
            for one in await totals.read(connection)
            if not one.definition.buckets
        }


async def test_an_event_arrives_signed_with_the_secret_that_was_shown(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    async with receiving() as receiver, running(engine, settings):
        webhook, secret = await hook(hooks, receiver)
        assert await tell(engine, settings) == 1
        [request] = await receiver.arrived(1)
        [delivery] = await ended(hooks, webhook)
    verify(secret, request.headers["tenantry-signature"], request.body, now=time.time())
    body = json.loads(request.body)
    assert (body["type"], body["tenant"], body["data"]["job"]["message"]) == ("job.succeeded", "acme", "grün")
    assert request.headers["tenantry-event"] == "job.succeeded"
    assert request.headers["tenantry-delivery"] == delivery["id"]
    assert request.headers["content-type"] == "application/json"
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
    [kept] = delivery["answers"]
    assert (kept["status"], kept["body"], kept["error"]) == (200, "thanks", "")
    assert secret not in json.dumps(delivery)
    assert await counted(engine, settings) == {
        "tenantry_webhook_attempts_total job.succeeded 2xx": 1,
        "tenantry_webhook_deliveries_total job.succeeded delivered": 1,
    }


async def test_it_is_tried_again_until_it_is_taken(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    behave = one_after_another(answer(500, b"oops"), hang, answer(200))
    hurried = settings.model_copy(update={"webhook_timeout": 4})
    async with receiving(behave) as receiver, running(engine, hurried):
        webhook, secret = await hook(hooks, receiver)
        await tell(engine, settings)
        [delivery] = await ended(hooks, webhook)
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 3)
    assert [(one["status"], one["error"]) for one in delivery["answers"]] == [
        (500, ""),
        (None, "no complete answer within 4 s"),
        (200, ""),
    ]
    assert [request.headers["tenantry-attempt"] for request in receiver.requests] == ["1", "2", "3"]
    assert len({json.loads(request.body)["id"] for request in receiver.requests}) == 1
    for request in receiver.requests:
        verify(secret, request.headers["tenantry-signature"], request.body, now=time.time())
    assert (await hooks.get(webhook))["failures"] == 0


async def test_after_its_last_try_it_has_failed_and_says_why(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    async with receiving(answer(302, b"", Location="http://127.0.0.1:1/")) as receiver, running(engine, settings):
        webhook, _ = await hook(hooks, receiver)
        await tell(engine, settings)
        [delivery] = await ended(hooks, webhook)
    assert (delivery["status"], delivery["attempts"], len(receiver.requests)) == ("failed", 3, 3)
    assert all("redirects are not followed" in one["error"] for one in delivery["answers"])
    found = await hooks.get(webhook)
    assert (found["failures"], found["active"]) == (1, True)


async def test_a_webhook_that_fails_again_and_again_is_switched_off_with_a_notice(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    fast = settings.model_copy(update={"webhook_retry_delays": (0.01,), "webhook_disable_after": 2})
    async with receiving(answer(500)) as broken, receiving() as other, running(engine, fast):
        webhook, _ = await hook(hooks, broken, description="broken")
        watcher, _ = await hook(hooks, other, events=["webhook.disabled"])
        later = {"next_attempt_at": text("now() + interval '1 hour'")}
        for round_ in (1, 2):
            await tell(engine, settings)
            if round_ == 2:
                # Something that waits for its next try when the webhook is switched off.
                await tell(engine, settings, "job.created")
                async with transaction(engine, settings) as connection:
                    waiting = update(webhook_deliveries).where(webhook_deliveries.c.event == "job.created")
                    await connection.execute(waiting.values(**later))
            rows = await ended(hooks, webhook, round_)
        [notice] = await other.arrived(1)
        rows = await ended(hooks, webhook, 3)
        await ended(hooks, watcher)
        found = await hooks.get(webhook)
        assert await tell(engine, settings) == 0, "nobody is left who wants it"
    assert sorted(row["status"] for row in rows) == ["dropped", "failed", "failed"]
    assert (found["active"], found["failures"]) == (False, 2)
    assert found["disabled_reason"] == "2 deliveries in a row failed after all their tries; the last answer: HTTP 500"
    told = json.loads(notice.body)
    assert (told["type"], told["data"]["webhook"], told["data"]["dropped"]) == ("webhook.disabled", str(webhook), 1)
    async with transaction(engine, settings) as connection:
        rows_of_audit = await connection.execute(
            select(audit.c.actor, audit.c.tenant, audit.c.object).where(audit.c.action == "webhook.disable")
        )
        assert [tuple(row) for row in rows_of_audit] == [("tenantry", "acme", str(webhook))]
    numbers = await counted(engine, settings)
    assert numbers["tenantry_webhooks_disabled_total"] == 1
    assert numbers["tenantry_webhook_deliveries_total job.created dropped"] == 1
    assert numbers["tenantry_webhook_attempts_total job.succeeded 5xx"] == 4


async def test_a_success_between_failures_starts_the_count_again(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    fast = settings.model_copy(update={"webhook_retry_delays": (0.01,), "webhook_disable_after": 2})
    behave = one_after_another(answer(500), answer(500), answer(200), answer(500), answer(500), answer(200))
    async with receiving(behave) as receiver, running(engine, fast):
        webhook, _ = await hook(hooks, receiver)
        for number, failures in ((1, 1), (2, 0), (3, 1)):
            await tell(engine, settings)
            await ended(hooks, webhook, number)
            assert (await hooks.get(webhook))["failures"] == failures
        assert (await hooks.get(webhook))["active"]


async def test_gone_switches_off_at_once(engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str) -> None:
    async with receiving(answer(410)) as receiver, running(engine, settings):
        webhook, _ = await hook(hooks, receiver)
        await tell(engine, settings)
        [delivery] = await ended(hooks, webhook)
        found = await hooks.get(webhook)
    assert (delivery["status"], delivery["attempts"], found["active"]) == ("failed", 1, False)
    assert "410 Gone" in found["disabled_reason"]


async def test_one_that_hangs_does_not_hold_up_the_others(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    let_go = asyncio.Event()

    async def hold(receiver: Receiver, request: Any, writer: asyncio.StreamWriter) -> None:
        await let_go.wait()

    async with receiving(hold) as stuck, receiving() as quick:
        bad, _ = await hook(hooks, stuck)
        good, _ = await hook(hooks, quick, tenant="other")
        for _ in range(30):
            await tell(engine, settings)
        await tell(engine, settings, tenant="other")
        async with running(engine, settings.model_copy(update={"webhook_timeout": 60})):
            [delivery] = await ended(hooks, good)
            assert delivery["status"] == "delivered"
            assert stuck.most_open <= deliver.PER_WEBHOOK
            rows, _ = await hooks.deliveries(bad)
            assert {row["status"] for row in rows} == {"pending"}
            let_go.set()


async def test_several_processes_send_each_delivery_once(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    second = async_engine_for(settings, application="second")
    async with receiving() as receiver:
        webhook, _ = await hook(hooks, receiver)
        for _ in range(60):
            await tell(engine, settings)
        async with running(engine, settings), running(second, settings):
            rows = await ended(hooks, webhook, 60)
    await second.dispose()
    assert {row["status"] for row in rows} == {"delivered"}
    assert len(receiver.requests) == 60
    assert len({request.headers["tenantry-delivery"] for request in receiver.requests}) == 60


async def test_what_a_dead_process_had_claimed_is_sent_by_another(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    async with receiving() as receiver:
        webhook, _ = await hook(hooks, receiver)
        await tell(engine, settings)
        async with new_client() as client:
            dead = Deliverer(engine, settings, client, secret_box())
            assert [one.tries for one in await dead._claim()] == [1]
            assert await dead._claim() == [], "claimed"
        async with transaction(engine, settings) as connection:
            await connection.execute(update(webhook_deliveries).values(claimed_until=text("now() - interval '1 s'")))
        async with running(engine, settings):
            [delivery] = await ended(hooks, webhook)
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 2)


async def test_the_answer_of_a_claim_that_was_lost_is_not_written(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    async with receiving() as receiver, new_client() as client:
        webhook, _ = await hook(hooks, receiver)
        await tell(engine, settings)
        late = Deliverer(engine, settings, client, secret_box())
        [one] = await late._claim()
        await hooks.update(ANNA, webhook, {"active": False})
        await late._deliver(one)
        [delivery] = await ended(hooks, webhook)
    assert (delivery["status"], delivery["answers"]) == ("dropped", [])


async def test_a_secret_that_cannot_be_opened_is_a_failure_that_says_so(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    async with receiving() as receiver, running(engine, settings):
        webhook, _ = await hook(hooks, receiver)
        other, _ = await hook(hooks, receiver, tenant="other")
        async with transaction(engine, settings) as connection:
            taken = select(webhooks.c.secret).where(webhooks.c.id == other).scalar_subquery()
            await connection.execute(update(webhooks).where(webhooks.c.id == webhook).values(secret=taken))
        await tell(engine, settings)
        [delivery] = await ended(hooks, webhook)
        assert receiver.requests == []
        assert delivery["answers"][0]["error"] == "not sent: its secret cannot be decrypted; rotate it"
        _, secret = await hooks.rotate(ANNA, webhook)
        await hooks.resend(ANNA, webhook, uuid.UUID(delivery["id"]))
        [request] = await receiver.arrived(1)
        verify(secret, request.headers["tenantry-signature"], request.body, now=time.time())


async def test_it_lives_through_the_loss_of_its_connections(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str, main_db: Any
) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut off'"
    mine = async_engine_for(settings, application="cut off")
    async with receiving() as receiver, running(mine, settings):
        webhook, _ = await hook(hooks, receiver)
        for number in range(1, 6):
            with main_db.connect() as connection:
                connection.execute(cut)
            await tell(engine, settings)
            with main_db.connect() as connection:
                connection.execute(cut)
            await receiver.arrived(number)
        rows = await ended(hooks, webhook, 5)
    await mine.dispose()
    assert {row["status"] for row in rows} == {"delivered"}


async def test_stopping_finishes_what_is_being_sent(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    async def slow(receiver: Receiver, request: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.7)
        await answer(200)(receiver, request, writer)

    async with receiving(slow) as receiver:
        webhook, _ = await hook(hooks, receiver)
        await tell(engine, settings)
        async with running(engine, settings):
            await receiver.arrived(1)
        rows, _ = await hooks.deliveries(webhook)
    assert [row["status"] for row in rows] == ["delivered"]


async def test_old_deliveries_are_cleared_away(
    engine: AsyncEngine, settings: Settings, hooks: Webhooks, acme: str
) -> None:
    async with receiving() as receiver:
        webhook, _ = await hook(hooks, receiver)
        async with running(engine, settings):
            for _ in range(3):
                await tell(engine, settings)
            await ended(hooks, webhook, 3)
        ids = [row["id"] for row in (await hooks.deliveries(webhook))[0]]
        async with transaction(engine, settings) as connection:
            old = update(webhook_deliveries).where(webhook_deliveries.c.id == uuid.UUID(ids[0]))
            await connection.execute(old.values(ended_at=text("now() - interval '31 days'")))

        async def gone() -> bool:
            return (await hooks.deliveries(webhook))[1] < 3

        async with running(engine, settings):
            assert await until(gone)
        assert {row["id"] for row in (await hooks.deliveries(webhook))[0]} == set(ids[1:])


async def test_without_a_key_it_does_not_begin(
    engine: AsyncEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    with pytest.raises(Exception, match="no passphrase"):
        await deliver.run(engine, load_settings(), asyncio.Event())

"""With 100,000 deliveries, 20,000 of which wait, each statement on webhooks touches few pages."""

import uuid
from typing import Any

import pytest

from automation.jobs import gauges
from automation.jobs.database import transaction
from automation.secretbox import secret_box
from automation.settings import Settings
from automation.webhooks.deliver import Deliverer
from automation.webhooks.keys import Keys, seal
from automation.webhooks.manage import Webhooks
from automation.webhooks.outbox import enqueue
from automation.webhooks.sending import Answer, new_client
from tests.conftest import MainDatabase
from tests.jobs.test_plans import filled, watched
from tests.webhooks.helpers import ANNA

pytestmark = pytest.mark.timeout(300)

FILL = """
    SET session_replication_role = replica;
    INSERT INTO tenants (slug, line, name, status)
        SELECT 'seed-' || n, 'cabinet', 'Cabinet ' || n, 'active' FROM generate_series(1, 10000) n;
    INSERT INTO webhooks (id, tenant, url, events, secret, created_by)
        SELECT gen_random_uuid(), 'seed-' || n, 'http://127.0.0.1:9/', '["*"]', '\\x00', 'seed'
        FROM generate_series(1, 2000) n;
    INSERT INTO webhook_deliveries (id, webhook_id, event, payload, status, answers, next_attempt_at, ended_at)
        SELECT gen_random_uuid(), w.id, 'job.succeeded', jsonb_build_object('n', n, 'pad', repeat('x', 300)),
               CASE WHEN n <= 10 THEN 'pending' ELSE 'delivered' END, '[]',
               now() + interval '1 hour', CASE WHEN n <= 10 THEN NULL ELSE now() - interval '1 day' END
        FROM webhooks w, generate_series(1, 50) n;
"""


@pytest.fixture
def full(main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse battery staple")
    monkeypatch.setenv("TENANTRY_WEBHOOK_ALLOW", "127.0.0.0/8")
    return filled(main_db, FILL)


def due(main_db: MainDatabase, number: int) -> uuid.UUID:
    """Makes deliveries of one webhook due; returns the webhook."""
    box = secret_box()
    with main_db.connect() as connection:
        [[hook]] = connection.execute("SELECT id FROM webhooks WHERE tenant = 'seed-7'").fetchall()
        connection.execute("UPDATE webhooks SET secret = %s WHERE id = %s", (seal(box, hook, Keys.new()), hook))
        connection.execute(
            "UPDATE webhook_deliveries"
            " SET next_attempt_at = now() - CASE WHEN webhook_id = %s THEN 2 ELSE 1 END * interval '1 minute'"
            " WHERE id IN (SELECT id FROM webhook_deliveries WHERE status = 'pending'"
            " ORDER BY webhook_id = %s DESC LIMIT %s)",
            (hook, hook, number),
        )
        connection.execute("VACUUM ANALYZE webhook_deliveries")
    found: uuid.UUID = hook
    return found


@pytest.mark.parametrize("mode", ["auto", "force_generic_plan"])
async def test_no_statement_goes_through_all_deliveries(full: Settings, main_db: MainDatabase, mode: str) -> None:
    hook = due(main_db, 15_000)
    async with watched(main_db, full, mode) as (engine, plans), new_client() as client:
        hooks = Webhooks(engine, full)
        deliverer = Deliverer(engine, full, client, secret_box())
        plans.found.clear()
        async with transaction(engine, full) as connection:
            assert await enqueue(connection, "job.created", "seed-9", {}) == 1
        plans.judge("enqueue")
        claimed = await deliverer._claim()
        assert len(claimed) == 16
        plans.judge("claim")
        mine = next(one for one in claimed if one.webhook == hook)
        await deliverer._write(mine, *_failed())
        plans.judge("write")
        await deliverer._clean()
        plans.judge("clean")
        rows, total = await hooks.deliveries(hook, status="delivered")
        assert (len(rows), total) == (40, 40)
        plans.judge("deliveries")
        await hooks.resend(ANNA, hook, uuid.UUID(rows[0]["id"]))
        plans.judge("resend")
        assert (await hooks.find(visible={"seed-7"}))[1] == 1
        plans.judge("find")
        await hooks.update(ANNA, hook, {"active": False})
        plans.judge("switch off")
        await hooks.delete(ANNA, hook)
        plans.judge("delete")
        async with transaction(engine, full) as connection:
            await gauges.read(connection)
        plans.judge("gauges")


def _failed() -> tuple[Answer, Any]:
    from automation.webhooks.retrying import verdict

    answer = Answer(status=500, duration_ms=1)
    return answer, verdict(answer, tries=1, delays=(5,), chance=0.5)

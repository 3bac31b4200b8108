"""Whose turn it is to be purged, by workers and by hand; what is recorded; and a tenant's cost with its runs."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from automation import costs, purging
from automation.cli import app
from automation.cli_support import main_with_errors
from automation.database import engine_for, ensure_ready, transaction
from automation.errors import InputError, NotFoundError, RunLeftError
from automation.manifests import parsed, resolved
from automation.settings import Settings, load_settings
from providers.retention import AGEING, Retained, parse
from stacks.lines import CABINET, LINES
from stacks.pricing import Sizing
from tests.automation.helpers import MANIFEST, PASSPHRASE, ROOT, write_manifest
from tests.isolation.region import REGION, Department, Region, make, remove

OLD = datetime.now(UTC) - timedelta(days=100)


@pytest.fixture
def settings(tmp_path: Path, main_db: Any, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project on a main database with its tables; cabinets stand for a line whose data ages."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path / "Pulumi.yaml")
    (tmp_path / "stacks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)

    def retained(one: Any, mark: str) -> Retained | None:
        schema = one.slug.replace("-", "_")
        if not schema.startswith("dept_"):
            return None
        return Retained(region=REGION, schema=schema, tenant_mark=mark, retention=parse("90d"))

    ageing = replace(CABINET, retained=retained, sizing=lambda _: Sizing(cpu=0.5, connections=10, runs_per_month=100))
    monkeypatch.setitem(LINES, "cabinet", ageing)  # type: ignore[arg-type] - a dict underneath
    found = load_settings()
    ensure_ready(found)
    return found


@pytest.fixture
def one(settings: Settings, region: Region) -> Iterator[Department]:
    yield from _tenant(settings, region, "dept-one")


@pytest.fixture
def two(settings: Settings, region: Region) -> Iterator[Department]:
    yield from _tenant(settings, region, "dept-two")


def _tenant(settings: Settings, region: Region, slug: str) -> Iterator[Department]:
    department = make(region, slug.replace("-", "_"), mark=f"tenantry/{slug}")
    with department.connect() as connection:
        for at in (OLD, datetime.now(UTC)):
            connection.execute(
                "INSERT INTO events (kind, created_at) SELECT 'k', %s FROM generate_series(1, 30)", (at,)
            )
            connection.execute("INSERT INTO workflow_runs (workflow, created_at) VALUES ('w', %s)", (at,))
    record(settings, slug)
    yield department
    remove(department)


def record(settings: Settings, slug: str) -> None:
    """The tenant, as a run that succeeded ten hours ago has left it."""
    manifest = Jsonb(resolved(parsed(MANIFEST | {"slug": slug}), None).to_dict())
    with main(settings) as connection:
        connection.execute(
            "INSERT INTO tenants (slug, name, status, last_good_manifest) VALUES (%s, 'x', 'active', %s)",
            (slug, manifest),
        )
        connection.execute(
            "INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine,"
            " manifest, ended_at) VALUES (gen_random_uuid(), %s, 'up', 'succeeded', 'c', 'a', 'h', 1, 'e', %s,"
            " now() - interval '10 h')",
            (slug, manifest),
        )


def main(settings: Settings) -> "psycopg.Connection[Any]":
    where = settings.database
    return psycopg.connect(
        host=where.host,
        port=where.port,
        user=where.user,
        password=where.password,
        dbname=where.main_database,
        autocommit=True,
    )


def recorded(settings: Settings) -> list[tuple[Any, ...]]:
    with main(settings) as connection:
        return connection.execute(
            "SELECT tenant, total, complete, error IS NULL, actor FROM purges ORDER BY id"
        ).fetchall()


def now(settings: Settings, tenant: str | None) -> list[purging.Outcome]:
    return purging.purge_now(settings, tenant, tell=lambda *told: pytest.fail(str(told)))


def events(department: Department) -> int:
    with department.connect() as connection:
        row = connection.execute("SELECT count(*) FROM events").fetchone()
        return int(row[0]) if row else -1


def tenantry(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["tenantry", *words])
    return main_with_errors(app)


def test_whoever_is_due_is_purged_once(settings: Settings, one: Department, two: Department) -> None:
    done = purging.purge_due(settings)
    assert [(each.tenant, each.total, each.complete) for each in done] == [
        ("dept-one", 31, True),
        ("dept-two", 31, True),
    ]
    assert (events(one), events(two)) == (30, 30)
    assert recorded(settings) == [("dept-one", 31, True, True, "purge"), ("dept-two", 31, True, True, "purge")]
    assert purging.purge_due(settings) == []
    with main(settings) as connection:
        connection.execute("UPDATE purges SET ended_at = now() - interval '25 hours' WHERE tenant = 'dept-two'")
    assert [each.tenant for each in purging.purge_due(settings)] == ["dept-two"]


def test_a_failure_holds_up_nobody_and_is_tried_again_later(
    settings: Settings, one: Department, two: Department
) -> None:
    with one.region.owner() as connection:
        connection.execute("ALTER SCHEMA dept_one RENAME TO dept_elsewhere")
    try:
        first, second = purging.purge_due(settings)
        assert "the schema is not there" in str(first.error)
        assert (second.complete, second.error) == (True, None)
        assert purging.purge_due(settings) == []
    finally:
        with one.region.owner() as connection:
            connection.execute("ALTER SCHEMA dept_elsewhere RENAME TO dept_one")
    with main(settings) as connection:
        connection.execute("UPDATE purges SET ended_at = now() - interval '16 minutes'")
    assert [(each.tenant, each.total) for each in purging.purge_due(settings)] == [("dept-one", 31)]


def test_what_ran_out_of_time_goes_on_at_once(settings: Settings, one: Department) -> None:
    brief = settings.model_copy(update={"purge_timeout": 0.0})
    assert [(each.total, each.complete) for each in purging.purge_due(brief)] == [(0, False)]
    assert [(each.total, each.complete) for each in purging.purge_due(settings)] == [(31, True)]


def test_two_processes_do_not_purge_one_tenant_at_once(settings: Settings, one: Department) -> None:
    with purging._alone(settings, "dept-one") as mine:
        assert mine
        assert purging.purge_due(settings) == []
        [refused] = now(settings, "dept-one")
    assert refused.error == "it is being purged by another process"
    assert events(one) == 60


def test_removed_tenants_and_lines_without_such_data_are_left_alone(settings: Settings, one: Department) -> None:
    record(settings, "plain")
    with main(settings) as connection:
        connection.execute("UPDATE tenants SET status = 'removed' WHERE slug = 'dept-one'")
    assert purging.purge_due(settings) == []
    with pytest.raises(InputError, match="'plain' has no data that is purged by age"):
        now(settings, "plain")
    with pytest.raises(NotFoundError, match="there is no tenant 'plane'"):
        now(settings, "plane")


def test_a_manifest_that_cannot_be_read_is_told_and_holds_up_nobody(settings: Settings, one: Department) -> None:
    with main(settings) as connection:
        connection.execute(
            "INSERT INTO tenants (slug, name, status, last_good_manifest) VALUES ('a', 'a', 'active', '{}')"
        )
    told: list[str] = []
    done = purging.purge_now(settings, None, tell=lambda tenant, _why: told.append(tenant))
    assert (told, [each.tenant for each in done]) == (["a"], ["dept-one"])


async def test_the_worker_purges_until_it_is_stopped(settings: Settings, one: Department) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(purging.run(settings, stop))
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(recorded, settings):  # noqa: ASYNC110 - a row is what is waited for
            await asyncio.sleep(0.05)
        stop.set()
        await running
    assert events(one) == 30


async def test_no_purge_where_it_is_switched_off(settings: Settings, one: Department) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(purging.run(settings.model_copy(update={"purge_every": 0.0}), stop))
    await asyncio.sleep(0.2)
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 10)
    assert recorded(settings) == []


def test_the_command_counts_purges_and_lists(
    settings: Settings, one: Department, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tenantry(monkeypatch, "purge", "dept-one", "--dry-run", "--json") == 0
    counted = json.loads(capsys.readouterr().out)
    assert counted["tenants"][0]["rows"] == dict.fromkeys(AGEING, 0) | {"events": 30, "workflow_runs": 1}
    assert (events(one), recorded(settings)) == (60, [])
    assert tenantry(monkeypatch, "purge", "dept-one") == 0
    said = capsys.readouterr().out
    assert "events 30, workflow_runs 1" in said
    assert "complete" in said
    assert events(one) == 30
    assert tenantry(monkeypatch, "purge", "--list", "--json") == 0
    [row] = json.loads(capsys.readouterr().out)["purges"]
    assert (row["tenant"], row["retention"], row["total"]) == ("dept-one", "90d", 31)
    assert tenantry(monkeypatch, "purge", "--list") == 0
    assert "dept-one" in capsys.readouterr().out


def test_the_command_fails_where_a_purge_fails(
    settings: Settings, one: Department, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as wrong:
        wrong.setenv("TENANTRY_BACKEND_TEST_DB", "wrong-word")
        wrong.setattr("providers.session.WAITS", (0.01, 0.01, 0.01))
        assert tenantry(wrong, "purge", "--json") == RunLeftError.exit_code
        said = capsys.readouterr()
        assert "refuses the login" in json.loads(said.out)["tenants"][0]["error"]
        assert "wrong-word" not in said.out + said.err
        assert tenantry(wrong, "purge", "--dry-run") == RunLeftError.exit_code


def test_what_a_tenant_has_cost_counts_runs_that_were_purged(settings: Settings, one: Department) -> None:
    def document() -> dict[str, Any]:
        with transaction(engine_for(settings), settings) as connection:
            known = costs.facts(connection, "dept-one")
        return costs.cost(known)

    before = document()
    assert (before["currency"], before["warnings"], before["sizing"]["cpu"]) == ("EUR", [], 0.5)
    assert [item["what"] for item in before["month"]["items"]] == ["cpu", "connections", "workflow runs"]
    assert before["since"]["workflow_runs"] == 2
    assert 10 <= float(before["since"]["hours"]) < 10.1
    now(settings, "dept-one")
    assert document()["since"]["workflow_runs"] == 2


def test_a_cost_is_told_though_the_tenants_database_is_away(
    settings: Settings, one: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction(engine_for(settings), settings) as connection:
        known = costs.facts(connection, "dept-one")
    with monkeypatch.context() as wrong:
        wrong.setenv("TENANTRY_BACKEND_TEST_DB", "wrong-word")
        found = costs.cost(known)
    assert float(found["since"]["amount"]) > 0
    assert "workflow runs are not known: " in found["warnings"][0]


def test_the_command_tells_a_cost_before_and_after_creation(
    settings: Settings, one: Department, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tenantry(monkeypatch, "cost", "dept-one") == 0
    said = capsys.readouterr().out
    assert "dept-one costs 12.15 EUR in a month of 730 hours" in said
    assert "workflow runs" in said
    path = write_manifest(Path(), "planned")
    for words in (("--file", str(path)), ("planned",)):
        assert tenantry(monkeypatch, "cost", *words, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["tenant"], found["month"]["amount"], found["since"]) == ("planned", "12.1450", None)
    assert tenantry(monkeypatch, "cost", "nobody") == 2
    assert "there is no tenant 'nobody'" in capsys.readouterr().err


def test_a_wrong_price_table_is_told(
    settings: Settings, one: Department, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("prices.yaml")
    path.write_text("currency: gold\n", encoding="utf-8")
    monkeypatch.setenv("TENANTRY_PRICES", str(path))
    assert tenantry(monkeypatch, "cost", "dept-one") == 2
    said = capsys.readouterr().err
    assert "the price table prices.yaml cannot be used: currency" in said
    assert "TENANTRY_PRICES" in said

"""Commands as a user types them, on a real engine and real databases. TENANTRY_ENGINE=stock is for the CLI."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.automation.helpers import PASSPHRASE, ROOT, write_manifest

pytestmark = pytest.mark.timeout(300)
ENGINE = os.environ.get("TENANTRY_ENGINE", "embedded")
STEPS = ("record", "database", "schema", "settings", "activation")


class Shop:
    """A project with its own slugs, so that databases and roles of tests do not meet."""

    def __init__(self, project: Path, server: Any, main_db: Any) -> None:
        self.project = project
        self.server = server
        self.main_db = main_db
        self.slug = f"e2e-{main_db.name[-8:]}"
        self.slugs = [self.slug]
        self.environment = {
            **os.environ,
            "TENANTRY_ENGINE": ENGINE,
            "TENANTRY_RETRY_DELAYS": "[0.1]",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        }
        write_manifest(project, self.slug)

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "automation", *words]
        return subprocess.Popen(
            command,
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Runs a command with --json. Returns its document."""
        process = self.start(*words, "--json")
        out, err = process.communicate(timeout=120)
        assert PASSPHRASE not in out + err
        assert self.server.password not in out + err
        assert process.returncode == code, (out, err)
        content = json.loads(out)
        assert isinstance(content, dict)
        return content

    def write(self, slug: str | None = None, **changes: Any) -> None:
        slug = slug or self.slug
        if slug not in self.slugs:
            self.slugs.append(slug)
        write_manifest(self.project, slug, **changes)

    def query(self, statement: str, *values: object, database: str | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.url(database or self.main_db.name), autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def database(self, slug: str | None = None) -> str:
        return f"cabinet_{(slug or self.slug).replace('-', '_')}"

    def objects(self, slug: str | None = None) -> dict[str, int]:
        """How many of each object of the tenant exist."""
        slug = slug or self.slug
        name = self.database(slug)
        return {
            "records": len(self.query("SELECT 1 FROM cabinets WHERE slug = %s", slug)),
            "databases": len(self.query("SELECT 1 FROM pg_database WHERE datname = %s", name)),
            "roles": len(self.query("SELECT 1 FROM pg_roles WHERE rolname = %s", f"{name}_app")),
        }

    def locks(self) -> list[Path]:
        return list((self.project / ".tenantry" / "state" / ".pulumi").glob("locks/**/*.json"))

    def clean(self) -> None:
        for slug in self.slugs:
            self.query(f'DROP DATABASE IF EXISTS "{self.database(slug)}" WITH (FORCE)', database="postgres")
            self.query(f'DROP ROLE IF EXISTS "{self.database(slug)}_app"', database="postgres")


@pytest.fixture
def shop(project: Path, postgres: Any, main_db: Any) -> Any:
    made = Shop(project, postgres, main_db)
    yield made
    made.clean()


ONE = {"records": 1, "databases": 1, "roles": 1}
NONE = {"records": 0, "databases": 0, "roles": 0}


_TRIGGER = "CREATE TRIGGER refuses BEFORE {} FOR EACH ROW EXECUTE FUNCTION public.refuse()"
_FUNCTION = "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NEW; END $$"


def break_settings(shop: Shop) -> None:
    """Makes the tenant's database refuse new settings."""
    for statement in (_FUNCTION.format("RAISE 'not today';"), _TRIGGER.format("INSERT OR UPDATE ON cabinet.settings")):
        shop.query(statement, database=shop.database())


def break_records(shop: Shop) -> None:
    """Makes the main database refuse to activate cabinets: the last step of a first create fails."""
    body = "IF NEW.status = 'active' THEN RAISE 'no activation today'; END IF;"
    for statement in (_FUNCTION.format(body), _TRIGGER.format("UPDATE ON cabinets")):
        shop.query(statement)


def test_create_nothing_change_destroy(shop: Shop) -> None:
    preview = shop.run("preview", shop.slug)
    assert preview["counts"]["create"] > 5
    assert not (shop.project / "stacks" / f"Pulumi.{shop.slug}.yaml").exists()
    assert shop.objects() == NONE

    created = shop.run("up", shop.slug)
    assert [step["status"] for step in created["steps"]] == ["completed"] * 6
    assert shop.objects() == ONE
    assert (shop.project / "stacks" / f"Pulumi.{shop.slug}.yaml").exists()

    assert not shop.run("up", shop.slug, "--expect-no-changes")["changed"]

    shop.write(customSettings={"currency": "EUR"})
    preview = shop.run("preview", shop.slug)
    assert {change["step"] for change in preview["changes"]} == {"settings"}
    paths = [row["path"] for change in preview["changes"] for row in change["properties"]]
    assert any("currency" in path for path in paths)
    assert shop.run("up", shop.slug)["changed"]
    assert shop.query("SELECT value FROM cabinet.settings WHERE section = 'currency'", database=shop.database()) == [
        ("EUR",)
    ]

    removed = shop.run("destroy", shop.slug, "--yes")
    assert removed["status"] == "succeeded"
    assert shop.objects() == NONE
    assert not shop.locks()


def test_without_a_database_of_its_own(shop: Shop) -> None:
    shop.write(skipDatabaseCreation=True)
    result = shop.run("up", shop.slug)
    assert {step["key"]: step["status"] for step in result["steps"]}["database"] == "skipped"
    assert shop.objects() == {"records": 1, "databases": 0, "roles": 0}
    shop.run("destroy", shop.slug, "--yes")
    assert shop.objects() == NONE
    assert shop.query("SELECT 1 FROM pg_namespace WHERE nspname = %s", shop.database()) == []


def test_a_failing_create_is_removed(shop: Shop) -> None:
    shop.run("db", "upgrade")
    break_records(shop)
    result = shop.run("up", shop.slug, code=3)
    assert "no activation today" in result["error"]["message"]
    steps = {step["key"]: step["status"] for step in result["steps"]}
    assert steps == {"validation": "completed"} | dict.fromkeys(STEPS, "rolled_back")
    assert shop.objects() == NONE
    assert not shop.locks()
    shown = shop.run("show", shop.slug)
    assert shown["status"] == "removed"
    assert shown["deployment"]["status"] == "rolled_back"
    undone = sorted(
        (step for step in shown["deployment"]["steps"] if step["rolled_back_at"]),
        key=lambda step: step["rolled_back_at"],
    )
    assert [step["key"] for step in undone] == list(reversed(STEPS))


def test_a_failing_change_goes_back(shop: Shop) -> None:
    shop.run("up", shop.slug)
    before = shop.query("SELECT name, status FROM cabinets")
    break_settings(shop)
    shop.write(name="A name that will not last", customSettings={"currency": "EUR"})
    result = shop.run("up", shop.slug, code=3)
    assert "not today" in result["error"]["message"]
    assert shop.query("SELECT name, status FROM cabinets") == before
    assert shop.objects() == ONE
    shop.write()
    assert not shop.run("up", shop.slug, "--expect-no-changes")["changed"]


def test_one_step_again(shop: Shop) -> None:
    # The database step fails: somebody else has that name.
    name = shop.database()
    shop.query(f'CREATE ROLE "{name}_app" NOLOGIN', database="postgres")
    shop.query(f'CREATE DATABASE "{name}"', database="postgres")
    failed = shop.run("up", shop.slug, "--no-rollback", code=9)
    assert {step["key"]: step["status"] for step in failed["steps"]}["database"] == "failed"
    too_early = shop.run("up", shop.slug, "--step", "settings", code=9)
    assert "--step schema" in too_early["error"]["hint"]
    assert {step["key"]: step["status"] for step in too_early["steps"]}["database"] == "skipped"
    shop.query(f'DROP DATABASE "{name}"', database="postgres")
    shop.query(f'DROP ROLE "{name}_app"', database="postgres")
    result = shop.run("up", shop.slug, "--step", "database")
    assert {step["key"]: step["message"] for step in result["steps"]}["record"] == "not needed"
    assert shop.objects() == ONE
    assert shop.run("show", shop.slug)["status"] == "active"
    assert not shop.run("up", shop.slug, "--expect-no-changes")["changed"]
    shop.query("UPDATE cabinets SET status = 'inactive'")
    shop.run("refresh", shop.slug)
    assert shop.run("up", shop.slug, "--step", "activation")["changed"]
    shop.run("destroy", shop.slug, "--yes")


def test_rollback_by_hand(shop: Shop) -> None:
    first = shop.run("up", shop.slug)
    name = shop.query("SELECT name FROM cabinets")
    shop.write(name="Another name")
    second = shop.run("up", shop.slug)
    assert shop.query("SELECT name FROM cabinets") == [("Another name",)]
    shop.run("rollback", second["deployment"][:8], "--yes")
    assert shop.query("SELECT name FROM cabinets") == name
    shop.run("rollback", first["deployment"], "--yes")
    assert shop.objects() == NONE
    assert [row["status"] for row in shop.run("history", shop.slug)["deployments"]] == [
        "succeeded",
        "succeeded",
        "rolled_back",
        "rolled_back",
    ]


def test_drift_is_found_and_repaired(shop: Shop) -> None:
    shop.run("up", shop.slug)
    assert shop.run("refresh", shop.slug, "--expect-no-changes")["drift"] == []
    shop.query("UPDATE cabinets SET phone = '0'")
    drifted = shop.run("refresh", shop.slug, "--expect-no-changes", code=7)
    assert len(drifted["drift"]) == 1
    assert shop.run("up", shop.slug)["changed"]
    assert shop.query("SELECT phone FROM cabinets WHERE phone = '0'") == []


def test_many_at_once(shop: Shop) -> None:
    others = [f"{shop.slug}-{letter}" for letter in "abc"]
    for slug in others:
        shop.write(slug)
    result = shop.run("up", "--all", "--workers", "2")
    assert result["failed"] == 0
    assert len(result["tenants"]) == 4
    assert all(shop.objects(slug) == ONE for slug in (shop.slug, *others))
    assert len(shop.run("list")["tenants"]) == 4
    for slug in (shop.slug, *others):
        shop.run("destroy", slug, "--yes")


def test_two_runs_of_one_tenant(shop: Shop) -> None:
    shop.run("db", "upgrade")
    first = shop.start("up", shop.slug, "--jsonl")
    assert first.stdout is not None
    wait_for(first, lambda line: running(line, "record"))
    # Holds the first run where it writes its record, or at the latest where it activates it.
    with psycopg.connect(shop.main_db.url) as holder:
        holder.execute("LOCK TABLE cabinets IN ACCESS EXCLUSIVE MODE")
        refused = shop.run("up", shop.slug, code=5)
    assert str(first.pid) in refused["error"]["message"]
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, (out, err)
    assert shop.objects() == ONE


def test_ctrl_c_leaves_what_is_finished_and_up_continues(shop: Shop) -> None:
    process = shop.start("up", shop.slug, "--jsonl")
    wait_for(process, lambda line: running(line, "database"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, (out, err)
    assert not shop.locks()
    assert shop.run("up", shop.slug)["status"] == "succeeded"
    assert shop.objects() == ONE


@pytest.mark.parametrize("step", STEPS)
def test_sigkill_in_each_step_then_up(shop: Shop, step: str) -> None:
    process = shop.start("up", shop.slug, "--jsonl")
    wait_for(process, lambda line: running(line, step))
    kill(process)
    result = shop.run("up", shop.slug)
    assert result["status"] == "succeeded"
    assert shop.objects() == ONE
    assert not shop.locks()
    statuses = [row["status"] for row in shop.run("history", shop.slug)["deployments"]]
    assert statuses == ["succeeded", "interrupted"]
    assert not shop.run("up", shop.slug, "--expect-no-changes")["changed"]


def test_sigkill_then_destroy_leaves_nothing(shop: Shop) -> None:
    process = shop.start("up", shop.slug, "--jsonl")
    wait_for(process, lambda line: running(line, "database"))
    kill(process)
    shop.run("destroy", shop.slug, "--yes")
    assert shop.objects() == NONE
    assert not shop.locks()


def test_the_wrong_passphrase_and_a_damaged_state(shop: Shop) -> None:
    shop.run("up", shop.slug)
    right = shop.environment["PULUMI_CONFIG_PASSPHRASE"]
    shop.environment["PULUMI_CONFIG_PASSPHRASE"] = "another one altogether"
    wrong = shop.run("up", shop.slug, code=8)
    assert "passphrase does not fit" in wrong["error"]["message"]
    shop.environment["PULUMI_CONFIG_PASSPHRASE"] = right
    state = shop.project / ".tenantry" / "state" / ".pulumi" / "stacks" / "tenantry" / f"{shop.slug}.json"
    good = state.read_bytes()
    state.write_bytes(good[: len(good) // 2])
    for words in (("up", shop.slug), ("preview", shop.slug), ("destroy", shop.slug, "--yes")):
        damaged = shop.run(*words, code=8)
        assert "is damaged" in damaged["error"]["message"]
        assert ".bak" in damaged["error"]["hint"]
    state.write_bytes(good)
    assert not shop.run("up", shop.slug, "--expect-no-changes")["changed"]
    assert shop.objects() == ONE


def running(line: dict[str, Any], step: str) -> bool:
    return line["type"] == "progress" and any(
        row["key"] == step and row["status"] == "running" for row in line["steps"]
    )


def wait_for(process: subprocess.Popen[str], seen: Callable[[dict[str, Any]], bool]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if seen(json.loads(line)):
            return
    out, err = process.communicate(timeout=30)
    pytest.fail(f"it ended early: {out} {err}")


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the command and, a moment later, to what it started: a machine that goes down."""
    process.kill()
    process.communicate(timeout=60)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    time.sleep(0.2)

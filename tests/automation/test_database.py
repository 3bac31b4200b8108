"""The control tables: models and migrations agree, upgrades are safe at once, and duplicates are refused."""

import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from automation import errors, history, models_jobs, models_lines  # noqa: F401 - the metadata is that of all of them
from automation.database import engine_for, ensure_ready, transaction
from automation.locks import tenant_lock
from automation.models import HEAD, metadata
from automation.settings import load_settings
from tests.automation.helpers import ROOT


def test_the_head_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", "automation:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_migrations_make_what_the_models_say(project: Path, main_db: Any) -> None:
    settings = load_settings()
    assert ensure_ready(settings) == ""
    assert ensure_ready(settings) == HEAD
    with engine_for(settings).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_second_look_needs_no_alembic(project: Path, main_db: Any) -> None:
    ensure_ready(load_settings())
    code = (
        "import sys; from automation.database import ensure_ready; from automation.settings import load_settings; "
        "ensure_ready(load_settings()); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"


def test_upgrades_at_the_same_time(project: Path, main_db: Any) -> None:
    code = (
        "from automation.database import ensure_ready; from automation.settings import load_settings; "
        "ensure_ready(load_settings())"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert ensure_ready(load_settings()) == HEAD


def test_the_database_itself_refuses_a_second_running_deployment(project: Path, main_db: Any) -> None:
    settings = load_settings()
    ensure_ready(settings)

    def start() -> uuid.UUID:
        new = history.NewDeployment(tenant="acme", name="Acme", operation="up", engine="fake", correlation_id="c")
        with transaction(engine_for(settings), settings) as connection:
            history.start(connection, new, [], {})
        return new.id

    first = start()
    with pytest.raises(errors.LockedError, match="running deployment"):
        start()
    with transaction(engine_for(settings), settings) as connection:
        history.finish(connection, first, {}, status="succeeded")
    assert start() != first


def test_a_lock_that_was_let_go_is_free_though_its_session_lives_on(
    project: Path, main_db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings()
    kept: list[psycopg.Connection[Any]] = []

    def keep(connection: psycopg.Connection[Any]) -> None:
        kept.append(connection)

    with monkeypatch.context() as busy:
        # A server under load has not noticed yet that the connection has ended.
        busy.setattr(psycopg.Connection, "close", keep)
        with tenant_lock(settings, "acme", "up"):
            pass
    with tenant_lock(settings, "acme", "refresh") as lock:
        assert lock.alive()
    for connection in kept:
        connection.close()

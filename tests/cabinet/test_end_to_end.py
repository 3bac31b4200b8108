"""A cabinet through the Automation API and the embedded engine: up, no change, drift, a change, a refusal, destroy."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pulumi import automation as auto

from engine.command import EmbeddedCommand
from stacks.lines import CABINET
from stacks.manifest import parse_manifest
from stacks.resolve import resolve
from stacks.steps import step_of
from stacks.templates import TemplateStore

ROOT = Path(__file__).resolve().parents[2]
# The SDK's server for programs in this process makes an event loop for a thread and leaves it open.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
Query = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def stack_for(
    tmp_path: Path, cabinets: Query, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[dict[str, Any]], auto.Stack]]:
    """The stack of a manifest; its state is in the test's own folder."""
    plugin = tmp_path / "bin" / "pulumi-resource-postgresql"
    plugin.parent.mkdir()
    plugin.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m providers.postgresql "$@"\n', encoding="utf-8")
    plugin.chmod(0o755)
    (tmp_path / "state").mkdir()
    monkeypatch.setenv("PATH", f"{plugin.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'state'}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")

    def stack(data: dict[str, Any]) -> auto.Stack:
        work_dir = tmp_path / f"work-{data['slug']}"
        work_dir.mkdir(exist_ok=True)
        return auto.create_or_select_stack(
            stack_name=data["slug"],
            project_name="tenantry",
            program=CABINET.program(resolve(parse_manifest(data), TemplateStore())),
            opts=auto.LocalWorkspaceOptions(pulumi_command=EmbeddedCommand(), work_dir=str(work_dir)),
        )

    yield stack
    gc.collect()  # while the mark above counts


def changes(result: Any) -> dict[str, int]:
    return {
        str(operation): count
        for operation, count in (result.summary.resource_changes or {}).items()
        if operation != "same"
    }


def test_the_life_of_a_cabinet(stack_for: Any, cabinets: Query, manifest_data: dict[str, Any], tmp_path: Path) -> None:
    stack = stack_for(manifest_data)
    steps: list[str] = []

    def follow(event: Any) -> None:
        step = event.resource_pre_event and step_of(event.resource_pre_event.metadata.urn)
        # The components are announced together, before any step's work begins.
        if step and "dynamic/tenantry" in event.resource_pre_event.metadata.urn and step not in steps:
            steps.append(step)

    assert changes(stack.up(on_event=follow)) == {"create": 19}
    assert steps == ["record", "database", "schema", "settings", "activation"]
    assert changes(stack.up()) == {}
    outputs = stack.outputs()
    assert [name for name, output in outputs.items() if output.secret] == ["password"]
    state = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "state").rglob("*.json"))
    assert state
    assert outputs["password"].value not in state
    assert os.environ["DB_PASSWORD"] not in state

    cabinets("UPDATE cabinets SET status = 'inactive', city = 'Elsewhere'")
    stack.refresh()
    assert changes(stack.up()) == {"update": 2}
    assert cabinets("SELECT status, city FROM cabinets") == [("active", "Genève")]

    stack = stack_for(manifest_data | {"customSettings": {"booking": {"advanceDays": 14}}})
    assert changes(stack.up()) == {"update": 1}

    assert changes(stack.destroy()) == {"delete": 19}
    assert cabinets("SELECT count(*) FROM cabinets") == [(0,)]
    assert cabinets("SELECT datname FROM pg_database WHERE datname = 'cabinet_acme'") == []
    assert cabinets("SELECT rolname FROM pg_roles WHERE rolname = 'cabinet_acme_app'") == []


def test_a_taken_slug_fails_before_anything_is_made(
    stack_for: Any, cabinets: Query, manifest_data: dict[str, Any], record_props: dict[str, Any]
) -> None:
    from providers.cabinet_record import CabinetRecordProvider

    CabinetRecordProvider().create(record_props | {"tenant_mark": "elsewhere/acme", "name": "The others"})
    stack = stack_for(manifest_data)
    with pytest.raises(auto.CommandError, match=r"this slug is taken by elsewhere/acme \('The others'\)"):
        stack.up()
    assert cabinets("SELECT datname FROM pg_database WHERE datname = 'cabinet_acme'") == []
    stack.destroy()
    assert cabinets("SELECT tenant_mark FROM cabinets") == [("elsewhere/acme",)]


def test_without_an_own_database(stack_for: Any, cabinets: Query, manifest_data: dict[str, Any]) -> None:
    stack = stack_for(manifest_data | {"skipDatabaseCreation": True})
    stack.up()
    assert changes(stack.up()) == {}
    assert cabinets("SELECT count(*) FROM cabinet_acme.settings") == [(9,)]
    stack.destroy()
    assert cabinets("SELECT nspname FROM pg_namespace WHERE nspname = 'cabinet_acme'") == []


def test_a_lost_state_is_built_again_over_what_is_there(
    stack_for: Any, cabinets: Query, manifest_data: dict[str, Any], tmp_path: Path
) -> None:
    # What a killed process leaves at worst: everything made, nothing written down.
    stack = stack_for(manifest_data)
    stack.up()
    before = cabinets("SELECT id, created_at FROM cabinets")
    first = stack.outputs()["password"].value
    for path in (tmp_path / "state").rglob("acme.json*"):
        path.unlink()
    stack = stack_for(manifest_data)
    assert changes(stack.up()) == {"create": 19}
    assert changes(stack.up()) == {}
    assert cabinets("SELECT id, created_at FROM cabinets") == before
    outputs = stack.outputs()
    assert outputs["password"].value != first
    server = {"host": outputs["host"].value, "port": outputs["port"].value, "dbname": outputs["database"].value}
    login = {"user": outputs["role"].value, "password": outputs["password"].value}
    with psycopg.connect(**server, **login, connect_timeout=10) as app:
        assert app.execute("SELECT count(*) FROM settings").fetchone() == (9,)
    stack.destroy()
    assert cabinets("SELECT rolname FROM pg_roles WHERE rolname = 'cabinet_acme_app'") == []

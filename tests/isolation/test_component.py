"""The step `database` of a department, run by the embedded engine with its real providers."""

import shutil
from pathlib import Path
from typing import Any

import psycopg
import pulumi
import pytest
from pulumi import automation

from components.database import connection_url
from components.tenant_schema import DatabaseSizing, TenantSchema
from engine.command import EmbeddedCommand
from providers.connection import DatabaseSettings
from providers.row_security import SETTING
from tests.isolation.region import REGION, Region

SCHEMA, ROLE, MARK = "dept_sales", "dept_sales_app", "tenantry/sales"


class Root(pulumi.ComponentResource):
    """Stands for the department."""

    def __init__(self, sizing: DatabaseSizing) -> None:
        super().__init__("tenantry:department:Department", "sales")
        self.part = TenantSchema(
            "sales", schema=SCHEMA, role=ROLE, region=REGION, tenant_mark=MARK, sizing=sizing, tenant=self, after=[]
        )


@pytest.fixture
def sizing() -> dict[str, int]:
    return {"connections": 5, "statement_timeout_ms": 3000}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizing: dict[str, int]) -> Any:
    def program() -> None:
        part = Root(DatabaseSizing(**sizing)).part
        pulumi.export("url", part.url)
        pulumi.export("password", part.password)
        pulumi.export("where", [part.host, part.port, part.database, part.schema])

    monkeypatch.setenv("PATH", str(Path(shutil.which("env") or "/usr/bin/env").parent))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    (tmp_path / "state").mkdir()
    project = automation.ProjectSettings(
        name="tenantry", runtime="python", backend=automation.ProjectBackend(url=f"file://{tmp_path}/state")
    )
    options = automation.LocalWorkspaceOptions(
        work_dir=str(tmp_path),
        pulumi_command=EmbeddedCommand(),
        project_settings=project,
        env_vars={"PULUMI_CONFIG_PASSPHRASE": "test"},
    )
    return automation.create_or_select_stack("sales", project.name, program, opts=options)


def query(region: Region, text: str, *values: object) -> list[tuple[Any, ...]]:
    with region.root() as connection:
        return connection.execute(text, values).fetchall()  # type: ignore[arg-type] - constants of this file


def deleted(stack: Any) -> list[str]:
    """The names of the types that a destroy removes, in order."""
    order: list[str] = []

    def note(event: Any) -> None:
        if event.res_outputs_event is not None and event.res_outputs_event.metadata.op == "delete":
            order.append(event.res_outputs_event.metadata.type.rsplit(":", 1)[-1])

    stack.destroy(on_event=note)
    return order


def test_up_no_op_change_drift_destroy(region: Region, stack: Any, sizing: dict[str, int], tmp_path: Path) -> None:
    first = stack.up()
    url, password = (first.outputs[name] for name in ("url", "password"))
    assert url.secret
    assert password.secret
    with psycopg.connect(url.value, autocommit=True) as connection:
        connection.execute("INSERT INTO documents (title) VALUES ('hello')")
        assert connection.execute("SHOW statement_timeout").fetchone() == ("3s",)
    assert set(stack.up().summary.resource_changes) == {"same"}
    for state in (tmp_path / "state").rglob("*.json"):
        assert password.value not in state.read_text()
        assert region.password not in state.read_text()

    sizing |= {"connections": 9, "statement_timeout_ms": 4000}
    assert stack.up().summary.resource_changes["update"] == 1
    limits = "SELECT rolconnlimit, rolbypassrls, rolsuper FROM pg_roles WHERE rolname = %s"
    assert query(region, limits, ROLE) == [(9, False, False)]

    with region.owner() as connection:
        connection.execute(f"ALTER TABLE {SCHEMA}.documents NO FORCE ROW LEVEL SECURITY")
    assert stack.refresh().summary.resource_changes["update"] == 1
    assert stack.up().summary.resource_changes["update"] == 1
    assert query(region, f"SELECT relforcerowsecurity FROM pg_class WHERE oid = '{SCHEMA}.documents'::regclass") == [
        (True,)
    ]

    order = deleted(stack)
    assert order.index("IsolatedSchema") < order.index("Role")
    assert query(region, "SELECT nspname FROM pg_namespace WHERE nspname = %s", SCHEMA) == []
    assert query(region, "SELECT rolname FROM pg_roles WHERE rolname = %s", ROLE) == []


def test_what_is_gone_comes_back(region: Region, stack: Any) -> None:
    stack.up()
    with region.owner() as connection:
        connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    assert stack.refresh().summary.resource_changes["delete"] == 2
    url = stack.up().outputs["url"].value
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO documents (title) VALUES ('again')")
    stack.destroy()


@pytest.mark.parametrize("host", ["db.example", "::1"])
def test_the_url_is_one_that_libpq_reads(host: str) -> None:
    settings = DatabaseSettings(
        host=host, port=5433, user="admin", password="x", sslmode="require", main_database="a b", connect_timeout=3
    )
    url = connection_url(settings, "r/ole", "p@ss:w%rd", options=f"-c {SETTING}={MARK}")
    found = psycopg.conninfo.conninfo_to_dict(url)
    assert (found["host"], found["user"], found["password"], found["dbname"]) == (host, "r/ole", "p@ss:w%rd", "a b")
    assert found["options"] == f"-c tenantry.tenant={MARK}"

"""A program with `pulumi_postgresql`, run by the embedded engine, which finds this plugin by its entry point."""

from pathlib import Path
from typing import Any

import psycopg
import pulumi
import pulumi_postgresql as postgresql
import pytest

from tests.embedded import stacks_in
from tests.providers.plugin import Server


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return stacks_in(tmp_path, monkeypatch)


def test_up_no_op_change_drift_destroy(server: Server, unique: str, stack: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"limit": 5}

    def program() -> None:
        provider = postgresql.Provider("server", **_snake(server.args))
        options = pulumi.ResourceOptions(provider=provider)
        role = postgresql.Role(
            "app", name=f"{unique} 🦷", login=True, password=pulumi.Output.secret("w0rd"), opts=options
        )
        database = postgresql.Database(
            "main", name=unique, owner=role.name, connection_limit=settings["limit"], opts=options
        )
        schema = postgresql.Schema("app", name="app", database=database.name, owner=role.name, opts=options)
        postgresql.Grant(
            "use",
            role=role.name,
            database=database.name,
            object_type="schema",
            schema=schema.name,
            privileges=["USAGE", "CREATE"],
            opts=options,
        )
        pulumi.export("encoding", database.encoding)

    made = stack(program)
    assert made.preview().change_summary == {"create": 6}
    assert server.query("SELECT 1 FROM pg_database WHERE datname = %s", unique) is None
    try:
        first = made.up()
        assert first.outputs["encoding"].value == "UTF8"
        assert made.up().summary.resource_changes == {"same": 6}
        settings["limit"] = 9
        assert made.up().summary.resource_changes == {"same": 5, "update": 1}
        server.query(f'ALTER DATABASE "{unique}" CONNECTION LIMIT 1')
        assert made.refresh().summary.resource_changes == {"same": 5, "update": 1}
        assert made.up().summary.resource_changes == {"same": 5, "update": 1}
        assert server.query("SELECT datconnlimit FROM pg_database WHERE datname = %s", unique) == 9
        for state in (tmp_path / "state").rglob("*.json"):
            assert "w0rd" not in state.read_text()
            assert server.password not in state.read_text()
    finally:
        made.destroy()
    with psycopg.connect(server.url) as connection:
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s"
            " UNION SELECT rolname FROM pg_roles WHERE rolname LIKE %s",
            (f"{unique}%", f"{unique}%"),
        ).fetchall()
    assert left == []


def _snake(args: dict[str, str]) -> dict[str, Any]:
    return {name: int(value) if name == "port" else value for name, value in args.items()}

"""A project with one ISP, and what there is of it on each server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import yaml

from sandbox.postgres import EmbeddedPostgres
from tests.automation.helpers import ROOT
from tests.commands import run_json
from tests.conftest import MainDatabase

ENGINE = os.environ.get("TENANTRY_ENGINE", "embedded")
REGION = "here"
PASSWORD = "TENANTRY_BACKEND_HERE_DB"
NOTHING = {"databases": 0, "roles": 0, "records": 0}
ONE = dict.fromkeys(NOTHING, 1)


class IspYard:
    """One ISP's project. Its slug is of this test only."""

    def __init__(self, project: Path, postgres: EmbeddedPostgres, main: MainDatabase) -> None:
        self.project = project
        self.postgres = postgres
        self.main = main.name
        self.slug = f"i{main.name[-8:]}"
        self.name = f"Net of {self.slug}"
        self.environment = {
            **os.environ,
            PASSWORD: postgres.password,
            "TENANTRY_ENGINE": ENGINE,
            "TENANTRY_RETRY_DELAYS": "[0.1]",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        }
        self.database = {
            "host": postgres.host,
            "port": postgres.port,
            "user": postgres.user,
            "passwordFrom": PASSWORD,
            "name": main.name,
            "sslmode": "disable",
        }

    def region(self, **parts: Any) -> None:
        """The region that the ISP is in; `internal` is where containers reach its database."""
        file = self.project / "backends.yaml"
        internal = parts.pop("internal")
        content = {"database": {**self.database, "internal": internal}, **parts}
        file.write_text(yaml.safe_dump({"regions": {REGION: content}}))
        self.environment["TENANTRY_BACKENDS"] = str(file)

    def write(self, **changes: Any) -> None:
        """Writes the ISP's manifest."""
        content = {
            "kind": "isp",
            "slug": self.slug,
            "name": self.name,
            "adminEmail": "head@isp.example",
            "region": REGION,
            "customerCount": 500,
            "planType": "standard",
            "features": ["billing"],
            **changes,
        }
        (self.project / "stacks" / f"{self.slug}.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))

    def run(self, *words: str, code: int = 0, seconds: float = 280) -> dict[str, Any]:
        secrets = [self.postgres.password]
        return run_json(self.project, self.environment, *words, secrets=secrets, code=code, seconds=seconds)

    def up(self, *words: str, code: int = 0) -> dict[str, Any]:
        return self.run("up", self.slug, *words, code=code)

    def destroy(self) -> dict[str, Any]:
        return self.run("destroy", self.slug, "--yes")

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; its password is masked."""
        command = ["pulumi"] if ENGINE == "stock" else [sys.executable, "-m", "engine"]
        done = subprocess.run(
            [*command, "stack", "output", "--json", "-s", self.slug],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        assert found["password"] == "[secret]"
        return found

    @property
    def identifier(self) -> str:
        return f"isp_{self.slug}"

    def query(self, database: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.url(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def objects(self) -> dict[str, int]:
        """How many of each object of the tenant exist on the database's server."""

        def count(of: str, value: str) -> int:
            return int(self.query(self.main, f"SELECT count(*) FROM {of}", value)[0][0])

        known = self.query(self.main, "SELECT to_regclass('isps')")[0][0]
        return {
            "databases": count("pg_database WHERE datname = %s", self.identifier),
            "roles": count("pg_roles WHERE rolname = %s", f"{self.identifier}_app"),
            "records": count("isps WHERE tenant_mark = %s", f"tenantry/{self.slug}") if known else 0,
        }

    def status(self) -> str:
        rows = self.query(self.main, "SELECT status FROM isps WHERE slug = %s", self.slug)
        return str(rows[0][0]) if rows else "gone"


def parts_of(report: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    """Of a health report, by part whether it works and what was seen."""
    return {one["part"]: (one["ok"], one["detail"]) for one in report["parts"]}

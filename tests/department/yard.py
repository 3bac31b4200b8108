"""A project, a region whose every API a test can break, and what there is of a tenant on each server of it."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg
import yaml

from providers.n8n.naming import tag_name
from sandbox import supervisor
from sandbox.postgres import EmbeddedPostgres
from sandbox.region import DATABASE, EmbeddedRegion
from tests.automation.helpers import ROOT
from tests.commands import run_json
from tests.department.faulty import FaultyApi

ENGINE = os.environ.get("TENANTRY_ENGINE", "embedded")
APIS = {"oauth": "issuer", "n8n": "url", "container": "url", "gateway": "admin"}
"""The parts of a region that are reached by HTTP, and the key of their address."""
NOTHING = dict.fromkeys(
    ("schemas", "roles", "clients", "processes", "workflows", "credentials", "tags", "routes", "records"), 0
)
_STOPPED_STATES = {0, 100, 200}


class Yard:
    """One department's project. Its slug is of this test only."""

    def __init__(self, project: Path, postgres: EmbeddedPostgres, region: EmbeddedRegion, main: str) -> None:
        self.project = project
        self.postgres = postgres
        self.region = region
        self.main = main
        self.slug = f"dep-{main[-8:]}"
        self.apis: dict[str, FaultyApi] = {}
        self.environment: dict[str, str] = {}
        self._holding: list[psycopg.Connection[Any]] = []

    @contextmanager
    def open(self) -> Iterator[Self]:
        """With a proxy before each API."""
        content = yaml.safe_load((self.region.directory / "backends.yaml").read_text())
        self.backends = content["regions"]["local"]
        with ExitStack() as stack:
            own = {name: dict(part) for name, part in self.backends.items()}
            for name, key in APIS.items():
                self.apis[name] = stack.enter_context(FaultyApi(own[name][key]).serving())
                own[name][key] = self.apis[name].url
            # n8n's webhooks are called where they are: what is broken here is what we ask of it.
            own["n8n"]["webhookUrl"] = self.backends["n8n"]["url"]
            file = self.project / "backends.yaml"
            file.write_text(yaml.safe_dump({"regions": {"local": own}}))
            self.environment = {
                **os.environ,
                **self.region.environment,
                "TENANTRY_BACKENDS": str(file),
                "TENANTRY_ENGINE": ENGINE,
                "TENANTRY_RETRY_DELAYS": "[0.1]",
                "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
            }
            try:
                yield self
            finally:
                self.lets_go()

    def write(self, slug: str | None = None, **changes: Any) -> None:
        """Writes the department's manifest."""
        slug = slug or self.slug
        content = {
            "kind": "department",
            "slug": slug,
            "name": f"Department {slug}",
            "adminEmail": "head@department.example",
            "region": "local",
            "workflows": ["database"],
            **changes,
        }
        (self.project / "stacks" / f"{slug}.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))

    def run(self, *words: str, code: int = 0, seconds: float = 170) -> dict[str, Any]:
        """Runs a command with --json. Returns its document; no secret is in it, nor in what is said beside."""
        values = [value for name, value in self.region.environment.items() if name != "TENANTRY_BACKENDS"]
        return run_json(self.project, self.environment, *words, secrets=values, code=code, seconds=seconds)

    def start_up(self) -> int:
        """The exit code of `up`."""
        done = subprocess.run(
            [sys.executable, "-m", "automation", "up", self.slug, "--json"],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            check=False,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode

    # What there is on each server

    def objects(self, slug: str | None = None) -> dict[str, int]:
        """How many of each object of the tenant exist."""
        slug = slug or self.slug
        identifier = f"department_{slug.replace('-', '_')}"
        mark = f"tenantry/{slug}"
        return {
            "schemas": self._count(DATABASE, "pg_namespace WHERE nspname = %s", identifier),
            "roles": self._count(DATABASE, "pg_roles WHERE rolname LIKE %s", f"{identifier}%"),
            "clients": self._clients(slug),
            "processes": self._processes(slug),
            "workflows": self._n8n("workflows", slug),
            "credentials": self._n8n("credentials", slug),
            "tags": self._n8n("tags", slug),
            "routes": self._routes(slug),
            "records": self._count(self.main, "departments WHERE tenant_mark = %s", mark),
        }

    def query(self, database: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.url(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def holds(self, database: str, statement: str) -> None:
        """Whoever wants what this statement has locked waits from now on."""
        connection = psycopg.connect(self.postgres.url(database), connect_timeout=10)
        self._holding.append(connection)
        connection.execute(statement.encode())

    def lets_go(self) -> None:
        """What is held is free again, and nothing of it is done."""
        while self._holding:
            connection = self._holding.pop()
            connection.rollback()
            connection.close()

    def facts(self) -> dict[str, Any]:
        """What each server has of the tenant, in full."""
        identifier = f"department_{self.slug.replace('-', '_')}"
        row = "SELECT name, admin_email, retention, status FROM departments WHERE slug = %s"
        role = "SELECT rolconnlimit, rolconfig, rolcanlogin FROM pg_roles WHERE rolname = %s"
        return {
            "record": self.query(self.main, row, self.slug),
            "role": self.query(DATABASE, role, f"{identifier}_app"),
            "client": self._client_rows(),
            "process": self._document(),
            "workflows": [
                {key: row[key] for key in ("id", "name", "nodes", "connections", "settings", "active")}
                for row in self._n8n_rows("workflows", self.slug)
            ],
            "route": self._route(),
        }

    def _client_rows(self) -> list[tuple[Any, ...]]:
        (file,) = (self.region.directory / "authorization").rglob("clients.sqlite")
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            wanted = "SELECT client_id, metadata FROM clients WHERE software_id = ?"
            return connection.execute(wanted, (f"tenantry/{self.slug}",)).fetchall()
        finally:
            connection.close()

    def _document(self) -> dict[str, Any]:
        """The process's document, but for the number of its changes, and without a secret."""
        server = supervisor.attach(self.region.directory / "supervisor")
        assert server is not None
        content: dict[str, Any] = json.loads((server.programs / f"tenant-{self.slug}.json").read_text())
        environment = {name: hash(value) for name, value in content["environment"].items()}
        return {**content, "environment": environment, "revision": None}

    def _route(self) -> list[Any]:
        """The tenant's routes, and what they lead to."""
        config = httpx.get(f"{self.region.gateway.admin}/config/", timeout=20, trust_env=False).json()
        server = config["apps"]["http"]["servers"][self.region.gateway.server]
        named = server.get("named_routes") or {}
        return [
            *(route for route in server["routes"] if self.slug in json.dumps(route)),
            *(route for name, route in sorted(named.items()) if self.slug in name or self.slug in json.dumps(route)),
        ]

    def _count(self, database: str, of: str, *values: object) -> int:
        if database == self.main and not self.query(database, "SELECT to_regclass('departments')")[0][0]:
            return 0
        return int(self.query(database, f"SELECT count(*) FROM {of}", *values)[0][0])

    def _clients(self, slug: str) -> int:
        files = list((self.region.directory / "authorization").rglob("clients.sqlite"))
        assert len(files) == 1
        with sqlite3.connect(f"file:{files[0]}?mode=ro", uri=True) as connection:
            found = connection.execute("SELECT count(*) FROM clients WHERE software_id = ?", (f"tenantry/{slug}",))
            count = int(found.fetchone()[0])
        connection.close()
        return count

    def _processes(self, slug: str) -> int:
        server = supervisor.attach(self.region.directory / "supervisor")
        assert server is not None
        url = server.url.replace("://", f"://{server.user}:{server.password}@")
        with xmlrpc.client.ServerProxy(f"{url}/RPC2") as proxy:
            known: Any = proxy.supervisor.getAllProcessInfo()
        return sum(one["name"] == f"tenant-{slug}" or one["group"] == f"tenant-{slug}" for one in known)

    def _n8n(self, kind: str, slug: str) -> int:
        return len(self._n8n_rows(kind, slug))

    def _n8n_rows(self, kind: str, slug: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        headers = {"X-N8N-API-KEY": self.region.environment["TENANTRY_BACKEND_LOCAL_N8N"]}
        for _ in range(100):
            answer = httpx.get(
                f"{self.backends['n8n']['url']}/api/v1/{kind}",
                params={"limit": 100, **({"cursor": cursor} if cursor else {})},
                headers=headers,
                timeout=20,
                trust_env=False,
            )
            answer.raise_for_status()
            found += answer.json()["data"]
            cursor = answer.json().get("nextCursor") or ""
            if not cursor:
                break
        mark = f"tenantry/{slug}"
        return [one for one in found if one["name"].startswith(f"{mark} ") or one["name"] == tag_name(mark)]

    def _routes(self, slug: str) -> int:
        config = httpx.get(f"{self.region.gateway.admin}/config/", timeout=20, trust_env=False).json()
        return len(set(re.findall(rf'"@id": "([^"]*{slug}[^"]*)"', json.dumps(config))))

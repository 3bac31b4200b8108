"""A project with points of sale, the simulated ERPNext that they are made in, and what there is of each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
import yaml

from sandbox.erpnext import local
from sandbox.erpnext.faults import Asked, Fault
from sandbox.erpnext.local import LocalErpNext
from sandbox.postgres import EmbeddedPostgres
from tests.automation.helpers import ROOT
from tests.commands import run_json

ENGINE = os.environ.get("TENANTRY_ENGINE", "embedded")
KEY, SECRET = "TENANTRY_BACKEND_TEST_KEY", "TENANTRY_BACKEND_TEST_SECRET"
OURS = (
    "Company",
    "Warehouse",
    "Price List",
    "Item",
    "Item Price",
    "Customer",
    "POS Profile",
    "POS Opening Entry",
    "Stock Entry",
    "User",
)
"""What a point of sale is made of."""
SHARED = ("Selling Settings", "Stock Settings", "Mode of Payment")


class Yard:
    """One project. `erp` is its site."""

    def __init__(self, project: Path, postgres: EmbeddedPostgres, main: str, erp: LocalErpNext) -> None:
        self.project = project
        self.postgres = postgres
        self.main = main
        self.erp = erp
        backend = {"url": erp.url, "keyFrom": KEY, "secretFrom": SECRET}
        self.environment = environment(project, {"erpnext": backend}, **{KEY: erp.key, SECRET: erp.secret})

    @classmethod
    @contextmanager
    def open(cls, project: Path, postgres: EmbeddedPostgres, main: str, *, wizard: bool = True) -> Iterator[Self]:
        with local.served(wizard=wizard) as erp:
            yield cls(project, postgres, main, erp)

    def write(self, slug: str = "duka", **changes: Any) -> None:
        """Writes a manifest. What is None is left out."""
        content = {
            "kind": "pos",
            "slug": slug,
            "name": f"Shop {slug}",
            "region": "local",
            "category": "retail",
            "countryCode": "KE",
            "provisioningType": "FULL_POS",
            **changes,
        }
        kept = {key: value for key, value in content.items() if value is not None}
        (self.project / "stacks" / f"{slug}.yaml").write_text(yaml.safe_dump(kept, allow_unicode=True))

    def run(self, *words: str, code: int = 0, seconds: float = 400) -> dict[str, Any]:
        """Runs a command with --json. Returns its document; no secret is in it, nor in what is said beside."""
        return run_json(
            self.project, self.environment, *words, secrets=[self.erp.key, self.erp.secret], code=code, seconds=seconds
        )

    def up(self, slug: str = "duka", *words: str, code: int = 0) -> dict[str, Any]:
        return self.run("up", slug, *words, code=code)

    def begin(self, slug: str, *words: str) -> subprocess.Popen[str]:
        """An `up` that nobody waits for."""
        return subprocess.Popen(
            [sys.executable, "-m", "automation", "up", slug, "--json", *words],
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def status(self, slug: str = "duka") -> str:
        """What the main database says that the tenant is."""
        with psycopg.connect(self.postgres.url(self.main), connect_timeout=10) as connection:
            row = connection.execute("SELECT status FROM tenants WHERE slug = %s", (slug,)).fetchone()
        assert row is not None
        return str(row[0])

    # The site, as somebody sees it who is not Tenantry

    def docs(self, doctype: str, **having: Any) -> list[Mapping[str, Any]]:
        return list(self.erp.site.records.each(doctype, **having))

    def names(self, doctype: str, **having: Any) -> list[str]:
        return [str(each["name"]) for each in self.docs(doctype, **having)]

    def objects(self) -> dict[str, list[str]]:
        """All that a point of sale is made of, whosever it is."""
        return {doctype: names for doctype in OURS if (names := self.names(doctype))}

    def shared(self) -> str:
        """The site's own, to be compared: without when it was changed."""
        found = [each for doctype in SHARED for each in self.docs(doctype)]
        return json.dumps(
            [{key: value for key, value in each.items() if key != "modified"} for each in found], sort_keys=True
        )

    def call(self, method: str, *path: str, body: Any = None) -> Any:
        """As a person who works in the site."""
        import httpx

        answer = httpx.request(
            method,
            f"{self.erp.url}/api/resource/{'/'.join(path)}",
            json=body,
            headers={"Authorization": f"token {self.erp.key}:{self.erp.secret}", "Accept": "application/json"},
            timeout=20,
            trust_env=False,
        )
        assert answer.is_success, answer.text
        return answer.json().get("data")

    def fault(self, *faults: Fault) -> None:
        for one in faults:
            self.erp.site.faults.add(one)

    def heal(self) -> None:
        self.erp.site.faults.heal()

    def asked(self, *methods: str, where: str = "") -> list[Asked]:
        """The requests so far."""
        return [row for row in self.erp.site.log.rows() if (not methods or row.method in methods) and where in row.path]

    def until(self, what: Any, seconds: float = 200) -> None:
        """Waits until `what` is true."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.05)


def environment(project: Path, parts: Mapping[str, Any], **secrets: str) -> dict[str, str]:
    """For commands in this project, whose only region `local` has these parts."""
    file = project / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {"local": dict(parts)}}))
    return {
        **os.environ,
        **secrets,
        "TENANTRY_BACKENDS": str(file),
        "TENANTRY_ENGINE": ENGINE,
        "TENANTRY_RETRY_DELAYS": "[0.1]",
        # Whatever else goes on on the machine: no test here is about time.
        "TENANTRY_STEP_TIMEOUT": "300",
        "TENANTRY_RUN_TIMEOUT": "600",
        "TENANTRY_ROLLBACK_TIMEOUT": "600",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }


def steps_of(result: Mapping[str, Any]) -> dict[str, str]:
    """Status by step."""
    return {step["key"]: step["status"] for step in result["steps"]}

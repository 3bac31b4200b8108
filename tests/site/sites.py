"""A site as a tenant: its project, its region's bench, and the operations on it, run in this process by the engine."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from automation import backing_up, operations
from automation.engines import EngineChoice
from automation.results import RunResult
from automation.run import Context
from automation.settings import PROJECT_NAME, load_settings
from stacks.lines import SITE
from tests.automation.helpers import ROOT
from tests.conftest import MainDatabase
from tests.site.conftest import REGION, TestBench

SLUG = "acme-shop"


def manifest(slug: str = SLUG, **settings: Any) -> dict[str, Any]:
    """A site's manifest, of the bench's own site name."""
    custom = {"host": "shop.example", "apps": ["erpnext"], **settings}
    return {"kind": "site", "slug": slug, "name": "Acme", "region": REGION, "customSettings": custom}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """`bench` is the one of the region, as somebody sees it who is not Tenantry."""

    bench: TestBench
    main: MainDatabase
    context: Context

    def up(self, **settings: Any) -> RunResult:
        return operations.up(self.context, SITE.parse(manifest(**settings)))

    def destroy(self) -> RunResult:
        return operations.destroy(self.context, SLUG)

    def backup(self) -> RunResult:
        return backing_up.backup(self.context, SLUG)

    def restore(self, backup: str, *, first: bool = True) -> RunResult:
        return backing_up.restore(self.context, SLUG, backup, first=first)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with self.main.connect() as connection:
            return connection.execute(statement.encode()).fetchall()

    @property
    def tenant(self) -> str:
        return str(self.query(f"SELECT status FROM tenants WHERE slug = '{SLUG}'")[0][0])  # noqa: S608 - ours

    @property
    def kept(self) -> list[str]:
        """The ids of the backups in the region's store that are whole, oldest first."""
        return sorted(path.parent.name for path in self.bench.backups.glob("*/*/manifest.json"))


def sites_on(bench: TestBench, main: MainDatabase) -> Sites:
    """The environment names the main database and the region already."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    choice = EngineChoice(name="embedded", reason="a test")
    context = Context(settings=load_settings(), choice=choice)
    return Sites(bench=replace(bench, mark=f"{PROJECT_NAME}/{SLUG}"), main=main, context=context)


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []

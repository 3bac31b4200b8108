"""A site as a tenant: its project, its region's bench, and the operations on it, run in this process by the engine."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from automation import backing_up, operations
from automation.database import ensure_ready
from automation.engines import EngineChoice
from automation.results import RunResult
from automation.run import Context
from automation.settings import PROJECT_NAME, load_settings
from providers.site.lifecycle import bring_up
from stacks.lines import SITE
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
        return str(self.query(f"SELECT status FROM tenants WHERE slug = '{SLUG}'")[0][0])

    @property
    def kept(self) -> list[str]:
        """The ids of the backups in the region's store that are whole, oldest first."""
        return sorted(path.parent.name for path in self.bench.backups.glob("*/*/manifest.json"))


def sites_on(bench: TestBench, main: MainDatabase) -> Sites:
    """The environment names the main database and the region already."""
    choice = EngineChoice(name="embedded", reason="a test")
    context = Context(settings=load_settings(), choice=choice)
    return Sites(bench=replace(bench, mark=f"{PROJECT_NAME}/{SLUG}"), main=main, context=context)


def worked(sites: Sites, **settings: Any) -> None:
    """The site as an `up` leaves it, without one: on its bench, and in the main database."""
    ensure_ready(sites.context.settings)
    resolved = SITE.resolve(SITE.parse(manifest(**settings)), SITE.templates())
    apps = settings.get("apps", ["erpnext"])
    bring_up(sites.bench.ops, sites.bench.new, apps, sites.bench.hear)
    with sites.main.connect() as connection:
        connection.execute(
            "INSERT INTO tenants (slug, line, name, status, last_good_manifest, manifest_version) "
            "VALUES (%s, 'site', 'Acme', 'active', %s, 1)",
            (SLUG, json.dumps(resolved.to_dict())),
        )

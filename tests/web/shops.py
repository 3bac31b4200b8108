"""The service with a region whose ERPNext and Odoo are simulated in this process; a person creates workspaces there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Page, expect

from sandbox.erpnext import local
from sandbox.erpnext.local import LocalErpNext
from sandbox.odoo.api import DATABASE
from sandbox.postgres import EmbeddedPostgres
from tests.odoo import running
from tests.web.site import Site

KEY, SECRET = "TENANTRY_BACKEND_TEST_KEY", "TENANTRY_BACKEND_TEST_SECRET"
ODOO_KEY = "TENANTRY_BACKEND_TEST_ODOO"
PASSWORD = "correct horse battery hunter2"
SHOP = {
    "name": "Duka la Njeri",
    "country_code": "KE",
    "admin_name": "Njeri Wambui",
    "admin_email": "njeri@duka.example",
    "admin_password": PASSWORD,
}


class ShopSite(Site):
    """A site. `erp` and `odoo` are the region's engines."""

    def __init__(self, folder: Path, server: EmbeddedPostgres, erp: LocalErpNext, odoo: running.Server) -> None:
        super().__init__(folder, server)
        self.erp = erp
        self.odoo = odoo
        backends = {
            "erpnext": {"url": erp.url, "keyFrom": KEY, "secretFrom": SECRET},
            "odoo": {"url": odoo.url, "database": DATABASE, "user": running.USER, "keyFrom": ODOO_KEY},
        }
        (folder / "backends.yaml").write_text(yaml.safe_dump({"regions": {"here": backends}}))

    def environment(self) -> dict[str, str]:
        backends = str(self.folder / "backends.yaml")
        return {
            **super().environment(),
            "TENANTRY_BACKENDS": backends,
            KEY: self.erp.key,
            SECRET: self.erp.secret,
            ODOO_KEY: running.KEY,
        }

    def docs(self, doctype: str, **having: Any) -> list[Mapping[str, Any]]:
        return list(self.erp.site.records.each(doctype, **having))


class _Odoo(running.Server):
    def close(self) -> None:
        self.stop()


@contextlib.contextmanager
def opened(folder: Path, server: EmbeddedPostgres) -> Iterator[ShopSite]:
    """The service and a worker, with an ERPNext and an Odoo."""
    with local.served() as erp, contextlib.closing(_Odoo()) as odoo:
        made = ShopSite(folder, server, erp, odoo)
        try:
            made.serve()
            made.work()
            yield made
        finally:
            made.close()


def fill(page: Page, site: Site, *, engine: str = "erpnext", **values: str) -> None:
    """Fills the form of a new workspace."""
    page.goto(f"{site.url}/workspaces/new")
    page.get_by_label("Type of business").select_option("retail")
    page.get_by_label("Engine").select_option(engine)
    for name, text in {**SHOP, **values}.items():
        page.locator(f'[name="{name}"]').fill(text)


def create(page: Page, site: Site, **values: str) -> None:
    fill(page, site, **values)
    page.get_by_role("button", name="Create workspace").click()
    page.wait_for_url(re.compile("/workspaces/(?!new)"))
    expect(page.locator(".title .pill")).to_be_visible()

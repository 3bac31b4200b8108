"""A point of sale in Odoo from end to end, by the same manifest and the same steps as in ERPNext (POS-9)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.postgres import EmbeddedPostgres
from tests.automation.helpers import ROOT
from tests.commands import run_json
from tests.odoo.running import KEY, USER, VARIABLE, Server
from tests.pos.yard import ENGINE, steps_of

STEPS = {
    "step_0_engine_check",
    "step_2_company",
    "step_3_chart_of_accounts",
    "step_4_warehouses",
    "step_5_settings",
    "step_6_items",
    "step_7_customer",
    "step_8_pos_profile",
    "step_9_pos_session",
}


def environment_of(project: Path, server: Server) -> Mapping[str, str]:
    """A region that has this Odoo and nothing else."""
    backend = {"url": server.url, "database": "shops", "user": USER, "keyFrom": VARIABLE}
    file = project / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {"local": {"odoo": backend}}}))
    return {
        **os.environ,
        VARIABLE: KEY,
        "TENANTRY_BACKENDS": str(file),
        "TENANTRY_ENGINE": ENGINE,
        "TENANTRY_RETRY_DELAYS": "[0.1]",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }


def write(project: Path, **changes: Any) -> None:
    content = {"kind": "pos", "slug": "duka", "name": "Shop duka", "region": "local", "engine": "odoo"}
    content |= {"category": "retail", "countryCode": "KE", "provisioningType": "FULL_POS", **changes}
    (project / "stacks" / "duka.yaml").write_text(yaml.safe_dump(content))


def test_a_point_of_sale_in_odoo_comes_opens_and_goes(project: Path, postgres: EmbeddedPostgres, main_db: Any) -> None:
    server = Server()
    environment = environment_of(project, server)

    def run(*words: str) -> dict[str, Any]:
        return run_json(project, environment, *words, secrets=[KEY], seconds=900)

    try:
        write(project)
        made = run("up", "duka")
        steps = steps_of(made)
        assert steps.keys() == STEPS
        assert {key: status for key, status in steps.items() if status != "completed"} == {"step_6_items": "skipped"}
        assert len(server.asked()) <= 60
        company = server.row("res.company", name="Shop duka")
        assert company["chart_template"] == "ke"
        # They are made side by side, so that either may come first.
        assert sorted(row["name"] for row in server.rows("stock.warehouse")) == ["Main Store", "POS Store"]
        assert server.row("pos.session")["state"] == "opened"
        assert server.row("res.partner", name="Walk-In Customer")["company_id"] == company["id"]

        before = server.state()
        run("up", "duka")
        assert server.state() == before

        write(project, includeDemoData=True)
        run("up", "duka")
        products = server.rows("product.template", company_id=company["id"])
        assert len(products) == 8
        assert all(row["list_price"] > 0 and row["available_in_pos"] for row in products)

        run("destroy", "duka", "--yes")
        assert [row["name"] for row in server.rows("res.company")] == ["My Company"]
        assert (server.marks(), server.rows("pos.session"), server.rows("stock.warehouse")) == (set(), [], [])
    finally:
        server.stop()

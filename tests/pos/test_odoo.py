"""A point of sale in Odoo from end to end, by the same manifest and the same steps as in ERPNext (POS-9).

With the real engine: what is of a step alone is in test_rows and test_odoo_faults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.faults import Kind
from sandbox.postgres import EmbeddedPostgres
from stacks.pos.steps import STEPS
from tests.commands import run_json
from tests.odoo.running import KEY, USER, VARIABLE, Server
from tests.odoo.test_faults import cut_off
from tests.pos.yard import environment, steps_of

pytestmark = pytest.mark.timeout(900)
KEYS = [step.key for step in STEPS]


class Yard:
    """A project whose region has this Odoo and nothing else."""

    def __init__(self, project: Path, server: Server) -> None:
        self.project = project
        self.server = server
        self.before = self.counts()
        backend = {"url": server.url, "database": "shops", "user": USER, "keyFrom": VARIABLE}
        self.environment = environment(project, {"odoo": backend}, **{VARIABLE: KEY})

    def write(self, **changes: Any) -> None:
        content = {"kind": "pos", "slug": "duka", "name": "Shop duka", "region": "local", "engine": "odoo"}
        content |= {"category": "retail", "countryCode": "KE", "provisioningType": "FULL_POS", **changes}
        (self.project / "stacks" / "duka.yaml").write_text(yaml.safe_dump(content))

    def run(self, *words: str, code: int = 0) -> dict[str, Any]:
        return run_json(self.project, self.environment, *words, secrets=[KEY], code=code, seconds=400)

    def up(self, *words: str, code: int = 0) -> dict[str, Any]:
        return self.run("up", "duka", *words, code=code)

    def counts(self) -> dict[str, int]:
        kept = self.server.site.records._kept
        return {model: len(rows) for model, rows in kept.items() if rows and not model.startswith("#")}


@pytest.fixture
def yard(project: Path, postgres: EmbeddedPostgres, main_db: Any) -> Iterator[Yard]:
    server = Server()
    yield Yard(project, server)
    server.stop()


def failed(made: Mapping[str, Any]) -> list[str]:
    return [key for key, status in steps_of(made).items() if status == "failed"]


OPTIONAL = {
    "step_4_warehouses": {"method": "load", "where": "_warehouse_pos"},
    "step_5_settings": {"method": "write", "where": "/res.company"},
    "step_6_items": {"method": "load", "where": "/product.template"},
    "step_9_pos_session": {"method": "create", "where": "/pos.session"},
}


def test_it_comes_in_parts_is_made_whole_stays_is_repaired_and_goes(yard: Yard) -> None:
    server = yard.server
    for given in OPTIONAL.values():
        server.fault(Kind.ERROR, status=403, **given)
    yard.write(includeDemoData=True, customSettings={"engineSettings": {"odoo": {"annual_inventory_day": 30}}})
    partial = yard.up()
    assert sorted(steps_of(partial)) == sorted(KEYS)
    assert (failed(partial), partial["outputs"]["status"]) == (list(OPTIONAL), "PARTIAL")
    assert partial["partial"] == list(OPTIONAL)
    company = server.row("res.company", name="Shop duka")
    assert company["chart_template"] == "ke"
    assert server.row("res.partner", name="Walk-In Customer")["company_id"] == company["id"]
    # The till works: it takes from the main store until there is another.
    (store,) = server.rows("stock.warehouse")
    assert (store["name"], server.row("pos.config")["picking_type_id"]) == ("Main Store", store["pos_type_id"])

    # One step is tried again, and what depends on it: no other.
    server.site.faults.heal()
    for step, given in OPTIONAL.items():
        if step != "step_5_settings":
            server.fault(Kind.ERROR, status=403, **given)
    server.site.log.forget()
    retried = yard.up("--step", "step_5_settings")
    assert steps_of(retried)["step_5_settings"] == "completed"
    tried = {row.path for row in server.asked("load", "create", "write", "try_loading")}
    assert tried == {"/res.company", "/pos.session"}
    assert server.row("res.company", name="Shop duka")["annual_inventory_day"] == 30

    server.site.faults.heal()
    healed = yard.up()
    assert (healed["partial"], healed["outputs"]["status"]) == ([], "PROVISIONED")
    stores = {row["name"]: row["pos_type_id"] for row in server.rows("stock.warehouse")}
    assert (stores.keys(), server.row("pos.config")["picking_type_id"]) == (
        {"Main Store", "POS Store"},
        stores["POS Store"],
    )
    products = server.rows("product.template", company_id=company["id"])
    assert len(products) == 8
    assert all(row["list_price"] > 0 and row["available_in_pos"] for row in products)
    assert server.row("pos.session")["state"] == "opened"

    before = server.state()
    assert yard.up("--expect-no-changes")["changed"] is False
    assert server.state() == before

    server.change("product.template", products[0]["id"], list_price=1)
    with server.alone():
        server.site.root.set("pos.session", server.row("pos.session")["id"], state="closed")
    assert {one["what"] for one in yard.run("refresh", "duka")["drift"]} == {"changed", "gone"}
    yard.up()
    assert server.row("product.template", id=products[0]["id"])["list_price"] == products[0]["list_price"]
    assert [row["state"] for row in server.rows("pos.session")] == ["closed", "opened"]

    yard.run("destroy", "duka", "--yes")
    # The module of its chart stays installed, as it is the database's.
    assert (yard.counts(), server.marks()) == (yard.before, set())


def test_a_failure_is_taken_back_or_left_and_retried_as_the_manifest_says(yard: Yard) -> None:
    server = yard.server
    # Away before: nothing is asked for but how it is.
    server.fault(Kind.DROP)
    yard.write(skip=["step_5_settings"])
    offline = yard.up(code=3)
    assert "It is offline" in offline["error"]["message"]
    assert (yard.counts(), offline["leftovers"]) == (yard.before, [])

    # A critical step fails, and all that was made before it goes.
    server.site.faults.heal()
    server.fault(Kind.ERROR, status=403, method="load", where="/pos.config")
    refused = yard.up(code=3)
    assert "step 'step_8_pos_profile' failed" in refused["error"]["message"]
    assert (yard.counts(), server.marks(), refused["leftovers"]) == (yard.before, set(), [])

    # Cut off once the server has done the work, with what is there left as it is; and made whole by that step's retry.
    server.site.faults.heal()
    server.site.faults.add(cut_off(server, {"method": "load", "where": "/pos.config"}, after=True))
    yard.write(skip=["step_5_settings"], enableRollback=False)
    left = yard.up(code=9)
    assert failed(left) == ["step_8_pos_profile"]
    assert len(server.rows("pos.config")) == 1
    server.site.faults.heal()
    retried = yard.up("--step", "step_8_pos_profile")
    assert steps_of(retried)["step_9_pos_session"] == "completed"
    assert steps_of(retried)["step_5_settings"] == "skipped"
    assert (len(server.rows("pos.config")), server.row("pos.session")["state"]) == (1, "opened")
    # A skipped step has changed nothing.
    assert server.asked("write", where="/res.company") == []
    yard.run("destroy", "duka", "--yes")
    assert (yard.counts(), server.marks()) == (yard.before, set())

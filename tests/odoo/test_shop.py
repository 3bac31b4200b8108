"""A whole point of sale of typed resources: made, left alone, drifted, adopted, and taken away without a rest."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.odoo.running import Engine, Server
from tests.odoo.shop import shop


@pytest.mark.parametrize("version", [17, 18])
def test_a_shop_is_made_and_taken_away_without_a_rest(engine: Engine, here: Server, version: int) -> None:
    here.site.switch(version=version)
    before = {model: len(here.rows(model)) for model in here.site.records._kept}
    engine.up(shop)
    assert [made.outs.get("ready", True) for made in engine.made.values()] == [True] * len(engine.made)
    assert here.row("pos.session")["state"] == "opened"
    assert here.row("res.company", name="Shop")["chart_template"] == "ke"
    here.site.log.forget()
    engine.destroy()
    after = {model: len(here.rows(model)) for model in here.site.records._kept if not model.startswith("#")}
    assert {model: count for model, count in after.items() if count != before.get(model, 0)} == {}
    assert here.marks() == set()


def test_a_shop_without_items_takes_at_most_50_requests(engine: Engine, here: Server) -> None:
    engine.refreshes = False
    engine.up(shop)
    asked = Counter(f"{row.path}/{row.method}" for row in here.asked())
    assert asked.total() <= 50, sorted(asked.items())

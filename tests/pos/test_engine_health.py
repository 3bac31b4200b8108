"""How the engine of a point of sale is, whichever it is: told alike, and a first run waits for what passes (POS-2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sandbox.faults import Kind
from stacks.lines import POS
from stacks.pos.engine import DEGRADED, OFFLINE, ONLINE, REFUSED, UNFINISHED, health_of, hold
from tests.erpnext.running import here as erpnext
from tests.erpnext.running import quick as quick_erpnext
from tests.erpnext.running import raw
from tests.odoo.running import REGION
from tests.odoo.running import here as odoo
from tests.odoo.running import quick as quick_odoo

__all__ = ["erpnext", "odoo", "quick_erpnext", "quick_odoo", "raw"]
BOTH = ("erpnext", "odoo")


@pytest.fixture
def quick(quick_erpnext: None, quick_odoo: None) -> None:
    """Of both: their sites ask for one of this name."""


def _online(_site: Any, _env: pytest.MonkeyPatch) -> None:
    """As it is."""


def _offline(site: Any, _env: pytest.MonkeyPatch) -> None:
    site.stop()


def _degraded(site: Any, _env: pytest.MonkeyPatch) -> None:
    site.fault(Kind.MAINTENANCE)


def _refused(_site: Any, env: pytest.MonkeyPatch) -> None:
    env.setenv("TENANTRY_BACKEND_TEST_KEY", "none-of-theirs-hunter9")


STATES: Mapping[str, Callable[[Any, pytest.MonkeyPatch], None]] = {
    ONLINE: _online,
    OFFLINE: _offline,
    DEGRADED: _degraded,
    REFUSED: _refused,
}


def manifest(engine: str) -> Any:
    content = {"kind": "pos", "slug": "duka", "name": "Duka", "region": REGION, "countryCode": "KE", "engine": engine}
    return POS.parse(content)


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("engine", BOTH)
def test_either_engine_is_told_alike(
    engine: str, status: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = request.getfixturevalue(engine)
    before = site.state()
    STATES[status](site, monkeypatch)
    found = health_of(engine, REGION)
    assert (found.engine, found.status, bool(found.words)) == (engine, status, status != ONLINE)
    assert "hunter" not in found.words
    # Kept for a while: who asks often asks the engine seldom.
    asked = len(site.asked())
    if status != REFUSED:
        assert health_of(engine, REGION) == found
        assert len(site.asked()) == asked
    # What passes is waited for; what wants a person is begun, and says so.
    reason = hold(manifest(engine))
    assert (reason or "").startswith(f"its engine is {status}") is (status in {OFFLINE, DEGRADED})
    assert (reason is None) is (status in {ONLINE, REFUSED})
    assert site.state() == before


def test_an_odoo_without_a_till_is_not_waited_for(odoo: Any) -> None:
    [till] = [row["id"] for row in odoo.rows("ir.module.module") if row["name"] == "point_of_sale"]
    odoo.change("ir.module.module", till, state="uninstalled")
    assert (health_of("odoo", REGION).status, hold(manifest("odoo"))) == (UNFINISHED, None)


def test_an_unfinished_wizard_is_not_waited_for(raw: Any) -> None:
    assert (health_of("erpnext", REGION).status, hold(manifest("erpnext"))) == (UNFINISHED, None)

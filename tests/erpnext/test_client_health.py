"""Whether the engine can be worked with: online, degraded, offline, its wizard unfinished; how often it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from providers.erpnext import health
from providers.erpnext.api import site_of
from providers.erpnext.errors import (
    EngineDegradedError,
    EngineOfflineError,
    ErpNextError,
    WizardUnfinishedError,
)
from providers.erpnext.health import EngineCheckProvider, Status, demand_online, health_of
from providers.errors import BudgetError, ProviderError
from sandbox.erpnext.faults import Kind
from stacks.lines import POS
from stacks.pos.engine import hold
from tests.erpnext.running import REGION, VARIABLES, Erp, name_region

WHAT = "Customer 'X'"


def test_a_site_is_online_and_is_looked_at_once_a_while(here: Erp, monkeypatch: pytest.MonkeyPatch) -> None:
    found = health_of(REGION)
    assert (found.status, found.words, found.time_zone) == (Status.ONLINE, "", "UTC")
    asked = len(here.asked())
    assert health_of(REGION) is found
    assert len(here.asked()) == asked
    assert health_of(REGION, fresh=True).status is Status.ONLINE
    assert len(here.asked()) == 2 * asked
    monkeypatch.setattr(health, "CACHE_SECONDS", 0.0)
    health_of(REGION)
    assert len(here.asked()) == 3 * asked


def test_a_turn_of_waiting_asks_once_and_a_check_three_times(here: Erp) -> None:
    """A turn holds a worker's slot, and the next one asks again."""
    shop = {"kind": "pos", "slug": "duka", "name": "Duka", "countryCode": "KE", "region": REGION}
    here.fault(Kind.MAINTENANCE, times=1, where="ping")
    assert "degraded" in (hold(POS.parse(shop)) or "")
    assert len(here.asked()) == 1
    assert hold(POS.parse(shop)) is None
    before = len(here.asked())
    here.fault(Kind.MAINTENANCE, where="ping")
    assert health_of(REGION, fresh=True).status is Status.DEGRADED
    assert len(here.asked()) == before + 3


def test_a_site_that_comes_back_within_three_tries_is_online(here: Erp) -> None:
    here.fault(Kind.MAINTENANCE, times=2, where="ping")
    assert health_of(REGION).status is Status.ONLINE
    assert len(here.asked(where="ping")) == 3


def test_a_site_that_is_not_there_is_offline(here: Erp) -> None:
    here.stop()
    found = health_of(REGION)
    assert found.status is Status.OFFLINE
    with pytest.raises(EngineOfflineError, match=r"does not answer.*It is offline"):
        demand_online(found)


@pytest.mark.parametrize("fault", [{"kind": Kind.MAINTENANCE}, {"kind": Kind.ERROR, "status": 502}])
def test_a_site_that_answers_with_failures_is_degraded(here: Erp, fault: dict[str, Any]) -> None:
    here.fault(**fault)
    found = health_of(REGION)
    assert found.status is Status.DEGRADED
    with pytest.raises(EngineDegradedError, match="It is degraded"):
        demand_online(found)
    assert len(here.asked()) == 3


def test_a_site_that_takes_too_long_is_degraded(here: Erp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CALL_SECONDS", 0.05)
    here.fault(Kind.LATENCY, seconds=0.5)
    found = health_of(REGION)
    assert found.status is Status.DEGRADED
    assert "takes requests and does not answer within 0.05 s" in found.words


def test_a_site_whose_wizard_is_unfinished_is_said_to_be(raw: Erp) -> None:
    with pytest.raises(WizardUnfinishedError, match=r"never finished.*Warehouse Type Transit"):
        EngineCheckProvider().create({"region": REGION, "ready": True})
    raw.site.finish_setup()
    made = EngineCheckProvider().create({"region": REGION, "ready": True})
    assert (made.outs["ready"], made.outs["time_zone"]) == (True, "UTC")


def test_a_user_who_may_not_read_its_settings_sees_by_the_fixtures(here: Erp, monkeypatch: pytest.MonkeyPatch) -> None:
    key, secret = here.site.add_user("poor@shop.invalid", {"System Settings": "", "*": "read"}, key="poor")
    monkeypatch.setenv(VARIABLES[0], key)
    monkeypatch.setenv(VARIABLES[1], secret)
    assert health_of(REGION).status is Status.ONLINE
    with here.alone():
        here.site.records.delete("Warehouse Type", "Transit")
    assert health_of(REGION, fresh=True).status is Status.UNFINISHED


def test_a_wrong_key_is_no_state_of_the_engine(here: Erp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLES[0], "unknown")
    with pytest.raises(ErpNextError) as caught:
        health_of(REGION)
    assert caught.value.status == 401


def test_something_else_at_the_address_is_said_to_be_no_erpnext(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quick: None
) -> None:
    from tests.caddy.upstream import Upstream

    with Upstream(lambda _request: (200, {"Content-Type": "text/html"}, b"<html>hello</html>")) as other:
        name_region(monkeypatch, tmp_path, f"http://{other.address}")
        with pytest.raises(ProviderError, match="Is that an ERPNext site"):
            site_of(REGION).get("Company", "x", what=WHAT)
        assert health_of(REGION).status is Status.DEGRADED


def test_looks_of_a_service_are_not_counted_and_never_end(
    here: Erp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name_region(monkeypatch, tmp_path, here.url, requestsPerRun=3)
    for _ in range(3):
        assert health_of(REGION, fresh=True).status is Status.ONLINE
    assert site_of(REGION).requests == 0
    # One look is two requests.
    EngineCheckProvider().create({"region": REGION, "ready": True})
    with pytest.raises(BudgetError):
        EngineCheckProvider().create({"region": REGION, "ready": True})

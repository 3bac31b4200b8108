"""How many requests a run has sent is read from what its plugins have written."""

import os
from pathlib import Path

import pytest

from automation import counting
from providers.metering import REQUESTS_FILE, Meter


@pytest.fixture(autouse=True)
def _begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUESTS_FILE, "/somewhere/tenantry-requests-1-parent")
    counting.begin()


def test_each_run_has_what_was_sent_since_its_beginning() -> None:
    Meter("ERPNext at https://erp.example", 10).count("Company 'Shop'")
    start = counting.position()
    assert counting.since(start) == {}
    meter = Meter("ERPNext at https://erp.example", 10)
    for _ in range(3):
        meter.count("Customer 'Walk-In'")
    Meter("n8n at https://n8n.example", 10).count("a tag")
    assert counting.since(start) == {"ERPNext at https://erp.example": 3, "n8n at https://n8n.example": 1}


def test_a_file_that_was_inherited_is_the_parents() -> None:
    own = Path(os.environ[REQUESTS_FILE])
    assert f"-{os.getpid()}-" in own.name
    counting.begin()
    assert Path(os.environ[REQUESTS_FILE]) == own


def test_a_request_is_sent_whether_it_can_be_counted_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUESTS_FILE, "/nowhere/at/all")
    meter = Meter("ERPNext at https://erp.example", 10)
    meter.count("Company 'Shop'")
    assert meter.sent == 1
    assert (counting.position(), counting.since(0)) == (0, {})

"""What use costs: exact decimals, every item, and a price table with every problem told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.database import CONNECTION_LIMIT
from stacks.cabinet import CONNECTIONS
from stacks.pricing import BUILTIN, Period, PriceError, Prices, Sizing, accrued, estimate, load_prices

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TABLE = """
currency: CHF
perHour: {cpu: 0.1, memoryGb: 0.01, storageGb: 0.001, connection: 0.0001}
perRun: {workflow: 0.5}
"""
SIZING = Sizing(cpu=0.25, memory_mb=512, storage_mb=2048, connections=10, runs_per_month=3)


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    path = tmp_path / "prices.yaml"
    path.write_text(TABLE, encoding="utf-8")
    return load_prices(path)


def test_a_month_costs_the_sum_of_what_may_be_used(prices: Prices) -> None:
    cost = estimate(SIZING, prices)
    amounts = {item.what: item.amount for item in cost.items}
    assert amounts == {
        "cpu": Decimal("18.25"),
        "memory": Decimal("3.65"),
        "storage": Decimal("1.46"),
        "connections": Decimal("0.73"),
        "workflow runs": Decimal("1.5"),
    }
    assert cost.amount == Decimal("25.59")
    assert cost.to_dict()["amount"] == "25.5900"
    assert cost.currency == "CHF"


def test_what_is_not_used_is_not_listed(prices: Prices) -> None:
    cost = estimate(Sizing(connections=1), prices)
    assert [item.what for item in cost.items] == ["connections"]
    assert estimate(Sizing(), prices).to_dict() == {"hours": "730.0000", "amount": "0.0000", "items": []}


def test_periods_are_charged_by_the_size_they_had(prices: Prices) -> None:
    small, large = Sizing(cpu=1), Sizing(cpu=2)
    spans = [
        Period(start=NOW, end=NOW + timedelta(hours=10), sizing=small),
        Period(start=NOW + timedelta(hours=10), end=NOW + timedelta(hours=15), sizing=large),
        Period(start=NOW, end=NOW + timedelta(hours=99), sizing=None),
    ]
    cost = accrued(spans, 4, prices)
    assert cost.hours == 15
    assert cost.amount == Decimal(10) * Decimal("0.1") + Decimal(5) * Decimal("0.2") + 4 * Decimal("0.5")


@given(st.lists(st.integers(0, 10**9), max_size=20), st.floats(0, 64), st.integers(0, 10**6))
def test_splitting_a_time_changes_nothing(seconds: list[int], cpu: float, connections: int) -> None:
    table = load_prices(BUILTIN)
    sizing = Sizing(cpu=cpu, connections=connections)
    start, parts = NOW, []
    for length in seconds:
        parts.append(Period(start=start, end=start + timedelta(milliseconds=length), sizing=sizing))
        start = parts[-1].end
    whole = [Period(start=NOW, end=start, sizing=sizing)]
    difference = accrued(parts, 0, table).amount - accrued(whole, 0, table).amount
    assert abs(difference) < Decimal("1e-9")


def test_a_clock_that_went_back_costs_nothing(prices: Prices) -> None:
    span = Period(start=NOW, end=NOW - timedelta(hours=1), sizing=SIZING)
    assert accrued([span], 0, prices).amount == 0


def test_the_variable_names_another_table(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(TABLE, encoding="utf-8")
    assert load_prices(environ={"TENANTRY_PRICES": str(path)}).currency == "CHF"
    assert load_prices(environ={}).currency == "EUR"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("currency: CHF -> currency: francs", "currency"),
        ("cpu: 0.1 -> cpu: -1", "perHour.cpu"),
        ("cpu: 0.1, -> ", "perHour.cpu"),
        ("workflow: 0.5 -> workflow: dear", "perRun.workflow"),
        ("perRun: -> perFun:", "perFun"),
    ],
)
def test_a_wrong_table_is_told_field_by_field(tmp_path: Path, change: str, field: str) -> None:
    old, new = change.split(" -> ")
    path = tmp_path / "wrong.yaml"
    path.write_text(TABLE.replace(old, new), encoding="utf-8")
    with pytest.raises(PriceError) as raised:
        load_prices(path)
    assert field in {problem.field for problem in raised.value.problems}
    assert str(path) in str(raised.value)


def test_a_cabinets_connections_are_those_of_its_role() -> None:
    assert CONNECTIONS == CONNECTION_LIMIT

"""What a department keeps, and what it costs, from its manifest."""

import json
from pathlib import Path
from typing import Any

import pytest

from automation import costs
from automation.manifests import parsed, resolved, restored
from stacks.lines import DEPARTMENT
from stacks.pricing import Sizing
from tests.isolation.region import Region, write_backends

MANIFEST = {"kind": "department", "name": "Sales", "slug": "sales-1", "adminEmail": "a@b.example", "region": "test-1"}


@pytest.fixture(autouse=True)
def _region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Region(url="postgresql://127.0.0.1:9/postgres", admin="a", password="b", database="c")
    write_backends(tmp_path / "backends.yaml", nowhere)
    monkeypatch.setenv("TENANTRY_BACKENDS", str(tmp_path / "backends.yaml"))


def department(**changes: Any) -> Any:
    found = resolved(parsed(MANIFEST | changes), None)
    return restored(json.loads(json.dumps(found.to_dict())))


def test_data_is_kept_as_long_as_the_manifest_says_else_the_template() -> None:
    kept = DEPARTMENT.retained(department(), "tenantry/sales-1")
    assert kept is not None
    assert (kept.region, kept.schema, kept.tenant_mark) == ("test-1", "department_sales_1", "tenantry/sales-1")
    assert str(kept.retention) == "90d"
    longer = DEPARTMENT.retained(department(dataRetention="2y"), "m")
    assert str(longer.retention if longer else None) == "2y"


def test_its_size_is_that_of_its_settings() -> None:
    plain = DEPARTMENT.sizing(department())
    assert plain == Sizing(cpu=0.25, memory_mb=128, storage_mb=1024, connections=10)
    more = DEPARTMENT.sizing(department(workflows=["database"], customSettings={"size": {"cpu": 2, "connections": 50}}))
    assert (more.cpu, more.connections, more.runs_per_month) == (2, 50, 1000)


def test_its_cost_is_known_before_it_is_there() -> None:
    found = costs.before_creation(parsed(MANIFEST | {"workflows": ["database"]}))
    assert [item["what"] for item in found["month"]["items"]] == [
        "cpu",
        "memory",
        "storage",
        "connections",
        "workflow runs",
    ]
    core, memory, storage, connections, runs = 0.25 * 0.025, 0.125 * 0.0035, 0.00015, 10 * 0.0004, 1000 * 0.001
    assert float(found["month"]["amount"]) == pytest.approx(
        730 * (core + memory + storage + connections) + runs, abs=1e-4
    )

"""Workflow runs in a department's cost: counted, or said not to be. Never a number that nobody has counted."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from automation import costs
from automation.manifests import parsed, resolved
from providers import retention
from providers.errors import UnreachableError
from providers.retention import Retained
from tests.costs.test_department_usage import MANIFEST
from tests.isolation.region import Region, write_backends

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Region(url="postgresql://127.0.0.1:9/postgres", admin="a", password="b", database="c")
    write_backends(tmp_path / "backends.yaml", nowhere)
    monkeypatch.setenv("TENANTRY_BACKENDS", str(tmp_path / "backends.yaml"))


def found(monkeypatch: pytest.MonkeyPatch, runs: int | None, *, purged: int = 0, **changes: Any) -> dict[str, Any]:
    """The cost of a department of a day; None: its database is away."""

    def count(_of: Retained) -> int:
        if runs is None:
            raise UnreachableError("the database is away")
        return runs

    monkeypatch.setattr(retention, "count_runs", count)
    manifest = resolved(parsed(MANIFEST | changes), None).to_dict()
    run = costs.Run(
        id=uuid.uuid4(),
        operation="up",
        status="succeeded",
        error=None,
        manifest=manifest,
        rollback_of=None,
        ended_at=NOW - timedelta(days=1),
    )
    facts = costs.Facts(
        tenant="sales-1", line="department", manifest=manifest, runs=(run,), purged_runs=purged, now=NOW
    )
    return costs.cost(facts)


def charged(of: dict[str, Any]) -> float:
    items = {item["what"]: float(item["quantity"]) for item in of["since"]["items"]}
    return items.get("workflow runs", 0)


def test_runs_are_those_there_are_and_those_that_were_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    of = found(monkeypatch, 3, purged=4, workflows=["database"])
    assert (of["since"]["workflow_runs"], charged(of), of["warnings"]) == (7, 7, [])


def test_a_department_without_workflows_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    of = found(monkeypatch, 0)
    assert (of["since"]["workflow_runs"], of["warnings"]) == (0, [])


def test_runs_that_are_not_known_are_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    of = found(monkeypatch, None, purged=4, workflows=["database"])
    assert (of["since"]["workflow_runs"], charged(of)) == (None, 4)
    (warning,) = of["warnings"]
    assert "the database is away" in warning
    assert "only the 4" in warning


def test_runs_that_nobody_counts_are_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template of before runs were counted."""
    old = {"workflows": {"database": {"version": "1.0.0"}}}
    of = found(monkeypatch, 0, workflows=["database"], customSettings=old)
    assert (of["since"]["workflow_runs"], charged(of)) == (None, 0)
    (warning,) = of["warnings"]
    assert "runs of database are not counted" in warning


def test_of_two_workflows_one_may_be_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TENANTRY_WORKFLOW_TEMPLATES", str(tmp_path))
    (tmp_path / "mine").mkdir()
    content = {
        "id": "mine",
        "version": "1.0.0",
        "title": "Mine",
        "description": "one of mine",
        "nodes": [{"name": "W", "type": "n8n-nodes-base.webhook", "typeVersion": 2, "position": [0, 0]}],
        "connections": {},
    }
    (tmp_path / "mine" / "1.0.0.yaml").write_text(yaml.safe_dump(content))
    of = found(monkeypatch, 2, workflows=["database", "mine"])
    assert (of["since"]["workflow_runs"], charged(of)) == (2, 2)
    (warning,) = of["warnings"]
    assert "runs of mine are not counted" in warning

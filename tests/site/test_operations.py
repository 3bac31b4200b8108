"""A site from nothing to nothing: made, backed up, put back, cancelled and removed, as its tenant sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from automation.errors import InputError, RunLeftError
from automation.models import DeploymentStatus
from tests.conftest import MainDatabase
from tests.site.conftest import bench_at
from tests.site.sites import Sites, sites_on


@pytest.fixture
def sites(project: Path, main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch) -> Sites:
    return sites_on(bench_at(project / "there", monkeypatch, "simulated"), main_db)


def rows(sites: Sites) -> dict[str, str]:
    found: dict[str, str] = json.loads(sites.bench.database.read_text())["rows"]
    return found


def write(sites: Sites, **values: str) -> None:
    data = json.loads(sites.bench.database.read_text())
    sites.bench.database.write_text(json.dumps({**data, "rows": values}))


def test_a_site_is_made_backed_up_put_back_and_removed(sites: Sites) -> None:
    made = sites.up()
    assert (made.status, made.error) == (DeploymentStatus.SUCCEEDED, None)
    assert (made.outputs["site"], made.outputs["status"]) == ("shop.example", "active")
    assert set(made.outputs["apps"]) == {"frappe", "erpnext"}
    assert made.outputs["adminPassword"] == "[secret]"
    assert sites.tenant == "active"
    assert sites.query("SELECT host, status FROM sites") == [("shop.example", "active")]
    assert sites.up().changed is False

    write(sites, invoice="1")
    backup = sites.backup()
    assert backup.status is DeploymentStatus.SUCCEEDED
    assert backup.backup is not None
    assert sites.kept == [backup.backup["id"]]
    assert [(step.key, step.status.value) for step in backup.state.steps] == [
        ("validation", "completed"),
        ("backup", "completed"),
        ("retention", "completed"),
    ]
    write(sites, invoice="2")
    restored = sites.restore(str(backup.backup["id"]))
    assert (restored.status, rows(sites)) == (DeploymentStatus.SUCCEEDED, {"invoice": "1"})
    # What was there was backed up before.
    assert len(sites.kept) == 2

    gone = sites.destroy()
    assert gone.error is None, gone.error.message
    assert (gone.status, gone.leftovers, sites.tenant) == (DeploymentStatus.SUCCEEDED, (), "removed")
    assert not sites.bench.folder.exists()
    assert sites.query("SELECT 1 FROM sites") == []
    assert len(sites.kept) == 3


def test_backups_beyond_what_is_kept_are_cleared_away(sites: Sites) -> None:
    sites.up(backups={"keep": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0}, "schedule": None})
    first, second = sites.backup(), sites.backup()
    assert first.backup is not None
    assert second.backup is not None
    assert second.backup["cleared"] == [first.backup["id"]]
    assert sites.kept == [second.backup["id"]]


def test_a_restore_of_what_is_no_backup_touches_nothing(sites: Sites) -> None:
    sites.up()
    write(sites, invoice="1")
    left = sites.restore("20260105T023000Z-1f3a", first=False)
    assert left.status is DeploymentStatus.FAILED
    assert isinstance(left.error, RunLeftError)
    assert "the site is as it was" in left.error.message
    assert (rows(sites), sites.tenant) == ({"invoice": "1"}, "active")


def test_a_tenant_that_never_worked_is_not_backed_up(sites: Sites) -> None:
    sites.bench.folder.mkdir(parents=True)
    assert sites.up().error is not None
    with pytest.raises(InputError, match="has no site that works"):
        sites.backup()
    # Somebody else's, and so it stays.
    assert sites.bench.folder.exists()
    assert sites.query("SELECT 1 FROM sites") == []

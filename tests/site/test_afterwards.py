"""What a tenant is after a backup or a restore, where something was the matter before it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from automation.after_backup import BROKE_OFF, broke_off, lacking
from stacks.lines import SITE
from tests.conftest import MainDatabase
from tests.site.conftest import bench_at
from tests.site.sites import SLUG, Sites, manifest, sites_on, worked


@pytest.fixture
def sites(project: Path, main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch) -> Sites:
    return sites_on(bench_at(project / "there", monkeypatch, "simulated"), main_db)


def cut_off(sites: Sites, operation: str) -> None:
    """The row of a run that was killed: nobody has written how it ended."""
    sites.query(
        "INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine)"
        f" VALUES (gen_random_uuid(), '{SLUG}', '{operation}', 'running', 'c', 'a', 'h', 1, 'e') RETURNING id"
    )


def warnings(sites: Sites) -> list[str]:
    return [text for (text,) in sites.query("SELECT message FROM deployment_logs WHERE level = 'warning'")]


@pytest.mark.parametrize(
    ("operation", "before", "broken"),
    [
        ("backup", {}, False),
        ("backup", {"dead": ["backup", "refresh"]}, False),
        ("backup", {"dead": ["up"]}, True),
        ("backup", {"dead": ["destroy"]}, True),
        ("backup", {"dead": ["restore"]}, True),
        ("backup", {"failed": True}, True),
        ("restore", {}, False),
        ("restore", {"dead": ["backup", "refresh", "restore"]}, False),
        ("restore", {"dead": ["restore", "up"]}, True),
        ("restore", {"failed": True}, True),
        ("restore", {"failed": True, "half": True}, False),
        ("restore", {"failed": True, "half": True, "dead": ["up"]}, True),
    ],
)
def test_whether_the_mark_of_another_run_stays(operation: str, before: dict[str, object], broken: bool) -> None:
    given = {"failed": False, "dead": [], **before}
    assert broke_off(operation=operation, **given) is broken  # type: ignore[arg-type]


def test_a_backup_leaves_the_mark_of_a_run_that_was_killed(sites: Sites) -> None:
    worked(sites)
    cut_off(sites, "backup")
    assert (sites.backup().error, sites.tenant, warnings(sites)) == (None, "active", [])
    cut_off(sites, "up")
    assert (sites.backup().error, sites.tenant) == (None, "failed")
    assert warnings(sites) == [BROKE_OFF]


def test_a_restore_leaves_the_mark_of_a_change_that_has_failed(sites: Sites) -> None:
    worked(sites)
    made = sites.backup().backup or {}
    sites.query("UPDATE tenants SET status = 'failed' RETURNING 1")
    assert (sites.restore(str(made["id"])).error, sites.tenant) == (None, "failed")
    assert warnings(sites) == [BROKE_OFF]


def test_what_a_backup_is_of_before() -> None:
    assert lacking(["erpnext"], {"frappe": "15", "erpnext": "15"}) is None
    assert lacking(["hrms", "erpnext", "crm"], {"erpnext"}) == (
        "this backup is of before hrms, crm: `tenantry refresh`, then `up`, installs them again"
    )


def test_a_restore_to_before_an_app_says_which_one_is_gone(sites: Sites) -> None:
    worked(sites)
    made = sites.backup().backup or {}
    wanted = SITE.resolve(SITE.parse(manifest(apps=["erpnext", "hrms"])), SITE.templates()).to_dict()
    sites.query(f"UPDATE tenants SET last_good_manifest = '{json.dumps(wanted)}' RETURNING 1")
    sites.bench.ops.install_app(sites.bench.site, sites.bench.mark, "hrms", sites.bench.hear)

    restored = sites.restore(str(made["id"]))
    note = "this backup is of before hrms: `tenantry refresh`, then `up`, installs it again"
    assert (restored.error, sites.bench.data()["apps"]) == (None, ["frappe", "erpnext"])
    assert ((restored.backup or {})["note"], warnings(sites)) == (note, [note])
    # The newer one has it.
    assert "note" not in (sites.restore(str(restored.kept[0]["id"])).backup or {})
    assert "hrms" in sites.bench.data()["apps"]

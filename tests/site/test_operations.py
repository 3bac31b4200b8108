"""A site from nothing to nothing: made, backed up, put back, cancelled and removed, as its tenant sees it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from automation import kept_backups, operations
from automation.errors import InputError, RunLeftError
from automation.models import DeploymentStatus
from automation.operations import UpOptions
from providers.site.backups import Tenant, take
from providers.site.errors import BackupError
from providers.site.region import store_of
from providers.site.stores import FolderStore
from stacks.lines import SITE
from tests.conftest import MainDatabase
from tests.site.conftest import REGION, bench_at
from tests.site.sites import SLUG, Sites, manifest, sites_on, worked


@pytest.fixture
def sites(project: Path, main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch) -> Sites:
    return sites_on(bench_at(project / "there", monkeypatch, "simulated"), main_db)


def rows(sites: Sites) -> dict[str, str]:
    found: dict[str, str] = json.loads(sites.bench.database.read_text())["rows"]
    return found


def write(sites: Sites, **values: str) -> None:
    data = json.loads(sites.bench.database.read_text())
    sites.bench.database.write_text(json.dumps({**data, "rows": values}))


def test_a_site_is_made_and_removed_with_nothing_left_but_its_backup(sites: Sites) -> None:
    made = sites.up()
    assert made.error is None, made.error.message
    assert (made.outputs["site"], made.outputs["status"]) == ("shop.example", "active")
    assert set(made.outputs["apps"]) == {"frappe", "erpnext"}
    assert made.outputs["adminPassword"] == "[secret]"
    assert sites.tenant == "active"
    assert sites.query("SELECT host, status FROM sites") == [("shop.example", "active")]
    assert sites.bench.ops.look("shop.example").mark == sites.bench.mark

    gone = sites.destroy()
    assert gone.error is None, gone.error.message
    assert (gone.leftovers, sites.tenant) == ((), "removed")
    assert [one["id"] for one in gone.kept] == sites.kept
    assert not sites.bench.folder.exists()
    assert sites.query("SELECT 1 FROM sites") == []
    assert len(sites.kept) == 1
    # Removing what is gone succeeds, and its backup is its own all the same.
    assert sites.destroy().error is None
    [listed] = kept_backups.listed_of(sites.context.settings, SLUG)
    assert (listed["id"], listed["earlier_tenant"]) == (sites.kept[0], False)


def test_somebody_elses_site_stays_and_nothing_is_left_of_ours(sites: Sites) -> None:
    sites.bench.folder.mkdir(parents=True)
    failed = sites.up()
    assert failed.status is DeploymentStatus.ROLLED_BACK
    assert failed.error is not None
    assert "belongs to somebody else" in failed.error.message
    with pytest.raises(InputError, match="has no site that works"):
        sites.backup()
    assert sites.bench.folder.exists()
    assert sites.query("SELECT 1 FROM sites") == []


@pytest.mark.timeout(400)
def test_a_site_that_a_first_create_could_not_clean_up_is_not_forgotten_by_a_removal(
    project: Path, main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = sites_on(bench_at(project / "there", monkeypatch, "bench"), main_db)
    faults = {"install-app": {"after": "half"}, "drop-site": {"after": "start"}}
    (sites.bench.home / "faults.json").write_text(json.dumps(faults))
    assert sites.up().status is DeploymentStatus.ROLLBACK_FAILED
    assert sites.bench.folder.exists()
    sites.bench.works()
    kept = sites.destroy()
    assert kept.error is not None
    assert "site shop.example in region here" in kept.error.message
    assert f"`tenantry up {SLUG}` takes over" in kept.error.hint
    assert sites.tenant == "failed"
    assert sites.up().error is None
    gone = sites.destroy()
    assert (gone.error, sites.tenant, sites.bench.folder.exists()) == (None, "removed", False)


def test_a_backup_is_put_back_with_what_was_there_kept(sites: Sites) -> None:
    worked(sites)
    write(sites, invoice="1")
    made = sites.backup()
    assert made.error is None
    assert made.backup is not None
    assert sites.kept == [made.backup["id"]]
    steps = [(step.key, step.status.value) for step in made.state.steps]
    assert steps == [("validation", "completed"), ("backup", "completed"), ("retention", "completed")]
    assert sites.query("SELECT operation, status, progress FROM deployments") == [("backup", "succeeded", 100)]

    write(sites, invoice="2")
    restored = sites.restore(str(made.backup["id"]))
    assert (restored.error, rows(sites), sites.tenant) == (None, {"invoice": "1"}, "active")
    assert [made.backup["id"], *(one["id"] for one in restored.kept)] == sites.kept
    assert (restored.backup or {})["before"] == restored.kept[0]["id"]


def test_backups_beyond_what_is_kept_are_cleared_away(sites: Sites) -> None:
    worked(sites, backups={"keep": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0}})
    of, yesterday = Tenant(site=sites.bench.site, mark=sites.bench.mark), datetime.now(UTC) - timedelta(days=1)
    before = take(sites.bench.ops, store_of(REGION), of, now=yesterday, heard=sites.bench.hear)
    made = sites.backup().backup
    assert made is not None
    assert made["cleared"] == [before.id]
    assert sites.kept == [made["id"]]


def removed_before(sites: Sites) -> str:
    """A backup of a tenant of that name which was removed an hour ago; its id."""
    of, earlier = Tenant(site=sites.bench.site, mark=sites.bench.mark), datetime.now(UTC) - timedelta(hours=2)
    write(sites, invoice="theirs")
    made = take(sites.bench.ops, store_of(REGION), of, now=earlier, heard=sites.bench.hear)
    write(sites, invoice="ours")
    sites.query(
        "INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine, ended_at)"
        f" VALUES (gen_random_uuid(), '{SLUG}', 'destroy', 'succeeded', 'c', 'a', 'h', 1, 'e',"
        " now() - interval '1 hour') RETURNING id"
    )
    return made.id


def test_a_tenant_clears_away_no_backup_of_one_that_had_its_name_before(sites: Sites) -> None:
    worked(sites, backups={"keep": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0}})
    theirs = removed_before(sites)
    first, second = sites.backup().backup or {}, sites.backup().backup or {}
    assert second["cleared"] == [first["id"]]
    assert sites.kept == [theirs, second["id"]]
    listed = kept_backups.listed_of(sites.context.settings, SLUG)
    assert [(one["id"], one["earlier_tenant"]) for one in listed] == [(theirs, True), (second["id"], False)]
    # It can be put back all the same, by whoever has the command line.
    restored = sites.restore(theirs)
    assert (restored.error, rows(sites)) == (None, {"invoice": "theirs"})
    [(said,)] = sites.query("SELECT message FROM deployment_logs WHERE level = 'warning'")
    assert f"backup {theirs} is of a tenant that had this name before" in said


def test_a_backup_may_take_as_long_as_a_run(sites: Sites) -> None:
    worked(sites)
    settings = sites.context.settings
    made = sites.backup()
    put_back = sites.restore(str((made.backup or {})["id"]))
    for step in (*made.state.steps, *put_back.state.steps):
        assert settings.step_limit(step.key, step.seconds, line="site").seconds == settings.run_limit("site").seconds


def test_old_backups_that_cannot_be_deleted_do_not_make_the_new_one_a_failure(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise BackupError("s3://eu-sites/: x is not deleted: AccessDenied.")

    worked(sites, backups={"keep": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0}})
    sites.backup()
    monkeypatch.setattr(FolderStore, "delete", refused)
    made = sites.backup()
    assert (made.error, made.status, made.partial) == (None, DeploymentStatus.SUCCEEDED, ("retention",))
    assert "AccessDenied" in str(made.state.step("retention").error)
    assert (made.state.progress, sites.tenant, len(sites.kept)) == (100, "active", 2)


@pytest.mark.timeout(400)
def test_a_site_that_is_half_restored_is_so_until_a_restore_succeeds(
    project: Path, main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = sites_on(bench_at(project / "there", monkeypatch, "bench"), main_db)
    made = sites.up()
    assert made.error is None, made.error.message
    kept = str((sites.backup().backup or {})["id"])
    sites.bench.fails("restore", after="start")
    failed = sites.restore(kept)
    [before] = set(sites.kept) - {kept}
    assert failed.error is not None
    assert f"what was there before is backup {before}" in failed.error.message
    assert [one["id"] for one in failed.kept] == [before]
    assert sites.tenant == "failed"

    sites.bench.works()
    left = UpOptions(enable_rollback=False)
    for run in (sites.backup, lambda: operations.up(sites.context, SITE.parse(manifest()), left)):
        again = run()
        assert again.error is not None, again.operation
        assert "data is not whole" in again.error.message
        assert sites.tenant == "failed"
    restored = sites.restore(before)
    assert (restored.error, sites.tenant) == (None, "active")
    assert sites.kept == sorted((kept, before))


def test_a_restore_of_what_is_no_backup_touches_nothing(sites: Sites) -> None:
    worked(sites)
    write(sites, invoice="1")
    left = sites.restore("20260105T023000Z-1f3a", first=False)
    assert isinstance(left.error, RunLeftError)
    assert "backup '20260105T023000Z-1f3a' of site 'shop.example'" in left.error.message
    assert "there is none, or it was cut off" in left.error.message
    assert left.error.message.endswith("Choose another backup. Left as it is: the site is as it was")
    with pytest.raises(InputError, match="'yesterday' is no backup's id"):
        sites.restore("yesterday")
    assert (rows(sites), sites.tenant) == ({"invoice": "1"}, "active")


def test_a_backup_that_fails_leaves_the_tenant_as_it_was_and_no_half_of_it(sites: Sites) -> None:
    worked(sites)
    sites.bench.backups.rmdir()
    failed = sites.backup()
    assert failed.error is not None
    assert failed.error.exit_code == 9
    assert f"{sites.bench.backups}: the folder for backups is not there. Mount it" in failed.error.message
    assert failed.state.failed_step is not None
    assert failed.state.failed_step.key == "backup"
    assert (sites.tenant, sites.kept) == ("active", [])
    # The next one is not in its way.
    assert not sites.bench.backups.exists()
    sites.bench.backups.mkdir()
    assert sites.backup().error is None
    assert sites.tenant == "active"

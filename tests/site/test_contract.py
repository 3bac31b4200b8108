"""What a site's resource promises, of both drivers: made once, taken up, told of drift, backed up and dropped."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from providers.errors import ConfigurationError, OwnershipError, ProviderError
from providers.site.backups import Tenant, backups_of, manifest_of, restore, take
from providers.site.errors import BackupError, CommandError
from providers.site.names import MARK_KEY
from providers.site.region import store_of
from providers.site.resource import SiteProvider
from providers.site.seam import Kind, NewSite
from tests.site.conftest import REGION, TestBench, name_region

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


def create(bench: TestBench, **more: Any) -> dict[str, Any]:
    return dict(SiteProvider().create({**bench.props, **more}).outs or {})


def tenant(bench: TestBench) -> Tenant:
    return Tenant(site=bench.site, mark=bench.mark)


def test_a_site_is_made_with_its_apps_and_marked(bench: TestBench) -> None:
    outs = create(bench, apps=["erpnext", "hrms"])
    assert set(outs["installed"]) == {"frappe", "erpnext", "hrms"}
    assert all(version.startswith("15.") for version in outs["installed"].values())
    assert json.loads((bench.folder / "site_config.json").read_text())[MARK_KEY] == bench.mark
    assert bench.data()["apps"] == ["frappe", "erpnext", "hrms"]
    read = SiteProvider().read(bench.site, outs)
    assert (read.id, read.outs) == (bench.site, outs)
    assert not SiteProvider().diff(bench.site, outs, {**bench.props, "apps": ["erpnext", "hrms"]}).changes


def test_a_site_that_is_ours_is_taken_up_with_all_that_is_in_it(bench: TestBench) -> None:
    first = create(bench, apps=[])
    bench.change(invoice=1)
    # As if the answer had been lost: the run that comes next has nothing in its state.
    again = create(bench, apps=["erpnext"])
    assert again["installed"] == {**first["installed"], "erpnext": again["installed"]["erpnext"]}
    assert bench.data()["rows"] == {"invoice": 1}
    if bench.driver == "bench":
        assert len(bench.calls("new-site")) == 1


def test_who_takes_a_site_up_knows_its_administrators_password(bench: TestBench) -> None:
    """A state that was lost has taken the password with it, and the stack's output has another one."""
    create(bench)
    bench.change(invoice=1)
    create(bench, admin_password="an0ther-hunter2 $(of) 'the-site'")
    assert bench.data()["admin"] == hashlib.sha256(b"an0ther-hunter2 $(of) 'the-site'").hexdigest()
    assert bench.data()["rows"] == {"invoice": 1}
    # A site of the state is not taken up: what its people have set since is theirs.
    bench.ops.set_password(bench.site, bench.mark, "changed by hand", bench.hear)
    SiteProvider().update(bench.site, create(bench, apps=[], admin_password="changed by hand"), bench.props)
    assert bench.data()["admin"] == hashlib.sha256(b"changed by hand").hexdigest()


def test_another_tenants_site_is_never_touched(bench: TestBench) -> None:
    create(bench)
    other = {**bench.props, "tenant_mark": "tenantry/other"}
    before = (bench.folder / "site_config.json").read_text(), bench.data()
    with pytest.raises(
        OwnershipError, match=rf"site 'shop\.example' on .* it belongs to {bench.mark}\. Choose another"
    ):
        SiteProvider().create(other)
    with pytest.raises(OwnershipError):
        SiteProvider().update(bench.site, other, {**other, "apps": ["erpnext", "hrms"]})
    for call in (
        lambda: bench.ops.drop(bench.site, "tenantry/other", bench.hear),
        lambda: bench.ops.install_app(bench.site, "tenantry/other", "hrms", bench.hear),
        lambda: bench.ops.set_password(bench.site, "tenantry/other", "mine", bench.hear),
        lambda: bench.ops.restore(bench.site, "tenantry/other", (), bench.hear, migrate=False),
        lambda: take(bench.ops, store_of(REGION), Tenant(site=bench.site, mark="tenantry/other"), now=NOW, heard=print),
    ):
        with pytest.raises(OwnershipError):
            call()
    assert SiteProvider().read(bench.site, other).id == ""
    # Gone is a success, and ours is gone: what is there is another's.
    SiteProvider().delete(bench.site, other)
    assert ((bench.folder / "site_config.json").read_text(), bench.data()) == before
    assert bench.ops.look(bench.site).begun is None


def test_a_site_that_somebody_has_made_by_hand_is_never_touched(bench: TestBench) -> None:
    bench.folder.mkdir(parents=True)
    (bench.folder / "site_config.json").write_text('{"db_name": "by_hand"}')
    with pytest.raises(OwnershipError, match="it belongs to somebody else"):
        create(bench)
    SiteProvider().delete(bench.site, bench.props)
    assert (bench.folder / "site_config.json").read_text() == '{"db_name": "by_hand"}'
    assert not bench.calls()


def test_an_app_that_is_lost_is_drift_and_installed_again(bench: TestBench) -> None:
    outs = create(bench, apps=["erpnext", "hrms"])
    bench.database.write_text(json.dumps({**bench.data(), "apps": ["frappe", "erpnext"]}))
    seen = SiteProvider().read(bench.site, outs).outs or {}
    assert seen["apps"] == ["erpnext"]
    assert "hrms" not in seen["installed"]
    wanted = {**bench.props, "apps": ["erpnext", "hrms"]}
    assert SiteProvider().diff(bench.site, seen, wanted).changes
    updated = SiteProvider().update(bench.site, seen, wanted).outs or {}
    assert updated == outs


def test_an_app_that_somebody_has_added_by_hand_is_told_and_left(bench: TestBench) -> None:
    outs = create(bench)
    bench.ops.install_app(bench.site, bench.mark, "hrms", bench.hear)
    seen = SiteProvider().read(bench.site, outs).outs or {}
    assert "hrms" in seen["installed"]
    assert not SiteProvider().diff(bench.site, seen, bench.props).changes


def test_an_app_is_not_taken_off_a_site(bench: TestBench) -> None:
    outs = create(bench, apps=["erpnext", "hrms"])
    with pytest.raises(ConfigurationError, match="hrms is installed, and taking it off deletes its data"):
        SiteProvider().update(bench.site, outs, bench.props)
    assert bench.data()["apps"] == ["frappe", "erpnext", "hrms"]


def test_a_site_that_is_gone_is_told_so_and_its_update_says_what_to_do(bench: TestBench) -> None:
    outs = create(bench)
    bench.ops.drop(bench.site, bench.mark, bench.hear)
    assert SiteProvider().read(bench.site, outs).id == ""
    with pytest.raises(OwnershipError, match=r"it is gone from .*Run refresh, then up"):
        SiteProvider().update(bench.site, outs, bench.props)
    SiteProvider().delete(bench.site, outs)
    assert bench.left() == []


def test_a_removal_backs_the_site_up_and_leaves_nothing_else(bench: TestBench) -> None:
    outs = create(bench)
    bench.change(invoice=7)
    (bench.folder / "private" / "files" / "a.pdf").write_bytes(b"pdf")
    SiteProvider().delete(bench.site, outs)
    assert bench.left() == []
    store = store_of(REGION)
    (kept,) = backups_of(store, tenant(bench))
    manifest = manifest_of(store, tenant(bench), kept.id)
    assert {file.kind for file in manifest.files} == set(Kind)
    assert manifest.apps == outs["installed"]
    # Deleting what is gone succeeds, and backs up nothing more.
    SiteProvider().delete(bench.site, outs)
    assert len(backups_of(store, tenant(bench))) == 1
    # And another site of the name has all of it back.
    create(bench)
    restore(bench.ops, store, tenant(bench), kept.id, heard=bench.hear)
    assert bench.data()["rows"] == {"invoice": 7}
    assert (bench.folder / "private" / "files" / "a.pdf").read_bytes() == b"pdf"
    assert bench.ops.look(bench.site).mark == bench.mark


def test_a_removal_without_a_backup_where_that_is_wanted(bench: TestBench) -> None:
    outs = create(bench, backup_on_delete=False)
    SiteProvider().delete(bench.site, outs)
    assert bench.left() == []
    assert list(bench.backups.iterdir()) == []


def test_a_site_whose_backup_fails_is_not_dropped(bench: TestBench, monkeypatch: pytest.MonkeyPatch) -> None:
    outs = create(bench)
    (bench.backups / "no-folder").write_text("")
    where = {"target": "file", "folder": str(bench.backups / "no-folder")}
    more = {"command": str(bench.home / "bench"), "dbRootPasswordFrom": "TENANTRY_BACKEND_TEST_BENCH"}
    name_region(monkeypatch, bench.home, bench.driver, backups=where, **(more if bench.driver == "bench" else {}))
    with pytest.raises(ProviderError, match=r"site 'shop\.example' is not dropped, as it could not be backed up: .*"):
        SiteProvider().delete(bench.site, outs)
    assert bench.data()["apps"] == ["frappe", "erpnext"]
    assert bench.ops.look(bench.site).begun is None
    # Told not to, it drops all the same.
    SiteProvider().delete(bench.site, {**outs, "backup_on_delete": False})
    assert bench.left() == []


def test_a_region_without_a_place_for_backups_is_said_before_anything_is_made(
    bench: TestBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_region(monkeypatch, bench.home, bench.driver, backups=None)
    with pytest.raises(ConfigurationError, match=r"region 'here' says of its site backend no place for backups"):
        create(bench)
    assert bench.left() == []


def test_a_folder_for_backups_that_is_not_mounted_is_said_before_anything_is_made(bench: TestBench) -> None:
    bench.backups.rmdir()
    with pytest.raises(
        BackupError, match=rf"{bench.backups}: the folder for backups is not there\. Mount it, or make it"
    ):
        create(bench)
    assert bench.left() == []
    assert not bench.backups.exists()


def test_a_site_that_is_being_made_elsewhere_is_left_to_that_run(bench: TestBench) -> None:
    other = NewSite(site=bench.site, mark="tenantry/other", admin_password="x")
    from providers.site.seam import Begun, Doing

    note = bench.ops._note  # type: ignore[attr-defined]
    note(other.site, Begun(mark=other.mark, doing=Doing.NEW))
    with pytest.raises(OwnershipError, match="it belongs to tenantry/other"):
        create(bench)
    SiteProvider().delete(bench.site, bench.props)
    assert (bench.ops.look(bench.site).begun or Begun(mark="", doing=Doing.DROP)).mark == "tenantry/other"


def test_a_drop_that_was_cut_off_is_finished_without_another_backup(bench: TestBench) -> None:
    from providers.site.seam import Begun, Doing

    outs = create(bench)
    bench.ops._note(bench.site, Begun(mark=bench.mark, doing=Doing.DROP))  # type: ignore[attr-defined]
    bench.database.unlink()
    SiteProvider().delete(bench.site, outs)
    assert bench.left() == []
    assert list(bench.backups.iterdir()) == []


def test_a_drop_that_has_failed_before_it_did_anything_is_taken_back_by_up(bench: TestBench) -> None:
    from providers.site.seam import Begun, Doing

    create(bench)
    bench.change(invoice=3)
    bench.ops._note(bench.site, Begun(mark=bench.mark, doing=Doing.DROP))  # type: ignore[attr-defined]
    create(bench)
    assert bench.data()["rows"] == {"invoice": 3}
    assert bench.ops.look(bench.site).begun is None


def test_a_drop_that_was_cut_off_after_its_database_is_made_anew_by_up(bench: TestBench) -> None:
    from providers.site.seam import Begun, Doing

    create(bench, apps=["erpnext", "hrms"])
    bench.ops._note(bench.site, Begun(mark=bench.mark, doing=Doing.DROP))  # type: ignore[attr-defined]
    bench.database.unlink()
    outs = create(bench, apps=["erpnext", "hrms"])
    assert set(outs["installed"]) == {"frappe", "erpnext", "hrms"}
    assert bench.data()["apps"] == ["frappe", "erpnext", "hrms"]
    assert bench.ops.look(bench.site).begun is None


def test_a_restore_that_was_cut_off_is_not_taken_for_a_whole_site(bench: TestBench) -> None:
    from providers.site.seam import Begun, Doing

    create(bench)
    made = take(bench.ops, store_of(REGION), tenant(bench), now=NOW, heard=bench.hear)
    bench.ops._note(bench.site, Begun(mark=bench.mark, doing=Doing.RESTORE))  # type: ignore[attr-defined]
    with pytest.raises(ProviderError, match=r"a restore of it was cut off or has failed.*Restore a backup again"):
        create(bench)
    restore(bench.ops, store_of(REGION), tenant(bench), made.id, heard=bench.hear)
    create(bench)


def test_progress_is_told_in_the_words_of_bench(bench: TestBench) -> None:
    bench.ops.new_site(bench.new, bench.hear)
    bench.ops.install_app(bench.site, bench.mark, "erpnext", bench.hear)
    told = [str(one) for one in bench.heard]
    assert "new-site: Updating DocTypes for frappe 100 %" in told
    assert any(line.endswith("Updating DocTypes for erpnext 100 %") for line in told)


def test_what_cannot_be_a_site_is_refused_before_anything_is_asked(bench: TestBench) -> None:
    def problems(**more: Any) -> list[str]:
        found = SiteProvider().check({}, {**bench.props, **more}).failures
        return [failure.property for failure in found]

    assert problems() == []
    for site in ("", "../other", "--force", "assets", "all", "Shop.example", "a..b", "a/b", ".tenantry", "x" * 101):
        assert problems(site=site) == ["site"], site
    for apps in (["frappe"], ["--force"], ["erpnext", "erpnext"], "erpnext", ["ERPNext"]):
        assert problems(apps=apps) == ["apps"], apps
    assert problems(admin_password="") == ["admin_password"]
    with pytest.raises(ConfigurationError, match="is no name for a site"):
        bench.ops.look("../other")


def test_a_site_is_not_renamed_or_moved(bench: TestBench) -> None:
    for name, other in (("site", "b.example"), ("region", "there"), ("tenant_mark", "tenantry/b")):
        found = SiteProvider().check(bench.props, {**bench.props, name: other}).failures
        assert [failure.property for failure in found] == [name]
        assert "its data would be lost on the way" in found[0].reason


def test_an_app_that_the_bench_has_not_leaves_nothing_of_a_new_site(bench: TestBench) -> None:
    if bench.driver == "simulated":
        from providers.site.simulated import Simulated

        ops: Any = Simulated(folder=bench.home, apps=frozenset({"erpnext"}))
    else:
        ops = bench.ops
    from providers.site.lifecycle import bring_up

    with pytest.raises(CommandError, match="unknown_app") as caught:
        bring_up(ops, bench.new, ["erpnext", "unknown_app"], bench.hear)
    assert caught.value.code == 1
    assert bench.left() == []


def test_an_app_that_the_bench_has_not_leaves_a_site_that_was_there(bench: TestBench) -> None:
    outs = create(bench)
    bench.change(invoice=2)
    if bench.driver == "bench":
        with pytest.raises(CommandError):
            SiteProvider().update(bench.site, outs, {**bench.props, "apps": ["erpnext", "unknown_app"]})
        with pytest.raises(CommandError):
            create(bench, apps=["erpnext", "unknown_app"])
    assert bench.data()["rows"] == {"invoice": 2}


def test_a_region_that_names_another_bench_does_not_make_a_site_gone(
    bench: TestBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from tests.site.conftest import make_bench

    outs = create(bench)
    make_bench(tmp_path / "another")
    more = {"command": str(bench.home / "bench"), "dbRootPasswordFrom": "TENANTRY_BACKEND_TEST_BENCH"}
    name_region(monkeypatch, tmp_path / "another", bench.driver, **(more if bench.driver == "bench" else {}))
    for call in (SiteProvider().read, SiteProvider().delete):
        with pytest.raises(ConfigurationError, match=r"it is at the .*bench .*, but the region now has"):
            call(bench.site, outs)
    assert bench.data()["apps"] == ["frappe", "erpnext"]

"""What goes wrong with bench itself: each command fails, hangs or is killed, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from providers.errors import OwnershipError, ProviderError
from providers.site import host, host_process
from providers.site.backups import Tenant, backups_of, fetched, manifest_of, restore, take
from providers.site.bench import Bench
from providers.site.errors import BackupError, BusyError, CommandError, SiteError, StoppedError, TimeLimitError
from providers.site.lifecycle import bring_up
from providers.site.region import operations_of, store_of
from providers.site.resource import SiteProvider
from providers.site.seam import Begun, Doing, Kind, LocalFile, NewSite
from providers.site_backend import SiteSeconds
from tests.site.conftest import ADMIN_PASSWORD, REGION, TestBench, alive, eventually

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


def tenant(bench: TestBench) -> Tenant:
    return Tenant(site=bench.site, mark=bench.mark)


def ops_with(**seconds: float) -> Bench:
    found = operations_of(REGION)
    assert isinstance(found, Bench)
    return replace(found, seconds=SiteSeconds(**seconds))


# ------------------------------------------------------------------ new-site


@pytest.mark.parametrize("stage", ["folder", "config", "database", "frappe", "all"])
def test_whatever_a_failed_new_site_leaves_is_removed(real: TestBench, stage: str) -> None:
    real.fails("new-site", after=stage)
    with pytest.raises(CommandError, match=r"new-site on the bench .*exit code 1: new-site has failed") as caught:
        SiteProvider().create(real.props)
    assert caught.value.code == 1
    assert f"something went wrong after {stage}" in str(caught.value)
    assert real.left() == []
    real.works()
    SiteProvider().create(real.props)
    assert real.data()["apps"] == ["frappe", "erpnext"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"exit": 2}, "exit code 2: this version of bench does not take such words"),
        ({"exit": 137}, "it was ended by SIGKILL, most likely for want of memory"),
        ({"signal": int(signal.SIGKILL)}, "it was ended by SIGKILL, most likely for want of memory"),
        ({"signal": int(signal.SIGTERM)}, "it was ended by SIGTERM, by somebody or the machine"),
        ({"exit": 9}, "exit code 9"),
    ],
)
def test_an_exit_code_is_explained(real: TestBench, how: dict[str, int], words: str) -> None:
    real.fails("new-site", after="database", **how)
    with pytest.raises(CommandError, match=words):
        SiteProvider().create(real.props)
    assert real.left() == []


def test_a_cleaning_up_that_fails_is_said_and_made_good_by_the_next_run(real: TestBench) -> None:
    faults = {"new-site": {"after": "database"}, "drop-site": {"after": "start", "say": "Can't connect to MySQL"}}
    (real.home / "faults.json").write_text(json.dumps(faults))
    with pytest.raises(SiteError, match=r"what it has left could not be removed: .*Can't connect.*by hand, remove the"):
        SiteProvider().create(real.props)
    assert real.database.exists()
    # Another tenant does not get hold of it meanwhile.
    with pytest.raises(OwnershipError):
        SiteProvider().create({**real.props, "tenant_mark": "tenantry/other"})
    real.works()
    SiteProvider().create(real.props)
    assert real.data()["apps"] == ["frappe", "erpnext"]
    assert real.left() == [real.site, real.database.name]


def test_what_somebody_else_makes_under_the_name_meanwhile_stays(real: TestBench) -> None:
    class Late(Bench):
        """Somebody runs `bench new-site` by hand, between our look and our command."""

        def _bench(self, site: str, doing: str, *args: Any, **more: Any) -> list[str]:
            if doing == Doing.NEW:
                real.folder.mkdir()
                (real.folder / "site_config.json").write_text('{"db_name": "by_hand"}')
            return super()._bench(site, doing, *args, **more)

    found = ops_with()
    late = Late(host=found.host, command=found.command, root_password=found.root_password)
    with pytest.raises(OwnershipError, match=r"somebody else has made it on .* meanwhile"):
        bring_up(late, real.new, [], real.hear)
    assert (real.folder / "site_config.json").read_text() == '{"db_name": "by_hand"}'
    assert not real.calls("drop-site")
    assert real.ops.look(real.site).begun is None


def test_a_folder_with_files_that_nobody_knows_is_not_deleted(real: TestBench) -> None:
    real.folder.mkdir()
    (real.folder / "thesis.txt").write_text("years of work")
    bench = ops_with()
    bench._note(real.site, Begun(mark=real.mark, doing=Doing.NEW))
    with pytest.raises(SiteError, match=r"holds files that nobody knows, such as thesis\.txt"):
        SiteProvider().create(real.props)
    assert (real.folder / "thesis.txt").exists()


# ------------------------------------------------------------------ killed midway, and run again

_RUN = """
import json, sys
from providers.site.resource import SiteProvider
SiteProvider().create(json.loads(sys.stdin.readline()))
"""


@pytest.mark.parametrize(
    ("command", "stage"),
    [("new-site", "folder"), ("new-site", "config"), ("new-site", "database"), ("new-site", "all")],
)
def test_a_run_that_is_killed_ends_its_command_and_the_next_one_starts_over(
    real: TestBench, command: str, stage: str
) -> None:
    killed_in(real, command, stage)
    real.works()
    SiteProvider().create(real.props)
    assert real.data()["apps"] == ["frappe", "erpnext"]
    assert real.left() == [real.site, real.database.name]
    assert real.ops.look(real.site).begun is None


def test_an_installation_that_was_cut_off_is_made_over(real: TestBench) -> None:
    killed_in(real, "install-app", "listed")
    # It is on the list, but was never finished.
    assert real.data()["apps"] == ["frappe", "erpnext"]
    assert "finished erpnext" not in real.data()
    real.works()
    SiteProvider().create(real.props)
    assert real.data()["finished erpnext"] is True
    assert real.calls("install-app")[-1] == ["install-app", "erpnext", "--force"]
    assert len(real.calls("new-site")) == 1


def killed_in(bench: TestBench, command: str, stage: str) -> None:
    """A run that is killed with no chance to clean up, in the midst of a command; which has ended then, too."""
    bench.fails(command, after=stage, sleep=600)
    run = subprocess.Popen([sys.executable, "-c", _RUN], stdin=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert run.stdin is not None
        run.stdin.write(json.dumps(bench.props) + "\n")
        run.stdin.flush()
        hanging = bench.home / "hanging"
        eventually(lambda: hanging.exists() and len(hanging.read_text().split()) == 2)
        os.killpg(run.pid, signal.SIGKILL)
    finally:
        run.kill()
        run.wait()
        if run.stdin is not None:
            run.stdin.close()
    for pid in map(int, hanging.read_text().split()):
        eventually(lambda pid=pid: not alive(pid))  # type: ignore[misc]
    hanging.unlink()


# ------------------------------------------------------------------ hanging and cancelling


@pytest.mark.parametrize("deaf", [False, True])
def test_a_command_that_hangs_is_ended_with_all_that_it_started(
    real: TestBench, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    monkeypatch.setattr(host_process, "GRACE_SECONDS", 0.5)
    real.fails("new-site", after="database", sleep=600, deaf=deaf)
    with pytest.raises(TimeLimitError, match=r"new-site on the bench .* took longer than 2 s and was ended"):
        bring_up(ops_with(create=2), real.new, ["erpnext"], real.hear)
    for pid in map(int, (real.home / "hanging").read_text().split()):
        eventually(lambda pid=pid: not alive(pid))  # type: ignore[misc]
    assert real.left() == []


def test_what_is_cancelled_stops_at_once_and_leaves_nothing(real: TestBench) -> None:
    real.fails("new-site", after="database", sleep=600)
    wanted = threading.Event()
    ops = operations_of(REGION, going=lambda: not wanted.is_set())
    hanging = real.home / "hanging"

    def cancel() -> None:
        eventually(lambda: hanging.exists() and len(hanging.read_text().split()) == 2)
        wanted.set()

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    with pytest.raises(StoppedError, match=r"site 'shop\.example': stopped, as it was asked to be"):
        bring_up(ops, real.new, ["erpnext"], real.hear)
    cancelling.join()
    for pid in map(int, hanging.read_text().split()):
        assert not alive(pid)
    assert real.left() == []


def test_a_backup_that_is_cancelled_leaves_nothing_in_the_store(real: TestBench) -> None:
    SiteProvider().create(real.props)
    ops = operations_of(REGION)
    with pytest.raises(StoppedError):
        take(
            ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear, going=lambda: len(real.calls("backup")) == 0
        )
    assert backups_of(store_of(REGION), tenant(real)) == []
    assert not [path for path in real.backups.rglob("*") if path.is_file()]


def test_one_command_of_a_site_at_a_time(real: TestBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "PATIENCE_SECONDS", 0.2)
    SiteProvider().create(real.props)
    real.fails("backup", after="start", sleep=600)
    wanted = threading.Event()
    ops = operations_of(REGION, going=lambda: not wanted.is_set())

    def backs_up() -> None:
        with pytest.raises(StoppedError):
            ops.backup(real.site, real.hear)

    first = threading.Thread(target=backs_up)
    first.start()
    eventually((real.home / "hanging").exists)
    with pytest.raises(BusyError, match=r"another command is still at work on this site\. Wait for it to end"):
        real.ops.install_app(real.site, real.mark, "hrms", real.hear)
    wanted.set()
    first.join()
    assert real.data()["apps"] == ["frappe", "erpnext"]


# ------------------------------------------------------------------ the other commands


def test_a_failed_installation_on_a_new_site_takes_it_back(real: TestBench) -> None:
    real.fails("install-app", after="listed")
    with pytest.raises(CommandError, match=r"install-app erpnext on the bench .*exit code 1"):
        SiteProvider().create(real.props)
    assert real.left() == []


@pytest.mark.parametrize("how", [{"sleep": 600}, {"signal": int(signal.SIGKILL), "say": ""}], ids=["hangs", "killed"])
def test_what_ends_in_the_midst_of_a_progress_bar_is_told_as_far_as_it_went(
    real: TestBench, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    monkeypatch.setattr(host_process, "GRACE_SECONDS", 0.5)
    ops = ops_with(install=3)
    ops.new_site(real.new, real.hear)
    real.fails("install-app", after="half", **how)
    words = "took longer than 3 s and was ended" if "sleep" in how else "it was ended by SIGKILL"
    with pytest.raises(SiteError, match=rf"install-app erpnext on the bench .*{words}") as caught:
        ops.install_app(real.site, real.mark, "erpnext", real.hear)
    assert str(real.heard[-1]) == "install-app erpnext: Updating DocTypes for erpnext 40 %"
    # The bar is progress, and no reason.
    assert "====" not in str(caught.value)
    real.works()
    bring_up(ops, real.new, ["erpnext"], real.hear)
    assert real.data()["finished erpnext"] is True


def test_a_failed_installation_on_a_site_that_was_there_is_made_over(real: TestBench) -> None:
    outs = SiteProvider().create({**real.props, "apps": []}).outs or {}
    real.change(invoice=5)
    real.fails("install-app", after="listed")
    with pytest.raises(CommandError):
        SiteProvider().update(real.site, outs, real.props)
    real.works()
    SiteProvider().update(real.site, outs, real.props)
    assert real.data()["rows"] == {"invoice": 5}
    assert real.data()["finished erpnext"] is True


@pytest.mark.parametrize("stage", ["start", "written"])
def test_a_site_whose_backup_fails_in_bench_is_not_dropped(real: TestBench, stage: str) -> None:
    outs = SiteProvider().create(real.props).outs or {}
    real.fails("backup", after=stage)
    with pytest.raises(ProviderError, match=r"is not dropped, as it could not be backed up: .*exit code 1: backup has"):
        SiteProvider().delete(real.site, outs)
    assert not real.calls("drop-site")
    assert real.data()["apps"] == ["frappe", "erpnext"]


def test_a_backup_that_tells_no_paths_is_none(real: TestBench) -> None:
    SiteProvider().create(real.props)
    real.fails("backup", after="written", exit=0, say="Backup completed")
    with pytest.raises(
        BackupError, match=r"tells no path of a backup of .*the database.*See what `bench --site .* back"
    ):
        real.ops.backup(real.site, real.hear)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            {"lacks": ["Public", "Private"]},
            "no path of a backup of the public files and the private files.*disk's free space and at the rights",
        ),
        ({"cut": {"Database": 70}}, r"not whole \(\S*-database\.sql\.gz: Compressed file ended.*disk's free space"),
        ({"cut": {"Database": 0}}, r"not whole \(\S*-database\.sql\.gz: it is empty"),
        ({"cut": {"Private": 4096}}, r"not whole \(\S*-private-files\.tar: it has no end"),
    ],
    ids=["without files", "dump cut off", "dump empty", "files cut off"],
)
def test_a_site_whose_backup_bench_has_not_made_whole_is_not_dropped(
    real: TestBench, how: dict[str, Any], words: str
) -> None:
    """Bench ends well, though a disk was full: what it has written is all that tells."""
    outs = SiteProvider().create(real.props).outs or {}
    (real.folder / "private" / "files" / "contract.pdf").write_bytes(b"pdf" * 10_000)
    real.fails("backup", **how)
    with pytest.raises(ProviderError, match=rf"is not dropped, as it could not be backed up: .*{words}"):
        SiteProvider().delete(real.site, outs)
    assert not real.calls("drop-site")
    assert (real.folder / "private" / "files" / "contract.pdf").exists()
    assert backups_of(store_of(REGION), tenant(real)) == []
    real.works()
    SiteProvider().delete(real.site, outs)
    assert real.left() == []


def test_an_encrypted_dump_is_taken_as_it_is(real: TestBench) -> None:
    """What is in it, only its key tells."""
    (real.home / "sites" / "x-database-enc.sql.gz").write_bytes(b"\x8c\x0d no gzip")
    answer = operations_of(REGION)._ask("digests", "", paths=["x-database-enc.sql.gz"])  # type: ignore[attr-defined]
    assert (answer["rows"][0][0], answer["cut"]) == (10, [])


@pytest.mark.parametrize("stage", ["start", "dropped", "moved"])
def test_a_drop_that_fails_midway_is_finished_by_the_next_one(real: TestBench, stage: str) -> None:
    outs = SiteProvider().create(real.props).outs or {}
    real.fails("drop-site", after=stage)
    with pytest.raises(CommandError, match="drop-site on the bench"):
        SiteProvider().delete(real.site, outs)
    real.works()
    SiteProvider().delete(real.site, outs)
    assert real.left() == []
    assert backups_of(store_of(REGION), tenant(real))


def test_a_creation_whose_cleaning_up_was_cut_off_is_made_good_by_the_next_one(real: TestBench) -> None:
    faults = {"install-app": {"after": "half"}, "drop-site": {"after": "dropped"}}
    (real.home / "faults.json").write_text(json.dumps(faults))
    with pytest.raises(CommandError, match="install-app erpnext"):
        SiteProvider().create(real.props)
    real.works()
    SiteProvider().create(real.props)
    assert real.data()["apps"] == ["frappe", "erpnext"]
    assert real.ops.look(real.site).begun is None


@pytest.mark.parametrize(
    "said",
    ["ModuleNotFoundError: No module named 'hrms'", "(2003, \"Can't connect to MySQL server on 'db'\")"],
)
def test_a_site_whose_drop_has_failed_and_that_does_not_answer_is_not_made_over(real: TestBench, said: str) -> None:
    """Its people may have gone on since: that bench cannot tell its apps is no sign that its database is gone."""
    outs = SiteProvider().create(real.props).outs or {}
    real.fails("drop-site", after="start")
    with pytest.raises(CommandError):
        SiteProvider().delete(real.site, outs)
    real.change(invoice=9)
    real.fails("list-apps", after="start", say=said)
    with pytest.raises(CommandError, match="list-apps on the bench"):
        SiteProvider().create(real.props)
    assert len(real.calls("drop-site")) == 1
    real.works()
    SiteProvider().create(real.props)
    assert real.data()["rows"] == {"invoice": 9}


def test_a_site_whose_drop_has_failed_and_that_does_not_answer_is_not_dropped_unsaved(real: TestBench) -> None:
    outs = SiteProvider().create(real.props).outs or {}
    real.fails("drop-site", after="start")
    with pytest.raises(CommandError):
        SiteProvider().delete(real.site, outs)
    before = len(backups_of(store_of(REGION), tenant(real)))
    real.change(invoice=9)
    broken = {"after": "start", "say": "(2003, \"Can't connect to MySQL server on 'db'\")"}
    (real.home / "faults.json").write_text(json.dumps({"list-apps": broken, "backup": broken}))
    with pytest.raises(ProviderError, match="is not dropped, as it could not be backed up"):
        SiteProvider().delete(real.site, outs)
    assert real.data()["rows"] == {"invoice": 9}
    real.works()
    SiteProvider().delete(real.site, outs)
    assert real.left() == []
    assert len(backups_of(store_of(REGION), tenant(real))) == before + 1


def test_what_is_archived_of_others_stays(real: TestBench) -> None:
    archived = real.home / "archived" / "sites"
    for name, config in ((real.site, {"db_name": "theirs"}), (f"{real.site}.net", {"tenantry_mark": real.mark})):
        (archived / name).mkdir(parents=True)
        (archived / name / "site_config.json").write_text(json.dumps(config))
    outs = SiteProvider().create({**real.props, "backup_on_delete": False}).outs or {}
    SiteProvider().delete(real.site, outs)
    assert sorted(path.name for path in archived.iterdir()) == [real.site, f"{real.site}.net"]


def test_a_restore_that_fails_is_said_and_can_be_done_again(real: TestBench) -> None:
    SiteProvider().create(real.props)
    real.change(invoice=1)
    made = take(real.ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear)
    real.change(invoice=2)
    real.fails("restore", after="start")
    with pytest.raises(CommandError, match=r"restore on the bench .*exit code 1"):
        restore(real.ops, store_of(REGION), tenant(real), made.id, heard=real.hear)
    with pytest.raises(SiteError, match="its data is not whole"):
        SiteProvider().create(real.props)
    with pytest.raises(SiteError, match="is not backed up"):
        take(real.ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear)
    real.works()
    # Bench has no apps to tell of it, and there is nothing whole in it that could be kept before.
    restore(real.ops, store_of(REGION), tenant(real), made.id, heard=real.hear, first=NOW + timedelta(hours=1))
    assert [one.id for one in backups_of(store_of(REGION), tenant(real))] == [made.id]
    assert real.ops.look(real.site).begun is None
    # What was brought there for it is gone again.
    assert not list((real.home / "sites" / ".tenantry").glob("*.restore"))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"root": "rotated"}, "Access denied for user 'root'"),
        ({"root": ""}, "asks for what nobody has told it"),
        ({"command": "no-such-bench"}, "bench cannot be started"),
        ({"exit": 2, "say": "Error: No such option: --db-root-username"}, "does not take such words"),
        ({"exit": 1, "say": "Decryption failed. Please provide a valid key and try again."}, "Decryption failed"),
    ],
    ids=["password", "asked", "missing", "usage", "key"],
)
def test_a_restore_that_bench_refuses_at_the_door_leaves_the_site_whole(
    real: TestBench, how: dict[str, Any], words: str
) -> None:
    SiteProvider().create(real.props)
    made = take(real.ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear)
    real.change(invoice=1)
    if "exit" in how:
        real.fails("restore", after="door", **how)
    refusing = ops_with()
    refusing = replace(
        refusing,
        root_password=how.get("root", refusing.root_password),
        command=how.get("command", refusing.command),
    )
    files = fetched(store_of(REGION), tenant(real), made, real.backups)
    with pytest.raises(CommandError, match=words):
        refusing.restore(real.site, real.mark, files, real.hear, migrate=False)
    assert real.ops.look(real.site).begun is None
    real.works()
    assert take(real.ops, store_of(REGION), tenant(real), now=NOW + timedelta(hours=1), heard=real.hear).apps
    # What its users have done since is kept by the restore that comes next.
    real.change(invoice=1, days_work=99)
    restore(real.ops, store_of(REGION), tenant(real), made.id, heard=real.hear, first=NOW + timedelta(hours=2))
    assert real.data()["rows"] == {}
    before = backups_of(store_of(REGION), tenant(real))[-1]
    restore(real.ops, store_of(REGION), tenant(real), before.id, heard=real.hear)
    assert real.data()["rows"] == {"invoice": 1, "days_work": 99}


@pytest.mark.parametrize("command", ["restore", "migrate"])
def test_a_refusal_does_not_make_a_half_restored_site_a_whole_one(real: TestBench, command: str) -> None:
    """One that another restore has left, or the one whose own migration is refused: its data is there, or is not."""
    SiteProvider().create(real.props)
    made = take(real.ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear)
    files = fetched(store_of(REGION), tenant(real), made, real.backups)
    if command == "restore":
        real.fails("restore", after="start")
        with pytest.raises(CommandError):
            real.ops.restore(real.site, real.mark, files, real.hear, migrate=False)
    real.fails(command, after="door", exit=2)
    with pytest.raises(CommandError, match="exit code 2"):
        real.ops.restore(real.site, real.mark, files, real.hear, migrate=True)
    assert real.ops.look(real.site).half_restored


def test_a_restore_that_never_came_to_bench_leaves_the_site_whole(real: TestBench) -> None:
    SiteProvider().create(real.props)
    made = take(real.ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear)
    (kept,) = real.backups.rglob("*.sql.gz")
    file = LocalFile(kind=Kind.DATABASE, path=kept, size=kept.stat().st_size, sha256="0" * 64)
    with pytest.raises(SiteError, match="another checksum"):
        real.ops.restore(real.site, real.mark, [file], real.hear, migrate=False)
    assert not real.calls("restore")
    SiteProvider().create(real.props)
    assert take(real.ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear).apps == made.apps


def test_a_store_that_is_away_costs_no_dump_of_the_site(real: TestBench) -> None:
    SiteProvider().create(real.props)
    real.backups.rmdir()
    with pytest.raises(BackupError, match="the folder for backups is not there"):
        take(real.ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear)
    assert real.calls("backup") == []


def test_a_site_that_is_half_restored_is_dropped_without_a_backup(real: TestBench) -> None:
    outs = SiteProvider().create(real.props).outs or {}
    made = take(real.ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear)
    real.fails("restore", after="start")
    with pytest.raises(CommandError):
        restore(real.ops, store_of(REGION), tenant(real), made.id, heard=real.hear)
    assert SiteProvider().read(real.site, outs).outs == {**outs, "whole": False}
    SiteProvider().delete(real.site, outs)
    assert real.left() == []
    assert [one.id for one in backups_of(store_of(REGION), tenant(real))] == [made.id]


def test_a_restore_brings_back_the_key_of_encrypted_fields_and_migrates_what_is_older(real: TestBench) -> None:
    SiteProvider().create(real.props)
    config = real.folder / "site_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "encryption_key": "old-key"}))
    made = take(real.ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear)
    assert not list((real.folder / "private" / "backups").iterdir())
    config.write_text(json.dumps({**json.loads(config.read_text()), "encryption_key": "new-key"}))
    restore(real.ops, store_of(REGION), tenant(real), made.id, heard=real.hear)
    assert json.loads(config.read_text())["encryption_key"] == "old-key"
    assert not real.calls("migrate")
    (manifest,) = real.backups.rglob("manifest.json")
    manifest.write_text(manifest.read_text().replace("15.38.1", "15.2.0"))
    restore(real.ops, store_of(REGION), tenant(real), made.id, heard=real.hear)
    assert real.data()["migrated"] is True


def configured(bench: TestBench, **values: str) -> dict[str, Any]:
    """What somebody sets in the site's configuration; all that is in it then."""
    config = bench.folder / "site_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **values}))
    return dict(json.loads(config.read_text()))


@pytest.mark.parametrize("anew", [{}, {"backup_encryption_key": "another", "encryption_key": "new"}])
def test_an_encrypted_backup_is_restored_into_a_site_made_anew(real: TestBench, anew: dict[str, str]) -> None:
    outs = SiteProvider().create(real.props).outs or {}
    configured(real, backup_encryption_key="of the backup", encryption_key="old")
    real.change(invoice=1)
    SiteProvider().delete(real.site, outs)
    (kept,) = backups_of(store_of(REGION), tenant(real))
    SiteProvider().create(real.props)
    configured(real, **anew)
    manifest = manifest_of(store_of(REGION), tenant(real), kept.id)
    files = fetched(store_of(REGION), tenant(real), manifest, real.backups)
    without = [file for file in files if file.kind is not Kind.CONFIG]
    # Without what the backup itself knows of its key there is no way in.
    with pytest.raises(CommandError, match="Decryption failed"):
        real.ops.restore(real.site, real.mark, without, real.hear, migrate=False)
    restore(real.ops, store_of(REGION), tenant(real), kept.id, heard=real.hear)
    assert real.data()["rows"] == {"invoice": 1}
    now = configured(real)
    assert (now["backup_encryption_key"], now["encryption_key"]) == ("of the backup", "old")


def test_a_restore_that_is_refused_leaves_the_key_of_encrypted_fields(real: TestBench) -> None:
    """What is in the site was encrypted by its own, and stays there."""
    SiteProvider().create(real.props)
    configured(real, encryption_key="of before")
    made = take(real.ops, store_of(REGION), tenant(real), now=NOW, heard=real.hear)
    configured(real, encryption_key="its own")
    real.fails("restore", after="door", exit=2)
    with pytest.raises(CommandError):
        restore(real.ops, store_of(REGION), tenant(real), made.id, heard=real.hear)
    assert configured(real)["encryption_key"] == "its own"


# ------------------------------------------------------------------ bench is not there


def test_a_bench_that_is_not_there_is_said(real: TestBench) -> None:
    bench = ops_with()
    with pytest.raises(CommandError, match=r"exit code 127: bench cannot be started\. Name it") as caught:
        bring_up(replace(bench, command="no-such-bench"), real.new, [], real.hear)
    assert caught.value.code == 127
    assert real.left() == []
    elsewhere = replace(bench, host=replace(bench.host, bench=str(real.home / "nowhere")))
    with pytest.raises(SiteError, match="is no bench: it has no folder sites"):
        elsewhere.look(real.site)


def test_a_wrong_root_password_is_said_without_it(real: TestBench, monkeypatch: pytest.MonkeyPatch) -> None:
    (real.home / "databases" / "root").write_text("another")
    with pytest.raises(ProviderError, match="Access denied for user 'root'") as caught:
        SiteProvider().create(real.props)
    assert "hunter2" not in str(caught.value)
    # Neither could the drop be done; the folder is there, and is said to be.
    assert "by hand, remove the folder" in str(caught.value)


def test_a_password_that_bench_asks_for_and_nobody_has_told_is_said(real: TestBench) -> None:
    bench = replace(ops_with(), root_password="")
    with pytest.raises(
        ProviderError, match=r"asks for what nobody has told it\. Set the region's site\.dbRootPassword"
    ):
        bring_up(bench, real.new, [], real.hear)


def test_a_bench_that_has_its_own_root_password_is_not_told_another(real: TestBench) -> None:
    config = {"root_password": (real.home / "databases" / "root").read_text()}
    (real.home / "sites" / "common_site_config.json").write_text(json.dumps(config))
    import hashlib

    bring_up(replace(ops_with(), root_password=""), real.new, [], real.hear)
    assert real.data()["admin"] == hashlib.sha256(ADMIN_PASSWORD.encode()).hexdigest()


def test_two_tenants_that_want_one_name_at_once(real: TestBench) -> None:
    ended: dict[str, Any] = {}

    def run(mark: str) -> None:
        try:
            bring_up(operations_of(REGION), NewSite(site=real.site, mark=mark, admin_password="p"), [], real.hear)
            ended[mark] = "made"
        except ProviderError as error:
            ended[mark] = error

    runs = [threading.Thread(target=run, args=(f"tenantry/{name}",)) for name in "ab"]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    made = [mark for mark, how in ended.items() if how == "made"]
    assert len(made) == 1
    assert isinstance(next(how for how in ended.values() if how != "made"), OwnershipError)
    assert real.ops.look(real.site).mark == made[0]

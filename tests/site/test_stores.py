"""Backups in a folder and in a bucket: kept whole or not at all, checked before they are used, a tenant's own."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from providers.errors import OwnershipError, ProviderError, UnreachableError
from providers.site.backups import Tenant, backups_of, clear, fetched, manifest_of, restore, take
from providers.site.errors import BackupError, ChecksumError
from providers.site.manifest import place_of
from providers.site.region import store_of
from providers.site.resource import SiteProvider
from providers.site.retention import Keep
from providers.site.seam import WORDS, Kind
from providers.site.stores import Store
from tests.site.conftest import REGION, TestBench, bench_at, name_region

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
KEY, SECRET = "AKIA-hunter2", "s3-secret-hunter2"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a server of moto's, in this process."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture(params=["file", "s3"])
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TestBench:
    """A site whose backups go to a folder or to a bucket."""
    made = bench_at(tmp_path, monkeypatch, "simulated")
    if request.param == "s3":
        target = bucket_of(request.getfixturevalue("s3"), monkeypatch, tmp_path.name)
        name_region(monkeypatch, made.home, "simulated", backups=target)
    made.ops.new_site(made.new, made.hear)
    return made


def bucket_of(endpoint: str, monkeypatch: pytest.MonkeyPatch, name: str) -> dict[str, Any]:
    import boto3

    monkeypatch.setenv("TENANTRY_BACKEND_TEST_S3_KEY", KEY)
    monkeypatch.setenv("TENANTRY_BACKEND_TEST_S3_SECRET", SECRET)
    bucket = f"b-{name.replace('_', '-').lower()}"[:60].rstrip("-")
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    client.create_bucket(Bucket=bucket)
    given = {"target": "s3", "bucket": bucket, "prefix": "erp/", "endpoint": endpoint}
    return {
        **given,
        "accessKeyFrom": "TENANTRY_BACKEND_TEST_S3_KEY",
        "secretKeyFrom": "TENANTRY_BACKEND_TEST_S3_SECRET",
    }


def tenant(bench: TestBench) -> Tenant:
    return Tenant(site=bench.site, mark=bench.mark)


def taken(bench: TestBench, at: datetime = NOW) -> str:
    return take(bench.ops, store_of(REGION), tenant(bench), now=at, heard=bench.hear).id


def altered(store: Store, key: str, content: bytes) -> None:
    store.put(key, io.BytesIO(content))


def test_a_backup_is_kept_with_all_that_is_to_be_known_of_it(bench: TestBench, tmp_path: Path) -> None:
    backup, store = taken(bench), store_of(REGION)
    manifest = manifest_of(store, tenant(bench), backup)
    assert (manifest.site, manifest.mark, manifest.made_at) == (bench.site, bench.mark, NOW)
    assert manifest.apps == {"frappe": "15.0.0"}
    assert manifest.size == sum(file.size for file in manifest.files) > 0
    files = fetched(store, tenant(bench), manifest, tmp_path)
    assert [(file.size, file.sha256) for file in files] == [(file.size, file.sha256) for file in manifest.files]
    assert {file.path.stat().st_mode & 0o077 for file in files} == {0}
    # What bench had put beside its own backups is gone.
    assert not list((bench.folder / "private" / "backups").iterdir())


def test_several_megabytes_come_through(bench: TestBench) -> None:
    content = bytes(range(256)) * 80_000
    (bench.folder / "public" / "files" / "large.bin").write_bytes(content)
    backup = taken(bench)
    (bench.folder / "public" / "files" / "large.bin").unlink()
    restore(bench.ops, store_of(REGION), tenant(bench), backup, heard=bench.hear)
    assert (bench.folder / "public" / "files" / "large.bin").read_bytes() == content


def test_a_restore_puts_back_what_was_and_keeps_what_is(bench: TestBench) -> None:
    bench.change(invoice=1)
    backup = taken(bench)
    bench.change(invoice=2)
    restore(bench.ops, store_of(REGION), tenant(bench), backup, heard=bench.hear, first=NOW + timedelta(hours=1))
    assert bench.data()["rows"] == {"invoice": 1}
    _, before = backups_of(store_of(REGION), tenant(bench))
    restore(bench.ops, store_of(REGION), tenant(bench), before.id, heard=bench.hear)
    assert bench.data()["rows"] == {"invoice": 2}


@pytest.mark.parametrize("how", ["altered", "shorter", "gone"])
def test_a_file_that_is_not_what_the_manifest_says_is_never_restored(bench: TestBench, how: str) -> None:
    bench.change(invoice=1)
    backup, store = taken(bench), store_of(REGION)
    bench.change(invoice=2)
    manifest = manifest_of(store, tenant(bench), backup)
    # The last one: all the others were right.
    row = manifest.files[-1]
    key = f"{place_of(bench.mark, bench.site, backup)}{row.name}"
    if how == "gone":
        store.delete([key])
    else:
        altered(store, key, b"x" * (row.size if how == "altered" else row.size - 1))
    with pytest.raises(BackupError if how == "gone" else ChecksumError, match=row.name):
        restore(bench.ops, store, tenant(bench), backup, heard=bench.hear, first=NOW + timedelta(hours=1))
    assert bench.data()["rows"] == {"invoice": 2}
    assert bench.ops.look(bench.site).begun is None
    assert [one.id for one in backups_of(store, tenant(bench))] == [backup]


@pytest.mark.parametrize("kind", list(Kind))
def test_a_manifest_that_lacks_files_of_a_kind_is_not_whole(bench: TestBench, kind: Kind) -> None:
    backup, store = taken(bench), store_of(REGION)
    content = json.loads(manifest_of(store, tenant(bench), backup).model_dump_json())
    content["files"] = [row for row in content["files"] if row["kind"] != kind]
    altered(store, f"{place_of(bench.mark, bench.site, backup)}manifest.json", json.dumps(content).encode())
    with pytest.raises(BackupError, match=rf"its manifest is not right .*{WORDS[kind]}: not among its files"):
        restore(bench.ops, store, tenant(bench), backup, heard=bench.hear)


@pytest.mark.parametrize("wrong", ["{}", "no json", '{"format": 2}', "mark", "site", "../../x"])
def test_a_manifest_that_is_not_this_backups_is_refused(bench: TestBench, wrong: str) -> None:
    backup, store = taken(bench), store_of(REGION)
    content = json.loads(manifest_of(store, tenant(bench), backup).model_dump_json())
    if wrong in content:
        wrong = json.dumps({**content, wrong: "another"})
    elif wrong == "../../x":
        wrong = json.dumps({**content, "files": [{**content["files"][0], "name": wrong}, *content["files"][1:]]})
    altered(store, f"{place_of(bench.mark, bench.site, backup)}manifest.json", wrong.encode())
    with pytest.raises(BackupError, match="manifest"):
        restore(bench.ops, store, tenant(bench), backup, heard=bench.hear)


def test_a_backup_that_was_cut_off_is_none(bench: TestBench) -> None:
    backup, store = taken(bench), store_of(REGION)
    store.delete([f"{place_of(bench.mark, bench.site, backup)}manifest.json"])
    assert [one.whole for one in backups_of(store, tenant(bench))] == [False]
    with pytest.raises(BackupError, match=r"manifest\.json"):
        restore(bench.ops, store, tenant(bench), backup, heard=bench.hear)


def test_another_tenant_sees_no_backup_and_gets_none(bench: TestBench) -> None:
    backup, store = taken(bench), store_of(REGION)
    other = Tenant(site=bench.site, mark="tenantry/other")
    assert backups_of(store, other) == []
    for id_ in (backup, "../x", f"../{place_of(bench.mark, bench.site, backup)}"):
        with pytest.raises(BackupError):
            restore(bench.ops, store, other, id_, heard=bench.hear)
    with pytest.raises(OwnershipError):
        take(bench.ops, store, other, now=NOW, heard=bench.hear)
    assert clear(store, other, Keep(last=0, daily=0, weekly=0, monthly=0), now=NOW) == []
    assert [one.id for one in backups_of(store, tenant(bench))] == [backup]


def test_what_is_to_go_goes_and_nothing_else(bench: TestBench) -> None:
    store = store_of(REGION)
    made = [taken(bench, NOW + timedelta(days=day)) for day in range(4)]
    altered(store, f"{place_of(bench.mark, bench.site)}README.txt", b"somebody's")
    keep = Keep(last=2, daily=0, weekly=0, monthly=0)
    assert clear(store, tenant(bench), keep, now=NOW + timedelta(days=4)) == made[:2]
    assert [one.id for one in backups_of(store, tenant(bench))] == made[2:]
    left = store.keys(place_of(bench.mark, bench.site))
    assert len(left) == 2 * 5 + 1
    assert clear(store, tenant(bench), keep, now=NOW + timedelta(days=4)) == []


def test_backups_are_listed_in_the_order_in_which_they_were_made(bench: TestBench) -> None:
    moments = [NOW.replace(minute=minute) for minute in (10, 9, 30, 1)]
    made = {moment: taken(bench, moment) for moment in moments}
    assert [one.id for one in backups_of(store_of(REGION), tenant(bench))] == [made[one] for one in sorted(moments)]


def test_of_two_backups_of_one_second_the_later_one_is_the_newest(bench: TestBench) -> None:
    made = [taken(bench, NOW + timedelta(milliseconds=10 * count)) for count in range(6)]
    assert clear(store_of(REGION), tenant(bench), Keep(last=1, daily=0, weekly=0, monthly=0), now=NOW) == made[:5]


class Torn(io.RawIOBase):
    """A stream that breaks."""

    def __init__(self, good: int) -> None:
        self.left = good

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.left <= 0:
            raise BackupError("it was cut off")
        self.left -= max(size, 0) or self.left
        return b"x" * max(size, 1)


def test_a_stream_that_breaks_leaves_nothing(bench: TestBench) -> None:
    store = store_of(REGION)
    with pytest.raises(BackupError, match="it was cut off"):
        store.put("a/b.bin", Torn(20_000_000))  # type: ignore[arg-type]
    assert store.keys("a/") == []


def test_deleting_what_is_gone_succeeds(bench: TestBench) -> None:
    store_of(REGION).delete(["nothing/at-all", "nothing/else"])
    assert store_of(REGION).keys("nothing/") == []


def test_a_folder_that_is_not_there_is_neither_made_nor_taken_for_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk that is not mounted: what was kept would be hidden by the mount, and the list of backups looked empty."""
    made = bench_at(tmp_path, monkeypatch, "simulated")
    made.ops.new_site(made.new, made.hear)
    made.backups.rmdir()
    store = store_of(REGION)
    for call in (
        lambda: taken(made),
        lambda: backups_of(store, tenant(made)),
        lambda: clear(store, tenant(made), Keep(), now=NOW),
        lambda: store.fetch("a/b", tmp_path / "b"),
        lambda: store.delete(["a/b"]),
    ):
        with pytest.raises(BackupError, match=rf"^{made.backups}: the folder for backups is not there\. Mount it, or"):
            call()
    assert not made.backups.exists()


def test_a_bucket_that_is_not_there_is_said_without_the_key(
    s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = bench_at(tmp_path, monkeypatch, "simulated")
    target = bucket_of(s3, monkeypatch, tmp_path.name)
    name_region(monkeypatch, made.home, "simulated", backups={**target, "bucket": "no-such-bucket"})
    made.ops.new_site(made.new, made.hear)
    # Said before a dump is made for it.
    with pytest.raises(ProviderError, match=r"s3://no-such-bucket/erp/: cannot look for .*NoSuchBucket") as caught:
        SiteProvider().delete(made.site, {**made.props, "server": None})
    assert "hunter2" not in str(caught.value)
    assert made.ops.look(made.site).made
    # And before a site is made whose backups are to go there.
    with pytest.raises(ProviderError, match=r"s3://no-such-bucket/erp/: cannot look for the bucket: .*NoSuchBucket"):
        SiteProvider().create({**made.props, "site": "other.example"})
    assert not made.ops.look("other.example").made


def test_a_server_that_is_not_there_is_said_without_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from providers.site import s3 as module

    monkeypatch.setattr(module, "ATTEMPTS", 1)
    made = bench_at(tmp_path, monkeypatch, "simulated")
    monkeypatch.setenv("TENANTRY_BACKEND_TEST_S3_KEY", KEY)
    monkeypatch.setenv("TENANTRY_BACKEND_TEST_S3_SECRET", SECRET)
    target = {"target": "s3", "bucket": "some-bucket", "endpoint": "http://127.0.0.1:9"}
    keys = {"accessKeyFrom": "TENANTRY_BACKEND_TEST_S3_KEY", "secretKeyFrom": "TENANTRY_BACKEND_TEST_S3_SECRET"}
    name_region(monkeypatch, made.home, "simulated", backups={**target, **keys})
    with pytest.raises(UnreachableError, match="s3://some-bucket/: cannot list") as caught:
        store_of(REGION).keys("")
    assert "hunter2" not in f"{caught.value}{store_of(REGION)!r}"


def test_a_folder_keeps_out_of_other_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench_at(tmp_path, monkeypatch, "simulated")
    for key in ("../x", "/etc/passwd", "a/../../x"):
        with pytest.raises(BackupError, match="is no key of a backup"):
            store_of(REGION).put(key, io.BytesIO(b"x"))

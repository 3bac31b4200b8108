"""Assets and archives: hashes as the stock engine computes them, and what providers get to see of them."""

from __future__ import annotations

import gzip
import http.server
import io
import tarfile
import threading
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.archives import ContentError, Member, archive_hash, asset_hash, members_of, tar_entry
from engine.assets import elided, restored
from engine.diff import compare_inputs
from engine.resource import ARCHIVE_SIG, ASSET_SIG, SIG_KEY, Secret, same_values
from tests.engine.core.dsl import Stack, a_stack, update
from tests.engine.core.program import bucket

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with a_stack(tmp_path) as stack:
        yield stack


def text(value: str) -> dict[str, Any]:
    return {SIG_KEY: ASSET_SIG, "text": value}


def file(path: str) -> dict[str, Any]:
    return {SIG_KEY: ASSET_SIG, "path": path}


def archive(**fields: Any) -> dict[str, Any]:
    return {SIG_KEY: ARCHIVE_SIG, **fields}


# ------------------------------------------------------------------ hashes; the constants are the stock engine's own


def test_the_hashes_of_assets(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert asset_hash(text("a test asset"), tmp_path) == (
        "e34c74529110661faae4e121e57165ff4cb4dbdde1ef9770098aa3695e6b6704"
    )
    assert asset_hash(text(""), tmp_path) == EMPTY
    assert asset_hash(file("empty"), tmp_path) == EMPTY
    assert asset_hash({SIG_KEY: ASSET_SIG, "uri": "file:///dev/null"}, tmp_path) == EMPTY


@pytest.mark.parametrize(
    ("assets", "digest"),
    [
        ({}, "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"),
        ({"foo": text("a test asset")}, "27ab4a14a617df10cff3e1cf4e30cf510302afe56bf4cc91f84041c9f7b62fd8"),
        ({"foo": text("")}, "d2587a875f82cdf3d3e6cfe9f8c6e6032be5dde8c344466e664e628da15757b0"),
    ],
)
def test_the_hashes_of_archives_of_assets(assets: dict[str, Any], digest: str, tmp_path: Path) -> None:
    assert archive_hash(archive(assets=assets), tmp_path) == digest


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("\u00e9", "882090d152155280f5a9945acc80c160af8b25c689402ffcc8fbef42dd99f8f9"),
        (f"na\u00efve/{'k' * 120}/x", "f812afd805de271bb69aeef28cf65beceef415dba2426dc3df407c36cbac4d8f"),
        ("d" * 160 + "/" + "e" * 60, "0e246e549020e914835ee30cc5d7a2bb6cfb8579c08489300f359c8e728cb4a0"),
    ],
)
def test_names_that_need_more_than_a_header(name: str, digest: str) -> None:
    """Digests of what Go's archive/tar writes for these names."""
    import hashlib

    assert hashlib.sha256(tar_entry(Member(name, f"data of {name}".encode())) + bytes(1024)).hexdigest() == digest


def test_a_folder_and_what_is_in_it_have_one_hash(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / ".pulumi").mkdir()
    (folder / ".pulumi" / "bookkeeping").write_text("never part of it")
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.txt").write_text("b")
    (folder / "sub-c.txt").write_text("c")
    (folder / "link").symlink_to(folder / "a.txt")
    (folder / "loop").symlink_to(folder)
    names = [member.name for member in members_of(archive(path="folder"), tmp_path)]
    assert names == ["a.txt", "link", "sub/b.txt", "sub-c.txt"]
    assets = {"a.txt": text("a"), "link": text("a"), "sub/b.txt": text("b"), "sub-c.txt": text("c")}
    same = [Member(name, str(assets[name]["text"]).encode()) for name in names]
    assert list(members_of(archive(path="folder"), tmp_path)) == same
    assert archive_hash(archive(path="folder"), tmp_path) != archive_hash(archive(assets=assets), tmp_path)
    nested = archive(assets={"x": archive(path="folder"), "x/a.txt": text("hidden by the folder's own")})
    assert [m.name for m in members_of(nested, tmp_path)].count("x/a.txt") == 2
    assert archive_hash(nested, tmp_path) == archive_hash(archive(assets={"x": archive(path="folder")}), tmp_path)


def test_files_that_are_archives(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("dir/one.txt")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"one"))
    (tmp_path / "a.tar").write_bytes(packed.getvalue())
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(packed.getvalue()))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr("dir/", "")
        opened.writestr("dir/one.txt", "one")
    for name in ("a.tar", "a.tar.gz", "a.zip"):
        assert list(members_of(archive(path=name), tmp_path)) == [Member("dir/one.txt", b"one")]
    (tmp_path / "broken.zip").write_text("no zip")
    with pytest.raises(ContentError, match=r"broken\.zip' is not a zip archive"):
        list(members_of(archive(path="broken.zip"), tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (file("none"), "failed to open asset file '.*none': No such file"),
        (file("."), "is a directory; try using an archive"),
        ({SIG_KEY: ASSET_SIG, "uri": "ftp://x/y"}, "unsupported URI scheme: ftp"),
        ({SIG_KEY: ASSET_SIG, "uri": "file://elsewhere/y"}, "host 'elsewhere' not supported"),
        (archive(path="none"), "couldn't read archive path"),
        (archive(path="plain.txt"), "neither a recognized archive type nor a directory"),
        (archive(assets={"x": "text"}), "archive member 'x' is not an asset or archive"),
    ],
)
def test_contents_that_cannot_be_read(content: dict[str, Any], message: str, stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").touch()
    stack.up(bucket("a", value=content)).fails('failed to compute the asset hash for "value"')
    hashed = asset_hash if content[SIG_KEY] == ASSET_SIG else archive_hash
    with pytest.raises(ContentError, match=message):
        hashed(content, tmp_path)


def test_contents_from_the_network() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/here?token=t" else 404)
            self.end_headers()
            self.wfile.write(b"a test asset")

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        found = asset_hash({SIG_KEY: ASSET_SIG, "uri": f"{base}/here?token=t"}, Path())
        assert found == asset_hash(text("a test asset"), Path())
        token = "hu" + "sh"
        with pytest.raises(ContentError, match="/none: HTTP status 404") as error:
            asset_hash({SIG_KEY: ASSET_SIG, "uri": f"{base}/none?token={token}"}, Path())
        assert token not in "".join(traceback.format_exception(error.value))
        server.shutdown()


# ------------------------------------------------------------------ forms


def test_old_assets_have_no_contents_and_get_them_back() -> None:
    inputs = {"a": [{**text("x"), "hash": "h"}], "s": Secret({**text("y"), "hash": "i"}), "n": {"plain": 1}}
    bare = elided(inputs)
    assert bare["a"] == [{SIG_KEY: ASSET_SIG, "hash": "h"}]
    assert bare["s"] == Secret({SIG_KEY: ASSET_SIG, "hash": "i"})
    assert bare["n"] is inputs["n"]
    assert restored(inputs, bare) == inputs
    assert restored(inputs, {"b": {SIG_KEY: ASSET_SIG, "hash": "other"}}) == {
        "b": {SIG_KEY: ASSET_SIG, "hash": "other"}
    }


def test_assets_are_the_same_if_their_hashes_are() -> None:
    a, b = {**text("x"), "hash": "h"}, {**file("x.txt"), "hash": "h"}
    assert same_values(a, b)
    assert not same_values(a, {**text("x"), "hash": "i"})
    assert not same_values(a, {**archive(path="x"), "hash": "h"})
    assert compare_inputs({"v": a}, {"v": b}).changed_keys == ()
    changed = compare_inputs({"v": [a]}, {"v": [{**text("y"), "hash": "i"}]})
    assert list(changed.detailed or {}) == ["v[0]"]


# ------------------------------------------------------------------ in operations


def test_assets_in_state_and_in_updates(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("one")
    program = (bucket("a", body=file("file.txt"), all=archive(assets={"x": file("file.txt")})),)
    stack.up(*program).succeeds()
    kept = stack.resource("a").inputs["body"]
    assert kept == {**file("file.txt"), "hash": asset_hash(text("one"), tmp_path)}
    assert stack.resource("a").inputs["all"]["hash"]
    stack.up(*program).does_nothing()
    (tmp_path / "file.txt").write_text("two")
    stack.up(*program).expect(update("a")).succeeds()
    assert stack.resource("a").inputs["body"]["hash"] == asset_hash(text("two"), tmp_path)
    stack.refresh().succeeds()
    assert stack.resource("a").inputs["body"]["path"] == "file.txt"
    stack.destroy().succeeds()

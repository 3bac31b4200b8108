"""The backend on files: a save is all or nothing, damage is named with the way back, locks keep others out."""

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Self

import pytest

from engine import files
from engine.backend import DiyBackend
from engine.bucket import FileBucket
from engine.errors import StackExistsError, StackLockedError, StackNotFoundError, StateError, UsageError
from engine.stack_ref import StackRef, parse_stack_ref

REF = StackRef(project="proj", name="dev")


class Backend(DiyBackend):
    """With the places of its files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(FileBucket(folder.as_uri(), folder))
        self.root = folder / ".pulumi"

    def file(self, key: str) -> Path:
        return self.root.parent / key

    def stack_file(self, ref: StackRef) -> Path:
        return self.file(self.stack_key(ref))

    def backup_file(self, ref: StackRef) -> Path:
        return self.file(self.backup_key(ref))

    def backup_files(self, ref: StackRef) -> list[Path]:
        return list(self.file(self.backups(ref)).glob("*.json"))

    def history_folder(self, ref: StackRef) -> Path:
        return self.file(self.history(ref))


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return Backend(tmp_path)


def deployment(mark: str) -> str:
    return json.dumps({"metadata": {"mark": mark}})


def mark(backend: Backend, ref: StackRef = REF) -> str:
    metadata = backend.read(ref)["metadata"]
    return str(metadata["mark"])


def write(backend: Backend, text: str) -> None:
    backend.write(REF, deployment(text), version=3, features=())


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def test_layout_of_a_new_stack(backend: Backend, tmp_path: Path) -> None:
    backend.create(REF, deployment("new"))
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert names == [".pulumi/meta.yaml", ".pulumi/stacks/proj/dev.json", ".pulumi/stacks/proj/dev.json.bak"]
    body = json.loads(backend.stack_file(REF).read_text())
    assert (body["version"], body["checkpoint"]["stack"]) == (3, "organization/proj/dev")
    with pytest.raises(StackExistsError, match="organization/proj/dev"):
        backend.create(REF, deployment("again"))


def test_the_one_before_stays_as_bak(backend: Backend) -> None:
    for text in ("one", "two", "three"):
        write(backend, text)
    assert mark(backend) == "three"
    assert '"two"' in backend.backup_file(REF).read_text()


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_state(backend: Backend, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(backend, "good")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if call == "write":
            patch.setattr(files, "_write", full)
        elif call == "fsync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(Path, "replace", full)
        with pytest.raises(StateError, match=r"cannot write .*dev\.json.*The disk is full"):
            write(backend, "lost")
    assert mark(backend) == "good"
    assert leftovers(backend.root) == []


def test_a_short_write_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = open

    class Short:
        def __init__(self, inner: object) -> None:
            self.inner = inner

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self.inner.close()  # type: ignore[attr-defined]

        def fileno(self) -> int:
            return int(self.inner.fileno())  # type: ignore[attr-defined]

        def write(self, data: memoryview) -> int:
            return int(self.inner.write(data[:3]))  # type: ignore[attr-defined]

    monkeypatch.setattr(files, "open", lambda *a, **k: Short(real(*a, **k)), raising=False)
    files.write_atomic(tmp_path / "f", b"0123456789")
    assert (tmp_path / "f").read_bytes() == b"0123456789"


def test_killed_at_any_moment_leaves_a_whole_state(tmp_path: Path) -> None:
    """A process that does nothing but save is killed with SIGKILL, again and again."""
    program = textwrap.dedent(
        """
        import json, sys
        from pathlib import Path
        from engine.backend import DiyBackend
        from engine.bucket import FileBucket
        from engine.stack_ref import StackRef
        backend = DiyBackend(FileBucket("file://", Path(sys.argv[1])))
        print("ready", flush=True)
        number = 0
        while True:
            number += 1
            text = json.dumps({"metadata": {"mark": str(number), "fill": "x" * 200_000}})
            backend.write(StackRef(project="proj", name="dev"), text, version=3, features=())
        """
    )
    backend = Backend(tmp_path)
    write(backend, "first")
    seen = set()
    for delay in (0.0, 0.02, 0.05, 0.09, 0.13):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05 + delay)
            process.kill()
        seen.add(mark(backend))
        json.loads(backend.backup_file(REF).read_text())
    assert seen != {"first"}


@pytest.mark.parametrize("damage", ["", "{", '{"version": 3, "checkpoint": {"latest": {"res', "[]", '{"version": 3}'])
def test_a_damaged_file_is_named_with_the_way_back(backend: Backend, damage: str) -> None:
    write(backend, "one")
    backend.record(REF, {"kind": "update"})
    write(backend, "two")
    path = backend.stack_file(REF)
    path.write_text(damage)
    with pytest.raises(StateError) as failure:
        backend.read(REF)
    message = str(failure.value)
    assert str(path) in message
    assert str(backend.backup_file(REF)) in message
    copies = backend.backup_files(REF)
    assert len(copies) == 1
    assert str(copies[0]) in message
    assert "copy one of these over it" in message
    path.write_bytes(copies[0].read_bytes())
    assert mark(backend) == "one"


def test_another_version_is_refused(backend: Backend) -> None:
    write(backend, "one")
    backend.stack_file(REF).write_text('{"version": 9, "checkpoint": {}}')
    with pytest.raises(StateError, match="version 9"):
        backend.read(REF)
    (backend.root / "meta.yaml").write_text("version: 2\n")
    with pytest.raises(StateError, match="layout of version 1 only"):
        Backend(backend.root.parent).read(REF)


def test_a_compressed_state_is_refused_by_name(backend: Backend) -> None:
    assert not backend.exists(REF)
    path = backend.stack_file(REF).with_name("dev.json.gz")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    for call in (backend.exists, lambda ref: backend.create(ref, deployment("new"))):
        with pytest.raises(StateError, match=r"dev\.json\.gz is compressed.*without PULUMI_DIY_BACKEND_GZIP"):
            call(REF)


def test_history_comes_newest_first(backend: Backend) -> None:
    write(backend, "one")
    for number in range(12):
        backend.record(REF, {"number": number})
    assert [entry["number"] for entry in backend.updates(REF)] == list(range(11, -1, -1))
    assert backend.last_update(REF) == {"number": 11}
    assert len(list(backend.history_folder(REF).glob("dev-*.checkpoint.json"))) == 12


def test_rename_moves_the_history_and_leaves_the_backups(backend: Backend) -> None:
    write(backend, "one")
    backend.record(REF, {"number": 1})
    backend.set_tags(REF, {"team": "a"})
    new = StackRef(project="proj", name="prod")
    backend.rename(REF, new, deployment("renamed"), version=3, features=())
    assert mark(backend, new) == "renamed"
    assert not backend.exists(REF)
    assert backend.backup_file(REF).is_file()
    assert [entry["number"] for entry in backend.updates(new)] == [1]
    assert not backend.history_folder(REF).exists()
    assert backend.backup_files(REF)
    assert backend.tags(new) == {"team": "a"}


def test_remove_leaves_backups(backend: Backend) -> None:
    write(backend, "one")
    backend.record(REF, {"number": 1})
    backend.remove(REF)
    assert list(backend.stacks()) == []
    assert not backend.history_folder(REF).exists()
    assert '"one"' in backend.backup_file(REF).read_text()
    with pytest.raises(StackNotFoundError, match="no stack named 'dev' found"):
        backend.read(REF)


def test_a_lock_keeps_others_out(backend: Backend) -> None:
    lock = backend.locks(REF).take()
    path = backend.file(lock.key)
    body = json.loads(path.read_text())
    assert body["pid"] == os.getpid()
    with pytest.raises(StackLockedError, match=r"currently locked by 1 lock\(s\).*`pulumi cancel`") as failure:
        backend.locks(REF).take()
    assert f"(pid {os.getpid()})" in str(failure.value)
    assert failure.value.hint == ""
    assert path.as_uri() in str(failure.value)
    backend.locks(StackRef(project="proj", name="other")).take().release()
    lock.release()
    lock.release()
    backend.locks(REF).take().release()
    assert backend.locks(REF).break_all() == []


def test_two_at_once_never_both_get_in(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other's lock appears between our look and our own lock: we go away again."""
    real = FileBucket.write

    def write(self: FileBucket, key: str, data: bytes, *, sync: bool = True) -> None:
        real(self, key, data, sync=sync)
        if "/locks/" in key:
            backend.file(key).with_name("other.json").write_text("not json")

    monkeypatch.setattr(FileBucket, "write", write)
    with pytest.raises(StackLockedError, match="that cannot be read"):
        backend.locks(REF).take()
    assert [Path(lock.key).name for lock in backend.locks(REF).found()] == ["other.json"]
    assert len(backend.locks(REF).break_all()) == 1


def test_a_lock_of_a_process_that_is_gone_is_said_to_be_stale_and_stays(backend: Backend) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    lock = backend.locks(REF).take()
    path = backend.file(lock.key)
    body = json.loads(path.read_text())
    path.write_text(json.dumps(body | {"pid": gone.pid}))
    with pytest.raises(StackLockedError) as failure:
        backend.locks(REF).take()
    assert failure.value.hint.startswith(f"Stale: this host has no process {gone.pid} any more")
    assert path.exists()
    path.write_text(json.dumps(body | {"pid": gone.pid, "hostname": "elsewhere"}))
    with pytest.raises(StackLockedError, match="@elsewhere") as failure:
        backend.locks(REF).take()
    assert failure.value.hint == ""


def test_a_lock_that_cannot_be_removed_is_told_and_does_not_undo_the_work(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def fails(*_: object) -> None:
        raise StateError("the disk is gone")

    with backend.locks(REF).held(told.append):
        monkeypatch.setattr(FileBucket, "delete", fails)
    (words,) = told
    assert "could not be removed, run `pulumi cancel`" in words
    assert "the disk is gone" in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bad name!", "invalid character ' ' at position 3"),
        ("a/b/c/d", "organization"),
        ("acme/dev", "organization"),
        ("..", "cannot be named"),
        ("x" * 101, "100 characters"),
        ("organization/../dev", "project"),
    ],
)
def test_names_that_are_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_stack_ref(text, "proj")


def test_names_that_are_taken() -> None:
    for text in ("dev", "organization/dev", "organization/proj/dev"):
        assert parse_stack_ref(text, "proj") == REF

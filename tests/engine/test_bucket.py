"""One suite for every bucket: a folder, a table of PostgreSQL, and the tests' own.

And what only a server can do: hang, and be gone.
"""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.bucket import Bucket, FileBucket
from engine.bucket_postgres import PAUSE_SECONDS, PostgresBucket, parameters_of
from engine.errors import StateError, UsageError
from sandbox import postgres as sandbox_postgres
from sandbox.postgres import EmbeddedPostgres
from tests.conftest import MainDatabase
from tests.engine.memory_bucket import MemoryBucket
from tests.servers import own_postgres

ROOT = Path(__file__).resolve().parents[2]
KEY = ".pulumi/stacks/proj/dev.json"
Opened = Callable[[], Bucket]


@pytest.fixture(params=["file", "postgres", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Opens the same bucket, each time as another process would."""
    made: list[Bucket] = []

    def open_file() -> Bucket:
        made.append(FileBucket(tmp_path.as_uri(), tmp_path))
        return made[-1]

    def open_postgres() -> Bucket:
        database: MainDatabase = request.getfixturevalue("main_db")
        made.append(PostgresBucket(database.url, {}))
        return made[-1]

    in_memory = MemoryBucket()
    yield {"file": open_file, "postgres": open_postgres, "memory": lambda: in_memory}[request.param]
    for bucket in made:
        bucket.close()
        bucket.close()


@pytest.fixture
def bucket(opened: Opened) -> Bucket:
    return opened()


# ------------------------------------------------------------------ the contract


def test_nothing_is_there_before_anything_is_written(bucket: Bucket) -> None:
    assert bucket.read(KEY) is None
    assert not bucket.exists(KEY)
    assert bucket.keys(".pulumi/") == []
    assert bucket.read_all(".pulumi/") == {}
    bucket.delete(KEY)
    bucket.delete_all(".pulumi/")
    bucket.copy(KEY, "other")
    bucket.move(KEY, "other")
    assert bucket.keys("") == []


def test_what_is_written_is_read_by_others(bucket: Bucket, opened: Opened) -> None:
    data = bytes(range(256)) * 100
    bucket.write(KEY, data)
    other = opened()
    assert other.read(KEY) == data
    assert other.exists(KEY)
    bucket.write(KEY, b"", sync=False)
    assert other.read(KEY) == b""
    bucket.delete(KEY)
    bucket.delete(KEY)
    assert other.read(KEY) is None


def test_keys_are_listed_by_what_they_begin_with(bucket: Bucket) -> None:
    keys = ["a/b", "a/b_c/d", "a/bXc/d", "a/b%", "a/b\\x", "z/é", "a/b.c"]
    bucket.write_all({key: key.encode() for key in keys})
    assert bucket.keys("a/") == sorted(key for key in keys if key.startswith("a/"))
    assert bucket.keys("a/b_") == ["a/b_c/d"]
    assert bucket.keys("a/b%") == ["a/b%"]
    assert bucket.read_all("a/b\\") == {"a/b\\x": b"a/b\\x"}
    assert list(bucket.read_all("")) == sorted(keys)
    bucket.delete_all("a/b_")
    assert sorted(bucket.keys("")) == sorted(set(keys) - {"a/b_c/d"})


def test_a_copy_keeps_what_was_there(bucket: Bucket) -> None:
    bucket.write(KEY, b"one")
    bucket.copy(KEY, f"{KEY}.bak")
    bucket.write(KEY, b"two")
    assert bucket.read(f"{KEY}.bak") == b"one"
    bucket.copy(KEY, f"{KEY}.bak")
    assert (bucket.read(KEY), bucket.read(f"{KEY}.bak")) == (b"two", b"two")


def test_a_move_replaces(bucket: Bucket) -> None:
    bucket.write("a/x", b"one")
    bucket.write("b/y", b"two")
    bucket.move("a/x", "b/y")
    assert bucket.read_all("") == {"b/y": b"one"}


def test_a_claim_is_refused_with_what_was_first(bucket: Bucket, opened: Opened) -> None:
    assert bucket.claim("locks/s/1.json", b"1", "locks/s/") == []
    assert opened().claim("locks/s/2.json", b"2", "locks/s/") == ["locks/s/1.json"]
    assert opened().claim("locks/t/2.json", b"2", "locks/t/") == []
    assert bucket.keys("locks/") == ["locks/s/1.json", "locks/t/2.json"]


def test_places_are_told(bucket: Bucket) -> None:
    assert KEY in bucket.place(KEY)
    assert bucket.address(KEY).startswith(("file:///", "postgres://", "memory://"))
    assert KEY in bucket.address(KEY)


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_of_two_processes_at_once_never_both_get_it(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Each tries again and again, and holds what it gets for a moment in which nobody else may hold it."""
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        sys.stdin.readline()
        if sys.argv[1] == "file":
            from engine.bucket import FileBucket
            bucket = FileBucket("file://", Path(sys.argv[2]))
        else:
            from engine.bucket_postgres import PostgresBucket
            bucket = PostgresBucket(sys.argv[2], {})
        me, won, limit = sys.argv[3], 0, time.monotonic() + 20
        while won < 8 and time.monotonic() < limit:
            if bucket.claim(f"locks/{me}", me.encode(), "locks/"):
                time.sleep(0.001 * int(me))
                continue
            won += 1
            assert bucket.keys("held/") == []
            bucket.write(f"held/{me}", b"")
            assert bucket.keys("held/") == [f"held/{me}"]
            bucket.delete(f"held/{me}")
            bucket.delete(f"locks/{me}")
        bucket.close()
        sys.exit(0 if won == 8 else 3)
        """
    )
    where = str(tmp_path) if kind == "file" else request.getfixturevalue("main_db").url
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, kind, where, str(number)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for number in (1, 2, 3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said


def test_folders_that_are_empty_go_and_others_may_come_at_once(tmp_path: Path) -> None:
    bucket = FileBucket("file://", tmp_path)
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            bucket.delete("a/b/c/other")
            FileBucket("file://", tmp_path).write("a/b/c/other", b"", sync=False)

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        for _ in range(300):
            bucket.write("a/b/c/mine", b"x", sync=False)
            bucket.delete("a/b/c/mine")
    finally:
        stop.set()
        other.join()
    bucket.delete("a/b/c/other")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b"]


def test_what_was_written_before_a_synced_write_is_durable_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    bucket = FileBucket("file://", tmp_path)
    bucket.write_all({"j/1": b"", "j/2": b"", "j/3": b""}, sync=False)
    bucket.write("j/2", b"again", sync=False)
    bucket.delete("j/3")
    assert synced == []
    bucket.write("j/4", b"")
    # What has replaced something is durable when its folder is.
    assert synced == ["1", "2", "j", "4"]
    synced.clear()
    bucket.write("j/5", b"")
    assert synced == ["5"]
    synced.clear()
    bucket.write("j/5", b"again")
    assert synced[-1] == "j"
    assert len(synced) == 2


# ------------------------------------------------------------------ only PostgreSQL


def test_the_table_is_the_stock_one(main_db: MainDatabase) -> None:
    bucket = PostgresBucket(main_db.url, {})
    assert bucket.read(KEY) is None
    with main_db.connect() as connection:
        # Reading makes nothing.
        assert connection.execute("SELECT to_regclass('pulumi_state')").fetchone() == (None,)
    bucket.write(KEY, b"{}")
    bucket.close()
    with main_db.connect() as connection:
        columns = connection.execute(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns "
            "WHERE table_name = 'pulumi_state' ORDER BY ordinal_position"
        ).fetchall()
        assert columns == [
            ("key", "text", "NO"),
            ("data", "bytea", "NO"),
            ("updated_at", "timestamp with time zone", "NO"),
        ]
        (index,) = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE indexname = 'pulumi_state_key_prefix_idx'"
        ).fetchone() or ("",)
        assert "text_pattern_ops" in str(index)
        assert connection.execute("SELECT key, data FROM pulumi_state").fetchall() == [(KEY, b"{}")]


def test_another_table_by_the_name_that_the_stock_one_would_use(main_db: MainDatabase) -> None:
    bucket = PostgresBucket(f"{main_db.url}?sslmode=disable&table=My_States", {})
    bucket.write(KEY, b"{}")
    assert bucket.url.endswith("?table=my_states")
    bucket.close()
    with main_db.connect() as connection:
        assert connection.execute("SELECT count(*) FROM My_States").fetchone() == (1,)


def test_many_that_make_the_table_at_once(main_db: MainDatabase) -> None:
    buckets = [PostgresBucket(main_db.url, {}) for _ in range(6)]
    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            buckets[number].write(f"k{number}", b"")
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(buckets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(buckets[0].keys("k")) == len(buckets)
    for bucket in buckets:
        bucket.close()


def test_a_table_that_was_dropped_is_made_again(main_db: MainDatabase) -> None:
    bucket = PostgresBucket(main_db.url, {})
    bucket.write(KEY, b"1")
    with main_db.connect() as connection:
        connection.execute("DROP TABLE pulumi_state")
    assert bucket.read(KEY) is None
    bucket.write(KEY, b"2")
    assert bucket.read(KEY) == b"2"
    bucket.close()


@pytest.mark.parametrize("call", ["read", "write", "claim", "keys"])
def test_a_connection_that_was_ended_is_made_anew(main_db: MainDatabase, call: str) -> None:
    bucket = PostgresBucket(main_db.url, {})
    bucket.write(KEY, b"before")
    end_sessions(main_db)
    if call == "read":
        assert bucket.read(KEY) == b"before"
    elif call == "write":
        bucket.write(KEY, b"after")
        assert bucket.read(KEY) == b"after"
    elif call == "keys":
        assert bucket.keys(".pulumi/") == [KEY]
    else:
        assert bucket.claim("locks/1", b"", "locks/") == []
        assert bucket.keys("locks/") == ["locks/1"]
    bucket.close()


def end_sessions(database: MainDatabase) -> None:
    with database.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server of this test's own, which it may stop."""
    with own_postgres() as (_, server):
        yield server


def test_a_server_that_is_gone_is_told_soon_and_found_again(
    own_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = PostgresBucket(own_server.url(), {})
    bucket.write(KEY, b"kept")
    own_server.stop()
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(StateError, match="cannot be reached") as failure:
            bucket.write(KEY, b"lost")
        assert own_server.password not in str(failure.value)
        assert "What was written before is intact" in str(failure.value)
    assert time.monotonic() - started < 2 * PAUSE_SECONDS
    sandbox_postgres.start(own_server.directory)
    monkeypatch.setattr(bucket, "_down_until", 0.0)
    assert bucket.read(KEY) == b"kept"
    bucket.close()


def test_a_server_that_hangs_is_given_up_and_what_it_does_late_counts_no_more(main_db: MainDatabase) -> None:
    """The session's process is stopped in the middle, as on a host that is suspended."""
    bucket = PostgresBucket(main_db.url, {}, statement_seconds=1.0)
    bucket.write(KEY, b"before")
    assert bucket._connection is not None
    backend = bucket._connection.backend
    os.kill(backend, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(StateError, match=r"no answer within 1 s"):
            bucket.write(KEY, b"late")
        assert time.monotonic() - started < 8
        bucket._down_until = 0.0
        bucket.write(KEY, b"after")
    finally:
        os.kill(backend, signal.SIGCONT)
    deadline = time.monotonic() + 20
    while sessions(main_db, backend) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not sessions(main_db, backend)
    assert bucket.read(KEY) == b"after"
    bucket.close()


def sessions(database: MainDatabase, backend: int) -> int:
    with database.connect() as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", (backend,)
        ).fetchone() or (0,)
    return int(str(count))


def test_a_port_that_nobody_answers_on_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        bucket = PostgresBucket(f"postgres://u:secret%40pw@127.0.0.1:{port}/db?connect_timeout=2", {})
        started = time.monotonic()
        with pytest.raises(StateError, match="cannot be reached"):
            bucket.read(KEY)
        assert time.monotonic() - started < 10


def test_a_role_that_may_not_write_is_told_and_its_password_is_not(main_db: MainDatabase) -> None:
    with main_db.connect() as connection:
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'hush hush'")
        connection.execute("CREATE TABLE pulumi_state (key text PRIMARY KEY, data bytea, updated_at timestamptz)")
        connection.execute("GRANT SELECT ON pulumi_state TO reader")
    url = f"postgres://reader:hush%20hush@{main_db.server.host}:{main_db.server.port}/{main_db.name}"
    try:
        bucket = PostgresBucket(url, {})
        assert bucket.keys("") == []
        with pytest.raises(StateError, match="permission denied for table pulumi_state") as failure:
            bucket.write(KEY, b"")
        assert "hush" not in str(failure.value)
        assert "hush" not in bucket.url + bucket.place(KEY) + bucket.address(KEY)
        bucket.close()
        wrong = PostgresBucket(url.replace("hush%20", "wrong%20"), {})
        with pytest.raises(StateError, match="password authentication failed") as failure:
            wrong.read(KEY)
        assert "wrong" not in str(failure.value)
    finally:
        with main_db.connect() as connection:
            connection.execute("DROP OWNED BY reader")
            connection.execute("DROP ROLE reader")


# ------------------------------------------------------------------ the URL


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgres://al%40ice:p%2Fw@db:5433/state?sslmode=verify-full&sslrootcert=/ca.pem",
            {
                "user": "al@ice",
                "password": "p/w",
                "host": "db",
                "port": "5433",
                "dbname": "state",
                "sslmode": "verify-full",
                "sslrootcert": "/ca.pem",
            },
        ),
        ("postgresql://u:a@b@[::1]:1/d", {"user": "u", "password": "a@b", "host": "::1", "port": "1", "dbname": "d"}),
        ("postgres://h1:1,h2:2/d", {"host": "h1,h2", "port": "1,2", "dbname": "d"}),
        ("postgres://", {}),
        ("postgres:///d?host=/run/pg&connect_timeout=0", {"dbname": "d", "host": "/run/pg", "connect_timeout": "10"}),
    ],
)
def test_parameters(url: str, expected: dict[str, str]) -> None:
    parameters, table = parameters_of(url, {})
    assert table == "pulumi_state"
    added = {"connect_timeout": "10", "tcp_user_timeout": "30000", "application_name": parameters["application_name"]}
    assert parameters == {**added, **expected}


def test_what_the_url_leaves_open_comes_from_the_given_environment() -> None:
    parameters, _ = parameters_of(
        "postgres://db/", {"PGUSER": "u", "PGPASSWORD": "p", "PGHOST": "no", "PGSSLMODE": "require"}
    )
    assert parameters["host"] == "db"
    assert (parameters["user"], parameters["password"], parameters["sslmode"]) == ("u", "p", "require")
    bucket = PostgresBucket("postgres://db/", {"PGPASSWORD": "top secret", "PGUSER": "u"})
    assert bucket.url == "postgres://u@db/"
    assert "secret" not in json.dumps(bucket.place("k"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgres://u:pw@h/d?tabel=x", "a parameter 'tabel'"),
        ("postgres://u:pw@h/d?table=a;drop", "letters, digits and underscores only"),
        ("postgres://u:pw@h/d?table=s.t", "search_path"),
    ],
)
def test_urls_that_are_refused(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as failure:
        PostgresBucket(url, {})
    assert "pw" not in str(failure.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:Hunter2/ss@localhost/db",
        "postgres://u:Hunter2#ss@localhost/db",
        "postgres://u:s3?Hunter2=x@localhost/db",
        "postgres://u:12/Hunter2@localhost/db",
    ],
)
def test_a_password_that_is_not_escaped_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError, match="%2F") as failure:
        parameters_of(url, {})
    assert "Hunter2" not in str(failure.value)


def test_a_folder_that_cannot_be_listed_is_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = FileBucket(tmp_path.as_uri(), tmp_path)
    bucket.write(".pulumi/locks/o/p/s/one.json", b"{}")

    def full(_path: str) -> None:
        raise OSError(errno.EMFILE, "Too many open files", "the folder")

    monkeypatch.setattr(os, "scandir", full)
    with pytest.raises(StateError, match="cannot list the folder: Too many open files"):
        bucket.keys(".pulumi/locks/o/p/s/")
    with pytest.raises(StateError):
        bucket.claim(".pulumi/locks/o/p/s/two.json", b"{}", ".pulumi/locks/o/p/s/")

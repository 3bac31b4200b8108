"""Following a job live, over server-sent events and a WebSocket, from a service as it is served."""

from __future__ import annotations

import json
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from httpx import Client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.automation.helpers import PASSPHRASE, ROOT
from tests.service.helpers import SECRET, as_, token
from tests.service.seed import Seeded, seed
from tests.service.server import served

READERS = 3


@pytest.fixture(scope="module")
def live(served_database: tuple[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that holds few connections open."""
    folder = tmp_path_factory.mktemp("live")
    shutil.copy(ROOT / "Pulumi.yaml", folder / "Pulumi.yaml")
    environment = {
        **served_database[1],
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "TENANTRY_JWT_SECRET": SECRET,
        "TENANTRY_REQUESTS_PER_MINUTE": "0",
        "TENANTRY_JWT_LEEWAY": "0",
        "TENANTRY_LIVE_READERS": str(READERS),
    }
    with served(environment, folder) as url:
        yield url


@pytest.fixture
def database(live: str, served_database: tuple[str, dict[str, str]]) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(served_database[0], autocommit=True) as connection:
        yield connection


@pytest.fixture
def seeded(database: psycopg.Connection[Any]) -> Seeded:
    return seed(database, f"live-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def running(database: psycopg.Connection[Any], seeded: Seeded) -> uuid.UUID:
    """A job that runs, with one event."""
    job = uuid.uuid4()
    database.execute(
        "INSERT INTO jobs (id, tenant, line, operation, status, actor, correlation_id, worker, lease_until)"
        " VALUES (%s, %s, 'cabinet', 'up', 'running', 'ann', 'c', 'w', now() + interval '1 hour')",
        (job, seeded.tenant),
    )
    say(database, job, "job", status="running")
    return job


def say(database: psycopg.Connection[Any], job: uuid.UUID, kind: str, **data: Any) -> None:
    database.execute("SELECT tenantry_event(%s, %s, %s)", (job, kind, json.dumps(data)))


def finish(database: psycopg.Connection[Any], job: uuid.UUID) -> None:
    database.execute(
        "UPDATE jobs SET status = 'succeeded', ended_at = now(), worker = NULL, lease_until = NULL WHERE id = %s",
        (job,),
    )
    say(database, job, "end", status="succeeded")


def frames(response: httpx.Response) -> Iterator[dict[str, str]]:
    """The events of a stream; comments, which keep it open, are left out."""
    frame: dict[str, str] = {}
    for line in response.iter_lines():
        if not line and frame:
            yield frame
            frame = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            frame[name] = value


def path_of(job: uuid.UUID) -> str:
    return f"/api/v1/jobs/{job}/events"


def test_an_ended_job_is_told_whole_and_taken_up_after_the_last_event_seen(live: str, seeded: Seeded) -> None:
    with Client(base_url=live, timeout=20) as client:
        with client.stream("GET", path_of(seeded.job), headers=as_("ann")) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            told = list(frames(response))
        assert [(one["id"], one["event"]) for one in told] == [("1", "job"), ("2", "end")]
        assert json.loads(told[1]["data"]) == {"status": "succeeded"}
        with client.stream("GET", path_of(seeded.job), headers=as_("ann") | {"Last-Event-ID": "1"}) as response:
            assert [one["event"] for one in frames(response)] == ["end"]
        assert client.get(path_of(seeded.job), params={"after": 2}, headers=as_("ann")).status_code == 204
        assert client.get(path_of(seeded.job), headers=as_("bob", "creator")).status_code == 404
        assert client.get(path_of(seeded.job)).status_code == 401


def test_events_come_as_they_happen_and_the_stream_ends_with_the_job(
    live: str, database: psycopg.Connection[Any], running: uuid.UUID
) -> None:
    def work() -> None:
        say(database, running, "progress", progress=50)
        finish(database, running)

    with Client(base_url=live, timeout=20) as client, client.stream("GET", path_of(running), headers=as_()) as response:
        told = frames(response)
        assert next(told)["event"] == "job"
        worker = threading.Thread(target=work)
        worker.start()
        rest = [(one["id"], one["event"]) for one in told]
        worker.join()
    assert rest == [("2", "progress"), ("3", "end")]


def test_a_stream_ends_after_its_time(http: httpx.Client, running: uuid.UUID) -> None:
    # This service gives a reader 0.2 s.
    with http.stream("GET", path_of(running), headers=as_()) as response:
        assert [one["event"] for one in frames(response)] in ([], ["job"])


def test_a_stream_ends_with_its_token(live: str, running: uuid.UUID) -> None:
    headers = {"Authorization": f"Bearer {token(roles=('admin',), seconds=8)}"}
    with Client(base_url=live, timeout=30) as client, client.stream("GET", path_of(running), headers=headers) as stream:
        assert stream.status_code == 200
        assert [one["event"] for one in frames(stream)] == ["job"]
    with Client(base_url=live, timeout=30) as client:
        until = time.monotonic() + 60
        while (late := client.get(path_of(running), headers=headers)).status_code != 401:
            assert time.monotonic() < until, late.text
            time.sleep(0.2)


def test_there_are_only_so_many_readers_and_a_place_is_given_back(live: str, running: uuid.UUID) -> None:
    clients = [Client(base_url=live, timeout=20) for _ in range(READERS)]
    streams = [client.stream("GET", path_of(running), headers=as_()) for client in clients]
    try:
        # Kept: a reader that is forgotten lets go of its connection.
        told = [frames(stream.__enter__()) for stream in streams]
        assert [next(one)["event"] for one in told] == ["job"] * READERS
        with Client(base_url=live, timeout=20) as late:
            refused = late.get(path_of(running), headers=as_())
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
    finally:
        for stream in streams:
            stream.__exit__(None, None, None)
        for client in clients:
            client.close()
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with Client(base_url=live, timeout=20) as again, again.stream("GET", path_of(running), headers=as_()) as one:
            if one.status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError("the places of readers that are gone were not given back")


def socket(live: str, job: object, query: str = "") -> str:
    return f"ws{live.removeprefix('http')}/api/v1/jobs/{job}/ws{query}"


def test_a_socket_tells_the_same(live: str, database: psycopg.Connection[Any], running: uuid.UUID) -> None:
    with connect(socket(live, running), additional_headers=as_()) as following:
        first = json.loads(following.recv(timeout=10))
        assert (first["seq"], first["kind"], first["data"]) == (1, "job", {"status": "running"})
        say(database, running, "log", message="Zoé 🦷")
        assert json.loads(following.recv(timeout=10))["data"] == {"message": "Zoé 🦷"}
        finish(database, running)
        assert json.loads(following.recv(timeout=10))["kind"] == "end"
        with pytest.raises(ConnectionClosed) as closed:
            following.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000
    with connect(socket(live, running, "?after=2"), additional_headers=as_()) as again:
        assert json.loads(again.recv(timeout=10))["seq"] == 3


@pytest.mark.parametrize(
    ("who", "job", "query", "status"),
    [
        ({}, None, "", 401),
        ({"Authorization": "Bearer x.y.z"}, None, "", 401),
        (as_("bob", "creator"), None, "", 404),
        (as_(), uuid.uuid4(), "", 404),
        (as_(), "nonsense", "", 404),
        (as_(), None, "?after=x", 422),
        (as_(), None, "?after=-1", 422),
    ],
)
def test_a_socket_is_refused_with_a_problem(
    live: str, seeded: Seeded, who: dict[str, str], job: object, query: str, status: int
) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(socket(live, job or seeded.job, query), additional_headers=who),
    ):
        pass
    response = refused.value.response
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(response.body or b"{}")["status"] == status


def test_what_a_reader_sends_is_ignored_and_its_going_is_noticed(live: str, running: uuid.UUID) -> None:
    for _ in range(READERS + 2):
        with connect(socket(live, running), additional_headers=as_()) as following:
            following.send("x" * 1000)
            following.send(b"\xff\x00")
            assert json.loads(following.recv(timeout=10))["kind"] == "job"

"""Events reach a file and a gRPC reader whole and in order; a reader that goes away does not break anything off."""

import json
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import events_pb2_grpc

from engine.errors import EngineError, UsageError
from engine.event_log import GrpcEventLog, NoEventLog, open_event_log


class Reader(events_pb2_grpc.EventsServicer):
    """What the Automation API runs."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def StreamEvents(self, request_iterator: Iterator[Any], context: object) -> empty_pb2.Empty:  # noqa: N802
        self.events.extend(json.loads(request.event) for request in request_iterator)
        return empty_pb2.Empty()


@pytest.fixture
def reader() -> Iterator[tuple[Reader, str, grpc.Server]]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    found = Reader()
    events_pb2_grpc.add_EventsServicer_to_server(found, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield found, f"tcp://127.0.0.1:{port}", server
    server.stop(0).wait(5)


def test_a_stream_has_everything_when_it_is_closed(reader: tuple[Reader, str, grpc.Server], tmp_path: Path) -> None:
    found, address, _ = reader
    log = open_event_log(address, tmp_path)
    threads = [
        threading.Thread(target=lambda n=n: [log.emit({"preludeEvent": {"config": {"n": str(n)}}}) for _ in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.emit({"cancelEvent": {}})
    log.close()
    assert [event["sequence"] for event in found.events] == list(range(201))
    assert found.events[-1]["cancelEvent"] == {}


def test_a_reader_that_is_gone_is_told_at_the_end(reader: tuple[Reader, str, grpc.Server]) -> None:
    _, address, server = reader
    log = GrpcEventLog(address.removeprefix("tcp://"))
    log.emit({"a": 1})
    server.stop(0).wait(5)
    for _ in range(100):
        log.emit({"a": 1})
    with pytest.raises(EngineError, match="did not take all events"):
        log.close()


def test_a_file_can_be_followed(tmp_path: Path) -> None:
    log = open_event_log("events.json", tmp_path)
    log.emit({"a": 1})
    # Written through at once: a reader follows the file.
    assert json.loads((tmp_path / "events.json").read_text())["a"] == 1
    log.close()
    log.close()
    log.emit({"late": 1})
    assert "late" not in (tmp_path / "events.json").read_text()


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        open_event_log("nowhere/events.json", tmp_path)


def test_no_log() -> None:
    log = open_event_log("", Path())
    assert isinstance(log, NoEventLog)
    log.emit({})
    log.close()

"""What a program's SDK is adapted to: debug messages that nobody shows are not sent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime import Settings
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from engine.program_host import NO_DEBUG, adapt_sdk
from tests.engine.test_program import Project


class Listener(engine_pb2_grpc.EngineServicer):
    """An engine that only listens."""

    def __init__(self, *, shows_debug: bool) -> None:
        self.shows_debug = shows_debug
        self.heard: list[str] = []
        self.server = grpc.server(ThreadPoolExecutor(2))
        engine_pb2_grpc.add_EngineServicer_to_server(self, self.server)  # type: ignore[no-untyped-call]
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's own name
        self.heard.append(request.message)
        if not self.shows_debug and request.severity == engine_pb2.DEBUG:
            context.set_trailing_metadata(((NO_DEBUG, ""),))
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's own name
        return engine_pb2.GetRootResourceResponse(urn="root")


@pytest.fixture(params=[False, True])
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    listener = Listener(shows_debug=request.param)
    yield listener
    listener.server.stop(None).wait(5)


def test_debug_messages_are_sent_to_those_who_show_them(listener: Listener) -> None:
    adapt_sdk()
    adapt_sdk()
    engine: Any = Settings(project="p", stack="s", engine=listener.address).engine
    for severity, text in ((engine_pb2.INFO, "a"), (engine_pb2.DEBUG, "b"), (engine_pb2.DEBUG, "c")):
        engine.Log(engine_pb2.LogRequest(severity=severity, message=text))
    engine.Log(engine_pb2.LogRequest(severity=engine_pb2.ERROR, message="d"))
    assert listener.heard == (["a", "b", "c", "d"] if listener.shows_debug else ["a", "b", "d"])
    assert engine.GetRootResource(engine_pb2.GetRootResourceRequest()).urn == "root"


def test_debug_messages_of_a_program(tmp_path: Path) -> None:
    project = Project(tmp_path, "import pulumi\npulumi.log.debug('one')\npulumi.log.debug('look here')\n")
    project.run("stack", "init", "dev")
    assert "look here" in project.run("preview", "--debug")
    assert "look here" not in project.run("preview")

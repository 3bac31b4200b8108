"""An engine that gives up reaches the plugin, and a plugin that is told to end does, however much it is at.

It serves in a process of its own, as plugins do: in this one the SDK's stubs are the program host's.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

_SERVES = """
import sys
import threading
from providers.plugin import server
from providers.plugin.errors import CancelledError

server.LAST_SECONDS = 1.0


class Waiting:
    name, version, preload, stable_names = "test", "1.0.0", "json", True

    def __init__(self):
        self.ended = threading.Event()

    def create(self, ask, inputs):
        self.ended.wait(60)
        raise CancelledError("cancelled")

    def cancel(self):
        if sys.argv[1] == "obedient":
            self.ended.set()


server.main(Waiting())
"""


@contextmanager
def serving(how: str) -> Iterator[tuple["subprocess.Popen[str]", Any]]:
    process = subprocess.Popen([sys.executable, "-c", _SERVES, how], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
            yield process, provider_pb2_grpc.ResourceProviderStub(channel)  # type: ignore[no-untyped-call]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def begin(stub: Any, calls: int) -> list[Any]:
    request = provider_pb2.CreateRequest(urn="urn:pulumi:dev::tests::a:b:C::c", type="a:b:C")
    waiting = [stub.Create.future(request, timeout=50) for _ in range(calls)]
    # All that can be under way are.
    time.sleep(0.5)
    return waiting


@pytest.mark.parametrize("calls", [1, 16, 40])
def test_a_cancel_does_not_wait_for_the_calls_that_it_ends(calls: int) -> None:
    with serving("obedient") as (_, stub):
        waiting = begin(stub, calls)
        stub.Cancel(Empty(), timeout=10)
        assert {call.exception().details() for call in waiting} == {"cancelled"}


def test_a_plugin_ends_though_a_call_hangs() -> None:
    with serving("deaf") as (process, stub):
        waiting = begin(stub, 1)
        process.terminate()
        process.wait(20)
        assert waiting[0].exception() is not None

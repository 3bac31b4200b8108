"""What a plugin says to the engine arrives, in order and once; and nothing depends on it.

It speaks from a process of its own, as plugins do: in this one the SDK's stubs are the program host's.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

_SAYS = """
import sys
from providers.plugin.engine_log import EngineLog, Voice

log = EngineLog()
log.connect(sys.argv[1])
first, second = (Voice(log=log, urn=urn) for urn in ("urn:a", "urn:b"))
for number in range(50):
    first.status(f"[{number}] waiting")
    first.status(f"[{number}] waiting")
for voice in (first, first, second):
    voice.warning("deprecated")
log.close()
"""


class Engine(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.slow = 0.0
        self.heard: list[tuple[int, bool, str, str]] = []

    def Log(self, request: Any, context: Any) -> Empty:  # noqa: N802 - as the protocol has it
        time.sleep(self.slow)
        self.heard.append((request.severity, request.ephemeral, request.urn, request.message))
        return Empty()


@pytest.fixture
def engine() -> Iterator[tuple[Engine, str]]:
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = Engine()
    engine_pb2_grpc.add_EngineServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(0).wait()


def say(address: str) -> None:
    subprocess.run([sys.executable, "-c", _SAYS, address], check=True, timeout=60)


def test_messages_arrive(engine: tuple[Engine, str]) -> None:
    servicer, address = engine
    say(address)
    live = [(engine_pb2.INFO, True, "urn:a", f"[{number}] waiting") for number in range(50)]
    told = [(engine_pb2.WARNING, False, urn, "deprecated") for urn in ("urn:a", "urn:b")]
    assert servicer.heard == [*live, *told]


_SAYS_TO_TWO = """
import sys
from providers.plugin.engine_log import EngineLog, Voice

log = EngineLog(sys.argv[1])
voice = Voice(log=log, urn="urn:a")
voice.warning("deprecated")
log.connect(sys.argv[1])
voice.warning("deprecated")
log.connect(sys.argv[2])
for number in range(50):
    voice.status(f"[{number}] waiting")
voice.warning("deprecated")
log.close()
"""


def test_a_plugin_that_outlives_an_engine_speaks_to_the_next(engine: tuple[Engine, str]) -> None:
    servicer, address = engine
    subprocess.run([sys.executable, "-c", _SAYS_TO_TWO, "127.0.0.1:1", address], check=True, timeout=60)
    assert [message for *_, message in servicer.heard] == [
        *(f"[{number}] waiting" for number in range(50)),
        "deprecated",
    ]


_ANSWERS = """
import os
import sys
from providers.plugin.engine_log import EngineLog, Voice
from providers.plugin.server import PluginProvider
from providers.plugin.stubs import provider_pb2
from providers.plugin.wire import Bag

class Warns:
    def invoke(self, token, args):
        Voice(log=log, urn="urn:a").warning("deprecated")
        return Bag(values={})

log = EngineLog(sys.argv[1])
PluginProvider(Warns(), log).Invoke(provider_pb2.InvokeRequest(), None)
os._exit(0)
"""


def test_a_warning_is_heard_before_the_answer_that_may_be_the_last(engine: tuple[Engine, str]) -> None:
    servicer, address = engine
    servicer.slow = 0.5
    subprocess.run([sys.executable, "-c", _ANSWERS, address], check=True, timeout=60)
    assert [message for *_, message in servicer.heard] == ["deprecated"]


@pytest.mark.parametrize("address", ["", "127.0.0.1:1"])
def test_nobody_need_listen(address: str) -> None:
    say(address)

"""What a program's SDK is adapted to: it sends no debug messages for nobody, waits for outputs together, and ends."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi import Output, RunError
from pulumi.automation import CommandError
from pulumi.runtime import Settings, configure, stack
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc
from pulumi.runtime.resource_cycle_breaker import declare_dependency

from engine.program_host import NO_DEBUG, adapt_sdk
from tests.embedded import stacks_in
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


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tasks each wait of the SDK was for, in a program of this process."""
    adapt_sdk()
    configure(Settings(project="p", stack="s"))
    found: list[int] = []
    real = asyncio.wait

    async def wait(tasks: Any, **more: Any) -> Any:
        found.append(len(tasks))
        return await real(tasks, **more)

    monkeypatch.setattr(asyncio, "wait", wait)
    return found


async def one_after_another(count: int) -> None:
    before: Output[int] = Output.from_input(0)
    for _ in range(count):
        before = before.apply(lambda value: value + 1)


async def fails(seconds: float) -> None:
    await asyncio.sleep(seconds)
    raise ValueError("no good")


def test_a_program_waits_for_its_outputs_together(waits: list[int]) -> None:
    async def program() -> None:
        await one_after_another(200)
        await stack.wait_for_rpcs()

    asyncio.run(program())
    assert sum(waits) < 1000, "each of them is waited for a few times at most"


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_an_output_that_fails_ends_the_program_though_others_never_end(waits: list[int], seconds: float) -> None:
    async def program() -> None:
        never: asyncio.Future[int] = asyncio.Future()
        waiting = Output.from_input(never)
        failing = Output.from_input(fails(seconds))
        with pytest.raises(ValueError, match="no good"):
            await asyncio.wait_for(stack.wait_for_rpcs(), 20)
        never.cancel()
        await asyncio.gather(waiting.future(), failing.future(), return_exceptions=True)

    asyncio.run(program())


def test_an_output_that_is_made_later_and_fails_is_noticed_too(waits: list[int]) -> None:
    async def program() -> None:
        never: asyncio.Future[int] = asyncio.Future()
        waiting = Output.from_input(never)
        later: list[Output[Any]] = []
        asyncio.get_running_loop().call_later(0.1, lambda: later.append(Output.from_input(fails(0))))
        with pytest.raises(ValueError, match="no good"):
            await asyncio.wait_for(stack.wait_for_rpcs(), 20)
        never.cancel()
        await asyncio.gather(waiting.future(), later[0].future(), return_exceptions=True)

    asyncio.run(program())
    assert len(waits) == 2


def test_an_output_that_is_cancelled_ends_the_program(waits: list[int]) -> None:
    async def program() -> None:
        never, cancelled = asyncio.Future[int](), asyncio.Future[int]()
        outputs = [Output.from_input(never), Output.from_input(cancelled)]
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(stack.wait_for_rpcs(), 20)
        never.cancel()
        await asyncio.gather(*(output.future() for output in outputs), return_exceptions=True)

    asyncio.run(program())


class Node:
    """Stands for a resource: the search knows of it only what it depends on."""


def test_a_chain_of_dependencies_may_be_long() -> None:
    adapt_sdk()
    chain: list[Any] = [Node() for _ in range(1500)]
    assert all(declare_dependency(after, before) for before, after in itertools.pairwise(chain))
    assert not declare_dependency(chain[0], chain[-1]), "that would be a cycle"
    assert not declare_dependency(chain[0], chain[0])
    assert declare_dependency(chain[-1], chain[0])


async def ends_with_an_error_of_its_own() -> None:
    """As what registers a resource does when the engine has gone."""
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        raise RunError("the monitor has terminated") from None


def test_an_inline_program_that_fails_while_something_is_under_way_closes_its_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    real = asyncio.new_event_loop

    def made() -> asyncio.AbstractEventLoop:
        loops.append(real())
        return loops[-1]

    def program() -> None:
        Output.from_input(ends_with_an_error_of_its_own())
        Output.from_input(fails(0.05))

    monkeypatch.setattr(asyncio, "new_event_loop", made)
    inline = stacks_in(tmp_path, monkeypatch)(program)
    with pytest.raises(CommandError, match="no good"):
        inline.up()
    assert [loop.is_closed() for loop in loops] == [True]

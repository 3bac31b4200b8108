"""Runs one Python program for the engine: `python program_host.py OPTIONS-JSON PROGRAM`.

Started with the project's Python, which need not have the engine installed: it imports Pulumi's SDK and nothing else of
ours. Exit code 23 says that the error has been shown. `adapt_sdk` is for every process that runs programs.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import runpy
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SHOWN_EXIT_CODE = 23
#: Metadata of the engine's answer to a debug message that it will not show.
NO_DEBUG = "tenantry-shows-no-debug"
_pickling = threading.RLock()


def adapt_sdk() -> None:
    """Takes five limits off the SDK in this process; doing it again changes nothing."""
    _keep_pickler()
    _keep_debug_messages()
    _wait_for_outputs_once()
    _walk_dependencies()
    _end_inline_programs()


def _keep_pickler() -> None:
    """Makes every construction of a dynamic resource in this process leave Python's pickler as it was.

    The SDK's wraps a method of it each time and takes none of it back: a program that makes 300 resources ends with a
    RecursionError, a process that runs many programs gets slower and slower, and two at once take each other's wraps.
    """
    from pulumi.dynamic import dynamic

    original = dynamic.serialize_provider
    if hasattr(original, "leaves_pickler"):
        return

    def serialize_provider(provider: dynamic.ResourceProvider) -> str:
        pickler: Any = pickle._Pickler  # noqa: SLF001 - the class that the SDK changes
        with _pickling:
            before = {name: vars(pickler)[name] for name in ("_batch_setitems", "save_dict")}
            try:
                return str(original(provider))
            finally:
                for name, method in before.items():
                    setattr(pickler, name, method)

    serialize_provider.leaves_pickler = True  # type: ignore[attr-defined]
    dynamic.serialize_provider = serialize_provider


def _keep_debug_messages() -> None:
    """Makes programs keep debug messages to themselves as soon as the engine has said that it shows none.

    The SDK sends four for each resource, and the program waits for each to be answered: a third of a no-op's time.
    Another engine says no such thing, and gets all of them.
    """
    from pulumi.runtime.proto import engine_pb2_grpc

    stub: Any = engine_pb2_grpc.EngineStub
    if not isinstance(stub, type):
        return

    def make(channel: Any) -> _Engine:
        return _Engine(stub(channel))

    engine_pb2_grpc.EngineStub = make  # type: ignore[assignment,misc]


class _Engine:
    """The engine's services as a program calls them."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub
        self._shows_debug = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stub, name)

    def Log(self, request: Any) -> Any:
        """Sends a message, unless it is a debug message that nobody will see."""
        from google.protobuf import empty_pb2
        from pulumi.runtime.proto import engine_pb2

        if request.severity != engine_pb2.DEBUG:
            return self._stub.Log(request)
        if not self._shows_debug:
            return empty_pb2.Empty()
        answer, call = self._stub.Log.with_call(request)
        self._shows_debug = NO_DEBUG not in dict(call.trailing_metadata() or ())
        return answer


def _wait_for_outputs_once() -> None:
    """Makes the end of a program wait for its outputs together.

    The SDK asks which one of them is done first, and then again for all that are left: a program of 500 resources one
    after another spends ten seconds on that. Whatever else it does there it goes on doing.
    """
    from pulumi.runtime import stack

    vars(stack)["asyncio"] = _PatientAsyncio()


class _Asyncio:
    """`asyncio`, but for what a class of it defines."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


class _PatientAsyncio(_Asyncio):
    """`wait` ends with the first failure, when all are done, or after a while."""

    #: Outputs that came later are looked at after so many seconds at the latest: one of them may have failed.
    LOOK_AGAIN = 1.0

    async def wait(self, tasks: Any, *, return_when: str = asyncio.ALL_COMPLETED) -> Any:
        if return_when == asyncio.FIRST_COMPLETED:
            return await asyncio.wait(tasks, timeout=self.LOOK_AGAIN, return_when=asyncio.FIRST_EXCEPTION)
        return await asyncio.wait(tasks, return_when=return_when)


def _walk_dependencies() -> None:
    """Makes the SDK's search for dependency cycles walk where it recurs.

    It goes down to the first resource for each one: a RecursionError for the thousandth of a chain.
    """
    from pulumi.runtime import resource_cycle_breaker

    deps = resource_cycle_breaker._deps  # noqa: SLF001 - what the function replaced here calls

    def with_transitive_deps(r: Any, visited: set[Any]) -> Iterator[Any]:
        waiting = [r]
        while waiting:
            one = waiting.pop()
            if one not in visited:
                visited.add(one)
                yield one
                waiting.extend(deps(one))

    resource_cycle_breaker._with_transitive_deps = with_transitive_deps  # noqa: SLF001


def _end_inline_programs() -> None:
    """Makes the end of an inline program take whatever its last tasks end with.

    The SDK cancels what a program that has failed still waits for, and bears only that it was cancelled: another error,
    as of a resource that was just being registered, took the place of the program's, and left its event loop open.
    """
    server = sys.modules.get("pulumi.automation._server")
    if server is not None:
        # Where it is not loaded, which takes long, nobody runs inline programs.
        vars(server)["asyncio"] = _EndingAsyncio()


class _EndingAsyncio(_Asyncio):
    """`all_tasks` ends the tasks of a loop that stands still, so that none is left."""

    def all_tasks(self, loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
        _end_tasks(loop)
        return set()


def _run(options: dict[str, Any], program: str) -> int:
    import grpc
    import pulumi
    from pulumi import log, runtime
    from pulumi.runtime import stack as runtime_stack

    adapt_sdk()
    runtime.configure(
        runtime.Settings(
            project=options["project"],
            stack=options["stack"],
            organization=options["organization"],
            monitor=options["monitor"],
            engine=options["engine"],
            dry_run=options["dry_run"],
            parallel=options["parallel"],
            root_directory=options["root_directory"],
        )
    )
    runtime.set_all_config(runtime.get_config_env(), runtime.get_config_secret_keys_env())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(max_workers=max(options["parallel"], 1) * 4))
    try:
        loop.run_until_complete(runtime_stack.run_in_stack(lambda: _run_path(program)))
    except pulumi.RunError as error:
        log.error(str(error))
        return SHOWN_EXIT_CODE
    except grpc.RpcError as error:
        # The engine is gone or going: it has said why.
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return 0
        log.error(f"RPC error: {error.details()}")
        return SHOWN_EXIT_CODE
    except Exception:  # noqa: BLE001 - whatever the program raises is shown as the program's own error
        log.error(f"Program failed with an unhandled exception:\n{_trace_of_the_program()}")
        return SHOWN_EXIT_CODE
    finally:
        _end_tasks(loop)
        loop.close()
    return 0


def _trace_of_the_program() -> str:
    """The traceback from the program's first line on: what ran the program is not its author's concern."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    runners = [number for number, frame in enumerate(frames) if "runpy" in frame.filename]
    first = runners[-1] + 1 if runners else 0
    return traceback.format_exc(limit=first - len(frames)) if 0 < first < len(frames) else traceback.format_exc()


def _run_path(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    if pending:
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))


def _end_with_the_engine() -> None:
    """A program must not outlive an engine that was killed: its standard input ends then, whose place nothing takes."""
    watched = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def watch() -> None:
        os.read(watched, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> int:
    _end_with_the_engine()
    options, program = json.loads(sys.argv[1]), sys.argv[2]
    # As if the program itself had been started: its folder comes first on the path, and it sees its own name.
    folder = program if Path(program).is_dir() else str(Path(program).parent)
    sys.path[0] = folder
    sys.argv = [program]
    return _run(options, program)


if __name__ == "__main__":
    sys.exit(main())

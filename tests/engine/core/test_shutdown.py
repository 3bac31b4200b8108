"""How an operation and its program end: SignalAndWaitForShutdown, errors after it, programs that outstay it."""

import threading
import time

import grpc
import pytest
from google.protobuf import empty_pb2

from engine.errors import ProgramError
from tests.engine.core.dsl import Stack, delete, in_background
from tests.engine.core.program import Do, Resource, Run, bucket, exports


def test_the_program_is_held_until_the_deletes_have_ended(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    held: list[int] = []

    def wait(run: Run) -> None:
        run.wait_for_end()
        held.append(len(stack.cloud.objects))

    stack.up(bucket("b"), Do(wait)).succeeds().expect(delete("a"))
    assert held == [1]


def test_outputs_before_the_signal_count(stack: Stack) -> None:
    stack.up(bucket("a"), exports(x=1), Do(Run.wait_for_end)).succeeds()
    assert stack.outputs == {"x": 1}


def test_a_program_may_signal_only_once(stack: Stack) -> None:
    seen: list[str] = []

    def twice(run: Run) -> None:
        def signal() -> None:
            try:
                run.monitor.SignalAndWaitForShutdown(empty_pb2.Empty(), timeout=20)
            except grpc.RpcError as error:
                seen.append(error.details())

        run.export()
        run._ended = True
        for thread in [in_background(signal), in_background(signal)]:
            thread.join()

    stack.up(Do(twice)).succeeds()
    assert seen == ["Already waiting for shutdown"]


def test_an_error_after_the_end_fails_the_update(stack: Stack) -> None:
    def late(run: Run) -> None:
        run.wait_for_end()
        raise ProgramError("too late", shown=False)

    result = stack.up(bucket("a"), Do(late)).fails("too late")
    result.calling("create a").valid_after_every_step()
    assert stack.names == ["a"]


def test_a_cancel_lets_a_waiting_program_go(stack: Stack) -> None:
    """It was cancelled between the program's last word and the deletes: nobody may wait for anybody then."""
    stack.up(bucket("a"), bucket("b"))

    def wait(run: Run) -> None:
        stack.cancel.signal()
        run.wait_for_end()

    started = time.monotonic()
    stack.up(bucket("b"), Do(wait)).fails("canceled")
    assert time.monotonic() - started < 15
    assert stack.names == ["a", "b"] or stack.names == ["b", "a"]


def test_a_program_that_never_ends_after_the_operation_is_ended(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.program_thread.STOP_SECONDS", 0.5)

    def linger(run: Run) -> None:
        run.wait_for_end()
        assert stack.program is not None
        assert stack.program.cancelled.wait(20)

    stack.up(bucket("a"), Do(linger)).succeeds()
    assert stack.names == ["a"]


def test_what_comes_beside_a_failure_is_turned_away(stack: Stack) -> None:
    """Registrations that were sent while the update was failing get an error each, and break nothing."""
    stack.cloud.fail("create", "bad")
    gate = stack.cloud.hold("create", "slow")
    errors: list[str] = []

    def register(run: Run, name: str) -> None:
        try:
            run.one(bucket(name))
        except grpc.RpcError as error:
            errors.append(error.code().name)

    def flood(run: Run) -> None:
        slow = in_background(lambda: register(run, "slow"))
        assert gate.entered.wait(10)
        names = ["bad", *(f"late-{i}" for i in range(20))]
        threads = [in_background(lambda name=name: register(run, name)) for name in names]  # type: ignore[misc]
        time.sleep(0.3)
        gate.open.set()
        for thread in [slow, *threads]:
            thread.join()

    stack.up(Do(flood)).fails("the cloud refuses to create bad")
    assert set(errors) == {"UNAVAILABLE"}
    stack.agrees_with_cloud()


def test_an_sdk_that_cannot_be_told_of_failures_gets_an_error(stack: Stack) -> None:
    codes: list[tuple[grpc.StatusCode, str]] = []

    def old_sdk(run: Run) -> None:
        try:
            run.one(Resource(name="a", opts={"supportsResultReporting": False}))
        except grpc.RpcError as error:
            codes.append((error.code(), error.details()))

    stack.cloud.fail("create", "a")
    stack.up(Do(old_sdk), continue_on_error=True).fails("the cloud refuses to create a")
    assert codes == [(grpc.StatusCode.INTERNAL, "resource registration failed")]


def test_no_thread_of_the_operation_is_left(stack: Stack) -> None:
    ours = ("rpc", "program", "step", "callbacks")
    before = set(threading.enumerate())

    def left() -> list[str]:
        new = set(threading.enumerate()) - before
        return [thread.name for thread in new if thread.name.split("_")[0] in ours]

    stack.up(bucket("a"), Do(Run.wait_for_end)).succeeds()
    deadline = time.monotonic() + 10
    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left() == []

"""What goes wrong: partial failures, interrupted operations, cancel, several errors at once, and what is not served."""

import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import resource_pb2

from engine.errors import ProgramError, StateError
from engine.operation import CancelToken
from engine.resource import from_struct, to_struct
from tests.engine.core.dsl import Stack, create, delete, in_background, replace, update
from tests.engine.core.program import Do, Resource, Run, bucket, crash, exports, group, read, ref, together

# ------------------------------------------------------------------ failed steps


def test_a_failed_create_is_made_up_for(stack: Stack) -> None:
    stack.cloud.fail("create", "b")
    result = stack.up(bucket("a"), bucket("b"), bucket("c", source=ref("b"))).fails("the cloud refuses to create b")
    result.calling("create a", "create b").valid_after_every_step()
    assert stack.names == ["a"]
    assert not stack.pending
    assert any("resOpFailedEvent" in event for event in result.events)
    stack.cloud.heal()
    stack.up(bucket("a"), bucket("b"), bucket("c", source=ref("b"))).succeeds().expect(create("b"), create("c"))


def test_a_failed_update_keeps_what_there_is(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("dropped"))
    stack.cloud.fail("update", "a", times=1)
    stack.up(bucket("a", size=2)).fails("the cloud refuses to update a").expect(update("a"))
    assert stack.resource("a").inputs == {"size": 1}
    assert stack.names == ["a", "dropped"]
    stack.up(bucket("a", size=2)).succeeds().expect(update("a"), delete("dropped"))


def test_a_failed_delete_lets_the_others_of_its_layer_go(stack: Stack) -> None:
    stack.up(bucket("base"), bucket("a", source=ref("base")), bucket("b", source=ref("base")))
    stack.cloud.fail("delete", "a", times=1)
    stack.destroy().fails("the cloud refuses to delete a")
    assert stack.names == ["base", "a"]
    stack.agrees_with_cloud()
    stack.destroy().succeeds()
    assert not stack.cloud.objects


@pytest.mark.parametrize("method", ["check", "diff"])
def test_a_failed_decision(stack: Stack, method: str) -> None:
    stack.up(bucket("a", size=1))
    stack.cloud.fail(method, "a", times=1)
    stack.up(bucket("a", size=2)).fails(f"the cloud refuses to {method} a").calling()


def test_an_object_that_is_not_ready_is_kept_track_of(stack: Stack) -> None:
    stack.cloud.fail("create", "a", kind="unready", times=1)
    result = stack.up(bucket("a", size=1)).fails("it did not become ready").valid_after_every_step()
    assert result.outcome.error is not None
    assert stack.resource("a").id == "a-1"
    assert stack.resource("a").init_errors == ["it did not become ready"]
    stack.agrees_with_cloud()
    stack.up(bucket("a", size=1)).succeeds().expect(update("a"))
    assert stack.resource("a").init_errors == []
    stack.up(bucket("a", size=1)).does_nothing()


def test_a_large_object_that_is_not_ready_is_kept_track_of_too(stack: Stack) -> None:
    stack.cloud.fail("create", "a", kind="unready", times=1)
    stack.up(bucket("a", text="x" * 200_000)).fails("it did not become ready")
    assert stack.resource("a").outputs["text"] == "x" * 200_000
    stack.agrees_with_cloud()


def test_an_update_that_did_not_become_ready_keeps_the_old_inputs(stack: Stack) -> None:
    stack.up(bucket("a", size=1))
    stack.cloud.fail("update", "a", kind="unready", times=1)
    stack.up(bucket("a", size=2)).fails("it did not become ready")
    assert stack.resource("a").inputs == {"size": 1}
    assert stack.resource("a").outputs["size"] == 2
    stack.up(bucket("a", size=2)).succeeds().expect(update("a"))


def test_an_object_that_is_not_ready_may_be_replaced(stack: Stack) -> None:
    opts = {"replaceOnChanges": ["#initerror"]}
    stack.cloud.fail("create", "a", kind="unready", times=1)
    stack.up(bucket("a", opts=opts)).fails()
    stack.up(bucket("a", opts=opts)).succeeds().expect(replace("a"))
    stack.agrees_with_cloud()


def test_a_provider_that_gives_no_id(stack: Stack) -> None:
    stack.cloud.fail("create", "a", kind="no id")
    stack.up(bucket("a")).fails("the provider gave no id for fake:index:Bucket 'a'")
    assert not stack.names


def test_a_read_of_what_is_not_there(stack: Stack) -> None:
    stack.cloud.fail("read", "r")
    stack.up(read("r", "nobody")).fails("the cloud refuses to read r")
    assert not stack.names


# ------------------------------------------------------------------ continueOnError


def test_what_does_not_depend_on_the_failure_goes_on(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("dropped"))
    stack.cloud.fail("update", "a")
    program = (
        bucket("a", size=2),
        bucket("needs-a", source=ref("a")),
        bucket("child-of-needs", opts={"depends_on": ["needs-a"]}),
        bucket("free"),
    )
    result = stack.up(*program, continue_on_error=True).fails("the cloud refuses to update a")
    assert sorted(result.calls) == ["create free", "delete dropped", "update a"]
    assert stack.names == ["free", "a"] or stack.names == ["a", "free"]
    assert stack.program is not None
    assert stack.program.last is not None
    assert stack.program.last.failed == {"a", "needs-a", "child-of-needs"}
    stack.cloud.heal()
    stack.up(*program).succeeds()
    stack.agrees_with_cloud()


def test_destroy_goes_on_after_errors_but_keeps_what_is_needed(stack: Stack) -> None:
    stack.up(bucket("base"), bucket("a", source=ref("base")), bucket("x"), bucket("y", source=ref("x")))
    stack.cloud.fail("delete", "a")
    stack.destroy(continue_on_error=True).fails("the cloud refuses to delete a")
    assert stack.names == ["base", "a"]
    stack.agrees_with_cloud()


def test_what_could_not_be_read_is_not_taken_for_gone(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    stack.cloud.fail("read", "a", times=1)
    stack.refresh(continue_on_error=True).fails("the cloud refuses to read a")
    assert stack.names == ["a", "b"]
    stack.agrees_with_cloud()


def test_a_state_that_cannot_be_written_ends_the_update(stack: Stack) -> None:
    stack.up(bucket("a", size=1))

    def disk_full(saves: int) -> None:
        if saves == 2:
            raise StateError("no space left on device")

    stack.on_save = disk_full
    stack.up(bucket("a", size=2), bucket("b")).fails("no space left on device")


# ------------------------------------------------------------------ died in the middle


def dies_at(stack: Stack, save: int) -> None:
    def die(saves: int) -> None:
        if saves == save:
            stack.cloud.dead = True

    stack.on_save = die


def revive(stack: Stack) -> None:
    stack.on_save = stack.on_event = lambda _: None
    stack.cloud.dead = False


def test_each_place_where_an_update_can_die(stack: Stack, tmp_path: Path) -> None:
    program = (bucket("a", zone="y"), bucket("b", source=ref("a")), bucket("c", region="y"), bucket("e", size=2))
    before = (
        bucket("a", zone="x"),
        bucket("b", source=ref("a")),
        bucket("c", region="x"),
        bucket("d"),
        bucket("e", size=1),
    )
    for place in range(1, 40):
        own = Stack(tmp_path)
        try:
            own.up(*before).succeeds()
            dies_at(own, place)
            own.up(*program)
            died = own.cloud.dead
            revive(own)
            creating = [p for p in own.pending if p.startswith("creating")]
            result = own.up(*program).succeeds()
            if own.pending or creating:
                result.warns("pending operations from previous deployment")
            assert own.pending == creating
            assert {name: own.cloud.count(name) for name in "abce"} == {"a": 1, "b": 1, "c": 1, "e": 1}
            own.refresh(clear_pending_creates=True).succeeds()
            assert not own.pending
            own.up(*program).does_nothing()
            own.agrees_with_cloud()
        finally:
            own.close()
        if not died:
            assert place > 12
            return
    pytest.fail("the update has too many steps")


def test_a_pending_create_stays_until_it_is_cleared(stack: Stack) -> None:
    def die(event: dict[str, Any]) -> None:
        if "resourcePreEvent" in event and event["resourcePreEvent"]["metadata"]["urn"] == stack.urn("a"):
            dies_at(stack, stack.saves + 1)

    stack.on_event = die
    stack.up(bucket("a"))
    revive(stack)
    assert stack.pending == ["creating a"]
    stack.up(bucket("a")).succeeds().warns("interrupted while creating")
    assert stack.pending == ["creating a"]
    stack.refresh().succeeds()
    assert stack.pending == ["creating a"]
    stack.refresh(clear_pending_creates=True).succeeds()
    assert stack.pending == []


# ------------------------------------------------------------------ cancel


def test_the_first_signal_finishes_what_runs_and_starts_nothing(stack: Stack) -> None:
    gate = stack.cloud.hold("create", "a")

    def signal() -> None:
        gate.entered.wait(20)
        stack.cancel.signal()
        stack.cloud.cancelled.wait(20)
        gate.open.set()

    thread = in_background(signal)
    stack.up(bucket("a"), bucket("b")).fails("update canceled").calling("create a").valid_after_every_step()
    assert stack.cloud.cancelled.is_set()
    thread.join()
    assert stack.names == ["a"]
    assert not stack.pending
    stack.agrees_with_cloud()
    stack.up(bucket("a"), bucket("b")).succeeds().expect(create("b"))


def test_the_second_signal_writes_nothing_more(stack: Stack) -> None:
    gate = stack.cloud.hold("create", "a")

    def signal() -> None:
        gate.entered.wait(20)
        stack.cancel.signal()
        stack.cancel.signal()
        time.sleep(0.3)
        gate.open.set()

    thread = in_background(signal)
    stack.up(bucket("a")).fails("update canceled")
    thread.join()
    assert stack.pending == ["creating a"]
    # Nobody has waited for it, but it came to be: that is what the pending operation says.
    deadline = time.monotonic() + 10
    while not stack.cloud.count("a") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stack.cloud.count("a") == 1


def test_a_cancelled_destroy(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b", source=ref("a")))
    gate = stack.cloud.hold("delete", "b")

    def signal() -> None:
        gate.entered.wait(20)
        stack.cancel.signal()
        gate.open.set()

    thread = in_background(signal)
    stack.destroy().fails("update canceled").calling("delete b")
    thread.join()
    assert stack.names == ["a"]


def test_a_cancelled_preview(stack: Stack) -> None:
    gate = stack.cloud.hold("check", "a")

    def signal() -> None:
        gate.entered.wait(20)
        stack.cancel.signal()
        gate.open.set()

    thread = in_background(signal)
    stack.preview(bucket("a"), bucket("b")).fails("preview canceled")
    thread.join()


def test_a_listener_that_comes_after_the_signal_is_told_at_once() -> None:
    token = CancelToken()
    token.signal()
    told: list[int] = []
    token.on_request(lambda: told.append(1))
    assert told == [1]
    assert not token.terminated.is_set()


def test_a_program_that_does_not_end_is_cancelled(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.program_thread.STOP_SECONDS", 0.5)
    stack.cloud.fail("create", "a")

    def linger(_: Run) -> None:
        assert stack.program is not None
        assert stack.program.cancelled.wait(20)

    def wait_beside(run: Run) -> None:
        thread = threading.Thread(target=lambda: run.one(bucket("a")), daemon=True)
        thread.start()
        linger(run)

    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    stack.up(Do(wait_beside)).fails("the cloud refuses to create a")


# ------------------------------------------------------------------ programs


def test_a_program_that_raises_anything(stack: Stack) -> None:
    def explode(_: Run) -> None:
        raise KeyError("what")

    result = stack.up(Do(explode)).fails("the program could not be run")
    assert "KeyError" in result.messages("error")


def test_an_error_that_the_program_has_shown_is_not_shown_again(stack: Stack) -> None:
    def fail(_: Run) -> None:
        raise ProgramError("shown already", shown=True)

    assert "shown already" not in stack.up(Do(fail)).fails().messages()


def test_outputs_for_what_is_not_registered(stack: Stack) -> None:
    stack.up(Do(lambda run: run.outputs(stack.urn("nobody"), {"x": 1}))).fails()


def test_a_program_may_wait_for_the_end(stack: Stack) -> None:
    order: list[str] = []

    def wait(run: Run) -> None:
        run.wait_for_end()
        order.append("let go")

    stack.up(bucket("a"), bucket("b"))
    stack.on_save = lambda _: order.append("saved")
    stack.up(bucket("b"), Do(wait)).succeeds().expect(delete("a"))
    assert order[-1] == "let go"
    assert "saved" in order


def test_the_engine_keeps_the_root_resource(stack: Stack) -> None:
    from google.protobuf import empty_pb2  # noqa: F401 - the messages below are of the same package
    from pulumi.runtime.proto import engine_pb2

    seen: list[str] = []

    def root(run: Run) -> None:
        run._engine.SetRootResource(engine_pb2.SetRootResourceRequest(urn="urn:x"))
        seen.append(run._engine.GetRootResource(engine_pb2.GetRootResourceRequest()).urn)

    stack.up(Do(root)).succeeds()
    assert seen == ["urn:x"]


# ------------------------------------------------------------------ functions and stack references


def invoke(seen: list[Any], value: int, token: str = "fake:index:double") -> Do:
    def action(run: Run) -> None:
        answer = run.monitor.Invoke(resource_pb2.ResourceInvokeRequest(tok=token, args=to_struct({"value": value})))
        seen.append([f.reason for f in answer.failures] or from_struct(getattr(answer, "return")))

    return Do(action)


def test_functions_of_a_provider(stack: Stack) -> None:
    seen: list[Any] = []
    stack.up(invoke(seen, 21), invoke(seen, -1)).succeeds()
    assert seen == [{"value": 42}, ["must not be negative"]]
    stack.up(invoke(seen, 1, "fake:index:none")).fails("no function fake:index:none")
    stack.up(invoke(seen, 1, "pulumi:index:none")).fails("unrecognized function name: 'pulumi:index:none'")
    stack.up(invoke(seen, 1, "nowhere:index:none")).fails("no resource plugin 'pulumi-resource-nowhere' found")


def stack_reference(name: Any, **more: Any) -> Resource:
    return Resource(name="other", type="pulumi:pulumi:StackReference", inputs={"name": name, **more})


def test_another_stacks_outputs(stack: Stack) -> None:
    stack.other_stacks["organization/project/other"] = {"size": 3}
    program = (stack_reference("organization/project/other"), exports(o=ref("other", "outputs")))
    stack.preview(*program).succeeds()
    stack.up(*program).succeeds()
    assert stack.outputs == {"o": {"size": 3}}
    stack.up(*program).succeeds().expect()
    stack.refresh().succeeds()
    stack.up(stack_reference("organization/project/none")).fails('unknown stack "organization/project/none"')
    stack.destroy().succeeds()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (stack_reference("x", extra=1), 'unknown property "extra"'),
        (stack_reference(None), 'property "name" must be a string'),
        (Resource(name="x", type="pulumi:pulumi:StackReference"), 'missing required property "name"'),
        (Resource(name="x", type="pulumi:pulumi:Thing"), "unrecognized resource type 'pulumi:pulumi:Thing'"),
    ],
)
def test_a_wrong_stack_reference(stack: Stack, item: Resource, message: str) -> None:
    stack.up(item).fails(message)


# ------------------------------------------------------------------ not served


def test_an_update_needs_a_program(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.engine.core.dsl.ProgramOf", lambda _: None)
    stack.up().fails("this update needs a program")


def test_what_the_monitor_says_it_can(stack: Stack) -> None:
    from google.protobuf import empty_pb2

    seen: dict[str, bool] = {}
    info: list[Any] = []

    def ask(run: Run) -> None:
        for feature in ("secrets", "parameterization", "stateMigrations"):
            request = resource_pb2.SupportsFeatureRequest(id=feature)
            seen[feature] = run.monitor.SupportsFeature(request).hasSupport
        info.append(run.monitor.GetDeploymentInfo(empty_pb2.Empty()))

    stack.config = {"project:x": "1"}
    stack.up(Do(ask)).succeeds()
    assert seen == {"secrets": True, "parameterization": True, "stateMigrations": False}
    assert (info[0].project, info[0].stack, dict(info[0].config)) == ("project", "test", {"project:x": "1"})


def test_registrations_after_a_failure_are_told_that_it_is_over(stack: Stack) -> None:
    stack.cloud.fail("create", "a")
    seen: list[str] = []

    def late(run: Run) -> None:
        with pytest.raises(grpc.RpcError):
            run.one(bucket("a"))
        for item in (bucket("b"), read("r", "x")):
            with pytest.raises(grpc.RpcError) as caught:
                run.one(item)
            seen.append(caught.value.details())

    stack.up(Do(late)).fails("the cloud refuses to create a").calling("create a")
    assert all("shut down" in text for text in seen)


def test_a_failure_while_others_wait(stack: Stack) -> None:
    gate = stack.cloud.hold("create", "slow")
    stack.cloud.fail("create", "a")
    stack.on_event = lambda event: gate.open.set() if "resOpFailedEvent" in event else None
    stack.up(together(bucket("slow"), Do(lambda run: gate.entered.wait(20) and run.one(bucket("a"))))).fails()
    assert stack.names == ["slow"]
    stack.agrees_with_cloud()


def test_no_plugin_for_a_package(stack: Stack) -> None:
    stack.up(Resource(name="x", type="nowhere:index:Thing")).fails("no resource plugin 'pulumi-resource-nowhere' found")


def test_groups_of_failed_components(stack: Stack) -> None:
    stack.up(group("g"), bucket("a", opts={"parent": "g"}), crash()).fails("the program is broken")
    assert stack.names == ["g", "a"]

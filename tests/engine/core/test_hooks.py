"""Hooks: when they run, what they are told, and what becomes of a resource whose hook fails (semantics 20)."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from engine.resource import UNKNOWN, Secret, from_struct
from tests.engine.core.callback_host import CallbackHost
from tests.engine.core.dsl import Stack, create, delete, in_background, update
from tests.engine.core.program import Do, Run, bucket, group, outputs, provider, ref

KINDS = ("before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete")
ALL = {"hooks": {kind: [kind] for kind in KINDS}}


@pytest.fixture
def host() -> Iterator[CallbackHost]:
    host = CallbackHost()
    yield host
    host.close()


def _all(host: CallbackHost) -> tuple[Do, ...]:
    return tuple(host.hook(kind) for kind in KINDS)


def _fails(_: Any) -> None:
    raise ValueError("oh no")


def _told(request: Any, field: str) -> Any:
    return from_struct(getattr(request, field)) if request.HasField(field) else None


# ------------------------------------------------------------------ when, and what they are told


def test_hooks_run_around_the_steps_of_their_resource(stack: Stack, host: CallbackHost) -> None:
    stack.up(*_all(host), bucket("a", size=1, opts=ALL), bucket("plain")).succeeds()
    assert host.seen == ["before_create a", "after_create a"]
    host.seen.clear()
    stack.up(*_all(host), bucket("a", size=1, opts=ALL), bucket("plain")).succeeds()
    assert host.seen == []
    stack.up(*_all(host), bucket("a", size=2, opts=ALL)).succeeds()
    assert host.seen == ["before_update a", "after_update a"]
    host.seen.clear()
    stack.up(*_all(host)).succeeds().expect(delete("a"))
    assert host.seen == ["before_delete a", "after_delete a"]


def test_a_replacement_is_a_create_and_a_delete_to_hooks(stack: Stack, host: CallbackHost) -> None:
    stack.up(*_all(host), bucket("a", region="x", opts=ALL))
    host.seen.clear()
    stack.up(*_all(host), bucket("a", region="y", opts=ALL)).succeeds()
    assert host.seen == ["before_create a", "after_create a", "before_delete a", "after_delete a"]
    host.seen.clear()
    stack.up(*_all(host), bucket("a", region="y", zone="z", opts=ALL)).succeeds()
    assert host.seen == ["before_delete a", "after_delete a", "before_create a", "after_create a"]


def test_what_hooks_are_told(stack: Stack, host: CallbackHost) -> None:
    stack.up(*_all(host), bucket("a", size=1, key=Secret("hush"), opts=ALL))
    stack.up(*_all(host), bucket("a", size=2, opts=ALL))
    stack.up(*_all(host))
    told = [[_told(r, f) for f in ("new_inputs", "old_inputs", "new_outputs", "old_outputs")] for r in host.requests]
    old, new = {"size": 1, "key": Secret("hush")}, {"size": 2}
    old_outputs, new_outputs = {**old, "arn": "arn:a-1"}, {**new, "arn": "arn:a-1"}
    assert told == [
        [old, None, None, None],
        [old, None, old_outputs, None],
        [new, old, None, old_outputs],
        [new, old, new_outputs, old_outputs],
        [None, new, None, new_outputs],
        [None, new, None, new_outputs],
    ]
    assert [r.id for r in host.requests] == ["", *["a-1"] * 5]
    assert {(r.urn, r.type) for r in host.requests} == {(stack.urn("a"), "fake:index:Bucket")}


def test_hooks_are_kept_in_the_state(stack: Stack, host: CallbackHost) -> None:
    stack.up(*_all(host), bucket("a", opts={"hooks": {"before_delete": ["before_delete"]}}))
    assert stack.resource("a").resource_hooks == {"BeforeDelete": ["before_delete"]}
    # Another binding is a change of the state, though of nothing else.
    stack.up(*_all(host), bucket("a")).succeeds().calling()
    assert stack.resource("a").resource_hooks == {}


def test_a_component_and_a_provider_have_hooks_too(stack: Stack, host: CallbackHost) -> None:
    stack.up(*_all(host), provider("p", opts=ALL), group("g", opts=ALL), outputs("g", x=1)).succeeds()
    stack.up(*_all(host)).succeeds()
    assert sorted(host.seen) == sorted(
        f"{kind} {name}" for kind in KINDS if "update" not in kind for name in ("g", "p")
    )
    assert _told(host.requests[-1], "new_inputs") is None


def test_a_preview_runs_only_hooks_that_want_it(stack: Stack, host: CallbackHost) -> None:
    program = (
        host.hook("quiet"),
        host.hook("dry", on_dry_run=True),
        bucket("a", opts={"hooks": {"before_create": ["quiet", "dry"], "after_create": ["quiet", "dry"]}}),
    )
    stack.preview(*program).succeeds()
    assert host.seen == ["dry a", "dry a"]
    assert _told(host.requests[-1], "new_outputs") == {"arn": UNKNOWN}


def test_the_program_waits_for_the_hook_after(stack: Stack, host: CallbackHost) -> None:
    order: list[str] = []

    def slow(_: Any) -> None:
        time.sleep(0.2)
        order.append("hook")

    def after(run: Run) -> None:
        run.one(bucket("a", opts={"hooks": {"after_create": ["slow"]}}))
        order.append("registered")

    stack.up(host.hook("slow", slow), Do(after)).succeeds()
    assert order == ["hook", "registered"]


# ------------------------------------------------------------------ hooks that fail


@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_hook(stack: Stack, host: CallbackHost, kind: str) -> None:
    moment, action = kind.split("_")
    opts = {"hooks": {kind: ["h"]}}
    if action != "create":
        stack.up(host.hook("h"), bucket("a", size=1, opts=opts)).succeeds()
    program = [] if action == "delete" else [bucket("a", size=2, opts=opts)]
    result = stack.up(host.hook("h", _fails), *program).fails(f'{moment} hook "h" failed: oh no', "update failed")
    failed = [e for e in result.events if "resOpFailedEvent" in e]
    if moment == "before":
        assert failed
        result.calling()
    else:
        assert not failed
        result.calling(f"{action} a").valid_after_every_step()
    assert not stack.pending
    stack.agrees_with_cloud()
    stack.up(host.hook("h"), *program).succeeds()
    stack.agrees_with_cloud()


def test_after_a_failed_hook_nothing_more_begins(stack: Stack, host: CallbackHost) -> None:
    program = (host.hook("h", _fails), bucket("a", opts={"hooks": {"after_create": ["h"]}}), bucket("b"))
    stack.up(*program).fails('after hook "h" failed').calling("create a")
    assert stack.names == ["a"]


def test_going_on_after_a_failed_hook(stack: Stack, host: CallbackHost) -> None:
    program = (
        host.hook("h", _fails),
        bucket("a", opts={"hooks": {"after_create": ["h"]}}),
        bucket("b", source=ref("a")),
        bucket("c", opts={"hooks": {"before_create": ["h"]}}),
        bucket("d", source=ref("c")),
    )
    result = stack.up(*program, continue_on_error=True).fails('after hook "h" failed', 'before hook "h" failed')
    result.calling("create a", "create b")
    stack.agrees_with_cloud()


def test_a_hook_whose_errors_do_not_matter(stack: Stack, host: CallbackHost) -> None:
    opts = {"hooks": {"before_create": ["h"], "after_create": ["h"]}}
    result = stack.up(host.hook("h", _fails, ignore_errors=True), bucket("a", opts=opts)).succeeds()
    result.warns('before hook "h" failed: oh no').warns('after hook "h" failed: oh no')
    assert stack.names == ["a"]


def test_of_several_hooks_the_first_failure_counts(stack: Stack, host: CallbackHost) -> None:
    opts = {"hooks": {"before_create": ["one", "bad", "three"]}}
    stack.up(host.hook("one"), host.hook("bad", _fails), host.hook("three"), bucket("a", opts=opts)).fails("oh no")
    assert host.seen == ["one a", "bad a"]


def test_a_hook_that_the_program_has_not_registered(stack: Stack, host: CallbackHost) -> None:
    stack.up(bucket("a", opts={"hooks": {"before_create": ["who"]}})).fails("resource hook not registered for who")
    assert not stack.names
    stack.up(*_all(host), bucket("b", opts=ALL)).succeeds()
    stack.up().fails("resource hook not registered for before_delete").calling()
    stack.agrees_with_cloud()


@pytest.mark.parametrize(("name", "text"), [("", "name cannot be empty"), ("h", 'already registered for name "h"')])
def test_names_of_hooks(stack: Stack, host: CallbackHost, name: str, text: str) -> None:
    stack.up(host.hook("h"), host.hook(name)).fails(f"resource hook {text}")
    stack.up(host.error_hook("h", bool), host.error_hook(name, bool)).fails(f"error hook {text}")


def test_a_program_that_is_gone_when_its_hook_is_called(stack: Stack, host: CallbackHost) -> None:
    stack.up(*_all(host), bucket("a", opts=ALL)).succeeds()
    stack.up(*_all(host), Do(lambda _: host.close())).fails(
        'before hook "before_delete" failed', "Unavailable"
    ).calling()
    stack.agrees_with_cloud()


def test_a_hook_does_not_run_for_what_is_protected(stack: Stack, host: CallbackHost) -> None:
    stack.up(*_all(host), bucket("a", opts={**ALL, "protect": True})).succeeds()
    host.seen.clear()
    stack.up(*_all(host)).fails("cannot be deleted")
    assert host.seen == []


# ------------------------------------------------------------------ destroy


def test_a_destroy_without_the_program_refuses_delete_hooks(stack: Stack, host: CallbackHost) -> None:
    stack.up(*_all(host), bucket("a", opts=ALL), bucket("b"))
    text = "Resource has delete hooks registered, but the program is not running. Hooks: before_delete, after_delete"
    result = stack.destroy().fails(text, "You must run with the `--run-program` flag").calling()
    assert not any("summaryEvent" in event for event in result.events)
    assert stack.names == ["a", "b"]


def test_a_destroy_with_the_program_runs_the_hooks_that_it_has_now(stack: Stack, host: CallbackHost) -> None:
    stack.up(host.hook("old"), bucket("a", opts={"hooks": {"before_delete": ["old"]}}))
    host.seen.clear()
    program = (host.hook("new"), bucket("a", opts={"hooks": {"after_delete": ["new"]}}), Do(Run.wait_for_end))
    stack.destroy(*program, run_program=True).succeeds()
    assert host.seen == ["new a"]
    assert not stack.snapshot.resources


# ------------------------------------------------------------------ error hooks

RETRY = {"hooks": {"on_error": ["again"]}}


@pytest.mark.parametrize("action", ["create", "update", "delete"])
def test_an_error_hook_has_a_step_tried_again(stack: Stack, host: CallbackHost, action: str) -> None:
    if action != "create":
        stack.up(host.error_hook("again", lambda _: True), bucket("a", size=1, opts=RETRY))
    stack.cloud.fail(action, "a", times=2)
    program = [] if action == "delete" else [bucket("a", size=2, opts=RETRY)]
    result = stack.up(host.error_hook("again", lambda _: True), *program).succeeds()
    result.calling(*[f"{action} a"] * 3)
    result.warns(f"retrying {action} due to on-error hook request (1/100)")
    result.warns(f"retrying {action} due to on-error hook request (2/100)")
    assert [r.failed_operation for r in host.requests] == [action] * 2
    assert [len(r.errors) for r in host.requests] == [1, 2]
    assert host.requests[0].errors[0] == f"the cloud refuses to {action} a"
    stack.agrees_with_cloud()


def test_an_error_hook_that_gives_up(stack: Stack, host: CallbackHost) -> None:
    stack.cloud.fail("create", "a")
    result = stack.up(host.error_hook("again", lambda r: len(r.errors) < 3), bucket("a", opts=RETRY))
    result.fails("the cloud refuses to create a").calling(*["create a"] * 3)
    assert not stack.pending


def test_one_of_several_error_hooks_is_enough(stack: Stack, host: CallbackHost) -> None:
    stack.cloud.fail("create", "a", times=1)
    opts = {"hooks": {"on_error": ["no", "again"]}}
    program = (host.error_hook("no", lambda _: False), host.error_hook("again", lambda _: True), bucket("a", opts=opts))
    stack.up(*program).succeeds()
    assert host.seen == ["no a", "again a"]


def test_tries_have_an_end(stack: Stack, host: CallbackHost) -> None:
    stack.cloud.fail("create", "a")
    result = stack.up(host.error_hook("again", lambda _: True), bucket("a", opts=RETRY))
    result.fails("the cloud refuses to create a").warns("maximum number of error hook retries reached")
    assert len(result.calls) == 100


def test_an_object_that_is_not_ready_is_not_made_twice(stack: Stack, host: CallbackHost) -> None:
    stack.cloud.fail("create", "a", kind="unready", times=1)
    stack.cloud.fail("update", "a", times=1)
    result = stack.up(host.error_hook("again", lambda _: True), bucket("a", size=1, opts=RETRY)).succeeds()
    result.calling("create a", "update a", "update a")
    assert {r.failed_operation for r in host.requests} == {"create"}
    assert stack.resource("a").id == "a-1"
    assert stack.resource("a").init_errors == []
    stack.agrees_with_cloud()


def test_an_object_that_never_gets_ready_is_kept_track_of(stack: Stack, host: CallbackHost) -> None:
    stack.cloud.fail("create", "a", kind="unready", times=1)
    stack.cloud.fail("update", "a")
    program = (host.error_hook("again", lambda r: len(r.errors) < 2), bucket("a", size=1, opts=RETRY))
    stack.up(*program).fails("the cloud refuses to update a")
    assert stack.resource("a").id == "a-1"
    stack.agrees_with_cloud()
    stack.cloud.heal()
    stack.up(*program).succeeds().expect(update("a"))


def test_an_error_hook_that_fails_hides_nothing(stack: Stack, host: CallbackHost) -> None:
    stack.cloud.fail("create", "a", kind="unready", times=1)
    stack.up(host.error_hook("again", _fails), bucket("a", opts=RETRY)).fails(  # type: ignore[arg-type]
        'error hook "again" failed: oh no', "it did not become ready"
    )
    stack.agrees_with_cloud()
    stack.cloud.fail("create", "b", times=1)
    stack.up(bucket("a"), bucket("b", opts=RETRY)).fails("error hook not registered for again", "refuses to create b")


# ------------------------------------------------------------------ cancel


def _cancelled_in_hook(stack: Stack, host: CallbackHost, kind: str, signals: int) -> tuple[Any, float]:
    entered, leave = threading.Event(), threading.Event()

    def wait(_: Any) -> None:
        entered.set()
        leave.wait(20)

    def signal() -> None:
        assert entered.wait(10)
        for _ in range(signals):
            stack.cancel.signal()

    program = (host.hook("h", wait), bucket("a", opts={"hooks": {kind: ["h"]}}), bucket("b"))
    thread = in_background(signal)
    started = time.monotonic()
    result = stack.up(*program)
    seconds = time.monotonic() - started
    leave.set()
    thread.join()
    return result, seconds


@pytest.mark.parametrize("kind", ["before_create", "after_create"])
def test_a_cancelled_update_does_not_wait_for_a_hook_for_ever(
    stack: Stack, host: CallbackHost, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("engine.callbacks.GRACE_SECONDS", 0.5)
    result, seconds = _cancelled_in_hook(stack, host, kind, signals=1)
    result.fails("Canceled", "update canceled")
    assert 0.4 < seconds < 10
    assert stack.names == ([] if kind == "before_create" else ["a"])
    assert not stack.pending
    stack.agrees_with_cloud()


def test_the_second_signal_ends_a_hook_at_once(stack: Stack, host: CallbackHost) -> None:
    result, seconds = _cancelled_in_hook(stack, host, "before_create", signals=2)
    result.fails("update canceled")
    assert seconds < 10


def test_a_hook_may_end_after_the_first_signal(stack: Stack, host: CallbackHost) -> None:
    def signal(_: Any) -> None:
        stack.cancel.signal()

    stack.up(host.hook("h", signal), bucket("a", opts={"hooks": {"after_create": ["h"]}}), bucket("b")).fails(
        "canceled"
    )
    assert stack.names == ["a"]
    stack.up(host.hook("h"), bucket("a"), bucket("b")).succeeds().expect(create("b"))


def test_a_hook_of_a_step_under_way_still_finds_the_program(
    stack: Stack, host: CallbackHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another resource fails meanwhile: what is under way is finished, hooks and all, before the program is stopped."""
    gate = stack.cloud.hold("create", "slow")
    stack.cloud.fail("create", "bad")
    alive = threading.Event()
    told: list[bool] = []

    def both(run: Run) -> None:
        alive.set()
        first = in_background(lambda: run.one(bucket("slow", opts={"hooks": {"after_create": ["h"]}})))
        assert gate.entered.wait(10)
        try:
            run.one(bucket("bad"))
        finally:
            alive.clear()
            first.join()

    # The step under way is rejected to the program in the end, which is not what this is about.
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    stack.on_event = lambda event: gate.open.set() if "resOpFailedEvent" in event else None
    stack.up(host.hook("h", lambda _: told.append(alive.is_set())), Do(both)).fails("the cloud refuses to create bad")
    assert told == [True]
    assert stack.names == ["slow"]

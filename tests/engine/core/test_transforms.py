"""Transforms: whose run, in which order, what they see, and that everything they may change counts (semantics 21)."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import callback_pb2, resource_pb2

from engine.resource import OUTPUT_SIG, SIG_KEY, UNKNOWN, Secret, from_struct, to_struct
from tests.engine.core.callback_host import CallbackHost
from tests.engine.core.dsl import Stack, create
from tests.engine.core.program import BUCKET, Do, Run, bucket, group, provider, ref

Change = Callable[[Any, dict[str, Any]], dict[str, Any] | None]


@pytest.fixture
def host() -> Iterator[CallbackHost]:
    host = CallbackHost()
    yield host
    host.close()


def _trail(word: str) -> Change:
    def change(_: Any, props: dict[str, Any]) -> dict[str, Any]:
        return {**props, "trail": props.get("trail", "") + word}

    return change


def _on_buckets(change: Change) -> Change:
    return lambda request, props: change(request, props) if request.type == BUCKET else None


def _option(name: str, value: Any) -> Change:
    """A transform that changes one option."""

    def change(request: Any, _: dict[str, Any]) -> None:
        if isinstance(value, list):
            del getattr(request.options, name)[:]
            getattr(request.options, name).extend(value)
        else:
            setattr(request.options, name, value)

    return change


def _transformed(host: CallbackHost, *changes: Change) -> dict[str, Any]:
    return {"transforms": [host.transform(change) for change in changes]}


# ------------------------------------------------------------------ whose, and in which order


def test_own_transforms_come_first_then_the_parents_then_the_stacks(stack: Stack, host: CallbackHost) -> None:
    own = _transformed(host, _trail("1"), _trail("2"))
    stack.up(
        host.stack_transform(_on_buckets(_trail("5"))),
        host.stack_transform(_on_buckets(_trail("6"))),
        group("outer", opts=_transformed(host, _on_buckets(_trail("4")))),
        group("inner", opts={"parent": "outer", **_transformed(host, _on_buckets(_trail("3")))}),
        bucket("a", opts={"parent": "inner", **own}),
        bucket("b", opts={"parent": "outer"}),
        bucket("c"),
    ).succeeds()
    assert {n: stack.resource(n).inputs["trail"] for n in "abc"} == {"a": "123456", "b": "456", "c": "56"}


def test_transforms_run_before_the_default_provider_is_looked_up(stack: Stack, host: CallbackHost) -> None:
    stack.up(
        provider("p", token="t"),
        Do(lambda run: setattr(run, "ref", run.provider("p"))),
        host.stack_transform(
            lambda request, _: (
                _option("provider", stack.program.last.ref)(request, {})  # type: ignore[union-attr]
                if request.name == "a"
                else None
            )
        ),
        bucket("a"),
    ).succeeds()
    assert stack.resource("a").provider.startswith(stack.resource("p").urn)
    assert not [s for s in stack.snapshot.resources if s.urn.endswith("::default")]


def test_what_transforms_are_told(stack: Stack, host: CallbackHost) -> None:
    seen: list[Any] = []

    def look(request: Any, _: dict[str, Any]) -> None:
        seen.append(request)

    group_urn = "urn:pulumi:test::project::test:index:Group::g"
    stack.up(group("g"), bucket("a", size=1, opts={"parent": "g", "protect": True, **_transformed(host, look)}))
    (request,) = seen
    assert (request.name, request.type, request.custom, request.parent) == ("a", BUCKET, True, group_urn)
    assert from_struct(request.properties) == {"size": 1}
    assert request.options.HasField("protect")
    assert not request.options.HasField("retain_on_delete")


def test_a_transform_may_change_nothing(stack: Stack, host: CallbackHost) -> None:
    program = (bucket("a"), bucket("b", source=ref("a"), key=Secret("hush"), opts={"ignoreChanges": ["x"]}))
    stack.up(*program)
    before = stack.saved
    nothing: Change = lambda _, __: None  # noqa: E731 - a name for what the program does not say
    same: Change = lambda _, props: props  # noqa: E731
    stack.up(host.stack_transform(nothing), host.stack_transform(same), *program).does_nothing()
    assert stack.resource("b").dependencies == [stack.urn("a")]
    assert stack.saved.count(stack.urn("a")) == before.count(stack.urn("a"))


# ------------------------------------------------------------------ values and their dependencies


def test_dependencies_and_secrets_survive_a_transform(stack: Stack, host: CallbackHost) -> None:
    seen: list[Any] = []

    def passed_on(body: bytes) -> Any:
        """As the SDK gives values back: outputs as output values."""
        request = resource_pb2.TransformRequest.FromString(body)
        seen.append(request.properties)
        response = resource_pb2.TransformResponse(options=request.options)
        for key, value in request.properties.fields.items():
            response.properties.fields["new_" + key].CopyFrom(value)
        return response

    opts = {"transforms": [host.callback(passed_on)]}
    stack.up(bucket("a"), bucket("b", source=ref("a"), key=Secret("hush"), plain=1, opts=opts)).succeeds()
    fields = seen[0].fields
    assert fields["source"].struct_value.fields[SIG_KEY].string_value == OUTPUT_SIG
    assert fields["key"].struct_value.fields["secret"].bool_value
    assert fields["plain"].number_value == 1
    state = stack.resource("b")
    assert state.inputs == {"new_source": "arn:a-1", "new_key": Secret("hush"), "new_plain": 1}
    assert state.property_dependencies == {"new_source": [stack.urn("a")], "new_key": [], "new_plain": []}
    assert state.dependencies == [stack.urn("a")]
    assert "hush" not in stack.saved


def test_unknown_values_stay_unknown(stack: Stack, host: CallbackHost) -> None:
    seen: list[Any] = []

    def look(_: Any, props: dict[str, Any]) -> dict[str, Any]:
        seen.append(props)
        return props

    opts = _transformed(host, look)
    stack.preview(bucket("a"), bucket("b", source=ref("a"), deep={"x": [ref("a")]}, opts=opts)).succeeds()
    assert seen == [{"source": UNKNOWN, "deep": {"x": [UNKNOWN]}}]


def test_a_transform_may_add_and_take_properties(stack: Stack, host: CallbackHost) -> None:
    stack.up(host.stack_transform(lambda r, p: {"added": 1} if r.name == "b" else p), bucket("b", size=1)).succeeds()
    assert stack.resource("b").inputs == {"added": 1}
    assert stack.resource("b").property_dependencies["added"] == []


# ------------------------------------------------------------------ options


@pytest.mark.parametrize("whose", ["own", "stack"])
@pytest.mark.parametrize(
    ("name", "value", "attribute", "wanted"),
    [
        ("ignore_changes", ["size"], "ignore_changes", ["size"]),
        ("replace_on_changes", ["size"], "replace_on_changes", ["size"]),
        ("hide_diff", ["size"], "hide_diff", ["size"]),
        ("additional_secret_outputs", ["arn"], "additional_secret_outputs", ["arn"]),
        ("protect", True, "protect", True),
        ("retain_on_delete", True, "retain_on_delete", True),
        ("depends_on", ["urn:pulumi:test::project::fake:index:Bucket::base"], "dependencies", None),
        ("replace_with", ["urn:pulumi:test::project::fake:index:Bucket::base"], "replace_with", None),
        ("deleted_with", "urn:pulumi:test::project::fake:index:Bucket::base", "deleted_with", None),
    ],
)
def test_every_option_counts(
    stack: Stack, host: CallbackHost, whose: str, name: str, value: Any, attribute: str, wanted: Any
) -> None:
    change: Change = lambda r, p: _option(name, value)(r, p) if r.name == "a" else None  # noqa: E731
    opts = _transformed(host, change) if whose == "own" else {}
    first = host.stack_transform(change) if whose == "stack" else Do(lambda _: None)
    stack.up(first, bucket("base"), bucket("a", size=1, opts=opts)).succeeds()
    assert getattr(stack.resource("a"), attribute) == (value if wanted is None else wanted)


def test_options_that_are_messages_count(stack: Stack, host: CallbackHost) -> None:
    def change(request: Any, _: dict[str, Any]) -> None:
        if request.name != "a":
            return
        options = request.options
        options.custom_timeouts.create = "90s"
        options.hooks.after_create.append("h")
        options.aliases.add(urn=stack.urn("old"))
        options.delete_before_replace = True

    stack.up(bucket("old", zone="x"))
    stack.up(host.hook("h"), host.stack_transform(change), bucket("a", zone="x")).succeeds().expect()
    assert stack.resource("a").custom_timeouts.create == 90
    assert stack.resource("a").resource_hooks == {"AfterCreate": ["h"]}
    result = stack.up(host.hook("h"), host.stack_transform(change), bucket("a", zone="y")).succeeds()
    result.calling("delete a", "create a")
    assert host.seen == ["h a"]


def test_options_may_be_taken_away(stack: Stack, host: CallbackHost) -> None:
    def clear(request: Any, _: dict[str, Any]) -> None:
        request.options.Clear()

    opts = {"protect": True, "ignoreChanges": ["size"], "timeouts": {"create": "1m"}, "deletedWith": "base"}
    opts |= {"depends_on": ["base"], "delete_before_replace": False, "aliases": [stack.urn("other")]}
    stack.up(bucket("base"), bucket("a", opts={**opts, **_transformed(host, clear)})).succeeds()
    state = stack.resource("a")
    assert (state.protect, state.ignore_changes, state.deleted_with, state.dependencies) == (False, [], "", [])
    assert not state.custom_timeouts


# ------------------------------------------------------------------ transforms that fail


def _explodes(_: Any, __: dict[str, Any]) -> None:
    raise ValueError("transform trouble")


def test_a_failing_transform_fails_the_registration(stack: Stack, host: CallbackHost) -> None:
    stack.up(bucket("kept"))
    text = "invoke transform: rpc error: code = Unknown desc = Invoke callback error: transform trouble"
    result = stack.up(bucket("kept"), bucket("a", opts=_transformed(host, _explodes))).fails(text)
    result.calling()
    assert stack.names == ["kept"]
    stack.up(bucket("kept"), bucket("a")).succeeds().expect(create("a"))


def test_a_transform_that_makes_no_sense(stack: Stack, host: CallbackHost) -> None:
    def change(request: Any, _: dict[str, Any]) -> None:
        request.options.custom_timeouts.create = "soon"

    stack.up(bucket("a", opts=_transformed(host, change))).fails("unable to parse customTimeout Value soon").calling()


@pytest.mark.parametrize("method", ["RegisterStackTransform", "RegisterStackInvokeTransform"])
def test_a_transform_needs_a_target(stack: Stack, method: str) -> None:
    stack.up(Do(lambda run: getattr(run.monitor, method)(callback_pb2.Callback(token="x")))).fails(
        "target must be specified"
    )


def test_a_cancelled_update_does_not_wait_for_a_transform(
    stack: Stack, host: CallbackHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.callbacks.GRACE_SECONDS", 0.5)
    leave = threading.Event()

    def wait(_: Any, __: dict[str, Any]) -> None:
        stack.cancel.signal()
        leave.wait(20)

    stack.up(bucket("a", opts=_transformed(host, wait))).fails("canceled").calling()
    assert not leave.is_set()
    leave.set()


# ------------------------------------------------------------------ invokes


def _invoke(value: int, seen: list[Any]) -> Do:
    def action(run: Run) -> None:
        request = resource_pb2.ResourceInvokeRequest(tok="fake:index:double", args=to_struct({"value": value}))
        seen.append(from_struct(getattr(run.monitor.Invoke(request), "return")))

    return Do(action)


def _invoke_transform(host: CallbackHost, change: Callable[[Any], None]) -> Do:
    def run(body: bytes) -> Any:
        request = resource_pb2.TransformInvokeRequest.FromString(body)
        change(request)
        return resource_pb2.TransformInvokeResponse(args=request.args, options=request.options)

    callback = host.callback(run)
    return Do(lambda run: run.monitor.RegisterStackInvokeTransform(callback))


def test_invoke_transforms_change_arguments_in_order(stack: Stack, host: CallbackHost) -> None:
    seen: list[Any] = []

    def more(request: Any) -> None:
        request.args.fields["value"].number_value += 1

    def double(request: Any) -> None:
        request.args.fields["value"].number_value *= 10

    stack.up(_invoke_transform(host, more), _invoke_transform(host, double), _invoke(1, seen)).succeeds()
    assert seen == [{"value": 40}]


def test_an_invoke_transform_may_choose_the_provider(stack: Stack, host: CallbackHost) -> None:
    seen: list[Any] = []

    def choose(request: Any) -> None:
        assert stack.program is not None
        assert stack.program.last is not None
        request.options.provider = stack.program.last.provider("p")

    stack.up(provider("p", token="t"), _invoke_transform(host, choose), _invoke(2, seen)).succeeds()
    assert seen == [{"value": 4}]
    assert [c["token"] for c in stack.cloud.configured] == ["t"]


def test_a_failing_invoke_transform_fails_the_invoke(stack: Stack, host: CallbackHost) -> None:
    def explode(_: Any) -> None:
        raise ValueError("transform trouble")

    codes: list[Any] = []

    def action(run: Run) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            _invoke(1, []).action(run)
        codes.append((caught.value.code(), caught.value.details()))

    stack.up(_invoke_transform(host, explode), Do(action)).succeeds()
    assert codes == [(grpc.StatusCode.UNKNOWN, "Invoke callback error: transform trouble")]

"""Remote components, methods and functions of a plugin that is written with the SDK's `pulumi.provider`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.resource import RESOURCE_SIG, SIG_KEY, UNKNOWN, Secret, from_struct, to_struct
from engine.rpc import resource_pb2
from tests.engine.core.callback_host import CallbackHost
from tests.engine.core.dsl import Stack, a_stack, create, update
from tests.engine.core.program import Do, Resource, Run, bucket, exports, provider, ref

HERE = Path(__file__).parent


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    folder = tmp_path / "home" / "plugins" / "resource-things-v1.0.0"
    folder.mkdir(parents=True)
    (folder / "PulumiPlugin.yaml").write_text("runtime: python\n", encoding="utf-8")
    shutil.copy(HERE / "things_plugin.py", folder / "__main__.py")
    with a_stack(tmp_path) as stack:
        stack.environment = {"PULUMI_HOME": str(tmp_path / "home")}
        yield stack


def pair(name: str, opts: dict[str, Any] | None = None, *, kind: str = "Pair", **inputs: Any) -> Resource:
    opts = {"remote": True, "supportsPartialValues": True, **(opts or {})}
    return Resource(name=name, type=f"things:index:{kind}", custom=False, inputs=inputs, opts=opts)


PAIR = "things:index:Pair"


# ------------------------------------------------------------------ Construct


def test_a_component_that_a_plugin_constructs(stack: Stack) -> None:
    stack.config = {"things:region": "eu"}
    program = (
        bucket("base"),
        pair("p", size=3, label=ref("base")),
        exports(arns=ref("p", "arns"), f=ref("p", "facts")),
    )
    preview = stack.preview(*program).succeeds()
    preview.expect(create("base"), create("p"), create("p-1"), create("p-2"))
    stack.up(*program).succeeds().expect(create("base"), create("p"), create("p-1"), create("p-2"))
    component = stack.resource("p")
    assert not component.custom
    assert component.outputs["size"] == 3
    assert stack.resource("p-1").parent == component.urn
    assert stack.resource("p-2").inputs["label"] == stack.resource("base").outputs["arn"]
    assert stack.resource("p-2").property_dependencies["label"] == [stack.urn("base")]
    assert stack.outputs["arns"] == [stack.resource(name).outputs["arn"] for name in ("p-1", "p-2")]
    assert stack.outputs["f"] == {"stack": "test", "region": "eu", "dry_run": False}
    stack.up(*program).does_nothing()
    stack.up(bucket("base"), pair("p", size=4, label=ref("base"))).expect(update("p"), update("p-1")).succeeds()
    stack.up(bucket("base")).succeeds()
    assert stack.names == ["base"]
    stack.destroy().succeeds()


def test_what_comes_back_from_a_plugin_names_its_dependencies(stack: Stack) -> None:
    answers: list[Any] = []

    def register(run: Run) -> None:
        request = resource_pb2.RegisterResourceRequest(
            type=PAIR, name="p", remote=True, acceptSecrets=True, supportsPartialValues=True
        )
        request.object.CopyFrom(to_struct({"size": Secret(3)}))
        answers.append(run.monitor.RegisterResource(request))

    stack.preview(Do(register)).succeeds()
    stack.up(Do(register)).succeeds()
    before, after = answers
    assert from_struct(before.object)["size"] == Secret(3)
    assert from_struct(before.object)["arns"] is UNKNOWN
    assert from_struct(after.object)["arns"] == [stack.resource(name).outputs["arn"] for name in ("p-1", "p-2")]
    urns = {stack.resource(name).urn for name in ("p-1", "p-2")}
    assert set(after.propertyDependencies["arns"].urns) >= urns
    assert stack.resource("p-1").inputs["size"] == Secret(3)


def test_options_of_a_remote_component(stack: Stack) -> None:
    program = (
        provider("mine", account="x"),
        pair("p", opts={"providers": "mine", "protect": True, "aliases": [{"name": "old"}]}, size=1),
    )
    stack.up(provider("mine", account="x"), pair("old", size=1)).succeeds()
    stack.up(*program)
    assert stack.resource("p").protect
    assert stack.resource("p-1").protect
    assert "mine::" in stack.resource("p-1").provider
    assert "old" not in stack.names


def test_transforms_of_a_remote_component_are_for_what_its_plugin_registers(stack: Stack) -> None:
    host = CallbackHost()
    seen: list[str] = []

    def resize(body: bytes) -> Any:
        request = resource_pb2.TransformRequest.FromString(body)
        seen.append(request.name)
        answer = resource_pb2.TransformResponse()
        answer.properties.CopyFrom(request.properties)
        if request.name == "p-1":
            answer.properties.fields["size"].number_value = 9
        return answer

    try:
        stack.up(pair("p", opts={"transforms": [host.callback(resize)]}, size=1)).succeeds()
    finally:
        host.close()
    # Asked for by the program, registered by the plugin, and what is in it.
    assert sorted(seen) == ["p", "p", "p-1", "p-2"]
    assert stack.resource("p-1").inputs["size"] == 9
    assert stack.resource("p").inputs["size"] == 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [("Broken", "p cannot be built"), ("Dying", "the provider plugin for 'things' ended during Construct")],
)
def test_components_that_come_to_nothing(kind: str, message: str, stack: Stack) -> None:
    result = stack.up(pair("p", kind=kind)).fails(message)
    assert ("exited prematurely" in result.messages("error")) == (kind == "Dying")
    assert stack.names == []
    stack.up(pair("p", size=1)).succeeds()


def test_the_built_in_package_has_no_components(stack: Stack) -> None:
    item = Resource(name="p", type="pulumi:index:Pair", custom=False, opts={"remote": True})
    stack.up(item).fails("the built-in provider has no component 'pulumi:index:Pair'")


def test_a_component_of_a_provider_whose_configuration_is_not_known_yet(stack: Stack) -> None:
    mine = Resource(name="mine", type="pulumi:providers:things", inputs={"region": ref("base")})
    program = (bucket("base"), mine, pair("p", opts={"provider": "mine"}, size=1))
    stack.preview(*program).succeeds().expect(create("base"), create("mine"), create("p"))
    stack.up(*program).succeeds().expect(*map(create, ("base", "mine", "p", "p-1", "p-2")))


# ------------------------------------------------------------------ Call


def method(seen: list[Any], token: str = "things:index:Pair/negate", **args: Any) -> Do:
    def action(run: Run) -> None:
        own = {SIG_KEY: RESOURCE_SIG, "urn": run.urns["p"]}
        request = resource_pb2.ResourceCallRequest(tok=token)
        request.args.CopyFrom(to_struct({"__self__": own, **{k: run.value(v) for k, v in args.items()}}))
        request.argDependencies["__self__"].urns.append(run.urns["p"])
        answer = run.monitor.Call(request)
        failures = [f"{failure.property} {failure.reason}" for failure in answer.failures]
        seen.append((from_struct(getattr(answer, "return")), failures, answer.returnDependencies))

    return Do(action)


def test_methods_of_a_component(stack: Stack) -> None:
    seen: list[Any] = []
    stack.up(pair("p", size=1), method(seen, by=Secret(2)), method(seen, by=0)).succeeds()
    (returned, failures, named), refused = seen
    # The SDK's server of plugins marks no secrets in what methods return; it gets them marked.
    assert returned == {"urn": stack.resource("p").urn, "by": -2}
    assert failures == []
    assert list(named["urn"].urns) == [stack.resource("p").urn]
    assert refused[1] == ["by must not be 0"]
    stack.preview(pair("p", size=1), method(seen, by=ref("p", "none"))).succeeds()
    assert seen[-1][0]["by"] is UNKNOWN
    failed = stack.up(pair("p", size=1), method(seen, "things:index:Pair/broken"))
    failed.fails("call of things:index:Pair/broken returned an error", "the method is broken")


# ------------------------------------------------------------------ Invoke


def function(seen: list[Any], name: str = "", **more: Any) -> Do:
    def action(run: Run) -> None:
        request = resource_pb2.ResourceInvokeRequest(tok="things:index:look", **more)
        if name:
            request.provider = run.provider(name)
        request.args.CopyFrom(to_struct({"s": Secret("x")}))
        seen.append(from_struct(getattr(run.monitor.Invoke(request), "return")))

    return Do(action)


def things_provider(name: str, **opts: Any) -> Resource:
    return Resource(name=name, type="pulumi:providers:things", inputs={}, opts=opts)


def test_functions_of_a_provider_of_ones_own(stack: Stack) -> None:
    seen: list[Any] = []
    mine = things_provider("mine")
    stack.up(function(seen), mine, function(seen, "mine")).succeeds()
    assert [answer["token"] for answer in seen] == ["things:index:look"] * 2
    assert stack.resource("mine").id


def test_variables_that_are_mapped_for_one_provider(stack: Stack) -> None:
    stack.environment |= {"PLACE": "found"}
    seen: list[Any] = []

    def register(run: Run) -> None:
        request = resource_pb2.RegisterResourceRequest(type="pulumi:providers:things", name="mine", custom=True)
        request.envVarMappings.update({"PLACE": "THINGS_TOLD", "UNSET": "THINGS_OTHER"})
        answer = run.monitor.RegisterResource(request)
        run.urns["mine"], run.got["mine"] = answer.urn, {"id": answer.id}

    stack.up(Do(register), function(seen, "mine"), function(seen)).succeeds()
    assert [answer["told"] for answer in seen] == ["found", ""]
    kept = stack.resource("mine")
    assert kept.inputs["__internal"] == {"envVarMappings": {"PLACE": "THINGS_TOLD", "UNSET": "THINGS_OTHER"}}
    assert "__internal" not in kept.outputs
    stack.up(Do(register), function(seen, "mine")).does_nothing()


def test_versions_of_plugins(stack: Stack) -> None:
    seen: list[Any] = []
    stack.up(function(seen, version="1.0.0")).succeeds()
    (default,) = [s for s in stack.snapshot.resources if s.type == "pulumi:providers:things"]
    assert (default.name, default.inputs) == ("default_1_0_0", {"version": "1.0.0", "__internal": {}})
    stack.up(function(seen, version="1.0.1")).fails("found in the workspace at version v1.0.1", "(only 1.0.0)")
    stack.up(function(seen, version="one")).fails("'one' is not a semantic version")


def test_default_providers_can_be_forbidden(stack: Stack) -> None:
    stack.config = {"pulumi:disable-default-providers": '["things", "fake"]'}
    seen: list[Any] = []
    stack.up(function(seen)).fails("Default provider for 'things' disabled. 'things:index:look' must use an explicit")
    stack.up(bucket("a")).fails(f"Default provider for 'fake' disabled. '{stack.urn('a')}' must use an explicit")
    stack.up(provider("mine"), bucket("a", {"provider": "mine"})).succeeds()
    stack.config = {"pulumi:disable-default-providers": "things"}
    stack.up(function(seen)).fails("Failed to parse things")

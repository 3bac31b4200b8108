"""An executable plugin on PATH: how it is started and spoken to, and what becomes of its failures."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from engine import plugin_connection
from engine.resource import SIG_KEY, Secret
from engine.rpc import resource_pb2
from tests.engine.core.dsl import Result, create, in_background, replace, update
from tests.engine.core.program import Do, Resource, Run, bucket, provider, ref, reference
from tests.engine.plugins.raw import Raw, thing


def raw_provider(name: str, **inputs: Any) -> Resource:
    return Resource(name=name, type="pulumi:providers:raw", inputs=inputs)


# ------------------------------------------------------------------ starting


def test_how_it_is_started(raw: Raw, tmp_path: Path) -> None:
    raw.does(handshake=True, says="hello from the plugin")
    raw.stack.config = {"raw:region": "eu", "project:other": "x"}
    result = raw.stack.up(thing("a")).succeeds()
    result.warns("hello from the plugin")
    result.warns(f"using pulumi-resource-raw from $PATH at {raw.executable}")
    (started,) = raw.seen("start")
    (handshake,) = raw.seen("Handshake")
    assert started["argv"] == [handshake["engine_address"]]
    assert started["cwd"] == str(tmp_path)
    assert started["env"]["PULUMI_PROJECT"] == "project"
    assert json.loads(started["env"]["PULUMI_CONFIG"]) == {"region": "eu"}
    assert handshake["root_directory"] == handshake["program_directory"] == str(raw.executable.parent)
    assert handshake["configure_with_urn"]
    assert raw.order("Create", "Cancel") == ["Create", "Cancel"], "it is asked to clean up before it is ended"


@pytest.mark.parametrize(("port", "message"), [("none", "invalid port to stdout: 'none'"), ("70000", "invalid port")])
def test_a_port_that_is_none(port: str, message: str, raw: Raw) -> None:
    raw.does(port=port)
    raw.stack.up(thing("a")).fails("the provider plugin for 'raw' from $PATH", "did not start", message)
    assert raw.stack.names == []


def test_a_plugin_that_is_older_than_was_asked_for(raw: Raw) -> None:
    opts = {"version": "1.5.0"}
    raw.stack.up(thing("a", opts)).succeeds().warns("is expected to have version >=1.5.0, but has 1.0.0")
    raw.does(version="1.5.1")
    assert "expected to have version" not in raw.stack.up(thing("a", opts)).succeeds().messages("warning")


# ------------------------------------------------------------------ configuration


def test_the_configuration_as_texts_and_as_values(raw: Raw) -> None:
    raw.does(abilities={"acceptSecrets": True})
    config = {"region": "eu", "sizes": [1, 2.5, "<x>"], "on": True, "token": Secret("t"), "deep": {"b": None, "a": 1}}
    raw.stack.up(raw_provider("mine", **config), thing("a", {"provider": "mine"})).succeeds()
    (configured,) = raw.seen("Configure")
    assert configured["variables"] == {
        "raw:config:region": "eu",
        "raw:config:sizes": '[1,2.5,"\\u003cx\\u003e"]',
        "raw:config:on": "true",
        "raw:config:token": "t",
        "raw:config:deep": '{"a":1,"b":null}',
    }
    assert configured["args"]["token"] == {SIG_KEY: "1b47061264138c4ac30d75fd1eb44270", "value": "t"}
    assert (configured["acceptSecrets"], configured["acceptResources"], configured["sends_old_inputs"]) == (True,) * 3
    (checked,) = raw.seen("CheckConfig")
    assert checked["news"]["token"] == "t", "CheckConfig knows no secrets"
    assert raw.stack.resource("mine").inputs["token"] == Secret("t")


def test_a_provider_whose_configuration_is_not_known_in_a_preview(raw: Raw) -> None:
    def program(size: int) -> tuple[Resource, ...]:
        mine = raw_provider("mine", region=ref("base"))
        return bucket("base", region=str(size)), mine, thing("a", {"provider": "mine"}, size=size)

    raw.stack.preview(*program(1)).succeeds().expect(create("base"), create("mine"), create("a"))
    assert raw.seen("Configure") == raw.seen("Check") == raw.seen("Create") == []
    raw.stack.up(*program(1)).succeeds()
    assert len(raw.seen("Configure")) == 1
    raw.forget()
    result = raw.stack.preview(*program(2)).succeeds()
    result.warns("The provider for this resource has inputs that are not known during preview.")
    assert raw.seen("Configure") == raw.seen("Diff") == []


def test_required_configuration_that_is_missing(raw: Raw) -> None:
    raw.does(missing_keys=True)
    result = raw.stack.up(thing("a"))
    result.fails('missing required configuration key "raw:token": who you are', "pulumi config set raw:token <value>")
    # The provider is there all the same: it is the resource that cannot be made.
    (default,) = [s for s in raw.stack.snapshot.resources if s.type == "pulumi:providers:raw"]
    assert default.id
    raw.does()
    raw.stack.up(thing("a")).succeeds()


# ------------------------------------------------------------------ what goes to a plugin and comes back


SECRETS = {"plain": "p", "token": Secret("t"), "deep": {"x": Secret("y"), "z": 1}, "list": [Secret("l"), "m"]}


def test_secrets_for_a_plugin_that_takes_them(raw: Raw) -> None:
    raw.does(abilities={"acceptSecrets": True})
    raw.stack.up(thing("a", **SECRETS)).succeeds()
    (created,) = raw.seen("Create")
    assert created["properties"]["token"]["value"] == "t"
    assert created["properties"]["deep"]["x"][SIG_KEY]
    assert raw.stack.resource("a").outputs == SECRETS


def test_secrets_for_a_plugin_that_takes_none(raw: Raw) -> None:
    raw.stack.up(thing("a", **SECRETS)).succeeds()
    (created,) = raw.seen("Create")
    assert created["properties"] == {"plain": "p", "token": "t", "deep": {"x": "y", "z": 1}, "list": ["l", "m"]}
    kept = raw.stack.resource("a")
    whole = {**SECRETS, "list": Secret(["l", "m"])}
    assert kept.inputs == kept.outputs == whole
    raw.stack.refresh().succeeds()
    assert raw.stack.resource("a").outputs == whole
    assert '"t"' not in raw.stack.saved


@pytest.mark.parametrize(("accepts", "sent"), [(True, {"id": "x-1"}), (False, "x-1")])
def test_resources_as_values(accepts: bool, sent: Any, raw: Raw) -> None:
    raw.does(abilities={"acceptResources": accepts})
    urn = raw.stack.urn("x")
    raw.stack.up(thing("a", other=reference(urn, "x-1"))).succeeds()
    other = raw.seen("Create")[0]["properties"]["other"]
    assert other == ({SIG_KEY: other[SIG_KEY], "urn": urn, **sent} if accepts else sent)


@pytest.mark.parametrize("asked", [True, False])
def test_previews(asked: bool, raw: Raw) -> None:
    raw.does(abilities={"supportsPreview": asked}, diff={"changes": "DIFF_SOME"})
    program = (thing("a", size=1), thing("b", of=ref("a", "size"), new=ref("a", "later")))
    raw.stack.preview(*program).succeeds().expect(create("a"), create("b"))
    assert [call["preview"] for call in raw.seen("Create")] == [True, True] * asked
    if asked:
        assert raw.seen("Create")[1]["properties"]["new"] == "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    raw.stack.up(thing("a", size=1)).succeeds()
    raw.forget()
    raw.stack.preview(thing("a", size=2)).succeeds().expect(update("a"))
    assert [call["preview"] for call in raw.seen("Update")] == [True] * asked


def test_an_unknown_value_that_is_left_after_a_create(raw: Raw) -> None:
    raw.does(outputs={"arn": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"})
    raw.stack.up(thing("a")).fails('unexpected unknown property value for "arn"')


def test_diffs_in_detail(raw: Raw) -> None:
    raw.stack.up(thing("a", size=1, tags={"x": 1})).succeeds()
    detail = {"tags.x": {"kind": "UPDATE_REPLACE", "inputDiff": True}, "size": {"kind": 17}}
    raw.does(diff={"changes": "DIFF_SOME", "diffs": ["tags", "size"], "detailedDiff": detail, "hasDetailedDiff": True})
    result = raw.stack.up(thing("a", size=2, tags={"x": 2})).succeeds().expect(replace("a"))
    pre = [event["resourcePreEvent"]["metadata"] for event in result.events if "resourcePreEvent" in event]
    (told,) = [metadata["detailedDiff"] for metadata in pre if metadata["op"] == "replace"]
    assert told["tags.x"] == {"diffKind": "update-replace", "inputDiff": True}
    assert told["size"]["diffKind"] == "update", "what a newer plugin tells is an update"


# ------------------------------------------------------------------ failures


@pytest.mark.parametrize(
    "method", ["Handshake", "CheckConfig", "Configure", "Check", "Diff", "Create", "Read", "Update", "Delete"]
)
def test_a_plugin_that_ends_at_a_call(method: str, raw: Raw) -> None:
    """The state stays valid, which the DSL checks at each save, and a plugin that lives ends up with what was asked."""
    some = {"changes": "DIFF_SOME"}
    raw.does(handshake=True, diff=some)
    if method not in ("Handshake", "CheckConfig", "Configure", "Check", "Create"):
        raw.stack.up(thing("a", size=1)).succeeds()
    raw.does(handshake=True, diff=some, dies=method)
    began = time.monotonic()
    result = _run_into(raw, method)
    assert time.monotonic() - began < 30
    result.fails(f"the provider plugin for 'raw' ended during {method}")
    assert "Detected that the provider plugin for 'raw' exited prematurely." in result.messages("error")
    assert "what a plugin says before it dies" in result.messages("error")
    raw.does(handshake=True, diff=some)
    raw.stack.up(thing("a", size=2)).succeeds()
    assert raw.stack.resource("a").outputs == {"size": 2}
    raw.stack.destroy().succeeds()
    assert raw.stack.names == []


def _run_into(raw: Raw, method: str) -> Result:
    if method == "Read":
        return raw.stack.refresh()
    if method == "Delete":
        return raw.stack.destroy()
    return raw.stack.up(thing("a", size=2))


@pytest.mark.parametrize("method", ["CheckConfig", "Configure"])
def test_a_plugin_that_does_not_answer_while_it_is_configured(
    method: str, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_connection, "CONFIGURE_SECONDS", 0.5)
    raw.does(hangs=method)
    raw.stack.up(thing("a")).fails(f"the provider plugin for 'raw' did not answer {method} within 0 s")
    assert raw.stack.names == []


@pytest.mark.parametrize("method", ["Create", "Update", "Delete"])
def test_a_plugin_that_does_not_heed_custom_timeouts(method: str, raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_connection, "GRACE_SECONDS", 0.5)
    opts = {"timeouts": {"create": "1s", "update": "1s", "delete": "1s"}}
    raw.does(diff={"changes": "DIFF_SOME"})
    if method != "Create":
        raw.stack.up(thing("a", opts, size=1)).succeeds()
    raw.does(diff={"changes": "DIFF_SOME"}, hangs=method)
    result = raw.stack.destroy() if method == "Delete" else raw.stack.up(thing("a", opts, size=2))
    result.fails(f"did not answer {method} within 2 s", "look at the object before you retry")
    assert raw.seen(method)[-1]["timeout"] == 1


def test_nobody_waits_for_a_plugin_after_the_second_signal(raw: Raw) -> None:
    raw.does(hangs="Create")

    def signal() -> None:
        while not raw.seen("Create"):
            time.sleep(0.05)
        raw.stack.cancel.signal()
        raw.stack.cancel.signal()

    thread = in_background(signal)
    began = time.monotonic()
    raw.stack.up(thing("a")).fails("update canceled")
    thread.join()
    assert time.monotonic() - began < 40
    assert raw.stack.pending == ["creating a"]


def test_objects_that_do_not_become_ready(raw: Raw) -> None:
    raw.does(unready=True)
    raw.stack.up(thing("a", size=1)).fails("2 errors occurred:\n\t* cold\n\t* dark")
    assert raw.stack.resource("a").init_errors == ["cold", "dark"]
    assert raw.stack.resource("a").id == "a"
    raw.stack.up(thing("a", size=1)).fails("1 error occurred:\n\t* cold").expect(update("a"))
    raw.does()
    raw.stack.up(thing("a", size=1)).succeeds().expect(update("a"))
    assert raw.stack.resource("a").init_errors == []


# ------------------------------------------------------------------ packages made from a plugin


def made(seen: list[str], value: bytes = b"\x00recipe", version: str = "2.0.0") -> Do:
    """Registers `made:index:Thing` of a package that the plugin `raw` is made into."""

    def action(run: Run) -> None:
        package = resource_pb2.RegisterPackageRequest(name="raw", version="1.0.0")
        package.parameterization.CopyFrom(resource_pb2.Parameterization(name="made", version=version, value=value))
        seen.append(run.monitor.RegisterPackage(package).ref)
        assert run.monitor.RegisterPackage(package).ref == seen[-1]
        run.one(Resource(name="m", type="made:index:Thing", inputs={"size": 1}, opts={"packageRef": seen[-1]}))

    return Do(action)


def test_a_package_that_is_made_from_another_plugin(raw: Raw) -> None:
    seen: list[str] = []
    raw.stack.up(made(seen)).succeeds().expect(create("m"))
    (asked,) = raw.seen("Parameterize")
    assert asked["value"] == {"name": "made", "version": "2.0.0", "value": "AHJlY2lwZQ=="}
    (default,) = [s for s in raw.stack.snapshot.resources if s.type == "pulumi:providers:made"]
    assert default.name == "default_2_0_0"
    assert default.inputs == {
        "version": "2.0.0",
        "__internal": {"name": "raw", "version": "1.0.0", "parameterization": "AHJlY2lwZQ=="},
    }
    assert default.outputs == {"version": "2.0.0"}
    raw.forget()
    raw.stack.refresh().succeeds()
    assert len(raw.seen("Parameterize")) == 1
    raw.stack.up(made(seen)).does_nothing()
    raw.stack.destroy().succeeds()


def test_packages_that_cannot_be_made(raw: Raw) -> None:
    raw.does(becomes="other")
    raw.stack.up(made([])).fails("parameterize response name 'other' does not match expected package 'made'")
    raw.does()
    raw.stack.up(made([], version="two")).fails("'two' is not a semantic version")
    unknown = Resource(name="m", type="made:index:Thing", opts={"packageRef": "nobody's"})
    raw.stack.up(unknown).fails("unknown provider package 'nobody's'")


# ------------------------------------------------------------------ asking without registering


def test_whether_an_object_exists(raw: Raw) -> None:
    answers: list[tuple[bool, bool]] = []

    def ask(run: Run, **fields: Any) -> None:
        request = resource_pb2.ExistsResourceRequest(**fields)
        answer = run.monitor.ExistsResource(request)
        answers.append((answer.exists, answer.unknown))

    raw.stack.up(bucket("a")).succeeds()
    id_ = raw.stack.cloud.id_of("a")
    looks = (
        Do(lambda run: ask(run, type="fake:index:Bucket", id=id_)),
        Do(lambda run: ask(run, type="fake:index:Bucket", id="none")),
        Do(lambda run: ask(run, type="fake:index:Bucket", id="04da6b54-80e4-46f7-96ec-b56ff0331ba9")),
    )
    raw.stack.up(bucket("a"), provider("p"), *looks).succeeds()
    assert answers == [(True, False), (False, False), (False, True)]

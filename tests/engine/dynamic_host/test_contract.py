"""The same requests to the SDK's host and to the engine's: the same answers, and those that one expects."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2

from tests.engine.dynamic_host.cases import BadConfigure, Broken, Echo
from tests.engine.dynamic_host.hosts import Host, pickled, request

ECHO, BROKEN = pickled(Echo()), pickled(Broken())
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIG = "4dabf18193072939515e22adb298388d"
SECRET = {SIG: "1b47061264138c4ac30d75fd1eb44270", "value": {"deep": ["hush"]}}
ASSET = {SIG: "c44067f5952c0a294b673a41bacd8c17", "text": "content"}
RESOURCE = {SIG: "5cf8f73096256a8f31e491e813e4eb8e", "urn": "urn:pulumi:s::p::a:b:C::n", "id": "i-1"}
EVERYTHING = {
    "none": None,
    "yes": True,
    "int": 3,
    "big": 2**40,
    "float": 1.5,
    "text": "héllo ☃",
    "empty": "",
    "list": [1, None, "two", [], {}],
    "nested": {"a": {"b": [True, {"c": None}]}},
    "secret": SECRET,
    "secrets": [SECRET, 1],
    "asset": ASSET,
    "resource": RESOURCE,
    "__internal": "kept",
    "unknown": UNKNOWN,
    "unknowns": {"a": UNKNOWN, "b": [UNKNOWN, 1]},
}


def echo(**values: Any) -> dict[str, Any]:
    return {**values, "__provider": ECHO}


def broken(**values: Any) -> dict[str, Any]:
    return {**values, "__provider": BROKEN}


# name: (method, request, something that the answer holds)
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "check": ("Check", {"olds": echo(), "news": echo(**EVERYTHING)}, "'unknown': 'Unknown'"),
    "check without olds": ("Check", {"news": echo(size=1)}, "'olds': []"),
    "check that fails": ("Check", {"news": echo(say="failures")}, "'reason': 'too small'"),
    "check without a provider": ("Check", {"news": {"size": 1}}, "KeyError: '__provider'"),
    "check with an unknown provider": ("Check", {"olds": echo(), "news": {"__provider": UNKNOWN}}, "Unknown"),
    "check of a broken pickle": ("Check", {"news": {"__provider": "AAAA"}}, "UnpicklingError"),
    "check of what is no pickle": ("Check", {"news": {"__provider": "§"}}, "ASCII"),
    "check that raises": ("Check", {"news": broken()}, "ValueError: cannot check ['__provider']"),
    "configure that raises": (
        "Check",
        {"news": {"__provider": pickled(BadConfigure())}},
        "ValueError: missing required configuration key: token",
    ),
    "diff": ("Diff", {"id_": "i", "olds": echo(), "news": echo()}, "OK"),
    "diff of the same": ("Diff", {"id_": "i", "olds": echo(), "news": echo(say="same")}, "DIFF_NONE"),
    "diff of a change": ("Diff", {"id_": "i", "olds": echo(), "news": echo(say="changed")}, "deleteBeforeReplace"),
    "diff that raises": ("Diff", {"id_": "i", "olds": echo(), "news": broken()}, "KeyError: 'size'"),
    "create": ("Create", {"properties": echo(**EVERYTHING)}, "the-id"),
    "create without outputs": ("Create", {"properties": echo(say="nothing")}, "__provider"),
    "create of an object": ("Create", {"properties": echo(say="object")}, "unexpected input of type object for out"),
    "create of an output": ("Create", {"properties": echo(say="output")}, "RuntimeError"),
    "create of an awaitable": ("Create", {"properties": echo(say="awaitable")}, "at last"),
    "create of a tuple": ("Create", {"properties": echo(say="tuple")}, "2.5"),
    "create of a secret": ("Create", {"properties": echo(say="secret")}, "'value': 's'"),
    "create of an asset": ("Create", {"properties": echo(say="asset", asset=ASSET)}, "'kind': 'StringAsset'"),
    "create with configuration": ("Create", {"properties": echo(say="config")}, "['eu', 'hush']"),
    "create that asks for a configuration": (
        "Create",
        {"properties": echo(say="require")},
        "configuration key: absent",
    ),
    "create that asks for the project": ("Create", {"properties": echo(say="project")}, "['project', 'stack']"),
    "create within its time": ("Create", {"properties": echo(size=1), "timeout": 60.0}, "the-id"),
    "create that is not ready": ("Create", {"properties": echo(say="unready")}, "not ready"),
    "create that is not ready in time": ("Create", {"properties": echo(say="unready"), "timeout": 60.0}, "not ready"),
    "create that raises": ("Create", {"properties": broken()}, "RuntimeError: the cloud is closed"),
    "create that raises in time": ("Create", {"properties": broken(), "timeout": 60.0}, "the cloud is closed"),
    "read": ("Read", {"id_": "i", "properties": echo(size=1), "inputs": echo(size=2)}, "'read': True"),
    "read with inputs only": ("Read", {"id_": "i", "inputs": echo(size=2)}, "'size': 2.0"),
    "read of nothing": ("Read", {"id_": "i"}, "KeyError: '__provider'"),
    "read that tells inputs": ("Read", {"id_": "i", "properties": echo(say="inputs")}, "'inputs'"),
    "read of what is gone": ("Read", {"id_": "i", "properties": echo(say="gone")}, "OK"),
    "read that raises": ("Read", {"id_": "i", "properties": broken()}, "TimeoutError: too slow"),
    "read that raises in time": ("Read", {"id_": "i", "properties": broken(), "timeout": 60.0}, "too slow"),
    "update": ("Update", {"id_": "i", "olds": echo(size=1), "news": echo(size=2)}, "'was': 1.0"),
    "update without outputs": ("Update", {"id_": "i", "olds": echo(), "news": echo(say="nothing")}, "__provider"),
    "update that raises": ("Update", {"id_": "i", "olds": echo(), "news": broken()}, "AssertionError"),
    "delete": ("Delete", {"id_": "i", "properties": echo()}, "OK"),
    "delete that raises": ("Delete", {"id_": "i", "properties": echo(say="refuse")}, "PermissionError: i is not yours"),
    "delete that raises two lines": ("Delete", {"id_": "i", "properties": broken()}, "two lines"),
}
PLAIN: dict[str, Any] = {
    "GetPluginInfo": empty_pb2.Empty(),
    "Cancel": empty_pb2.Empty(),
    "Configure": provider_pb2.ConfigureRequest(),
    "CheckConfig": provider_pb2.CheckRequest(),
    "DiffConfig": provider_pb2.DiffRequest(),
    "GetSchema": provider_pb2.GetSchemaRequest(),
    "Invoke": provider_pb2.InvokeRequest(tok="a:b:c"),
    "Handshake": provider_pb2.ProviderHandshakeRequest(),
    "Attach": plugin_pb2.PluginAttach(),
    "Call": provider_pb2.CallRequest(),
    "Construct": provider_pb2.ConstructRequest(),
    "Parameterize": provider_pb2.ParameterizeRequest(),
    "GetMapping": provider_pb2.GetMappingRequest(),
}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    """The SDK's and ours, both with a configuration."""
    folder = tmp_path_factory.mktemp("program")
    with Host("sdk", folder) as sdk, Host("ours", folder) as ours:
        for host in (sdk, ours):
            host.configure(**{"project:region": "eu", "other:token": {**SECRET, "value": "hush"}})
        yield sdk, ours


@pytest.mark.parametrize("name", CASES)
def test_the_same_request_has_the_same_answer(name: str, hosts: tuple[Host, Host]) -> None:
    method, fields, expected = CASES[name]
    answers = [host.ask(method, request(method, **fields)) for host in hosts]
    assert answers[1].comparable == answers[0].comparable
    assert expected in str(answers[1])


@pytest.mark.parametrize("method", PLAIN)
def test_the_same_methods_are_there(method: str, hosts: tuple[Host, Host]) -> None:
    sdk, ours = [host.ask(method, PLAIN[method]) for host in hosts]
    assert (ours.code, ours.message) == (sdk.code, sdk.message)
    assert ours.code == ("OK" if method in {"GetPluginInfo", "Cancel", "Configure"} else "UNIMPLEMENTED")


@pytest.mark.parametrize("kind", ["sdk", "ours"])
def test_a_provider_is_loaded_and_configured_once(kind: str, tmp_path: Path) -> None:
    first, second = pickled(Echo("first")), pickled(Echo("second"))

    def count(provider: str) -> Any:
        properties = {"say": "count", "__provider": provider}
        return host.stub.Create(request("Create", properties=properties)).properties

    def region(provider: str) -> Any:
        properties = {"say": "config", "__provider": provider}
        return host.stub.Create(request("Create", properties=properties)).properties["asked"][0]

    with Host(kind, tmp_path) as host:
        host.configure(**{"project:region": "eu", "other:token": "t"})
        assert [int(count(first)["calls"]) for _ in range(3)] == [1, 2, 3]
        assert region(first) == "eu"
        # A configuration is for the providers that are loaded from then on.
        host.configure(**{"project:region": "us", "other:token": "t"})
        assert (int(count(second)["calls"]), count(second)["mark"]) == (1, "second")
        assert (region(first), region(second)) == ("eu", "us")


@pytest.mark.parametrize("kind", ["sdk", "ours"])
def test_a_programs_own_classes_come_by_value(kind: str, tmp_path: Path) -> None:
    program = Path(__file__).with_name("by_value.py")
    printed = subprocess.run([sys.executable, str(program)], check=True, capture_output=True, text=True).stdout
    with Host(kind, tmp_path) as host:
        for name, provider in zip(("ann", "bob"), json.loads(printed), strict=True):
            made = host.stub.Create(request("Create", properties={"__provider": provider}))
            assert (made.id, made.properties["greeting"]) == ("__main__.ByValue", f"hello, {name}")
            diff = host.ask(
                "Diff",
                request(
                    "Diff",
                    id_="i",
                    olds={"size": 1, "__provider": provider},
                    news={"size": 2, "__provider": provider},
                ),
            )
            assert diff.message == {"changes": "DIFF_SOME"}
            checked = host.stub.Check(request("Check", news={"__provider": provider}))
            assert checked.inputs["greeting"] == f"hello, {name}"

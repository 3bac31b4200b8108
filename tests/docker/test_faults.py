"""Engines that refuse, hang, break off or answer nonsense: each ends in bounded time, with one line and no secret."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from providers.docker import client as clients
from providers.docker.client import Client
from providers.docker.config import Config
from providers.docker.network import Network
from providers.docker.registry import PACKAGE
from providers.plugin.errors import CancelledError, ProviderError, UnreachableError
from providers.plugin.resource import Call
from tests.docker.fake_engine import Answer, fake_engine, silent_server, told
from tests.providers.plugin import Plugin, PluginError, launch, struct


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "RETRY_DELAYS", (0.01, 0.01, 0.01))


def failing(host: str, *, limit: float = 20, **more: Any) -> str:
    """What is said where a network is to be made at `host`."""
    began = time.monotonic()
    client = Client(config=Config(host=host, **more))
    call = Call(client=client, urn="urn:pulumi:dev::tests::docker:index/network:Network::x")
    with pytest.raises(ProviderError) as caught:
        client.retrying(lambda: Network().create(call, {"name": "x"}))
    assert time.monotonic() - began < limit
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nobody_answers() -> None:
    assert failing("tcp://127.0.0.1:1").startswith(
        "cannot look for network 'x': no Docker engine answers at tcp://127.0.0.1:1. Check that it runs there"
    )


def test_it_is_asked_again_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def act() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise UnreachableError("no")
        return "yes"

    assert Client(config=Config(host="unix:///x")).retrying(act) == "yes"
    assert len(tries) == 3


def test_it_accepts_and_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "CALL_SECONDS", 0.5)
    with silent_server() as host:
        assert "did not answer in time. See what holds it up, then retry" in failing(host)


@pytest.mark.parametrize(
    ("answer", "said", "asked_times"),
    [
        (told(500, {"message": "the disk is full"}), "cannot look for network 'x': the disk is full", 1),
        (told(503, {"message": "not yet"}), "cannot look for network 'x': not yet", 3),
        (told(429, {"message": "slowly"}, Retry_After="1"), "cannot look for network 'x': slowly", 3),
        (told(401, {"message": "authentication required"}), "check the user and password", 1),
        ((200, {}, b"<html>welcome</html>"), "is no Docker engine", 1),
        ((200, {}, b'["unexpected"]'), "is no Docker engine", 1),
        ((500, {"Content-Type": "text/html"}, b"<h1>oops</h1>"), "cannot look for network 'x': ", 1),
    ],
)
def test_it_answers_badly(answer: Answer, said: str, asked_times: int) -> None:
    with fake_engine(lambda _method, _path: answer) as (host, asked):
        assert said in failing(host)
        assert len([each for each in asked if "networks" in each]) == asked_times


def test_it_is_not_of_this_world() -> None:
    """What answers is not even HTTP's version of an engine: its first answer says nothing of a version."""
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(9):
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"220 mail.example ESMTP\r\n")

        threading.Thread(target=serve, daemon=True).start()
        said = failing(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        assert "no Docker engine" in said
        server.shutdown(socket.SHUT_RDWR)


def test_tls_that_cannot_be(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    with fake_engine(lambda _method, _path: told(200, [])) as (host, _):
        said = failing(host, cert="no certificate", key=key)
        assert "Check certPath, or caMaterial, certMaterial, keyMaterial" in said
        assert "c2VjcmV0" not in said


def test_a_permission_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from providers.docker.errors import from_docker

    refused = ConnectionError("('Connection aborted.', PermissionError(13, 'Permission denied'))")
    said = str(from_docker(refused, "look for network 'x'", "unix:///run/docker.sock"))
    assert said.startswith("cannot look for network 'x': no permission for unix:///run/docker.sock. Add this user")


def test_what_the_sdk_itself_refuses_is_not_taken_for_a_server_that_is_away() -> None:
    from docker.errors import InvalidRepository

    from providers.docker.errors import from_docker

    said = str(from_docker(InvalidRepository("it begins with a hyphen (-x)."), "push image '-x'", "unix:///x"))
    assert said == "cannot push image '-x': it begins with a hyphen (-x)"


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("could not find an available, non-overlapping IPv4 address pool among the defaults", "default-address-pools"),
        ("all predefined address pools have been fully subnetted", "default-address-pools"),
        ("Bind for 127.0.0.1:80 failed: port is already allocated", "give another external port"),
        ("remove x: volume is in use - [1]", "remove the containers that use it first"),
        ("no basic auth credentials", "registryAuth"),
    ],
)
def test_what_to_do(said: str, advice: str) -> None:
    from providers.docker.errors import one_line

    assert advice in one_line("do it", said)


def test_no_secret_is_repeated() -> None:
    from providers.docker.errors import one_line

    said = one_line(
        "create container 'x'", "invalid value w0rd-of-mine\n\tat KEY=w0rd-of-mine.", ["w0rd-of-mine", "", "a"]
    )
    assert said == "cannot create container 'x': invalid value [secret] at KEY=[secret]"


def test_it_stops_when_it_is_told_to() -> None:
    client = PACKAGE.connect({"host": "unix:///x"})
    client.cancel()
    began = time.monotonic()
    with pytest.raises(CancelledError, match="the engine asked the docker provider to stop"):
        client.wait_until(60, lambda: False)
    assert time.monotonic() - began < 10


@pytest.fixture
def bare() -> Iterator[Plugin]:
    """A plugin of which no engine is known yet."""
    plugin = launch(module="providers.docker")
    yield plugin
    plugin.stop()


def test_the_plugin_says_where_it_cannot_connect(bare: Plugin, tmp_path: Path) -> None:
    bare.configure(host=f"unix://{tmp_path}/none.sock")
    with pytest.raises(PluginError, match="no Docker engine answers at unix:///"):
        bare.create("Volume", "xx", name="xx", keep=False)
    bare.configure(host="tcp://127.0.0.1:1")
    with pytest.raises(
        PluginError, match=r"^cannot look for volume 'xx': no Docker engine answers at tcp://127.0.0.1:1"
    ):
        bare.create("Volume", "xx", name="xx", keep=False)
    # A preview asks nobody.
    assert bare.preview_create("Network", "xx", name="xx")["name"] == "xx"
    with pytest.raises(PluginError, match="ssh -L"):
        bare.configure(host="ssh://me@there")
    with pytest.raises(PluginError, match="give host and certPath"):
        bare.configure(context="other")


def test_its_configuration_is_checked(bare: Plugin) -> None:
    auth = [{"address": "r.example", "username": "u", "password": "w0rd", "more": "x"}]
    request = provider_pb2.CheckRequest(
        urn="urn:pulumi:dev::tests::pulumi:providers:docker::x",
        news=struct({"host": "here", "registryAuth": auth, "unheard": "of", "keyMaterial": "k"}),
    )
    answer = bare.call("CheckConfig", request)
    failures = {each.property: each.reason for each in answer.failures}
    assert failures.keys() == {"host", "registryAuth[0].more", "unheard"}
    assert "unix://" in failures["host"]
    assert not any("w0rd" in each for each in failures.values())
    secrets = [name for name, value in answer.inputs.fields.items() if value.WhichOneof("kind") == "struct_value"]
    assert sorted(secrets) == ["keyMaterial", "registryAuth"]


def test_it_starts_without_loading_the_sdks() -> None:
    import subprocess
    import sys

    code = (
        "import sys, providers.plugin.server, providers.docker.registry;"
        "print(sorted({'pulumi', 'docker', 'requests', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_its_schema_names_its_types(bare: Plugin) -> None:
    import json

    schema = json.loads(bare.call("GetSchema", provider_pb2.GetSchemaRequest()).schema)
    assert schema["name"] == "docker"
    assert schema["resources"].keys() == PACKAGE.types.keys()
    container = schema["resources"]["docker:index/container:Container"]
    assert container["requiredInputs"] == ["image"]
    assert "networkDatas" in container["properties"]
    assert "networkDatas" not in container["inputProperties"]
    with pytest.raises(PluginError, match="function docker:index/getNetwork:getNetwork is not served here"):
        bare.call("Invoke", provider_pb2.InvokeRequest(tok="docker:index/getNetwork:getNetwork"))

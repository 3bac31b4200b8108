"""A program with `pulumi_docker`, run by the embedded engine, which finds this plugin by its entry point."""

import contextlib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker
import pytest
from pulumi import automation

from tests.embedded import stacks_in


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return stacks_in(tmp_path, monkeypatch)


def program_of(host: str, image: str, unique: str, settings: dict[str, Any]) -> Callable[[], None]:
    def program() -> None:
        options = pulumi.ResourceOptions(provider=docker.Provider("here", host=host))
        found = docker.RemoteImage("image", name=image, keep_locally=True, opts=options)
        labels = [docker.NetworkLabelArgs(label="page", value=settings["network"])]
        network = docker.Network("net", name=unique, labels=labels, opts=options)
        volume = docker.Volume("data", opts=options)
        container = docker.Container(
            "web",
            name=unique,
            image=found.image_id,
            command=["sh", "-c", "env > /tmp/env; exec httpd -f -p 8080 -h /www"],
            envs=[pulumi.Output.secret(f"PASSWORD=w0rd-{unique}"), "OPEN=1"],
            memory=settings["memory"],
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=network.name)],
            volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path="/data")],
            ports=[docker.ContainerPortArgs(internal=8080, ip="127.0.0.1")],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/"], interval="1s"
            ),
            uploads=[docker.ContainerUploadArgs(file="/www/index.html", content=settings["page"])],
            wait=True,
            opts=options,
        )
        pulumi.export("volume", volume.name)
        pulumi.export("port", container.ports.apply(lambda ports: ports[0].external if ports else None))

    return program


def page(result: Any) -> str:
    port = int(result.outputs["port"].value)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return str(answer.read().decode())


@contextlib.contextmanager
def removed_at_the_end(made: Any, engine: Any, unique: str, image: str) -> Iterator[None]:
    volumes: list[str] = []
    try:
        yield
        volumes = [str(made.outputs()["volume"].value)]
    finally:
        made.destroy()
    assert not engine.containers.list(all=True, filters={"name": unique})
    assert not engine.networks.list(names=[unique])
    assert not engine.volumes.list(filters={"name": volumes})
    assert engine.images.get(image)


def test_up_no_op_change_destroy(host: str, engine: Any, image: str, unique: str, stack: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"memory": 32, "page": "one", "network": "a"}
    made = stack(program_of(host, image, unique, settings))
    assert made.preview().change_summary == {"create": 6}
    assert not engine.networks.list(names=[unique])
    with removed_at_the_end(made, engine, unique, image):
        assert page(made.up()) == "one"
        assert made.up().summary.resource_changes == {"same": 6}
        settings["memory"] = 64
        assert made.up().summary.resource_changes == {"same": 5, "update": 1}
        was = engine.containers.get(unique)
        assert was.attrs["HostConfig"]["Memory"] == 64 << 20
        settings["page"] = "two"
        assert page(made.up()) == "two"
        assert engine.containers.get(unique).id != was.id
        # What is in a network goes before it does.
        settings["network"] = "b"
        assert page(made.up()) == "two"
        assert engine.networks.get(unique).attrs["Labels"]["page"] == "b"
        for state in (tmp_path / "state").rglob("*.json"):
            assert f"w0rd-{unique}" not in state.read_text()
        assert len(engine.containers.list(all=True, filters={"name": unique})) == 1


def test_what_was_changed_by_hand_is_found_and_mended(
    host: str, engine: Any, image: str, unique: str, stack: Any
) -> None:
    made = stack(program_of(host, image, unique, {"memory": 32, "page": "one", "network": "a"}))
    with removed_at_the_end(made, engine, unique, image):
        made.up()
        seen = engine.containers.get(unique)
        seen.kill()
        assert made.refresh().summary.resource_changes == {"same": 5, "update": 1}
        assert page(made.up()) == "one"
        assert engine.containers.get(unique).id == seen.id
        seen.remove(force=True)
        assert made.refresh().summary.resource_changes == {"same": 5, "delete": 1}
        assert page(made.up()) == "one"


def test_one_that_does_not_become_ready_is_kept_track_of(
    host: str, engine: Any, image: str, unique: str, stack: Any
) -> None:
    settings = {"command": ["sh", "-c", f"echo s3cret-{unique}; exit 3"]}

    def program() -> None:
        options = pulumi.ResourceOptions(provider=docker.Provider("here", host=host))
        docker.Container("web", name=unique, image=image, command=settings["command"], opts=options)

    made = stack(program)
    try:
        with pytest.raises(automation.CommandError) as caught:
            made.up()
        assert f"container '{unique}' does not keep running: it is exited, exit code 3" in str(caught.value)
        assert f"s3cret-{unique}" not in str(caught.value)
        settings["command"] = ["sleep", "600"]
        assert made.up().summary.result == "succeeded"
        assert engine.containers.get(unique).status == "running"
        settings["command"] = ["false"]
        with pytest.raises(automation.CommandError):
            made.up()
    finally:
        made.destroy()
    assert not engine.containers.list(all=True, filters={"name": unique})


def test_what_was_made_by_hand_is_imported(host: str, engine: Any, image: str, unique: str, stack: Any) -> None:
    engine.networks.create(unique)
    engine.volumes.create(unique)
    ports = {"80/tcp": ("127.0.0.1", 0)}
    found = engine.containers.run(image, name=unique, detach=True, mem_limit="32m", network=unique, ports=ports)

    def program() -> None:
        provider = docker.Provider("here", host=host)

        def imported(object_id: str) -> pulumi.ResourceOptions:
            return pulumi.ResourceOptions(provider=provider, import_=object_id)

        docker.Network("net", name=unique, opts=imported(unique))
        docker.Volume("data", name=unique, opts=imported(unique))
        docker.Container(
            "web",
            name=unique,
            image=image,
            memory=32,
            network_mode=unique,
            ports=[docker.ContainerPortArgs(internal=80, ip="127.0.0.1")],
            opts=imported(found.id),
        )

    made = stack(program)
    try:
        assert made.up().summary.resource_changes == {"create": 2, "import": 3}
        assert made.up().summary.resource_changes == {"same": 5}
        assert engine.containers.get(unique).id == found.id
    finally:
        made.destroy()
    assert not engine.containers.list(all=True, filters={"name": unique})
    assert not engine.volumes.list(filters={"name": unique})

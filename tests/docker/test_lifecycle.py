"""Each type on a real engine: made, seen, changed, replaced, found changed, imported, removed."""

import time
import urllib.request
from typing import Any

import docker
import pytest

from tests.providers.plugin import CheckError, Plugin, PluginError, secret


def kinds(answer: Any) -> dict[str, str]:
    from pulumi.runtime.proto import provider_pb2

    return {name: provider_pb2.PropertyDiff.Kind.Name(each.kind) for name, each in answer.detailedDiff.items()}


def test_a_network(plugin: Plugin, engine: Any, unique: str) -> None:
    wanted: dict[str, Any] = {
        "name": unique,
        "internal": True,
        "labels": [{"label": "team", "value": "a"}],
        "ipamConfigs": [{"subnet": "10.213.7.0/28"}],
        "options": {"com.docker.network.bridge.enable_icc": "false"},
    }
    network = plugin.create("Network", "net", **wanted)
    seen = engine.networks.get(network.id).attrs
    assert (seen["Name"], seen["Internal"], seen["Labels"]["team"]) == (unique, True, "a")
    assert network.outputs["labels"] == wanted["labels"]
    assert network.outputs["driver"] == "bridge"
    assert network.outputs["scope"] == "local"
    assert network.outputs["ipamConfigs"][0]["subnet"] == "10.213.7.0/28"
    assert plugin.refresh(network)
    assert not kinds(plugin.diff(network, **wanted))
    changed = plugin.diff(network, **wanted | {"internal": False})
    assert kinds(changed) == {"internal": "UPDATE_REPLACE"}
    assert changed.deleteBeforeReplace
    imported = plugin.read("Network", "net", unique)
    assert imported is not None
    assert imported.id == network.id
    assert imported.inputs["labels"] == wanted["labels"]
    plugin.delete(network)
    assert not plugin.refresh(network)
    plugin.delete(network)


def test_a_volume(plugin: Plugin, engine: Any, unique: str) -> None:
    wanted: dict[str, Any] = {"name": unique, "labels": [{"label": "team", "value": "a"}]}
    volume = plugin.create("Volume", "vol", **wanted)
    assert volume.id == unique
    assert volume.outputs["driver"] == "local"
    assert volume.outputs["mountpoint"].endswith(f"/{unique}/_data")
    assert plugin.refresh(volume)
    assert volume.outputs["labels"] == wanted["labels"]
    assert not kinds(plugin.diff(volume, **wanted))
    assert kinds(plugin.diff(volume, name=unique)) == {"labels": "DELETE_REPLACE"}
    imported = plugin.read("Volume", "vol", unique)
    assert imported is not None
    assert imported.inputs["labels"] == wanted["labels"]
    engine.volumes.get(unique).remove()
    assert not plugin.refresh(volume)
    plugin.delete(volume)


def test_names_are_made_of_the_logical_name_and_stay(plugin: Plugin, unique: str) -> None:
    first = plugin.create("Volume", unique)
    assert first.id.startswith(f"{unique}-")
    assert plugin.check("Volume", unique)["name"] == first.id
    assert not kinds(plugin.diff(first))


def test_an_image_that_is_here_is_not_fetched_and_stays_if_told(
    plugin: Plugin, engine: Any, image: str, unique: str
) -> None:
    engine.images.get(image).tag(f"tenantry-test/{unique}", "1")
    name = f"tenantry-test/{unique}:1"
    kept = plugin.create("RemoteImage", "kept", name=name, keepLocally=True, keep=False)
    assert kept.outputs["imageId"] == engine.images.get(image).id
    assert kept.id == kept.outputs["imageId"] + name
    plugin.delete(kept)
    gone = plugin.create("RemoteImage", "gone", name=name, keep=False)
    assert kinds(plugin.diff(gone, name=name, keepLocally=True)) == {"keepLocally": "ADD"}
    again = plugin.diff(gone, name=name, pullTriggers=["b"])
    assert kinds(again) == {"pullTriggers": "ADD_REPLACE"}
    assert again.deleteBeforeReplace
    assert not plugin.diff(gone, name=f"{name}2").deleteBeforeReplace
    plugin.delete(gone)
    with pytest.raises(docker.errors.ImageNotFound):
        engine.images.get(name)
    assert not plugin.refresh(gone)
    plugin.delete(gone)


def test_a_container_with_limits_networks_volumes_and_files(
    plugin: Plugin, engine: Any, image: str, unique: str
) -> None:
    network = plugin.create("Network", "net", name=unique)
    volume = plugin.create("Volume", "vol", name=unique)
    wanted: dict[str, Any] = {
        "name": unique,
        "image": image,
        "command": ["httpd", "-f", "-p", "8080", "-h", "/www"],
        "envs": secret([f"KEY={unique}", "B=2"]),
        "memory": 32,
        "cpus": "0.50",
        "restart": "unless-stopped",
        "readOnly": True,
        "user": "1000:1000",
        "hostname": "web",
        "capabilities": {"drops": ["ALL"]},
        "securityOpts": ["no-new-privileges:true"],
        "tmpfs": {"/tmp": "size=1m"},
        "ulimits": [{"name": "nofile", "soft": 100, "hard": 200}],
        "labels": [{"label": "team", "value": "a"}],
        "networksAdvanced": [{"name": network.outputs["name"], "aliases": ["web"]}],
        "volumes": [{"volumeName": volume.outputs["name"], "containerPath": "/data", "readOnly": True}],
        "ports": [{"internal": 8080, "ip": "127.0.0.1"}],
        "healthcheck": {
            "tests": ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/"],
            "interval": "1s",
            "retries": 3,
        },
        "wait": True,
        "waitTimeout": 60,
        "logDriver": "json-file",
        "logOpts": {"max-size": "1m"},
        "hosts": [{"host": "other.example", "ip": "10.1.2.3"}],
        "stopSignal": "SIGKILL",
    }
    container = plugin.create("Container", "web", **wanted)
    seen = engine.containers.get(container.id).attrs
    limits = seen["HostConfig"]
    assert (limits["Memory"], limits["NanoCpus"], limits["ReadonlyRootfs"]) == (32 << 20, 500_000_000, True)
    assert limits["CapDrop"] == ["ALL"]
    assert list(seen["NetworkSettings"]["Networks"]) == [unique]
    assert "web" in seen["NetworkSettings"]["Networks"][unique]["Aliases"]
    assert f"KEY={unique}" in seen["Config"]["Env"]
    assert seen["State"]["Health"]["Status"] == "healthy"
    port = int(container.outputs["ports"][0]["external"])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        assert answer.read() == b"it works\n"
    # What was given in confidence is told in confidence.
    assert container.outputs["envs"]["value"] == [f"KEY={unique}", "B=2"]
    assert container.outputs["labels"] == wanted["labels"]
    assert container.outputs["networkDatas"][0]["networkName"] == unique
    assert not kinds(plugin.diff(container, **wanted))
    assert plugin.refresh(container)
    assert not kinds(plugin.diff(container, **wanted))
    found = plugin.read("Container", "web", unique)
    assert found is not None
    assert found.id == container.id
    assert not kinds(
        plugin.diff(
            found, **{name: value for name, value in wanted.items() if name not in {"wait", "waitTimeout", "envs"}}
        )
    )
    plugin.delete(container)
    with pytest.raises(docker.errors.NotFound):
        engine.containers.get(unique)


def test_what_changes_it_and_what_replaces_it(plugin: Plugin, engine: Any, image: str, unique: str) -> None:
    wanted: dict[str, Any] = {"name": unique, "image": image, "memory": 32, "restart": "no"}
    container = plugin.create("Container", "c", **wanted)
    more = wanted | {"memory": 96, "cpus": "0.25", "restart": "on-failure", "maxRetryCount": 3, "cpuShares": 512}
    changed = kinds(plugin.diff(container, **more))
    assert changed.keys() == {"memory", "cpus", "restart", "maxRetryCount", "cpuShares"}
    assert not any(each.endswith("REPLACE") for each in changed.values())
    plugin.update(container, **more)
    limits = engine.containers.get(unique).attrs["HostConfig"]
    assert (limits["Memory"], limits["MemorySwap"], limits["NanoCpus"]) == (96 << 20, 192 << 20, 250_000_000)
    assert limits["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert not kinds(plugin.diff(container, **more))
    # The engine cannot take a limit back.
    assert kinds(plugin.diff(container, **{n: v for n, v in more.items() if n != "cpus"})) == {"cpus": "DELETE_REPLACE"}
    for name, value in {
        "command": ["sleep", "5"],
        "envs": ["A=1"],
        "healthcheck": {"tests": ["CMD", "true"]},
        "init": True,
        "ports": [{"internal": 80}],
        "tmpfs": {"/tmp": ""},
        "uploads": [{"file": "/x", "content": "y"}],
        "image": "other",
        "name": f"{unique}-2",
    }.items():
        answer = plugin.diff(container, **more | {name: value})
        assert [each.rpartition("_")[2] for each in kinds(answer).values()] == ["REPLACE"], name
        assert answer.deleteBeforeReplace
    for name, value in {"wait": True, "destroyGraceSeconds": 3, "removeVolumes": False, "mustRun": False}.items():
        assert list(answer := kinds(plugin.diff(container, **more | {name: value}))) == [name]
        assert not answer[name].endswith("REPLACE")


def test_one_that_was_stopped_or_changed_by_hand_is_mended(
    plugin: Plugin, engine: Any, image: str, unique: str
) -> None:
    wanted: dict[str, Any] = {"name": unique, "image": image, "memory": 32}
    container = plugin.create("Container", "c", **wanted)
    seen = engine.containers.get(unique)
    seen.update(mem_limit="64m", memswap_limit="128m")
    seen.kill()
    seen.wait()
    assert plugin.refresh(container)
    assert container.outputs["mustRun"] is False
    assert kinds(plugin.diff(container, **wanted)) == {"mustRun": "UPDATE", "memory": "UPDATE"}
    plugin.update(container, **wanted)
    seen.reload()
    assert (seen.status, seen.attrs["HostConfig"]["Memory"]) == ("running", 32 << 20)
    assert seen.id == container.id
    seen.remove(force=True)
    assert not plugin.refresh(container)


def test_one_in_another_network_or_of_another_image_is_replaced(
    plugin: Plugin, engine: Any, image: str, unique: str
) -> None:
    plugin.create("Network", "net", name=unique)
    tag = f"tenantry-test/{unique}"
    engine.images.get(image).tag(tag, "1")
    wanted: dict[str, Any] = {"name": unique, "image": f"{tag}:1", "networksAdvanced": [{"name": unique}]}
    container = plugin.create("Container", "c", **wanted)
    engine.networks.get("bridge").connect(unique)
    assert plugin.refresh(container)
    assert kinds(plugin.diff(container, **wanted)) == {"networksAdvanced": "UPDATE_REPLACE"}
    engine.networks.get("bridge").disconnect(unique)
    assert plugin.refresh(container)
    assert not kinds(plugin.diff(container, **wanted))
    other = engine.api.import_image_from_data(b"\0" * 1024, repository=tag, tag="1")
    assert "sha256" in other
    assert plugin.refresh(container)
    assert kinds(plugin.diff(container, **wanted)) == {"image": "UPDATE_REPLACE"}
    plugin.delete(container)
    engine.images.remove(f"{tag}:1", force=True)


def test_files_are_there_before_it_starts(plugin: Plugin, engine: Any, image: str, unique: str, tmp_path: Any) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"\0\1")
    container = plugin.create(
        "Container",
        "c",
        name=unique,
        image=image,
        command=["sh", "-c", "cat /etc/made/one && ls -l /etc/two && cat /etc/three"],
        mustRun=False,
        attach=True,
        logs=True,
        uploads=[
            {"file": "/etc/made/one", "content": "from the start\n", "permissions": "0600"},
            {"file": "/etc/two", "contentBase64": "AAE=", "executable": True},
            {"file": "/etc/three", "source": str(source)},
        ],
    )
    log = container.outputs["containerLogs"]["value"]
    assert log.startswith("from the start\n-rwxr--r--")
    assert container.outputs["exitCode"] == 0
    assert not kinds(plugin.diff(container, **container.inputs | {}))


def test_a_graceful_end(plugin: Plugin, engine: Any, image: str, unique: str) -> None:
    script = "trap 'echo bye; exit 0' TERM; while true; do sleep 0.1; done"
    container = plugin.create(
        "Container", "c", name=unique, image=image, command=["sh", "-c", script], destroyGraceSeconds=20
    )
    began = time.monotonic()
    plugin.delete(container)
    assert time.monotonic() - began < 19
    plugin.delete(container)


def test_what_is_not_served_is_refused_by_name(plugin: Plugin, image: str) -> None:
    def refused(kind: str, **inputs: Any) -> dict[str, str]:
        with pytest.raises(CheckError) as caught:
            plugin.check(kind, "x", **inputs)
        return caught.value.failures

    assert "stock plugin" in refused("Container", image=image, gpus="all")["gpus"]
    assert (
        "version 25"
        in refused("Container", image=image, healthcheck={"startInterval": "1s"})["healthcheck.startInterval"]
    )
    assert "no property" in refused("Container", image=image, links=["a"])["links"]
    assert "NAME=VALUE" in refused("Container", image=image, envs=["s3cret"])["envs[0]"]
    assert "s3cret" not in str(refused("Container", image=image, envs=["s3cret"]))
    assert "30s" in refused("Container", image=image, healthcheck={"interval": "soon"})["healthcheck.interval"]
    assert "0.5" in refused("Container", image=image, cpus="half")["cpus"]
    assert "missing" in refused("Container", name="x")["image"]
    assert "missing" in refused("Container", image=image, ports=[{}])["ports[0].internal"]
    assert (
        "one of"
        in refused("Container", image=image, uploads=[{"file": "/x", "content": "a", "source": "b"}])["uploads[0]"]
    )
    assert "swarm" in refused("Volume", cluster={})["cluster"]
    assert "docker.Image" in refused("RemoteImage", name="x", build={"context": "."})["build"]
    assert "preview" in refused("Image", imageName="x", skipPush=True, buildOnPreview=True)["buildOnPreview"]
    assert "registry" in refused("Image", imageName="x")["imageName"]
    assert "letters" in refused("Network", name="a/b")["name"]
    with pytest.raises(
        PluginError, match=r"type docker:index/service:Service is not served here \(served: Container, Image"
    ):
        plugin.check("docker:index/service:Service", "x")

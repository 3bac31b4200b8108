"""What is there already: ours is taken up where a run left it, somebody else's left alone, nothing is there twice."""

import threading
import time
from typing import Any

import pytest

from tests.docker.fake_engine import cutting_door
from tests.docker.test_lifecycle import kinds
from tests.providers.plugin import Plugin, PluginError, Resource, launch, plain, secret


def count(engine: Any, unique: str) -> int:
    return len(engine.containers.list(all=True, filters={"name": unique}))


def forget(plugin: Plugin, resource: Resource) -> None:
    """As if the run had been killed before the engine wrote it down."""
    plugin.created.remove(resource)


def test_what_is_ours_is_taken_up(plugin: Plugin, engine: Any, image: str, unique: str) -> None:
    for kind, more in {
        "Network": {"labels": [{"label": "a", "value": "b"}]},
        "Volume": {"labels": [{"label": "a", "value": "b"}]},
        "Container": {"image": image, "envs": secret(["KEY=w0rd"]), "ports": [{"internal": 80, "ip": "127.0.0.1"}]},
    }.items():
        first = plugin.create(kind, "x", name=unique, **more)
        forget(plugin, first)
        again = plugin.create(kind, "x", name=unique, **more)
        assert again.id == first.id, kind
        assert not kinds(plugin.diff(again, name=unique, **more))
    assert count(engine, unique) == 1
    # How it is handled is not what it is made from.
    forget(plugin, again)
    more = {"image": image, "envs": secret(["KEY=w0rd"]), "ports": [{"internal": 80, "ip": "127.0.0.1"}]}
    assert plugin.create("Container", "x", name=unique, destroyGraceSeconds=1, **more).id == first.id
    assert "w0rd" not in str(engine.containers.get(unique).labels)


def test_ours_from_other_inputs_is_made_anew_unless_it_may_hold_data(
    plugin: Plugin, engine: Any, image: str, unique: str
) -> None:
    for kind, before, after in (
        ("Network", {}, {"internal": True}),
        ("Container", {"image": image}, {"image": image, "command": ["sleep", "5"]}),
    ):
        first = plugin.create(kind, "x", name=unique, **before)
        forget(plugin, first)
        assert plugin.create(kind, "x", name=unique, **after).id != first.id
    assert count(engine, unique) == 1
    volume = plugin.create("Volume", "x", name=unique)
    with pytest.raises(PluginError, match="made from other inputs by an earlier run, and may hold data"):
        plugin.create("Volume", "x", name=unique, labels=[{"label": "a", "value": "b"}], keep=False)
    assert plugin.refresh(volume)


def test_somebody_elses_is_left_alone(plugin: Plugin, engine: Any, image: str, unique: str) -> None:
    for kind, more in {"Network": {}, "Volume": {}, "Container": {"image": image}}.items():
        plugin.create(kind, "one", name=unique, **more)
        with pytest.raises(PluginError) as caught:
            plugin.create(kind, "two", name=unique, keep=False, **more)
        assert f"cannot create {kind.lower()} '{unique}': it belongs to urn:pulumi:dev::tests::docker:index/" in str(
            caught.value
        )
        assert "::one. Choose another name, or take it over with `pulumi import`" in str(caught.value)
    engine.networks.create(f"{unique}-n")
    engine.volumes.create(f"{unique}-v")
    engine.containers.create(image, name=f"{unique}-c")
    for kind, name, more in (("Network", "n", {}), ("Volume", "v", {}), ("Container", "c", {"image": image})):
        with pytest.raises(PluginError, match="it exists already and this resource did not make it"):
            plugin.create(kind, "two", name=f"{unique}-{name}", keep=False, **more)
    engine.networks.get(f"{unique}-n").remove()
    engine.containers.get(f"{unique}-c").remove(force=True)
    engine.volumes.get(f"{unique}-v").remove()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Network", b"/networks/create"),
        ("Volume", b"/volumes/create"),
        ("Container", b"/containers/create"),
        ("Container", b"/connect "),
        ("Container", b"/archive"),
        ("Container", b"/start "),
    ],
)
def test_an_answer_that_never_came(
    plugin: Plugin, process: Plugin, engine: Any, host: str, image: str, unique: str, kind: str, words: bytes
) -> None:
    more: dict[str, Any] = {}
    if kind == "Container":
        plugin.create("Network", "net", name=unique)
        networks = [{"name": unique}]
        more = {"image": image, "networksAdvanced": networks, "uploads": [{"file": "/x", "content": "y"}]}
    with cutting_door(host, words) as (door, cut):
        process.configure(host=door)
        made = plugin.create(kind, "x", name=unique, **more)
        assert cut.is_set()
    process.configure(host=host)
    assert plugin.refresh(made)
    assert not kinds(plugin.diff(made, name=unique, **more))
    if kind == "Container":
        assert count(engine, unique) == 1
        seen = engine.containers.get(unique)
        assert seen.status == "running"
        assert list(seen.attrs["NetworkSettings"]["Networks"]) == [unique]


def test_a_plugin_that_was_killed(plugin: Plugin, engine: Any, host: str, image: str, unique: str) -> None:
    wanted: dict[str, Any] = {
        "name": unique,
        "image": image,
        "healthcheck": {"tests": ["CMD", "test", "-e", "/tmp/well"], "interval": "1s"},
        "wait": True,
    }
    doomed = launch(module="providers.docker")
    doomed.configure(host=host)

    def create() -> None:
        with pytest.raises(PluginError):
            doomed.create("Container", "x", keep=False, **wanted)

    thread = threading.Thread(target=create)
    thread.start()
    deadline = time.monotonic() + 60
    while not engine.containers.list(filters={"name": unique}) and time.monotonic() < deadline:
        time.sleep(0.1)
    doomed.process.kill()
    thread.join(60)
    doomed.stop()
    left = engine.containers.get(unique)
    left.exec_run(["touch", "/tmp/well"])
    made = plugin.create("Container", "x", **wanted)
    assert made.id == left.id
    assert count(engine, unique) == 1


def test_one_that_is_waited_for_when_the_run_is_cancelled_is_told_of(
    plugin: Plugin, engine: Any, host: str, image: str, unique: str
) -> None:
    wanted: dict[str, Any] = {
        "name": unique,
        "image": image,
        "healthcheck": {"tests": ["CMD", "false"], "interval": "1s"},
        "wait": True,
        "waitTimeout": 600,
    }
    cancelled = launch(module="providers.docker")
    cancelled.configure(host=host)

    def cancel() -> None:
        deadline = time.monotonic() + 60
        while not engine.containers.list(filters={"name": unique}) and time.monotonic() < deadline:
            time.sleep(0.1)
        cancelled.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        with pytest.raises(PluginError, match="cancelled: the engine asked the docker provider to stop") as caught:
            cancelled.create("Container", "x", keep=False, **wanted)
        partial = caught.value.partial
        assert partial.id == engine.containers.get(unique).id
        with pytest.raises(PluginError, match="cancelled"):
            cancelled.create("Volume", "x", name=unique, keep=False)
    finally:
        thread.join()
        cancelled.stop()
    plugin.delete(Resource("Container", "x", partial.id, plain(partial.inputs), plain(partial.properties)))
    assert count(engine, unique) == 0


def test_one_that_is_there_but_not_right_is_told_of(plugin: Plugin, engine: Any, image: str, unique: str) -> None:
    def failing(name: str, **inputs: Any) -> tuple[str, Any]:
        with pytest.raises(PluginError) as caught:
            plugin.create("Container", name, name=f"{unique}-{name}", image=image, keep=False, **inputs)
        partial = caught.value.partial
        assert partial.id == engine.containers.get(f"{unique}-{name}").id
        assert plain(partial.properties)["name"] == f"{unique}-{name}"
        resource = Resource("Container", name, partial.id, plain(partial.inputs), plain(partial.properties))
        plugin.created.append(resource)
        return str(caught.value), resource

    said, ended = failing("ended", command=["sh", "-c", "echo w0rd >&2; exit 7"])
    assert f"container '{unique}-ended' does not keep running: it is exited, exit code 7." in said
    assert "w0rd" not in said
    assert ended.outputs["mustRun"] is False
    said, _ = failing("looping", command=["false"], restart="always", containerReadRefreshTimeoutMilliseconds=1500)
    assert "does not keep running" in said
    healthcheck = {"tests": ["CMD", "false"], "interval": "1s", "retries": 1}
    began = time.monotonic()
    said, sick = failing("sick", healthcheck=healthcheck, wait=True, waitTimeout=3)
    assert time.monotonic() - began < 30
    assert "did not become healthy within 3 s: it is" in said
    assert "exit code 1 of its last check" in said
    assert failing("unchecked", wait=True)[0].startswith(
        f"container '{unique}-unchecked' cannot be waited for: neither it nor its image has a healthcheck"
    )
    assert "executable file not found" in failing("nothing", command=["no-such-command"])[0]
    first = plugin.create("Container", "port", name=unique, image=image, ports=[{"internal": 1, "ip": "127.0.0.1"}])
    taken = int(first.outputs["ports"][0]["external"])
    said, second = failing("taken", ports=[{"internal": 1, "external": taken, "ip": "127.0.0.1"}])
    assert "give another external port, or stop what has it" in said
    # The next run mends what it can.
    plugin.delete(first)
    plugin.update(
        second, name=f"{unique}-taken", image=image, ports=[{"internal": 1, "external": taken, "ip": "127.0.0.1"}]
    )
    assert engine.containers.get(f"{unique}-taken").status == "running"
    assert sick.outputs["mustRun"] is True


def test_what_is_in_use_is_waited_for_and_then_told(plugin: Plugin, engine: Any, image: str, unique: str) -> None:
    network, volume = plugin.create("Network", "n", name=unique), plugin.create("Volume", "v", name=unique)
    volumes = [{"volumeName": unique, "containerPath": "/data"}]
    container = plugin.create(
        "Container", "c", name=unique, image=image, networksAdvanced=[{"name": unique}], volumes=volumes
    )
    began = time.monotonic()
    with pytest.raises(PluginError, match=rf"remove the containers in it first \({unique}\)$"):
        plugin.delete(network, timeout=1)
    with pytest.raises(PluginError, match=r"volume is in use.*remove the containers that use it first"):
        plugin.delete(volume, timeout=1)
    assert time.monotonic() - began < 20
    later = threading.Timer(0.5, lambda: engine.containers.get(unique).remove(force=True))
    later.start()
    plugin.delete(network)
    plugin.delete(volume)
    later.join()
    plugin.delete(container)

"""The component on the platform `docker`: on the real engine that TENANTRY_TEST_DOCKER_HOST names."""

import gc
import os
import secrets
import socket
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import httpx
import pulumi
import pytest
from pulumi import automation

from components.container import AppSpec, Container
from providers import published_port
from providers.container_ready import ContainerReadyProvider
from providers.docker import client as clients
from providers.errors import NotReadyError, OwnershipError
from providers.published_port import PORTS, PublishedPortProvider
from sandbox.sample_app import image
from tests.container.conftest import REGION, Regions
from tests.container.test_component import stack
from tests.docker.fake_engine import Answer, fake_engine
from tests.docker.fake_engine import told as tells

__all__ = ["stack"]

HOST = os.environ.get("TENANTRY_TEST_DOCKER_HOST", "")
SECRET = "s3cret-of-the-tenant"
Props = dict[str, Any]


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    if not HOST:
        if os.environ.get("TENANTRY_REQUIRE_SERVERS"):
            pytest.fail("TENANTRY_TEST_DOCKER_HOST is not set: .ci/docker start FOLDER; FOLDER/host has it")
        pytest.skip("no Docker engine: set TENANTRY_TEST_DOCKER_HOST (.ci/docker start FOLDER; FOLDER/host has it)")
    client = docker.DockerClient(base_url=HOST, timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="module")
def sample(engine: Any) -> str:
    assert image.main(["--host", HOST, "--tag", "tenantry-test/sample:1"]) == 0
    return "tenantry-test/sample:1"


@pytest.fixture
def here(engine: Any, regions: Regions) -> None:
    regions(**{REGION: {"platform": "docker", "host": HOST}})


def left(engine: Any, name: str) -> list[str]:
    found = [*engine.containers.list(all=True), *engine.networks.list()]
    volumes = [each for each in engine.volumes.list() if (each.attrs["Labels"] or {}).get("tenantry.container") == name]
    return [each.name for each in found if each.name == name] + [each.name for each in volumes]


@pytest.mark.timeout(500)
def test_up_no_op_change_drift_destroy(engine: Any, here: None, sample: str, stack: Any, tmp_path: Path) -> None:
    name = f"t{secrets.token_hex(4)}"
    says = {"TENANT": "One", "memory": 128}

    def program() -> None:
        made = Container(
            name,
            app=AppSpec(image=sample, port=8000),
            environment={"TENANT": str(says["TENANT"]), "WORD": pulumi.Output.secret(SECRET)},
            cpu=0.5,
            memory_mb=int(says["memory"]),
            region=REGION,
            tenant_mark="tests/one",
            tenant=pulumi.ComponentResource("tests:Tenant", name),
            after=[],
        )
        pulumi.export("url", made.url)

    run, full = stack(program), f"tenant-{name}"
    try:
        url = run.up().outputs["url"].value
        assert httpx.get(f"{url}/health").json()["tenant"] == "One"
        assert httpx.get(url).status_code == 200
        one = engine.containers.get(full)
        host = one.attrs["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert (host["Memory"], host["MemorySwap"]) == (128 * 1024**2, 128 * 1024**2)
        assert host["NanoCpus"] == 500_000_000
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert one.attrs["Config"]["User"] == "65534:65534"
        assert list(one.attrs["NetworkSettings"]["Networks"]) == [full]
        [binding] = host["PortBindings"]["8000/tcp"]
        assert binding["HostIp"] == "127.0.0.1"
        assert one.attrs["State"]["Health"]["Status"] == "healthy"
        assert run.up().summary.resource_changes == {"same": 9}
        assert run.refresh().summary.resource_changes == {"same": 9}

        # Its port stays, though its container starts again.
        one.restart()
        assert ContainerReadyProvider().create(ready(full)).outs["ready"] is True
        assert httpx.get(f"{url}/health").status_code == 200

        says["memory"] = 160
        assert run.up().summary.resource_changes == {"same": 8, "update": 1}
        assert engine.containers.get(full).id == one.id
        says["TENANT"] = "Two"
        changed = run.up()
        assert changed.summary.resource_changes == {"same": 7, "replace": 1, "update": 1}
        assert changed.outputs["url"].value == url
        assert httpx.get(f"{url}/health").json()["tenant"] == "Two"

        engine.containers.get(full).remove(force=True)
        run.refresh()
        run.up()
        assert httpx.get(f"{url}/health").json()["tenant"] == "Two"
        for state in (tmp_path / "state").rglob("*"):
            assert state.is_dir() or SECRET not in state.read_text()
    finally:
        run.destroy()
    assert left(engine, full) == []


def program_of(name: str, says: Props) -> Callable[[], None]:
    """The component with the application that `says` has."""

    def program() -> None:
        made = Container(
            name,
            app=AppSpec(image=says["image"], port=8000),
            environment={"TENANT": "One"},
            cpu=0.5,
            memory_mb=128,
            region=REGION,
            tenant_mark="tests/one",
            tenant=pulumi.ComponentResource("tests:Tenant", name),
            after=[],
        )
        pulumi.export("url", made.url)

    return program


@pytest.mark.timeout(300)
def test_the_old_one_serves_until_the_new_image_is_there(engine: Any, here: None, sample: str, stack: Any) -> None:
    name = f"t{secrets.token_hex(4)}"
    says = {"image": sample}
    run, full = stack(program_of(name, says)), f"tenant-{name}"
    engine.images.get(sample).tag("tenantry-test/sample", name)
    try:
        url = run.up().outputs["url"].value
        was = engine.containers.get(full)
        says["image"] = "tenantry-test/not-there:1"
        with pytest.raises(automation.CommandError, match="not-there"):
            # So that the program ends by itself: the SDK leaves sockets open of one that is cut off.
            run.up(continue_on_error=True)
        assert engine.containers.get(full).id == was.id
        assert httpx.get(f"{url}/health").status_code == 200

        # Another one of the same content would be the same to the container.
        says["image"] = f"tenantry-test/sample:{name}"
        assert run.up().summary.resource_changes == {"same": 8, "replace": 1}
        assert engine.containers.get(full).id == was.id
    finally:
        run.destroy()
        engine.images.remove(f"tenantry-test/sample:{name}")
    assert left(engine, full) == []


def ready(name: str) -> Props:
    return {"region": REGION, "name": name, "url": "http://127.0.0.1:1", "revision": "1", "ready": True, "seconds": 60}


def test_what_does_not_run_is_said(engine: Any, here: None, sample: str, name: str) -> None:
    again = {"Name": "on-failure", "MaximumRetryCount": 5}
    command = ["python3", "-c", "raise SystemExit(3)"]
    said = "its last exit code is 3"
    made = engine.containers.run(sample, command, name=name, detach=True, restart_policy=again)
    try:
        with pytest.raises(NotReadyError, match=f"container '{name}': it does not run: .*{said}: see `docker logs"):
            ContainerReadyProvider().create(ready(name))
    finally:
        made.remove(force=True)
    with pytest.raises(NotReadyError, match="it is gone"):
        ContainerReadyProvider().create(ready(name))


def test_what_is_never_healthy(
    engine: Any, here: None, sample: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = {"test": ["CMD", "python3", "-c", "raise SystemExit(1)"], "interval": 300_000_000, "retries": 1}
    made = engine.containers.run(
        sample, ["python3", "-c", "import time; time.sleep(99)"], name=name, detach=True, healthcheck=check
    )
    try:
        with pytest.raises(NotReadyError, match="its health check says unhealthy after 2 s"):
            ContainerReadyProvider().create({**ready(name), "seconds": 2})
    finally:
        made.remove(force=True)


def port_props(name: str, mark: str = "tests/one") -> Props:
    return {"region": REGION, "name": name, "tenant_mark": mark}


def test_a_port_is_reserved_once_and_adopted(engine: Any, here: None, name: str) -> None:
    provider = PublishedPortProvider()
    made = provider.create(port_props(name))
    try:
        assert made.outs["port"] in PORTS
        assert provider.create(port_props(name)).outs == made.outs
        assert provider.diff(made.id, made.outs, port_props(name)).changes is False
        assert provider.read(made.id, made.outs).outs == made.outs
        with pytest.raises(OwnershipError, match="belongs to tests/one"):
            provider.create(port_props(name, "tests/two"))
        assert provider.read(made.id, {**made.outs, "tenant_mark": "tests/two"}).id == ""
        provider.delete(made.id, {**made.outs, "tenant_mark": "tests/two"})
        assert left(engine, name)
    finally:
        provider.delete(made.id, made.outs)
    provider.delete(made.id, made.outs)
    assert provider.read(made.id, made.outs).id == ""
    assert left(engine, name) == []


def test_ports_of_many_at_once_differ(engine: Any, here: None, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # All begin with the same one, so that each wants what the others take.
    monkeypatch.setattr(published_port.random, "choice", lambda ports: ports[100])
    provider = PublishedPortProvider()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: provider.create(port_props(f"{name}-{number}")), range(8)))
    try:
        assert len({each.outs["port"] for each in made}) == 8
    finally:
        for each in made:
            provider.delete(each.id, each.outs)


# The SDK leaves sockets that it could not connect to the collector, which complains.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_an_engine_that_is_away_is_said(regions: Regions, name: str, tmp_path: Path) -> None:
    from providers.plugin.errors import ProviderError

    regions(**{REGION: {"platform": "docker", "host": f"unix://{tmp_path}/none.sock"}})
    with pytest.raises(ProviderError, match=r"no Docker engine answers at .* Check that it runs") as told:
        PublishedPortProvider().create(port_props(name))
    assert "\n" not in str(told.value)
    with pytest.raises(ProviderError, match="no Docker engine answers"):
        ContainerReadyProvider().create({**ready(name), "seconds": 1})
    with pytest.raises(ProviderError, match="no Docker engine answers"):
        ContainerReadyProvider().read(name, ready(name))
    del told
    gc.collect()


@pytest.mark.parametrize("away", [1, 4])
def test_an_engine_that_is_away_for_a_moment_is_waited_for(
    regions: Regions, name: str, monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    monkeypatch.setattr(clients, "RETRY_DELAYS", (0.01, 0.01, 0.01))
    state = {"Status": "running", "Health": {"Status": "healthy"}}
    looks: list[str] = []

    def answer(_method: str, path: str) -> Answer:
        looks.append(path)
        if len(looks) <= away:
            return tells(503, {"message": "the engine is being started"})
        return tells(200, {"State": state})

    with fake_engine(answer) as (host, _):
        regions(**{REGION: {"platform": "docker", "host": host}})
        assert ContainerReadyProvider().create(ready(name)).outs["ready"] is True
    assert len(looks) == away + 1


@pytest.mark.parametrize("refused", ["GET /volumes", "GET /containers/json", "POST /volumes/create"])
def test_a_port_is_had_from_an_engine_that_is_away_for_a_moment(
    regions: Regions, name: str, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    monkeypatch.setattr(clients, "RETRY_DELAYS", (0.01, 0.01, 0.01))
    kept: Props = {}
    refuse = [refused]

    def answer(method: str, path: str) -> Answer:
        # A path begins with the API's version.
        if [f"{method} /{path.split('/', 2)[2]}"] == refuse:
            refuse.clear()
            return tells(503, {"message": "the engine is being started"})
        if path.endswith("/containers/json"):
            return tells(200, [])
        if path.endswith("/create"):
            kept["Labels"] = {"tenantry.port": "21001", "tenantry.container": name, "tenantry.tenant": "tests/one"}
            return tells(201, kept)
        if method == "DELETE":
            kept.clear()
            return 204, {}, b""
        if path.endswith("/volumes"):
            return tells(200, {"Volumes": [kept] if kept else []})
        return tells(200, kept) if kept else tells(404, {"message": "no such volume"})

    with fake_engine(answer) as (host, _):
        regions(**{REGION: {"platform": "docker", "host": host}})
        provider = PublishedPortProvider()
        monkeypatch.setattr(published_port, "PORTS", range(21_001, 21_002))
        monkeypatch.setattr(published_port, "_may_be_free", lambda *_: True)
        made = provider.create(port_props(name))
        refuse.append(f"GET /volumes/{made.id}")
        assert provider.read(made.id, made.outs).outs == made.outs
        assert refuse == []
        refuse.append(f"DELETE /volumes/{made.id}")
        provider.delete(made.id, made.outs)
    assert (kept, refuse) == ({}, [])


def test_an_engine_that_hangs_is_said(regions: Regions, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from providers.docker import client
    from providers.plugin.errors import UnreachableError

    monkeypatch.setattr(client, "CALL_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        regions(**{REGION: {"platform": "docker", "host": f"tcp://127.0.0.1:{silent.getsockname()[1]}"}})
        with pytest.raises(UnreachableError, match="did not answer in time"):
            PublishedPortProvider().create(port_props(name))
        with pytest.raises(UnreachableError, match="did not answer in time"):
            ContainerReadyProvider().create(ready(name))


def test_the_image_is_made_by_hand(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        assert image.main(["--host", f"unix://{tmp_path}/none.sock"]) == 1
        gc.collect()
    assert capsys.readouterr().err.startswith("error: ")

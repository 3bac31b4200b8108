"""The image on a real Docker engine: its containers run as the rendered pods say, and the probes ask what they say."""

import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import docker
import httpx
import pytest

from automation.tokens import load_token_settings, mint
from stacks.installation.names import SETTINGS, Document
from stacks.installation.objects import documents
from stacks.installation.settings import parse
from tests.automation.helpers import MANIFEST, PASSPHRASE
from tests.conftest import MainDatabase
from tests.platform import image as images

HOST = os.environ.get("TENANTRY_TEST_DOCKER_HOST", "")
JWT_SECRET = "a-key-for-tokens-of-this-test-only-0123456789"
SECONDS = 120.0
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    if not HOST:
        if os.environ.get("TENANTRY_REQUIRE_SERVERS"):
            pytest.fail("TENANTRY_TEST_DOCKER_HOST is not set: .ci/docker start FOLDER; FOLDER/host has it")
        pytest.skip("no Docker engine: set TENANTRY_TEST_DOCKER_HOST (.ci/docker start FOLDER; FOLDER/host has it)")
    client = docker.DockerClient(base_url=HOST, timeout=300)
    yield client
    client.close()


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    return images.build(engine, tmp_path_factory.mktemp("image"))


class Pods:
    """The installation's pods as containers. What a kubelet would do, this does: variables, probes, signals."""

    def __init__(self, engine: docker.DockerClient, image: str, database: MainDatabase) -> None:
        self._engine = engine
        server = database.server
        place = {"host": server.host, "port": server.port, "name": database.name, "sslmode": "disable"}
        self._secrets = {
            "tenantry-database": {"user": server.user, "password": server.password},
            "tenantry-state": {"passphrase": PASSPHRASE},
            "tenantry-tokens": {"jwtSecret": JWT_SECRET},
        }
        self._found = documents(parse({"image": image, "database": place, "workers": {"drainSeconds": 20}}))
        self._containers: list[Any] = []
        self.ports = {"TENANTRY_PORT": _free_port(), "TENANTRY_PROBE_PORT": _free_port()}

    def pod(self, name: str) -> Document:
        found = [each for each in self._found if each["kind"] == "Deployment" and each["metadata"]["name"] == name]
        pod: Document = found[0]["spec"]["template"]["spec"]
        return pod

    def start(self, pod: Document, container: Document) -> Any:
        made = images.run(self._engine, pod, container, self._variables(container))
        self._containers.append(made)
        return made

    def _variables(self, container: Document) -> dict[str, str]:
        maps = {each["metadata"]["name"]: each["data"] for each in self._found if each["kind"] == "ConfigMap"}
        found: dict[str, str] = {}
        for source in container["envFrom"]:
            assert source == {"configMapRef": {"name": SETTINGS}}
            found |= maps[SETTINGS]
        for variable in container["env"]:
            named = variable["valueFrom"]["secretKeyRef"]
            value = self._secrets[named["name"]].get(named["key"])
            assert value is not None or named.get("optional")
            if value is not None:
                found[variable["name"]] = value
        # On one network with everything else here, so other ports; and this machine's names only.
        found |= {name: str(port) for name, port in self.ports.items()}
        return found | {"TENANTRY_HOST": "127.0.0.1", "TENANTRY_PROBE_HOST": "127.0.0.1"}

    def passes(self, container: Document, probe: str, running: Any) -> httpx.Response:
        """Asks as the kubelet would, until it is answered well."""
        asked = container[probe]["httpGet"]
        names = {"http": "TENANTRY_PORT", "probes": "TENANTRY_PROBE_PORT"}
        assert asked["port"] in {port["name"] for port in container["ports"]}
        url = f"http://127.0.0.1:{self.ports[names[asked['port']]]}{asked['path']}"
        until = time.monotonic() + SECONDS
        while True:
            try:
                answer = httpx.get(url, timeout=container[probe]["timeoutSeconds"])
                if answer.is_success:
                    return answer
            except httpx.HTTPError:
                pass
            running.reload()
            assert running.status == "running", running.logs().decode()[-3000:]
            assert time.monotonic() < until, running.logs().decode()[-3000:]
            time.sleep(0.2)

    def end(self, pod: Document, running: Any) -> int:
        """Ends it as a kubelet does, within the pod's grace; the exit code."""
        running.stop(timeout=pod["terminationGracePeriodSeconds"])
        return int(running.wait(timeout=30)["StatusCode"])

    def close(self) -> None:
        for container in self._containers:
            said = container.logs().decode("utf-8", "replace")
            container.remove(force=True)
            for secret in (PASSPHRASE, JWT_SECRET, self._secrets["tenantry-database"]["password"]):
                assert secret not in said


@pytest.fixture
def pods(engine: docker.DockerClient, image: str, main_db: MainDatabase) -> Iterator[Pods]:
    made = Pods(engine, image, main_db)
    yield made
    made.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _tables(pods: Pods, pod: Document) -> None:
    container = pod["initContainers"][0]
    running = pods.start(pod, container)
    assert running.wait(timeout=120)["StatusCode"] == 0, running.logs().decode()


def test_what_the_image_is(engine: docker.DockerClient, image: str) -> None:
    found = engine.images.get(image).attrs["Config"]
    assert found["User"] == "65532:65532"
    assert found["Entrypoint"] == ["tenantry"]
    options = {"user": "65532:65532", "read_only": True, "cap_drop": ["ALL"], "network_mode": "none", "remove": True}
    assert engine.containers.run(image, ["--version"], **options).decode().startswith("tenantry ")
    python: dict[str, Any] = {**options, "entrypoint": ["python3", "-c"]}
    looked = engine.containers.run(
        image, ["import pathlib; print(pathlib.Path('/srv/tenantry/stacks').exists())"], **python
    )
    assert looked.decode().strip() == "True"
    # Neither what installs packages, nor the checkout, nor anybody's manifests.
    script = (
        "import importlib.util as u, pathlib as p, stacks;"
        "print([n for n in ('pip', 'setuptools', 'pytest', 'mypy') if u.find_spec(n)],"
        " sorted(str(f) for f in p.Path(stacks.__file__).parent.glob('*.yaml')), p.Path('/src').exists())"
    )
    assert engine.containers.run(image, [script], **python).decode().strip() == "[] [] False"


def test_the_pods_make_a_tenant_and_another_worker_changes_it(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    service, workers = pods.pod("tenantry"), pods.pod("tenantry-worker")
    serving, working = service["containers"][0], workers["containers"][0]
    _tables(pods, service)
    _tables(pods, workers)
    first, front = pods.start(workers, working), pods.start(service, serving)
    for container, running in ((serving, front), (working, first)):
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert pods.passes(container, probe, running).json()["status"] == "ok"
    monkeypatch.setenv("TENANTRY_JWT_SECRET", JWT_SECRET)
    token = mint(load_token_settings(), subject="zoe", roles=("admin",), tenants={}, seconds=3600)
    url = f"http://127.0.0.1:{pods.ports['TENANTRY_PORT']}"
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        _done(http, http.post("/api/v1/tenants", json=MANIFEST), first)
        assert pods.end(workers, first) == 0
        # Its pod is gone, and with it all that it wrote beside the state.
        second = pods.start(workers, working)
        pods.passes(working, "readinessProbe", second)
        _done(http, http.put("/api/v1/tenants/acme", json={**MANIFEST, "name": "Another name"}), second)
        _done(http, http.delete("/api/v1/tenants/acme"), second)
    assert pods.end(workers, second) == 0
    assert pods.end(service, front) == 0


def _done(http: httpx.Client, accepted: httpx.Response, worker: Any) -> None:
    assert accepted.status_code == 202, accepted.text
    until = time.monotonic() + SECONDS
    while True:
        job = http.get(f"/api/v1/jobs/{accepted.json()['id']}").json()
        if job["status"] not in {"pending", "running"}:
            break
        assert time.monotonic() < until, worker.logs().decode()[-3000:]
        time.sleep(0.2)
    assert job["status"] == "succeeded", f"{job}\n{worker.logs().decode()[-6000:]}"


def test_tables_that_cannot_be_made_say_why(pods: Pods) -> None:
    pod = pods.pod("tenantry")
    pods.ports["DB_PORT"] = _free_port()
    running = pods.start(pod, pod["initContainers"][0])
    assert running.wait(timeout=120)["StatusCode"] == 6
    assert "cannot be reached" in running.logs().decode()

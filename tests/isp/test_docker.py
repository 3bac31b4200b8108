"""An ISP on a real Docker engine, from nothing to nothing, and what its faults leave."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from sandbox.postgres import EmbeddedPostgres
from sandbox.sample_app import image
from tests.automation.conftest import project
from tests.conftest import MainDatabase
from tests.docker.conftest import HOST, host
from tests.isp.yard import NOTHING, ONE, IspYard, parts_of
from tests.servers import door

__all__ = ["host", "project"]
pytestmark = pytest.mark.timeout(600)


class DockerPlace:
    """The engine's own view, and the ISP in it."""

    def __init__(self, yard: IspYard, engine: docker.DockerClient) -> None:
        self.yard = yard
        self.engine = engine

    def left(self) -> list[str]:
        """What bears the tenant's label."""
        filters = {"label": f"tenantry.tenant=tenantry/{self.yard.slug}"}
        found = [
            *self.engine.containers.list(all=True, filters=filters),
            *self.engine.networks.list(filters=filters),
            *self.engine.volumes.list(filters=filters),
        ]
        return sorted(f"{type(each).__name__} {each.name}" for each in found)

    def container(self) -> Any:
        return self.engine.containers.get(f"isp-{self.yard.slug}")


@pytest.fixture(scope="session")
def sample(host: str) -> str:
    with closing(docker.DockerClient(base_url=host, timeout=60)) as client:
        return image.build(client)


@pytest.fixture
def place(
    project: Path, postgres: EmbeddedPostgres, main_db: MainDatabase, host: str, sample: str
) -> Iterator[DockerPlace]:
    with closing(docker.DockerClient(base_url=host, timeout=60)) as client:
        [config] = client.networks.get("bridge").attrs["IPAM"]["Config"]
        address = str(config["Gateway"])
        with door(address, (postgres.host, postgres.port)) as port:
            yard = IspYard(project, postgres, main_db)
            yard.region(internal=f"{address}:{port}", container={"platform": "docker", "host": host})
            yard.write(customSettings={"application": {"image": sample}})
            made = DockerPlace(yard, client)
            yield made
            if yard.objects() != NOTHING or made.left():
                yard.destroy()


def test_an_isp_on_docker_from_nothing_to_nothing(place: DockerPlace) -> None:
    yard = place.yard
    made = yard.up()
    assert made["status"] == "succeeded"
    assert [one["key"] for one in made["steps"]] == [
        *("validation", "record", "infrastructure", "container", "configuration", "health")
    ]
    assert yard.objects() == ONE
    assert yard.status() == "active"
    outputs = yard.outputs()
    assert outputs["container"] == f"isp-{yard.slug}"
    assert (outputs["plan"], outputs["customers"], outputs["status"]) == ("standard", 500, "active")
    answer = httpx.get(f"{outputs['url']}/health", timeout=10, trust_env=False)
    assert answer.json() == {"status": "ok", "tenant": yard.name}
    # The engine's own word on what it may use.
    limits = place.container().attrs["HostConfig"]
    assert limits["NanoCpus"] == round(outputs["cpuCores"] * 1_000_000_000)
    assert limits["Memory"] == round(outputs["memoryGb"] * 1024) * 1024 * 1024
    [mount] = [each for each in place.container().attrs["Mounts"] if each["Destination"] == "/data"]
    assert mount["Name"] == f"isp-{yard.slug}"
    assert parts_of(yard.run("health", yard.slug)) == {
        "workload": (True, "it runs, and is healthy"),
        "database": (True, f"{yard.identifier}_app writes and reads"),
        "api": (True, f"200, as {yard.name!r}"),
        "ingress": (True, "status 200; plain http, no certificate"),
    }
    assert not yard.up("--expect-no-changes")["changed"]
    assert yard.run("refresh", yard.slug)["drift"] == []
    assert yard.destroy()["leftovers"] == []
    assert yard.objects() == NOTHING
    assert place.left() == []


def test_its_application_reaches_its_database_and_its_volume(place: DockerPlace) -> None:
    yard = place.yard
    yard.up()
    script = (
        "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True); "
        "c.execute('CREATE TABLE customers (id int)'); c.execute('INSERT INTO customers VALUES (7)'); "
        "open(os.environ['ISP_DATA'] + '/kept', 'w').write('here'); print(os.environ['ISP_CONNECTIONS'])"
    )
    code, said = place.container().exec_run(["python3", "-c", script])
    assert code == 0, said
    assert int(said) == yard.outputs()["maxConnections"]
    assert yard.query(yard.identifier, "SELECT id FROM isp.customers") == [(7,)]
    limit = yard.query(yard.main, "SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", f"{yard.identifier}_app")
    # All of its own, and those who ask whether it works.
    assert limit == [(yard.outputs()["maxConnections"] + 2,)]
    # A bigger one is another container, with the same port and what was kept.
    before = yard.outputs()
    yard.write(customerCount=9000, planType="premium", customSettings={"application": {"image": image.TAG}})
    yard.up()
    after = yard.outputs()
    assert after["url"] == before["url"]
    assert after["maxConnections"] >= before["maxConnections"]
    assert after["cpuCores"] > before["cpuCores"]
    code, said = place.container().exec_run(["python3", "-c", "print(open('/data/kept').read())"])
    assert said.decode().strip() == "here"


def broken(place: DockerPlace, step: str, *, code: int = 3) -> str:
    """The message of an `up` whose first create fails in `step` and leaves nothing."""
    failed = place.yard.up(code=code)
    assert failed["status"] == "rolled_back"
    assert failed["leftovers"] == []
    message = str(failed["error"]["message"])
    assert f"step '{step}' failed" in message
    assert place.yard.objects() == NOTHING
    assert place.left() == []
    return message


def test_an_image_that_cannot_be_pulled(place: DockerPlace) -> None:
    place.yard.write(customSettings={"application": {"image": "registry.invalid/no-such:1"}})
    assert "registry.invalid/no-such:1" in broken(place, "container")


def test_a_container_that_crashes_again_and_again(place: DockerPlace) -> None:
    application = {"image": image.TAG, "command": ["python3", "-c", "raise SystemExit(3)"]}
    place.yard.write(customSettings={"application": application})
    said = broken(place, "container")
    assert re.search(r"does not keep running: it is (restarting|exited), exit code 3", said)
    assert f"docker logs isp-{place.yard.slug}" in said


def test_an_application_of_another_tenant_at_its_door(place: DockerPlace) -> None:
    script = "import os, runpy; os.environ['TENANT'] = 'X'; runpy.run_module('sandbox.sample_app', run_name='__main__')"
    place.yard.environment["HEALTH_CHECK_TIMEOUT"] = "10"
    place.yard.write(customSettings={"application": {"image": image.TAG, "command": ["python3", "-c", script]}})
    assert "api: another tenant's application answers" in broken(place, "health")


def test_an_engine_that_is_away(place: DockerPlace) -> None:
    yard = place.yard
    yard.region(
        internal="db.example:5432", container={"platform": "docker", "host": f"unix:///nowhere/{secrets.token_hex(4)}"}
    )
    failed = yard.up(code=4)
    # Nobody can say that nothing is left where nobody can look: what is known to be is told.
    assert "step 'infrastructure' failed" in failed["error"]["message"]
    assert failed["status"] == "rollback_failed"
    assert any("unknown in region here" in one for one in failed["leftovers"])
    assert place.left() == []
    yard.region(internal="db.example:5432", container={"platform": "docker", "host": HOST})
    assert yard.destroy()["leftovers"] == []
    assert yard.objects() == NOTHING


def test_a_port_that_is_taken_is_not_chosen(place: DockerPlace) -> None:
    yard = place.yard
    yard.up()
    port = int(yard.outputs()["url"].rpartition(":")[2])
    place.container().stop()
    with socket.create_server(("127.0.0.1", port)):
        # Its port is its own: who takes it away meanwhile is told by the engine.
        with pytest.raises(docker.errors.APIError, match=r"port is already allocated|address already in use"):
            place.container().start()
        report = parts_of(yard.run("health", yard.slug, code=10))
        assert report["workload"][0] is False
    place.container().start()


def test_without_a_way_to_the_database_nothing_is_made(place: DockerPlace) -> None:
    yard = place.yard
    yard.region(internal="127.0.0.1:5432", container={"platform": "docker", "host": HOST})
    failed = yard.up(code=9)
    assert (
        "from inside a container on docker, database.host (127.0.0.1) cannot be reached" in failed["error"]["message"]
    )
    assert place.left() == []

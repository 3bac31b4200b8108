"""A department on real servers alone: stock PostgreSQL, Keycloak, a Docker engine, n8n and Caddy, as CI starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import docker
import httpx
import psycopg
import pytest
import yaml

from providers.n8n.naming import tag_name
from sandbox.region import DATABASE
from sandbox.sample_app import image
from tests.department.faulty import FaultyApi
from tests.department.test_end_to_end import page
from tests.department.yard import Yard
from tests.oauth.places import KeycloakPlace
from tests.servers import door

pytestmark = pytest.mark.timeout(600)
# As CI set it: a project's fixture takes it out of the environment.
AMBIENT = dict(os.environ)
NEEDED = {
    "PostgreSQL": "TENANTRY_POSTGRES_URL",
    "Keycloak": "TENANTRY_TEST_KEYCLOAK_ISSUER",
    "Docker engine": "TENANTRY_TEST_DOCKER_HOST",
    "n8n": "TENANTRY_TEST_N8N_URL",
}
NOTHING = {"clients": 0, "containers": 0, "networks": 0, "schemas": 0, "roles": 0, "workflows": 0, "tags": 0}


class Real:
    """The servers, and what there is of a tenant on each.

    They listen on loopback, which is another one in a container: for as long as this is open, they are reached at the
    address of the engine's bridge as well, which no other machine has a way to.
    """

    def __init__(self, yard: Yard) -> None:
        missing = {name: variable for name, variable in NEEDED.items() if not AMBIENT.get(variable)}
        if missing:
            text = ", ".join(f"no {name} ({variable})" for name, variable in missing.items())
            if AMBIENT.get("TENANTRY_REQUIRE_SERVERS"):
                pytest.fail(text)
            pytest.skip(text)
        self.yard = yard
        self.postgres = urlsplit(AMBIENT["TENANTRY_POSTGRES_URL"])
        self.n8n_key = (Path(AMBIENT["TENANTRY_TEST_N8N_HOME"]) / "key").read_text().strip()
        self.docker = docker.DockerClient(base_url=AMBIENT["TENANTRY_TEST_DOCKER_HOST"], timeout=60)
        keycloak = {name: AMBIENT[f"TENANTRY_TEST_KEYCLOAK_{name}"] for name in ("ISSUER", "ADMIN_USER")}
        self.keycloak = KeycloakPlace(
            issuer=keycloak["ISSUER"],
            user=keycloak["ADMIN_USER"],
            password=AMBIENT["TENANTRY_TEST_KEYCLOAK_ADMIN_PASSWORD"],
            resource=("", ""),
        )

    @contextmanager
    def open(self) -> Iterator[Real]:
        [config] = self.docker.networks.get("bridge").attrs["IPAM"]["Config"]
        self.address = str(config["Gateway"])
        server, _, realm = self.keycloak.issuer.partition("/realms/")
        postgres = (str(self.postgres.hostname), self.postgres.port or 5432)
        with ExitStack() as stack:
            self.port = stack.enter_context(door(self.address, postgres))
            login = stack.enter_context(FaultyApi(server, self.address).serving())
            self.issuer = f"{login.url}/realms/{realm}"
            yield self

    def secrets(self) -> dict[str, str]:
        return {
            "TENANTRY_BACKEND_REAL_DB": unquote(self.postgres.password or ""),
            "TENANTRY_BACKEND_REAL_USER": self.keycloak.user,
            "TENANTRY_BACKEND_REAL_OAUTH": self.keycloak.password,
            "TENANTRY_BACKEND_REAL_N8N": self.n8n_key,
        }

    def region(self) -> dict[str, Any]:
        return {
            "database": {
                "host": self.address,
                "port": self.port,
                "user": self.postgres.username,
                "passwordFrom": "TENANTRY_BACKEND_REAL_DB",
                "name": DATABASE,
                "sslmode": "require",
            },
            "oauth": {
                "issuer": self.issuer,
                "adminUserFrom": "TENANTRY_BACKEND_REAL_USER",
                "adminPasswordFrom": "TENANTRY_BACKEND_REAL_OAUTH",
            },
            "container": {"platform": "docker", "host": AMBIENT["TENANTRY_TEST_DOCKER_HOST"]},
            "n8n": {"url": AMBIENT["TENANTRY_TEST_N8N_URL"], "keyFrom": "TENANTRY_BACKEND_REAL_N8N"},
            "gateway": {key: value for key, value in self.yard.backends["gateway"].items() if key != "authSecretFrom"},
        }

    def objects(self) -> dict[str, int]:
        slug = self.yard.slug
        mark = f"tenantry/{slug}"
        identifier = f"department_{slug.replace('-', '_')}"
        clients = self.keycloak.named(f"tenant-{slug} ({mark})")
        return {
            "clients": len(clients),
            "containers": len(self.docker.containers.list(all=True, filters={"name": f"tenant-{slug}"})),
            "networks": len(self.docker.networks.list(names=[f"tenant-{slug}"])),
            "schemas": self._count("pg_namespace WHERE nspname = %s", identifier),
            "roles": self._count("pg_roles WHERE rolname = %s", f"{identifier}_app"),
            "workflows": sum(one["name"].startswith(f"{mark} ") for one in self._n8n("workflows")),
            "tags": sum(one["name"] == tag_name(mark) for one in self._n8n("tags")),
        }

    def _count(self, of: str, value: str) -> int:
        url = self.postgres._replace(path=f"/{DATABASE}").geturl()
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            row = connection.execute(f"SELECT count(*) FROM {of}".encode(), (value,)).fetchone()
        return int(row[0]) if row else 0

    def _n8n(self, kind: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{AMBIENT['TENANTRY_TEST_N8N_URL']}/api/v1/{kind}",
            params={"limit": 250},
            headers={"X-N8N-API-KEY": self.n8n_key},
            timeout=30,
            trust_env=False,
        )
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]
        return found


@pytest.fixture
def real(yard: Yard) -> Iterator[Real]:
    """The servers; the department's region is all of them."""
    made = Real(yard)
    with closing(made.docker), made.open():
        file = yard.project / "backends.yaml"
        file.write_text(yaml.safe_dump({"regions": {"local": made.region()}}))
        yard.environment |= made.secrets()
        image.build(made.docker)
        yard.write(customSettings={"application": {"image": image.TAG}})
        try:
            yield made
        finally:
            if made.objects() != NOTHING:
                yard.run("destroy", yard.slug, "--yes", seconds=300)


def test_a_department_on_real_servers_from_nothing_to_nothing(real: Real) -> None:
    yard = real.yard
    assert yard.run("up", yard.slug, seconds=300)["status"] == "succeeded"
    assert real.objects() == dict.fromkeys(NOTHING, 1)
    assert yard.run("health", yard.slug)["healthy"]
    answer = page(yard)
    assert answer.status_code == 200
    assert f"Department {yard.slug}" in answer.text
    # What the container itself says of the database and the credential that it was given, having used both.
    parts = page(yard, "/parts")
    assert parts.status_code == 200, parts.text
    used = {name: (part["ok"], part.get("given", True)) for name, part in parts.json().items()}
    assert used == dict.fromkeys(("database", "credential", "route"), (True, True))
    assert parts.json()["database"]["role"] == f"department_{yard.slug.replace('-', '_')}_app"
    assert parts.json()["database"]["visits"] == 1
    assert not yard.run("up", yard.slug, "--expect-no-changes")["changed"]
    assert yard.run("refresh", yard.slug)["drift"] == []
    yard.run("destroy", yard.slug, "--yes", seconds=300)
    assert real.objects() == NOTHING


def test_a_failure_on_real_servers_leaves_nothing(real: Real) -> None:
    yard = real.yard
    # An image that there is not: Docker says so, in the fourth of seven steps.
    yard.write(customSettings={"application": {"image": "tenantry/not-there:1"}})
    failed = yard.run("up", yard.slug, code=3, seconds=300)
    assert "step 'container' failed" in failed["error"]["message"]
    assert real.objects() == NOTHING

"""An ISP made, refused an image, and removed with a worker's own token: the rights are enough, and none is for nothing.

What was really asked for is in the audit log of the API server.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client, dynamic
from kubernetes.dynamic.exceptions import ForbiddenError

from sandbox import caddy
from sandbox.caddy import EmbeddedCaddy
from stacks.installation import rights
from stacks.installation.names import WORKER
from tests import clusters
from tests.automation.helpers import PASSPHRASE, ROOT
from tests.clusters import Cluster
from tests.conftest import MainDatabase
from tests.platform.conftest import settings
from tests.platform.worker import as_worker, kubeconfig_of, rights_on

SLUG = "granted"
PASSWORD = "TENANTRY_BACKEND_HERE_DB"
pytestmark = pytest.mark.timeout(600)
Asked = set[tuple[str, str, str]]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCaddy]:
    """What stands for the ingress controller: the simulated nodes run nothing, so it answers itself for all hosts."""
    folder = tmp_path_factory.mktemp("door")
    running = caddy.start(folder)
    said = {"handler": "static_response", "status_code": 200, "body": '{"status": "ok"}'}
    routes = f"{running.admin}/config/apps/http/servers/{running.server}/routes/0"
    httpx.put(routes, json={"handle": [said], "terminal": True}, timeout=10).raise_for_status()
    yield running
    caddy.remove(folder)


class Worker:
    """What a worker's process has: the main database, the passphrase, its regions, and its account's token."""

    def __init__(self, folder: Path, kubeconfig: Path, database: MainDatabase, door: EmbeddedCaddy) -> None:
        self._folder = folder
        (folder / "stacks").mkdir()
        (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
        server = database.server
        place = {"host": server.host, "port": server.port, "user": server.user, "passwordFrom": PASSWORD}
        ingress = {
            "domain": door.domain,
            "address": f"127.0.0.1:{door.port}",
            "caFile": str(door.ca_file),
            "issuer": "ours",
        }
        region = {
            "database": {**place, "name": database.name, "sslmode": "disable", "internal": "postgres.example:5432"},
            "container": {"platform": "kubernetes", "kubeconfig": str(kubeconfig), "ingress": ingress},
        }
        (folder / "regions.yaml").write_text(yaml.safe_dump({"regions": {"here": region}}))
        self._environment = {
            **os.environ,
            PASSWORD: server.password,
            "TENANTRY_BACKENDS": str(folder / "regions.yaml"),
            "TENANTRY_ENGINE": "embedded",
            "TENANTRY_RETRIES": "0",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        }

    def write(self, image: str, slug: str = SLUG) -> None:
        application = {"image": image, "command": [], "port": 8080}
        content = {
            "kind": "isp",
            "slug": slug,
            "name": "Granted",
            "adminEmail": "head@isp.example",
            "region": "here",
            "customerCount": 500,
            "planType": "standard",
            "features": ["billing"],
            "customSettings": {"application": application, "replicas": 2},
        }
        (self._folder / "stacks" / f"{slug}.yaml").write_text(yaml.safe_dump(content))

    def run(self, *words: str, code: int = 0, **environment: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "automation", *words, "--json"],
            cwd=self._folder,
            env=self._environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )
        assert done.returncode == code, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def worker(
    tmp_path: Path,
    objects: dynamic.DynamicClient,
    api: client.ApiClient,
    namespace: str,
    main_db: MainDatabase,
    door: EmbeddedCaddy,
) -> Iterator[Worker]:
    with rights_on(objects, settings(namespace=namespace)):
        kubeconfig = kubeconfig_of(api, namespace, tmp_path / "kubeconfig")
        yield Worker(tmp_path, kubeconfig, main_db, door)


def test_a_workers_rights_are_those_that_an_isp_takes(
    worker: Worker, namespace: str, audited: Callable[[str], tuple[Asked, Asked]]
) -> None:
    worker.write("registry.example/isp:1")
    worker.run("up", SLUG)
    worker.run("health", SLUG)
    worker.run("up", SLUG, "--expect-no-changes")
    worker.run("refresh", SLUG)
    worker.write("registry.invalid/isp:2")
    error = worker.run("up", SLUG, code=3)["error"]
    assert "registry.invalid/isp:2" in json.dumps(error)
    worker.run("destroy", SLUG, "--yes")

    used, refused = audited(f"system:serviceaccount:{namespace}:{WORKER}")
    granted = {
        (group, kind, verb)
        for rule in rights.everywhere()
        for group in rule["apiGroups"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    }
    assert used <= granted
    # What is left of a tenant is looked for among all kinds; a node that went would be named.
    assert {(kind, verb) for _, kind, verb in refused if verb != "list"} <= {("nodes", "get")}
    assert {kind for _, kind, _ in granted} == {kind for _, kind, _ in used}
    # An apply that makes something is asked for as a patch.
    assert {verb for *_, verb in granted} - {"create"} == {verb for *_, verb in used}


def test_without_create_an_apply_makes_nothing(
    api: client.ApiClient, objects: dynamic.DynamicClient, namespace: str, cluster: Cluster
) -> None:
    with (
        clusters.own_namespace(cluster, **{"app.kubernetes.io/managed-by": "tenantry"}) as space,
        rights_on(objects, settings(namespace=namespace, tenants={"namespace": space})),
    ):
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}/roles/{WORKER}-{namespace}"
        role = cluster.get(path)
        assert role is not None
        with as_worker(api, namespace) as own:
            secrets = own.resources.get(api_version="v1", kind="Secret")
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": space}}
            put = partial(secrets.server_side_apply, body=body, name="a", namespace=space, field_manager="worker")
            put()
            secrets.delete(name="a", namespace=space)
            fewer = [{**rule, "verbs": [verb for verb in rule["verbs"] if verb != "create"]} for rule in role["rules"]]
            cluster.merge(path, {"rules": fewer})
            assert _refused_in_time(put, lambda: secrets.delete(name="a", namespace=space))


def _refused_in_time(put: Callable[[], object], again: Callable[[], object], seconds: float = 30) -> bool:
    """Whether it is refused soon: the server hears of a changed role some moments later."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            put()
        except ForbiddenError:
            return True
        again()
    return False


@pytest.fixture
def audited() -> Callable[[str], tuple[Asked, Asked]]:
    """What somebody has asked the API server for, as group, resource and verb: what was let pass, and what was not."""
    if not clusters.HOME:
        pytest.skip("no audit log: set TENANTRY_TEST_KUBERNETES_HOME (.ci/kubernetes start FOLDER; FOLDER is it)")

    def by(user: str) -> tuple[Asked, Asked]:
        found: tuple[Asked, Asked] = (set(), set())
        for event in map(json.loads, (Path(clusters.HOME) / "audit.log").read_text("utf-8").splitlines()):
            if event["user"]["username"] == user and (of := event.get("objectRef")):
                refused = event["responseStatus"]["code"] == 403
                found[refused].add((of.get("apiGroup", ""), of["resource"], event["verb"]))
        return found

    return by

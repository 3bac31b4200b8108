"""An ISP on a real API server, whose ingress is a server of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.postgres import EmbeddedPostgres
from tests.automation.conftest import project
from tests.clusters import Cluster
from tests.conftest import MainDatabase
from tests.isp.front import DOMAIN, FrontDoor
from tests.isp.yard import NOTHING, IspYard
from tests.kubernetes.conftest import cluster, kubeconfig

__all__ = ["cluster", "kubeconfig", "project"]
DATABASE = "db.example:5432"
"""Where pods reach the database's server."""
IMAGE = "registry.example/isp:1"
_KINDS = {
    "/api/v1": (
        *("namespaces", "pods", "services", "secrets", "persistentvolumeclaims", "serviceaccounts", "configmaps"),
        *("resourcequotas", "limitranges", "endpoints"),
    ),
    "/apis/apps/v1": ("deployments", "replicasets"),
    "/apis/networking.k8s.io/v1": ("ingresses", "networkpolicies"),
    "/apis/policy/v1": ("poddisruptionbudgets",),
    "/apis/discovery.k8s.io/v1": ("endpointslices",),
}


class ClusterPlace:
    """The API server's own view, and the ISP in it."""

    def __init__(self, yard: IspYard, cluster: Cluster, door: FrontDoor) -> None:
        self.yard = yard
        self.cluster = cluster
        self.door = door
        self.name = f"isp-{yard.slug}"
        self.space = self.name

    def region(self, **changes: Any) -> None:
        """The region; `ingress` is merged into the usual one."""
        ingress = {
            "class": "nginx",
            "domain": DOMAIN,
            "issuer": "tests",
            "address": self.door.address,
            "httpAddress": self.door.http_address,
            "caFile": str(self.door.ca),
            **changes.pop("ingress", {}),
        }
        container = {
            "platform": "kubernetes",
            "kubeconfig": str(self.cluster.kubeconfig),
            "ingress": ingress,
            **changes,
        }
        self.yard.region(internal=DATABASE, container=container)

    def write(self, *, image: str = IMAGE, settings: dict[str, Any] | None = None, **changes: Any) -> None:
        self.yard.write(customSettings={"application": {"image": image}, **(settings or {})}, **changes)

    def left(self) -> list[str]:
        """What bears the tenant's label, of whichever kind."""
        found = []
        for group, kinds in _KINDS.items():
            for kind in kinds:
                listed = self.cluster.items(f"{group}/{kind}", labelSelector=f"tenantry.dev/tenant={self.yard.slug}")
                found += [f"{kind} {each['metadata']['name']}" for each in listed]
        return found

    def path(self, kind: str, name: str = "", group: str = "/api/v1") -> str:
        return f"{group}/namespaces/{self.space}/{kind}/{name or self.name}"

    def get(self, kind: str, name: str = "", group: str = "/api/v1") -> dict[str, Any]:
        found = self.cluster.get(self.path(kind, name, group))
        assert found is not None
        return found

    def pods(self) -> list[dict[str, Any]]:
        return self.cluster.items(f"/api/v1/namespaces/{self.space}/pods")


@pytest.fixture
def front(cluster: Cluster, tmp_path: Path, postgres: EmbeddedPostgres) -> Iterator[FrontDoor]:
    folder = tmp_path / "front"
    folder.mkdir()
    with FrontDoor(cluster, folder, {DATABASE: f"{postgres.host}:{postgres.port}"}).open() as door:
        yield door


@pytest.fixture
def on_cluster(
    project: Path, postgres: EmbeddedPostgres, main_db: MainDatabase, cluster: Cluster, front: FrontDoor
) -> Iterator[ClusterPlace]:
    """One ISP's project; whatever the test leaves of it is removed."""
    made = ClusterPlace(IspYard(project, postgres, main_db), cluster, front)
    made.region()
    made.write()
    yield made
    if made.yard.objects() != NOTHING or made.left():
        made.yard.destroy()

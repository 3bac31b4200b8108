"""An ISP on a real API server that is made bigger and smaller: its volume stays, and what it holds."""

from __future__ import annotations

import base64
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from tests.isp.on_cluster import DATABASE, ClusterPlace, cluster, front, kubeconfig, on_cluster, project
from tests.isp.yard import parts_of

__all__ = ["cluster", "front", "kubeconfig", "on_cluster", "project"]
pytestmark = pytest.mark.timeout(600)


def claim(place: ClusterPlace) -> tuple[str, str, list[str]]:
    """Which claim there is, how much it asks for, and its access modes."""
    found = place.get("persistentvolumeclaims")
    assert "deletionTimestamp" not in found["metadata"]
    spec: dict[str, Any] = found["spec"]
    return found["metadata"]["uid"], spec["resources"]["requests"]["storage"], spec["accessModes"]


def test_its_volume_grows_and_is_never_made_anew(on_cluster: ClusterPlace) -> None:
    yard = on_cluster.yard
    yard.up()
    uid, size, modes = claim(on_cluster)
    assert size == "1Gi"
    on_cluster.write(planType="premium")
    assert yard.run("preview", yard.slug)["type"] == "preview"
    yard.up()
    assert claim(on_cluster) == (uid, "5Gi", modes)
    # Smaller again, and in a region whose class is another by now: nobody can make a volume so, but by losing it.
    on_cluster.region(storageClass="another")
    on_cluster.write()
    yard.up()
    assert yard.outputs()["storageGb"] == 1
    assert claim(on_cluster) == (uid, "5Gi", modes)
    assert not yard.up("--expect-no-changes")["changed"]
    on_cluster.write(settings={"replicas": 2})
    failed = yard.up(code=3)
    assert "ReadWriteOnce" in failed["error"]["message"]
    assert claim(on_cluster) == (uid, "5Gi", modes)


def test_a_growth_that_fails_is_taken_back_without_its_volume(on_cluster: ClusterPlace) -> None:
    yard = on_cluster.yard
    yard.up()
    uid, _, modes = claim(on_cluster)
    yard.environment["TENANTRY_STEPS"] = '{"container": {"timeout": 20}}'
    on_cluster.write(image="registry.invalid/no-such:1", planType="premium")
    failed = yard.up(code=3)
    assert failed["rolled_back_to"] == "last good settings"
    assert claim(on_cluster) == (uid, "5Gi", modes)
    assert yard.status() == "active"


def test_several_pods_become_smaller_one_after_another(on_cluster: ClusterPlace) -> None:
    yard = on_cluster.yard
    on_cluster.write(settings={"replicas": 2, "resources": {"cpuCores": 4}})
    yard.up()
    on_cluster.write(settings={"replicas": 2, "resources": {"cpuCores": 0.5}})
    yard.up()
    found = [pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] for pod in on_cluster.pods()]
    assert found == ["250m", "250m"]
    assert on_cluster.get("resourcequotas")["spec"]["hard"]["pods"] == "4"


def test_its_health_is_known_while_the_application_holds_all_its_connections(on_cluster: ClusterPlace) -> None:
    yard = on_cluster.yard
    on_cluster.write(settings={"resources": {"maxConnections": 4}})
    yard.up()
    given = on_cluster.get("secrets")["data"]["DATABASE_URL"]
    url = base64.b64decode(given).decode().replace(DATABASE, f"{yard.postgres.host}:{yard.postgres.port}")
    # The sample has those of its workers already.
    [(has,)] = yard.query(
        yard.main, "SELECT count(*) FROM pg_stat_activity WHERE usename = %s", f"{yard.identifier}_app"
    )
    assert has < 4
    with ExitStack() as held:
        for _ in range(4 - has):
            held.enter_context(psycopg.connect(url, connect_timeout=10))
        assert parts_of(yard.run("health", yard.slug))["database"] == (True, f"{yard.identifier}_app writes and reads")

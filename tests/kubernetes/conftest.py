"""The real API server that TENANTRY_TEST_KUBECONFIG names (`.ci/kubernetes start` makes one)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clusters
from tests.clusters import Cluster, Power


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    return clusters.kubeconfig_or_skip()


@pytest.fixture(scope="session")
def cluster(kubeconfig: Path) -> Iterator[Cluster]:
    found = Cluster(kubeconfig)
    yield found
    found.close()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """One of the test's own."""
    with clusters.own_namespace(cluster) as name:
        yield name


@pytest.fixture
def power(cluster: Cluster) -> Iterator[Power]:
    """Kills, stops and starts the cluster's processes."""
    with clusters.power() as switch:
        yield switch

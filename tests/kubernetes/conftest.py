"""The real API server that TENANTRY_TEST_KUBECONFIG names (`.ci/kubernetes start` makes one)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clusters
from tests.clusters import Cluster, Power
from tests.providers.plugin import Plugin, PluginError, launch


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


@pytest.fixture(scope="module")
def process() -> Iterator[Plugin]:
    plugin = launch(module="providers.kubernetes")
    yield plugin
    plugin.stop()


@pytest.fixture
def plugin(process: Plugin, kubeconfig: Path, namespace: str) -> Iterator[Plugin]:
    """A plugin whose default namespace is the test's; what the test made through it is removed, last made first."""
    process.configure(kubeconfig=str(kubeconfig), namespace=namespace)
    process.created.clear()
    yield process
    left = []
    for resource in reversed(process.created.copy()):
        try:
            process.delete(resource)
        except PluginError as error:
            left.append(str(error))
    assert not left

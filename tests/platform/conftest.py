"""The real API server that TENANTRY_TEST_KUBECONFIG names, and a namespace of a test's own on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config, dynamic

from stacks.installation.settings import Platform, parse
from tests import clusters
from tests.clusters import Cluster


def settings(**more: Any) -> Platform:
    """Settings with the least that there must be, and `more`."""
    return parse({"image": "registry.example/tenantry:1", "database": {"host": "db.internal"}, **more})


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    return clusters.kubeconfig_or_skip()


@pytest.fixture(scope="session")
def cluster(kubeconfig: Path) -> Iterator[Cluster]:
    found = Cluster(kubeconfig)
    yield found
    found.close()


@pytest.fixture(scope="session")
def api(kubeconfig: Path) -> Iterator[client.ApiClient]:
    """The cluster, as its administrator with Kubernetes' own client."""
    with config.new_client_from_config(str(kubeconfig)) as made:
        yield made


@pytest.fixture(scope="session")
def objects(api: client.ApiClient) -> dynamic.DynamicClient:
    return dynamic.DynamicClient(api)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace as an operator makes it: it holds pods to the strictest of the standards."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    with clusters.own_namespace(cluster, **labels) as name:
        yield name

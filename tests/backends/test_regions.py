"""Regions that have some parts only, and the region of the environment: who is told what is missing, and how."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.backends import (
    PARTS,
    DockerBackend,
    KubernetesBackend,
    backends_of,
    container_of,
    database_of,
    erpnext_of,
    gateway_of,
    oauth_of,
    odoo_of,
    parts_of,
    regions,
    unset_secrets,
)
from providers.errors import ConfigurationError
from stacks.regions import region_problems

DATABASE = {"host": "db.example", "user": "provisioner", "name": "isps", "passwordFrom": "TENANTRY_BACKEND_DB"}
DOCKER = {"platform": "docker"}


def written(tmp_path: Path, content: dict[str, Any]) -> dict[str, str]:
    path = tmp_path / "regions.yaml"
    path.write_text(yaml.safe_dump({"regions": content}))
    return {"TENANTRY_BACKENDS": str(path)}


def test_a_region_of_two_parts_gives_each_and_tells_what_it_lacks(tmp_path: Path) -> None:
    environ = written(tmp_path, {"eu": {"database": DATABASE, "container": DOCKER}})
    assert database_of("eu", environ).host == "db.example"
    assert container_of("eu", environ) == DockerBackend(platform="docker")
    assert parts_of("eu", environ).gateway is None
    assert unset_secrets(parts_of("eu", environ), environ) == ["TENANTRY_BACKEND_DB"]
    with pytest.raises(
        ConfigurationError, match=r"region 'eu' has no gateway\. Add what is missing to .*regions\.yaml"
    ):
        gateway_of("eu", environ)
    with pytest.raises(ConfigurationError, match="region 'eu' has no oauth and no n8n and no gateway"):
        backends_of("eu", environ)


def test_the_database_of_such_a_region_has_its_own_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = written(tmp_path, {"eu": {"database": DATABASE, "container": DOCKER}})
    monkeypatch.setenv("TENANTRY_BACKENDS", environ["TENANTRY_BACKENDS"])
    monkeypatch.setenv("TENANTRY_BACKEND_DB", "hunter2")
    settings = database_of("eu").settings()
    assert (settings.region, settings.password, settings.main_database) == ("eu", "hunter2", "isps")


def test_what_a_line_needs_is_a_problem_of_the_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = written(tmp_path, {"eu": {"database": DATABASE, "container": DOCKER}, "us": {"database": DATABASE}})
    monkeypatch.setenv("TENANTRY_BACKENDS", environ["TENANTRY_BACKENDS"])
    needed = ("database", "container")
    assert region_problems("eu", needed, noun="an ISP") == []
    [problem] = region_problems("us", needed, noun="an ISP")
    assert (problem.field, problem.given) == ("region", '"us"')
    assert problem.valid == "a region with database, container, which an ISP is made of: this one has no container"
    [problem] = region_problems("eus", needed, noun="an ISP")
    assert (problem.valid, problem.suggestion) == ("one of eu, us", "us")


def test_a_region_of_an_erpnext_alone_is_one(tmp_path: Path) -> None:
    names = {"keyFrom": "TENANTRY_BACKEND_ERP_KEY", "secretFrom": "TENANTRY_BACKEND_ERP_SECRET"}
    environ = written(tmp_path, {"eu": {"erpnext": {"url": "https://erp.example", **names}}})
    assert erpnext_of("eu", environ).requests_per_run == 500
    assert unset_secrets(parts_of("eu", environ), environ) == list(names.values())
    # A department does not need one.
    with pytest.raises(
        ConfigurationError, match="has no database and no oauth and no container and no n8n and no gate"
    ):
        backends_of("eu", environ)
    assert "erpnext" not in parts_of("eu", environ).lacking(PARTS)


def test_a_region_of_an_odoo_alone_is_one(tmp_path: Path) -> None:
    odoo = {"url": "https://odoo.example", "database": "eu", "user": "me", "keyFrom": "TENANTRY_BACKEND_ODOO"}
    environ = written(tmp_path, {"eu": {"odoo": odoo}})
    assert (odoo_of("eu", environ).database, odoo_of("eu", environ).requests_per_run) == ("eu", 500)
    assert unset_secrets(parts_of("eu", environ), environ) == ["TENANTRY_BACKEND_ODOO"]
    with pytest.raises(ConfigurationError, match="region 'eu' has no erpnext"):
        erpnext_of("eu", environ)


def test_without_a_file_the_environment_is_the_region_default() -> None:
    environ = {"DB_HOST": "db.here", "DB_PASSWORD": "hunter2", "DOCKER_REGISTRY": "images.example", "DOCKER_TAG": "7"}
    assert regions(environ) == ("default",)
    assert container_of("default", environ) == DockerBackend(platform="docker", registry="images.example", tag="7")
    settings = database_of("default", environ).settings()
    assert (settings.host, settings.password, settings.region) == ("db.here", "hunter2", "")
    assert unset_secrets(parts_of("default", environ), environ) == []
    assert "hunter2" not in repr(parts_of("default", environ))


def test_a_kubeconfig_in_the_environment_is_a_cluster() -> None:
    environ = {"KUBECONFIG": "/etc/kube/config", "KUBERNETES_NAMESPACE": "isps", "DOCKER_TAG": "7"}
    wanted = KubernetesBackend(platform="kubernetes", kubeconfig="/etc/kube/config", namespace="isps", tag="7")
    assert container_of("default", environ) == wanted
    assert container_of("default", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == KubernetesBackend(platform="kubernetes")
    beside = container_of("default", {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "DOCKER_HOST": "tcp://docker.here:2375"})
    assert beside == DockerBackend(platform="docker", host="tcp://docker.here:2375")
    several = container_of("default", {"KUBECONFIG": "/etc/kube/one:/etc/kube/two"})
    assert several == KubernetesBackend(platform="kubernetes")


def test_the_environments_region_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ConfigurationError, match="DOCKER_TAG"):
        container_of("default", {"DOCKER_TAG": "no tag: at all"})
    with pytest.raises(ConfigurationError, match="DB_PORT is 'x'"):
        parts_of("default", {"DB_PORT": "x"})
    with pytest.raises(ConfigurationError, match=r"region 'default' has no oauth\. .*in a file that TENANTRY_BACKENDS"):
        oauth_of("default", {})
    with pytest.raises(ConfigurationError, match="region 'eu' is not known: set TENANTRY_BACKENDS"):
        parts_of("eu", {})

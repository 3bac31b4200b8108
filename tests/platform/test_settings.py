"""platform.yaml: what is wrong in it is told by field, all at once; what is right is complete without saying much."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.installation import settings as found
from stacks.installation.settings import PlatformError, load, parse
from tests.automation.helpers import ROOT
from tests.platform.conftest import settings

LEAST = {"image": "registry.example/tenantry:1", "database": {"host": "db.internal"}}


@pytest.mark.parametrize(
    ("more", "field", "valid"),
    [
        ({"image": "Registry/x y"}, "image", "an image with its tag or digest"),
        ({"image": None}, "image", "text"),
        ({"database": {}}, "database.host", "this is required: PostgreSQL's host"),
        ({"database": {"host": "a b"}}, "database.host", "a host's name or address"),
        ({"database": {"host": "a", "port": 70_000}}, "database.port", "65535 or less"),
        (
            {"database": {"host": "a", "password": "x"}},
            "database.password",
            "one of the keys host, port, name, sslmode",
        ),
        ({"namespace": "My_Space"}, "namespace", "lower-case letters"),
        ({"workers": {"min": 3, "max": 2}}, "workers", "max, 2, to be no less than min, 3"),
        ({"workers": {"autoscaling": "keda"}}, "workers", "prometheus, the URL"),
        ({"workers": {"autoscaling": "kedda"}}, "workers.autoscaling", "'hpa', 'keda' or 'none'. Did you mean keda?"),
        ({"workers": {"resources": {"cpu": 2, "memory": "2Gi"}}}, "workers.resources.cpu", "in quotes"),
        ({"service": {"resources": {"cpu": "1", "memory": "2G"}}}, "service.resources.memory", "2Gi"),
        ({"ingress": {"host": "nohost"}}, "ingress.host", "a name of DNS"),
        ({"ingress": {"host": "a.example", "trustedProxies": ["10.1/8"]}}, "ingress.trustedProxies[0]", "10.1/8"),
        ({"tokens": {"jwksUrl": "http://login.example"}}, "tokens.jwksUrl", "an https URL"),
        ({"tenants": {"namespace": "tenantry"}}, "tenants.namespace", "another namespace than Tenantry's own"),
        ({"tenants": {"namespace": "a", "onThisCluster": False}}, "tenants", "namespace only where"),
        ({"environment": {"DB_PASSWORD": "x"}}, "environment.DB_PASSWORD", "a variable that begins with"),
        ({"environment": {"TENANTRY_JWT_SECRET": "x"}}, "environment", "no other key of this file decides"),
        ({"environment": {"TENANTRY_BACKEND_EU_DB": "x"}}, "environment", "goes into the Secret"),
        ({"environment": {"DOCKER_REGISTRY_PASS": "x"}}, "environment", "goes into the Secret"),
        ({"regions": "nowhere.yaml"}, "regions", "a file of regions that can be read"),
    ],
)
def test_what_is_wrong_is_told_by_field(more: dict[str, Any], field: str, valid: str) -> None:
    with pytest.raises(PlatformError) as raised:
        parse({**LEAST, **more})
    (problem,) = raised.value.problems
    assert problem.field.startswith(field)
    assert valid in problem.message


@pytest.mark.parametrize(
    "more",
    [
        {"database": {"host": "db", "password": "hunter2"}},
        {"databse": {"password": "hunter2"}},
        {"secrets": {"jwtSecret": "hunter2"}},
        {"tokens": {"jwksUrl": "https://someone:hunter2@login.example/keys"}},
        {"environment": {"TENANTRY_SECRET_KEY": "hunter2", "TENANTRY_BACKEND_EU_DB": "hunter2"}},
    ],
)
def test_a_secret_at_a_wrong_place_is_not_told(more: dict[str, Any]) -> None:
    with pytest.raises(PlatformError) as raised:
        parse({**LEAST, **more})
    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in str(raised.value.to_dict())


@pytest.mark.parametrize(
    ("tenants", "container", "valid"),
    [
        ({"namespace": "customers"}, "{platform: kubernetes}", "namespace customers there"),
        ({"namespace": "customers"}, "{platform: kubernetes, namespace: other}", "namespace customers there"),
        ({"namespace": "customers"}, "{platform: kubernetes, namespace: customers}", None),
        ({"namespace": "customers"}, "{platform: kubernetes, kubeconfig: /elsewhere}", None),
        ({"onThisCluster": False}, "{platform: kubernetes}", "a kubeconfig of another cluster"),
        ({"onThisCluster": False}, "{platform: docker}", None),
        ({}, "{platform: kubernetes}", None),
    ],
)
def test_a_region_on_this_cluster_lies_where_workers_have_rights(
    tmp_path: Path, tenants: dict[str, Any], container: str, valid: str | None
) -> None:
    (tmp_path / "regions.yaml").write_text(f"regions:\n  here:\n    container: {container}\n")
    content = {**LEAST, "tenants": tenants, "regions": "regions.yaml"}
    if valid is None:
        assert parse(content, folder=tmp_path).regions_text is not None
        return
    with pytest.raises(PlatformError) as raised:
        parse(content, folder=tmp_path)
    (problem,) = raised.value.problems
    assert problem.given.startswith("here:")
    assert valid in problem.valid


def test_all_problems_come_at_once_and_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text("image: X Y\nworkers: {min: 0}\nnamspace: a\n")
    with pytest.raises(PlatformError) as raised:
        load(path)
    assert {problem.field for problem in raised.value.problems} == {"image", "workers.min", "namspace", "database"}
    assert str(path) in str(raised.value)
    assert "Did you mean namespace?" in str(raised.value)


def test_the_regions_are_checked_and_go_along(tmp_path: Path) -> None:
    regions = "regions:\n  here:\n    container: {platform: kubernetes}\n"
    (tmp_path / "regions.yaml").write_text(regions)
    (tmp_path / "platform.yaml").write_text(yaml.safe_dump({**LEAST, "regions": "regions.yaml"}))
    assert load(tmp_path / "platform.yaml").regions_text == regions
    (tmp_path / "regions.yaml").write_text("regions:\n  here:\n    container: {platform: nomad}\n")
    with pytest.raises(PlatformError, match="nomad"):
        load(tmp_path / "platform.yaml")


def test_the_file_in_the_docs_is_valid_and_shows_every_key(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "platform.md").read_text("utf-8")
    example = text.split("```yaml\n", 1)[1].split("```", 1)[0]
    region = "container: {platform: kubernetes, namespace: customers}"
    (tmp_path / "regions.yaml").write_text(f"regions:\n  here:\n    {region}\n")
    (tmp_path / "platform.yaml").write_text(example)
    platform = load(tmp_path / "platform.yaml")
    assert _keys(platform) == _keys(platform, only_set=True)


def _keys(part: Any, path: str = "", *, only_set: bool = False) -> set[str]:
    names = part.model_fields_set if only_set else type(part).model_fields.keys()
    keys = set()
    for name in names:
        keys.add(f"{path}{name}")
        value = getattr(part, name)
        if isinstance(value, found.Model):
            keys |= _keys(value, f"{path}{name}.", only_set=only_set)
    return keys


def test_the_defaults_in_the_docs_are_the_defaults() -> None:
    text = (ROOT / "docs" / "platform.md").read_text("utf-8")
    shown = yaml.safe_load(text.split("```yaml\n", 1)[1].split("```", 1)[0])
    least = settings().model_dump(mode="json", by_alias=True)
    for section in ("service", "workers", "secrets", "database"):
        for key, default in least[section].items():
            if default is not None and (section, key) != ("database", "host"):
                assert shown[section][key] == default, (section, key)
    assert shown["readySeconds"] == least["readySeconds"]

"""From a manifest to the component's arguments: what the application is told and run as, on which platform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.department import DepartmentArgs
from providers.errors import ConfigurationError
from providers.names import GIVEN_VARIABLES
from stacks.department.arguments import department_args
from stacks.lines import DEPARTMENT
from stacks.problems import ManifestError

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nbm90\nb25l\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
PLATFORMS = {
    "docker": {"platform": "docker"},
    "kubernetes": {"platform": "kubernetes"},
    "railway": {"platform": "railway", "tokenFrom": "TENANTRY_BACKEND_TEST"},
    "process": {"platform": "process", "url": "http://127.0.0.1:9001", "folder": "programs"},
}


class Region:
    """The region `eu`, and a department's arguments there."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def args(self, platform: str, *, oauth: Any = None, database: Any = None, **application: Any) -> DepartmentArgs:
        region = {
            "database": {"host": "db.example", "user": "nobody", "name": "departments", **(database or {})},
            "oauth": {"issuer": "https://login.example", **(oauth or {})},
            "container": PLATFORMS[platform],
            "n8n": {"url": "http://127.0.0.1:1", "keyFrom": "TENANTRY_BACKEND_TEST"},
            "gateway": {"admin": "http://127.0.0.1:1", "domain": "localhost", "url": "http://127.0.0.1:1"},
        }
        self.file.write_text(yaml.safe_dump({"regions": {"eu": region}}), encoding="utf-8")
        manifest = {
            "kind": "department",
            "name": "Sales",
            "slug": "sales",
            "adminEmail": "head@sales.example",
            "region": "eu",
            "customSettings": {"application": {"image": "registry.example/app:1", **application}},
        }
        return department_args(DEPARTMENT.resolve(DEPARTMENT.parse(manifest), DEPARTMENT.templates()), "tests/sales")


@pytest.fixture
def region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Region:
    file = tmp_path / "backends.yaml"
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))
    monkeypatch.setenv("TENANTRY_BACKEND_TEST", "set")
    return Region(file)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_certificates_are_handed_over_and_no_path_of_ours(region: Region, tmp_path: Path, platform: str) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(f"somebody's\n{CERTIFICATE}{KEY}{CERTIFICATE}", encoding="utf-8")
    found = region.args(platform, oauth={"caFile": str(file)}, environment={"LEVEL": "info"}).environment
    assert found == {"LEVEL": "info", "OAUTH_CA_PEM": CERTIFICATE * 2}
    assert set(found) - {"LEVEL"} <= GIVEN_VARIABLES
    assert region.args(platform).environment == {}


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (KEY, "0 char"), (CERTIFICATE * 2000, "valid: 1 to")]
)
def test_a_file_without_certificates_is_refused(region: Region, tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"oauth\.caFile: ") as told:
        region.args("docker", oauth={"caFile": str(file)})
    assert said in str(told.value)
    assert "c2VjcmV0" not in str(told.value)


def test_how_it_is_asked_and_who_it_runs_as(region: Region) -> None:
    app = region.args("docker", healthCommand=["/app", "check"], user=1000).app
    assert (app.health_command, app.user) == (("/app", "check"), 1000)
    app = region.args("docker").app
    assert (app.health_command, app.user) == ((), 65_534)


@pytest.mark.parametrize("user", [0, -1, 2**31, "nobody"])
def test_it_never_runs_as_root(region: Region, user: object) -> None:
    with pytest.raises(ManifestError, match=r"application\.user"):
        region.args("docker", user=user)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "db.localhost", "/run/postgresql"])
def test_what_would_be_the_container_itself_is_refused(region: Region, platform: str, host: str) -> None:
    database = {"host": host}
    if platform == "process":
        assert region.args(platform, database=database).region == "eu"
        return
    with pytest.raises(ConfigurationError, match=rf"region 'eu': from inside a container on {platform}") as told:
        region.args(platform, database=database)
    assert f"database.host ({host}) cannot be reached" in str(told.value)


def test_all_addresses_are_told_at_once(region: Region) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.host \(localhost\) and oauth\.issuer \(::1\) cannot"):
        region.args("docker", database={"host": "localhost"}, oauth={"issuer": "http://[::1]:8080/realms/x"})

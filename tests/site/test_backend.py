"""A region's `site`: what may be written there, and what is said of what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.backends import parts_of, site_of, unset_secrets
from providers.errors import ConfigurationError
from providers.site.bench import Bench
from providers.site.region import operations_of, store_of
from providers.site.simulated import Simulated
from providers.site.stores import FolderStore
from providers.site_backend import BenchBackend, SiteSeconds

BENCH = {"driver": "bench", "folder": "/home/frappe/bench"}
S3 = {"target": "s3", "bucket": "eu-sites"}


def region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **site: Any) -> None:
    path = tmp_path / "regions.yaml"
    path.write_text(yaml.safe_dump({"regions": {"eu": {"site": site}}}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))


def test_a_bench_with_its_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    region(tmp_path, monkeypatch, **BENCH)
    backend = site_of("eu")
    assert isinstance(backend, BenchBackend)
    assert (backend.command, backend.db_root_user, backend.seconds.create) == ("bench", "root", 900)
    ops = operations_of("eu")
    assert isinstance(ops, Bench)
    assert ops.name == "the bench /home/frappe/bench"
    with pytest.raises(ConfigurationError, match=r"region 'eu' says of its site backend no place for backups"):
        store_of("eu")


def test_the_variables_of_its_secrets_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backups = {**S3, "accessKeyFrom": "TENANTRY_BACKEND_S3", "secretKeyFrom": "TENANTRY_BACKEND_S3_SECRET"}
    region(tmp_path, monkeypatch, **BENCH, dbRootPasswordFrom="TENANTRY_BACKEND_ROOT", backups=backups)
    names = ["TENANTRY_BACKEND_ROOT", "TENANTRY_BACKEND_S3", "TENANTRY_BACKEND_S3_SECRET"]
    assert unset_secrets(parts_of("eu")) == names
    for call in (operations_of, store_of):
        with pytest.raises(ConfigurationError, match=r"the variable TENANTRY_BACKEND_.* is not set"):
            call("eu")


def test_a_simulated_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = {"target": "file", "folder": str(tmp_path / "kept")}
    region(tmp_path, monkeypatch, driver="simulated", folder=str(tmp_path), backups=folder)
    assert isinstance(operations_of("eu"), Simulated)
    assert store_of("eu") == FolderStore(folder=tmp_path / "kept")
    assert unset_secrets(parts_of("eu")) == []


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ({**BENCH, "driver": "frappe"}, "driver"),
        ({**BENCH, "folder": "relative"}, "folder"),
        ({**BENCH, "dbRootPassword": "hunter2"}, "dbRootPassword"),
        ({**BENCH, "dbRootPasswordFrom": "hunter2"}, "dbRootPasswordFrom"),
        ({**BENCH, "ssh": {"host": "-oProxyCommand=sh"}}, "host"),
        ({**BENCH, "ssh": {"host": "a b"}}, "host"),
        ({**BENCH, "docker": {"container": "--privileged"}}, "container"),
        ({**BENCH, "ssh": {"host": "a"}, "docker": {"container": "b"}}, "by ssh or by docker, not by both"),
        ({**BENCH, "dbRootUser": "--help"}, "dbRootUser"),
        ({**BENCH, "seconds": {"create": 0}}, "create"),
        ({**BENCH, "backups": {**S3, "bucket": "Not_A_Bucket"}}, "bucket"),
        ({**BENCH, "backups": {**S3, "prefix": "no-slash"}}, "prefix"),
        ({**BENCH, "backups": {**S3, "accessKeyFrom": "TENANTRY_BACKEND_A"}}, "accessKeyFrom and secretKeyFrom go"),
        ({**BENCH, "backups": {**S3, "endpoint": "https://user:hunter2@s3.invalid"}}, "endpoint"),
    ],
)
def test_what_is_wrong_is_named_and_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: dict[str, Any], words: str
) -> None:
    region(tmp_path, monkeypatch, **site)
    with pytest.raises(ConfigurationError, match=words) as caught:
        site_of("eu")
    assert "hunter2" not in str(caught.value)


def test_a_region_without_one_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "regions.yaml"
    path.write_text(yaml.safe_dump({"regions": {"eu": {"container": {"platform": "docker"}}}}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))
    with pytest.raises(ConfigurationError, match="region 'eu' has no site"):
        site_of("eu")


def test_the_region_of_the_docs_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sites.md").read_text(encoding="utf-8")
    path = tmp_path / "regions.yaml"
    path.write_text("regions:\n" + page.partition("```yaml\nregions:\n")[2].partition("```")[0], encoding="utf-8")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))
    backend = site_of("eu-central")
    assert isinstance(backend, BenchBackend)
    assert backend.ssh is not None
    assert backend.ssh.arguments()[-1] == "frappe@bench.eu.example"
    # What it says to be the defaults are these.
    assert backend.seconds == SiteSeconds()
    assert len(unset_secrets(parts_of("eu-central"))) == 3

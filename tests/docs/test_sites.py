"""The examples of the page of sites are what they say: manifests, region, jobs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.backends import site_of
from providers.site_backend import BenchBackend, SimulatedBackend
from service.lines.site_documents import JobType, SiteJobBody, demand_fitting
from stacks.lines import SITE

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sites.md").read_text(encoding="utf-8")


@pytest.fixture
def region_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's region, in force."""
    path = tmp_path / "regions.yaml"
    path.write_text(next(text for text in blocks("yaml") if "regions" in yaml.safe_load(text)), encoding="utf-8")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))
    return path


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", PAGE)


def manifests() -> list[dict[str, Any]]:
    """The little one, and the one with every key."""
    return [found for text in blocks("yaml") if "kind" in (found := yaml.safe_load(text))]


@pytest.mark.usefixtures("region_file")
def test_manifests_and_region_are_valid_and_show_every_key() -> None:
    little, whole = (SITE.resolve(SITE.parse(one), SITE.templates()) for one in manifests())
    assert little.settings["host"] == "acme-shop.sites.eu.example"
    assert little.settings["backups"]["schedule"] == "30 2 * * *"
    assert whole.settings["host"] == "shop.acme.example"
    given = manifests()[1]
    assert set(given) == {field.alias for field in type(whole.manifest).model_fields.values()}
    assert set(given["customSettings"]) == set(whole.settings)
    assert set(given["customSettings"]["backups"]) == set(whole.settings["backups"])
    backend = site_of("eu-central")
    assert isinstance(backend, BenchBackend)
    shown = yaml.safe_load(next(text for text in blocks("yaml") if "regions" in text))["regions"]["eu-central"]["site"]
    known = {field.alias for field in BenchBackend.model_fields.values()}
    # What stands in a comment is known, too.
    assert known - set(shown) <= {"docker"} | set(re.findall(r"# .*\((\w+)\)", PAGE))


def test_the_region_to_try_it_with_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = next(text for text in blocks("yaml") if "simulated\n" in text)
    path = tmp_path / "regions.yaml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))
    assert isinstance(site_of("default"), SimulatedBackend)
    assert SITE.resolve(SITE.parse({**manifests()[0], "region": "default"}), SITE.templates()).settings["host"]


def test_the_request_of_a_job_is_one_and_all_types_are_told() -> None:
    [sent] = re.findall(r"--json '([^']*)'", PAGE)
    body = SiteJobBody.model_validate(json.loads(sent))
    demand_fitting(body)
    assert set(re.findall(r"(?m)^\| `(\w+_site)` \|", PAGE)) == {one.value for one in JobType}

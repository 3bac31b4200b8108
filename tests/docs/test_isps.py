"""The examples of the page of ISPs are what they say: manifests, regions, request, budgets, health."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.backends import KubernetesBackend, parts_of, regions
from service.lines.isp import WORDS
from stacks.isp.settings import IspSettings
from stacks.isp.steps import STEPS
from stacks.lines import ISP

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "isps.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", PAGE)


@pytest.fixture
def region_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's regions, in force."""
    path = tmp_path / "regions.yaml"
    path.write_text(next(text for text in blocks("yaml") if "regions" in yaml.safe_load(text)), encoding="utf-8")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))
    return path


def manifests() -> list[dict[str, Any]]:
    """The little one, and the one with every key."""
    return [found for text in blocks("yaml") if "kind" in (found := yaml.safe_load(text))]


def test_the_little_manifest_and_the_request_are_valid_without_a_file_of_regions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TENANTRY_BACKENDS", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    little, _ = manifests()
    [text] = blocks("json")
    request = json.loads(text)
    resources = request.pop("customResources")
    for manifest in (little, {**WORDS.manifest_of(request), "customSettings": {"resources": resources}}):
        resolved = ISP.resolve(ISP.parse(manifest), ISP.templates())
        assert resolved.slug == "acme-fibre"
        assert resolved.settings["application"]["image"] == "tenantry/sample"


@pytest.mark.usefixtures("region_file")
def test_the_whole_manifest_is_valid_and_shows_every_key() -> None:
    _, whole = manifests()
    resolved = ISP.resolve(ISP.parse(whole), ISP.templates())
    assert resolved.settings["resources"] == whole["customSettings"]["resources"]
    assert ISP.address(whole) == "https://portal.acme.example"
    assert set(ISP.schema()["properties"]) - set(whole) <= {"templateVersion", "enableRollback"}
    shown = whole["customSettings"]
    assert set(shown) == {str(field.alias) for field in IspSettings.model_fields.values()}
    for name in ("application", "resources", "ingress"):
        model = IspSettings.model_fields[name].annotation
        assert set(shown[name]) == {str(field.alias) for field in model.model_fields.values()}, name


@pytest.mark.usefixtures("region_file")
def test_the_regions_are_valid_and_enough() -> None:
    assert regions() == ("us-east", "workshop")
    backend = parts_of("us-east").container
    assert isinstance(backend, KubernetesBackend)
    assert backend.ingress.issuer == "letsencrypt"
    for region in regions():
        assert parts_of(region).lacking(("database", "container")) == []


def test_the_steps_and_their_budgets_are_those_of_the_line() -> None:
    rows = re.findall(r"(?m)^\| (\w+) \|(?: (\d+) s)? ?\| ", PAGE.split("## What is made")[1].split("## Health")[0])
    assert rows == [(step.key, f"{step.seconds or ''}") for step in STEPS]

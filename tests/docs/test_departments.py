"""The examples of the page of departments are what they say: manifest, regions, templates, prices, request."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.backends import (
    BackendSet,
    DockerBackend,
    KubernetesBackend,
    ProcessBackend,
    RailwayBackend,
    backends_of,
    regions,
    unset_secrets,
)
from providers.errors import ConfigurationError
from service.lines.department import WORDS
from stacks.department.arguments import department_args
from stacks.department.settings import DepartmentSettings
from stacks.department.steps import STATES, STEPS
from stacks.lines import DEPARTMENT
from stacks.pricing import load_prices
from stacks.shape import TenantManifest
from stacks.templates import read_template
from stacks.workflows import WorkflowTemplates, read_workflow_template

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "departments.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", PAGE)


def example(key: str) -> tuple[str, dict[str, Any]]:
    """The one YAML block with that key at its top, and what it says."""
    found = [(text, parsed) for text in blocks("yaml") if key in (parsed := yaml.safe_load(text))]
    assert len(found) == 1, key
    return found[0]


@pytest.fixture
def region_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's regions, in force."""
    path = tmp_path / "regions.yaml"
    path.write_text(example("regions")[0], encoding="utf-8")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))
    return path


def test_every_example_is_one_of_those_that_are_tested() -> None:
    keys = [set(yaml.safe_load(text)) for text in blocks("yaml")]
    assert [sum(one <= key for key in keys) for one in ({"kind"}, {"regions"}, {"line"}, {"nodes"}, {"perHour"})] == [
        1
    ] * 5
    assert len(keys) == 5


@pytest.mark.usefixtures("region_file")
def test_the_manifest_is_valid_and_shows_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = example("kind")[1]
    resolved = DEPARTMENT.resolve(DEPARTMENT.parse(manifest), DEPARTMENT.templates())
    for name in [*unset_secrets(backends_of(manifest["region"])), "TENANTRY_BACKEND_EU_SMTP"]:
        monkeypatch.setenv(name, "set")
    args = department_args(resolved, "tenantry/finance")
    assert (args.cpu, args.rotation, args.policy.auth) == (0.5, 0, "jwt")
    assert [plan.key for plan in args.workflows] == ["email", "database"]
    assert args.workflows[0].credentials[0].secrets == {"password": "TENANTRY_BACKEND_EU_SMTP"}
    schema = DEPARTMENT.schema()["properties"]
    assert set(schema) - set(manifest) <= {"templateVersion", "enableRollback"}
    for name, field in DepartmentSettings.model_fields.items():
        if name in {"data_retention", "workflows"}:
            continue
        section: Any = field.annotation
        keys = {one.alias for one in section.model_fields.values()}
        assert set(manifest["customSettings"][name]) == keys


@pytest.mark.usefixtures("region_file")
def test_all_secrets_that_are_not_set_are_told_at_once() -> None:
    resolved = DEPARTMENT.resolve(DEPARTMENT.parse(example("kind")[1]), DEPARTMENT.templates())
    with pytest.raises(ConfigurationError) as raised:
        department_args(resolved, "tenantry/finance")
    said = str(raised.value)
    assert all(name in said for name in unset_secrets(backends_of(resolved.manifest.region)))
    assert "TENANTRY_BACKEND_EU_SMTP, the password of the workflow email's credential" in said


def test_the_regions_are_valid_and_show_every_key(region_file: Path) -> None:
    known = [backends_of(name) for name in regions()]
    assert region_file.exists()
    assert {type(one.container) for one in known} == {DockerBackend, KubernetesBackend, ProcessBackend, RailwayBackend}
    written = example("regions")[1]["regions"]
    for part, field in BackendSet.model_fields.items():
        if part == "container":
            continue
        model: Any = field.annotation
        keys = {one.alias for one in model.model_fields.values()}
        assert keys == {key for region in written.values() for key in region[part]}, part
    platforms = {region["container"]["platform"]: set(region["container"]) for region in written.values()}
    for model in (DockerBackend, KubernetesBackend, ProcessBackend, RailwayBackend):
        keys = {str(one.alias) for one in model.model_fields.values()} - {"url"}
        (platform,) = model.model_fields["platform"].annotation.__args__
        assert keys == platforms[platform] - {"url"}, platform


def test_the_templates_and_the_prices_are_valid(tmp_path: Path) -> None:
    template = tmp_path / "archive.yaml"
    template.write_text(example("line")[0], encoding="utf-8")
    read = read_template(template, builtin=False, shape=DEPARTMENT.templates().shape)
    assert (read.id, read.settings["dataRetention"]) == ("archive", "10y")
    workflow = tmp_path / "greeting" / "1.0.0.yaml"
    workflow.parent.mkdir()
    workflow.write_text(example("nodes")[0], encoding="utf-8")
    definition = read_workflow_template(workflow).definition({"word": "welcome"}, source="the page")
    assert definition["nodes"][1]["parameters"]["responseBody"] == "welcome"
    prices = tmp_path / "prices.yaml"
    prices.write_text(example("perHour")[0], encoding="utf-8")
    assert load_prices(prices).currency == "CHF"


def test_the_request_is_valid() -> None:
    (text,) = blocks("json")
    manifest: TenantManifest = DEPARTMENT.parse(WORDS.manifest_of(json.loads(text)))
    assert manifest.slug == "sales"


def test_steps_and_states_are_those_that_there_are() -> None:
    rows = re.findall(r"(?m)^\| ([a-z]+) \| `([A-Z_]+)` \|", PAGE)
    assert rows == [(step.key, step.state) for step in STEPS]
    assert [state for state in STATES if f"`{state}`" not in PAGE] == []


def test_the_workflow_templates_are_told_with_their_parameters() -> None:
    for template in WorkflowTemplates().all():
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{template.id}` |")]
        assert [name for name in template.parameters if f"`{name}`" not in row] == []
        assert [slot for slot in template.credentials if f"`{slot}`" not in row] == []


def test_the_defaults_are_those_of_the_settings() -> None:
    settings: Mapping[str, Any] = DepartmentSettings().model_dump(by_alias=True)
    size = settings["size"]
    row = next(line for line in PAGE.splitlines() if line.startswith("| `customSettings.size` |"))
    told = [float(number.replace(",", "")) for number in re.findall(r"\d[\d,.]*\d|\d", row)]
    assert told == [float(value) for value in size.values()]
    assert str(settings["credential"]["graceSeconds"]) in PAGE

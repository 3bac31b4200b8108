"""The examples of the page of points of sale are what they say: manifests, region, steps, types."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from providers.backends import erpnext_of, regions
from stacks.lines import POS
from stacks.pos.included import PRESETS
from stacks.pos.settings import PosSettings, ProvisioningType
from stacks.pos.steps import STEPS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "pos.md").read_text(encoding="utf-8")
WHOLE, REGION = (yaml.safe_load(text) for text in re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE))


@pytest.fixture(autouse=True)
def _regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's region, in force; and the one of `tenantry dev`, which has the same."""
    file = tmp_path / "backends.yaml"
    own = REGION["regions"]
    file.write_text(yaml.safe_dump({"regions": {**own, "local": own["eu-central"]}}), encoding="utf-8")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))


def test_the_little_manifest_is_valid() -> None:
    [text] = re.findall(r"(?ms)<<'END'\n(.*?)^END", PAGE)
    resolved = POS.resolve(POS.parse(yaml.safe_load(text)), POS.templates())
    assert resolved.settings["includes"]["demoItems"] is True


def test_the_whole_manifest_is_valid_and_shows_every_key() -> None:
    resolved = POS.resolve(POS.parse(WHOLE), POS.templates())
    assert resolved.settings["includes"]["settings"] is False
    assert set(POS.schema()["properties"]) - set(WHOLE) == {"templateVersion"}
    shown: dict[str, Any] = WHOLE["customSettings"]
    # The type is the manifest's own word.
    assert set(shown) == {str(one.alias) for one in PosSettings.model_fields.values()} - {"provisioningType"}
    for name, own in shown.items():
        field = next(one for one in PosSettings.model_fields.values() if one.alias == name)
        model: Any = field.annotation
        assert set(own) == {str(one.alias) for one in model.model_fields.values()}, name


def test_the_region_is_valid() -> None:
    assert set(regions()) == {"eu-central", "local"}
    assert erpnext_of("eu-central").requests_per_run == 500


def test_the_steps_and_the_types_are_those_that_there_are() -> None:
    assert re.findall(r"(?m)^\| `(step_\d\w+)` \|", PAGE) == [step.key for step in STEPS]
    said = dict(re.findall(r"(?m)^\| `(step_\d\w+)` \|.*\| ([^|]+) \|$", PAGE))
    assert {step.key for step in STEPS if step.optional} == {key for key, what in said.items() if what == "it goes on"}
    # The statuses of a workspace are written the same way, further down.
    before, _, _ = PAGE.partition("\n## Workspaces\n")
    assert re.findall(r"(?m)^\| `([A-Z_]+)` \|", before) == list(get_args(ProvisioningType)) == list(PRESETS)
    for template in POS.templates().ids():
        assert f"`{template}`" in PAGE

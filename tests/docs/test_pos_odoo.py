"""The examples of the page of points of sale in Odoo are what they say: manifest, region, steps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from providers.backends import odoo_of
from stacks.lines import POS
from stacks.pos.steps import STEPS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "pos-odoo.md").read_text(encoding="utf-8")
MANIFEST, REGION = (yaml.safe_load(text) for text in re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE))


def test_the_manifest_is_valid_in_the_region_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "backends.yaml"
    file.write_text(yaml.safe_dump(REGION), encoding="utf-8")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))
    assert POS.resolve(POS.parse(MANIFEST), POS.templates()).manifest.engine == "odoo"
    assert odoo_of("eu-central").database == "shops"


def test_the_steps_are_those_that_there_are() -> None:
    assert re.findall(r"(?m)^\| `(step_\d\w+)` \|", PAGE) == [step.key for step in STEPS]

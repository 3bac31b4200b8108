"""The recorded behaviour of the stock engine, scenario by scenario, on the engine that TENANTRY_ENGINE chooses.

The corpus lies beside the repository (or where TENANTRY_CONFORMANCE says). All of it must pass.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("TENANTRY_CONFORMANCE") or ROOT.parent / "shared" / "conformance")
SCENARIOS = sorted((CORPUS / "public" / "scenarios").glob("*.py"))
STOCK = os.environ.get("TENANTRY_ENGINE") == "stock"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the engine did in every scenario: the harness's recordings by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONFORMANCE_WORK", str(tmp_path_factory.mktemp("corpus")))
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.syspath_prepend(str(CORPUS))
        common = importlib.import_module("common")
        command = shutil.which("pulumi") if STOCK else "engine.command:EmbeddedCommand"
        if command is None:
            pytest.fail("TENANTRY_ENGINE=stock, but there is no pulumi on PATH")
        out = tmp_path_factory.mktemp("recordings")
        results = common.run_all([str(path) for path in SCENARIOS], str(out), command, jobs=os.cpu_count() or 2)
        yield {"results": results, "compare": common.compare}
    sys.modules.pop("common", None)


@pytest.mark.timeout(1500)
@pytest.mark.skipif(not SCENARIOS, reason=f"the corpus is not at {CORPUS}; set TENANTRY_CONFORMANCE to its folder")
@pytest.mark.parametrize("name", [path.stem for path in SCENARIOS])
def test_engine_does_what_was_recorded(name: str, corpus: dict[str, Any]) -> None:
    golden = json.loads((CORPUS / "public" / "golden" / f"{name}.json").read_text(encoding="utf-8"))
    differences = corpus["compare"](golden, corpus["results"][name])
    shown = [f"step {step} {field}: {text}" for step, field, text, _ in differences[:10]]
    assert not differences, "\n".join(shown)

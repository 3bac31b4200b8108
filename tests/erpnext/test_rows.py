"""The rows of the facts: each is followed by a rule and looked at by a test, and a site that differs is said to, by
row.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sandbox.erpnext import server as simulator
from sandbox.erpnext.facts import ROWS, Sure, sureness
from sandbox.erpnext.faults import Fault, Kind
from tests.erpnext.conftest import report_lines

ROOT = Path(__file__).resolve().parents[2]
# Only the simulator can be asked of these: a real site is not put into such a state.
ONLY_SIMULATED = {
    "wizard-fixtures", "too-many", "maintenance", "permission", "opening-cancel-invoices", "warehouse-stock",
    "company-ledger",
}  # fmt: skip


def cited() -> set[str]:
    sources = [path for path in (ROOT / "sandbox" / "erpnext").glob("*.py") if path.name != "facts.py"]
    texts = [path.read_text() for path in [*sources, ROOT / "sandbox" / "erpnext" / "doctypes.yaml"]]
    return {key for text in texts for key in re.findall(r"\[([a-z0-9-]+)\]", text)}


def test_each_row_is_cited_by_a_rule() -> None:
    assert ROWS.keys() - cited() == set()


def test_each_row_is_looked_at_by_a_contract_test() -> None:
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_contract*.py")]
    looked = {
        key for text in tests for told in re.findall(r"@row\(([^)]*)\)", text) for key in re.findall(r'"([^"]+)"', told)
    }
    assert ROWS.keys() - looked == ONLY_SIMULATED


def test_how_sure_a_row_is() -> None:
    assert (sureness("ping"), sureness("unknown-doctype-list")) == (Sure.MEMORY, Sure.INFERRED)
    assert sureness("customer-again") is Sure.READ


def test_a_report_says_what_differs_first() -> None:
    lines = report_lines({"ping": [], "customer-again": ["test_it[real]: assert 409 == 200"]})
    assert lines[2].startswith("  differs  customer-again (read in sources): a second Customer")
    assert lines[3].endswith("assert 409 == 200")
    assert lines[4] == "  as told  ping"
    assert "  not seen no-key" in lines
    assert report_lines({}) == []


def test_a_site_that_differs_is_reported_by_row(tmp_path: Path) -> None:
    """The real site is a simulator here, which one fault makes differ."""
    try:
        site = simulator.start(tmp_path / "site")
        site.add(Fault(kind=Kind.ERROR, status=500, where="no.such.method"))
        env = os.environ | {"ERPNEXT_URL": site.url, "ERPNEXT_KEY": site.key, "ERPNEXT_SECRET": site.secret}
        chosen = "real and (test_ping or unknown_method)"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/erpnext/test_contract.py",
            "-k",
            chosen,
        ]
        result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=120, check=False)
        secret = site.secret
    finally:
        simulator.remove(tmp_path / "site")
    assert result.returncode == 1, result.stdout
    assert re.search(r"differs  unknown-method .*\n +test_an_unknown_method", result.stdout), result.stdout
    assert "as told  ping" in result.stdout
    assert secret not in result.stdout

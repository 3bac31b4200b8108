"""The rows of the facts: each is followed by a rule, looked at by a test, and written down with where it was read."""

from __future__ import annotations

import re
from pathlib import Path

from sandbox.odoo.facts import ROWS, Sure, sureness
from tests.odoo.contract import report_lines

ROOT = Path(__file__).resolve().parents[2]
# Only the simulator can be asked of these: a real server is not put into such a state.
ONLY_SIMULATED = {"too-many", "busy", "old-rpc", "chart-admin"}


def test_each_row_is_cited_by_a_rule() -> None:
    sources = [path for path in (ROOT / "sandbox" / "odoo").glob("*.py") if path.name != "facts.py"]
    cited = {key for path in sources for key in re.findall(r"\[([a-z0-9-]+)\]", path.read_text())}
    assert ROWS.keys() - cited == set()


def test_each_row_is_looked_at_by_a_contract_test() -> None:
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_contract*.py")]
    looked = {
        key for text in tests for told in re.findall(r"@row\(([^)]*)\)", text) for key in re.findall(r'"([^"]+)"', told)
    }
    assert ROWS.keys() - looked == ONLY_SIMULATED


def test_each_row_is_in_the_facts_as_sure_as_it_is() -> None:
    text = (ROOT / "docs" / "odoo-facts.md").read_text()
    told = dict(re.findall(r"^\| `([a-z0-9-]+)` \|.*\| (read|memory|inferred)[^|]*\|$", text, re.MULTILINE))
    words = {Sure.READ: "read", Sure.MEMORY: "memory", Sure.INFERRED: "inferred"}
    assert told == {key: words[sureness(key)] for key in ROWS}


def test_a_report_says_what_differs_first() -> None:
    lines = report_lines({"version": [], "load-again": ["test_it[real]: assert 2 == 1"]})
    assert lines[2].startswith("  differs  load-again (read in sources): load of an external identifier")
    assert lines[3].endswith("assert 2 == 1")
    assert lines[4] == "  as told  version"
    assert "  not seen wrong-key" in lines
    assert report_lines({}) == []

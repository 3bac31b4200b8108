"""Contract tests that cite rows of facts: which rows a test is about, and what a real server differs in, row by row.

A conftest takes `row` and the two hooks of its Contract as its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

F = TypeVar("F", bound=Callable[..., Any])
Seen = dict[str, list[str]]
"""For each row that a real server was asked about: what differed; empty where nothing did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """`fixture` is parametrized by `simulated` and `real`; `title` is what a report calls the server."""

    rows: Mapping[str, str]
    sureness: Callable[[str], str]
    fixture: str
    title: str

    def row(self, *keys: str) -> Callable[[F], F]:
        """Says which rows of the facts a test is about."""
        unknown = set(keys) - self.rows.keys()
        assert not unknown, f"no such rows: {unknown}"

        def told(test: F) -> F:
            test.rows = keys  # type: ignore[attr-defined]
            return test

        return told

    def lines(self, seen: Mapping[str, list[str]]) -> list[str]:
        """What a real server said of each row, those that differ first; nothing where none was asked."""
        if not seen:
            return []
        out: list[str] = []
        for key in (key for key in seen if seen[key]):
            out += [f"  differs  {key} ({self.sureness(key)}): {self.rows[key]}"]
            out += [f"           {words}" for words in seen[key]]
        same = [f"  as told  {key}" for key in seen if not seen[key]]
        rest = [f"  not seen {key}" for key in self.rows if key not in seen]
        return ["", f"this {self.title}:", *out, *same, *rest]

    def hooks(self) -> tuple[Any, Any]:
        """(pytest_runtest_makereport, pytest_terminal_summary)."""
        stash = pytest.StashKey[Seen]()

        @pytest.hookimpl(wrapper=True)
        def makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
            report = yield
            params = getattr(getattr(item, "callspec", None), "params", {})
            if params.get(self.fixture) == "real" and (report.failed or report.when == "call"):
                seen = item.config.stash.setdefault(stash, {})
                for key in getattr(getattr(item, "function", None), "rows", ()):
                    crash = getattr(report.longrepr, "reprcrash", None)
                    words = crash.message.splitlines()[0] if crash else str(report.longrepr)
                    seen.setdefault(key, []).extend([f"{item.name}: {words}"] if report.failed else [])
            return report

        def summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
            for line in self.lines(config.stash.get(stash, {})):
                terminalreporter.write_line(line)

        return makereport, summary

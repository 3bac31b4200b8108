"""A run of `tenantry ci` as Markdown for a pull request or a job's summary. Pure.

Manifests come from whoever opened the pull request: nothing of them is ever Markdown or HTML here. A report stays below
the length that a comment may have; what did not fit is said.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from automation.ci.run import Outcome, Report, Row
from automation.display import SIGNS, duration, shown

MARKER = "<!-- tenantry-ci -->"
"""First line of each report, so that a workflow finds the comment that it wrote before."""
LIMIT = 60_000
"""Characters; GitHub refuses comments of more than 65,536."""
_CELL = 300
_SPECIAL = re.compile(r"([\\`*_{}\[\]()+!|~:])")
_CALLS = re.compile(r"([@#]|www(?=\.))", re.IGNORECASE)
_DIFF = {"+": "+", "-": "-", "~": "!", "±": "!"}


def markdown(report: Report, limit: int = LIMIT) -> str:
    """The report, of at most `limit` characters."""
    head = "\n".join(_head(report))
    details = [detail for row in report.rows if (detail := _detail(row))]
    tail = _others(report)
    room = limit - len(head) - len(tail) - 200
    kept: list[str] = []
    for detail in details:
        if len(detail) + 2 > room:
            continue
        room -= len(detail) + 2
        kept.append(detail)
    if len(kept) < len(details):
        kept.append(f"*{len(details) - len(kept)} details did not fit here: `tenantry ci --json` has all of them.*")
    return "\n\n".join([part for part in (head, *kept, tail) if part])[:limit] + "\n"


def _head(report: Report) -> Iterator[str]:
    yield MARKER
    yield f"## Tenantry: {'apply' if report.applying else 'preview'}"
    yield ""
    since = f"`{report.base[:12]}` → `{report.head[:12]}`" if report.base else f"all manifests at `{report.head[:12]}`"
    if not report.rows:
        yield f"{since}: no tenant is concerned."
        return
    counts = Counter(row.outcome for row in report.rows)
    yield f"{since}: {', '.join(f'{counts[one]} {one.value}' for one in Outcome if counts[one])}"
    yield ""
    yield "| tenant | manifest | outcome | |"
    yield "|---|---|---|---|"
    budget = LIMIT // 2
    for number, row in enumerate(report.rows):
        line = f"| {_text(row.tenant)} | {row.kind.value} | {_mark(row)}{row.outcome.value} | {_words(row)} |"
        budget -= len(line)
        if budget < 0:
            yield f"| and {len(report.rows) - number} more | | | |"
            return
        yield line


def _mark(row: Row) -> str:
    if row.exit_code:
        return "❌ "
    return "⚠️ " if row.outcome in {Outcome.KEPT, Outcome.WOULD_REMOVE, Outcome.NOT_BEGUN} else ""


def _words(row: Row) -> str:
    if row.note:
        return _text(row.note)
    document = row.document
    counts: Any = document.get("counts") or document.get("changes")
    if isinstance(counts, Mapping) and any(counts.values()):
        listed = ", ".join(f"{count} {op}" for op, count in sorted(counts.items()) if count)
        took = document.get("duration_ms")
        return _text(f"{listed}{f' in {duration(took)}' if took else ''}")
    return ""


def _detail(row: Row) -> str:
    lines = list(_detail_lines(row))
    if not lines:
        return ""
    fence = _fence(lines)
    language = "diff" if row.outcome in {Outcome.WOULD_CHANGE, Outcome.WOULD_REMOVE, Outcome.KEPT} else "text"
    body = "\n".join([f"{fence}{language}", *lines, fence])
    # Within an HTML block, a backslash is a backslash.
    name = _CALLS.sub("\\1\u200b", html.escape(_line(row.tenant), quote=False))
    return f"<details><summary>{name}: {row.outcome.value}</summary>\n\n{body}\n\n</details>"


def _detail_lines(row: Row) -> Iterator[str]:
    if row.removal:
        yield from (f"- {_line(name)}" for name in row.removal)
    problems = (row.error.get("details") or {}).get("problems") or ()
    for problem in problems:
        yield _line(f"{problem['field']}: {problem['message']}")
    if row.error.get("hint"):
        yield _line(f"what to do: {row.error['hint']}")
    if row.outcome is Outcome.WOULD_CHANGE:
        for change in row.document.get("changes") or ():
            yield from _change_lines(change)
    if row.exit_code and row.document.get("type") == "result":
        for step in row.document.get("steps") or ():
            yield _line(f"{step['status']:<12} {step['title']} {step.get('error') or step.get('message') or ''}")


def _change_lines(change: Mapping[str, Any]) -> Iterator[str]:
    sign = SIGNS.get(change["op"], "*")
    kind = str(change["type"]).rsplit(":", 1)[-1]
    yield _line(f"{_DIFF.get(sign, '!')} {change['op']} {kind} {change['name']}")
    if sign == "-":
        return
    for row in change["properties"]:
        if row["before"] is not None:
            yield _line(f"-     {row['path']}: {shown(row['before'])}")
        if row["after"] is not None:
            yield _line(f"+     {row['path']}: {shown(row['after'])}")


def _others(report: Report) -> str:
    if not report.others:
        return ""
    listed = ", ".join(_text(path) for path in report.others[:20])
    more = f" and {len(report.others) - 20} more" if len(report.others) > 20 else ""
    return (
        f"Changed beside manifests: {listed}{more}. They may concern every tenant: "
        "`tenantry ci preview --all` shows what they would change."
    )


def _fence(lines: list[str]) -> str:
    """A code fence longer than any run of backticks inside."""
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    return "`" * max(3, longest + 1)


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _text(text: str) -> str:
    """`text` as plain words within Markdown: cut short, on one line, nothing in it means anything."""
    text = _line(text)
    text = text if len(text) <= _CELL else f"{text[:_CELL]}..."
    # A backslash does not keep GitHub from calling whom "@" names, or linking "www.": the zero-width space does.
    return _CALLS.sub("\\1\u200b", _SPECIAL.sub(r"\\\1", html.escape(text, quote=False)))

"""How tables and verdicts read in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all but the first column stand to the right."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def verdict(met: bool | None) -> str:
    """Met, **not met**, or a dash where nothing was asked for."""
    return "-" if met is None else "met" if met else "**not met**"


def number(value: float | None, digits: int = 2) -> str:
    """With so many digits, or unknown."""
    return "unknown" if value is None else f"{value:.{digits}f}"

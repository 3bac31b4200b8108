"""Resources as a tree by parent, one line each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: what stands before the tree, the resource's URN and its parent's, what stands after."""

    urn: str
    parent: str
    mark: str
    text: str


def tree_lines(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """(row, its line), each child below its parent, in the rows' order; a parent without a row is left out."""
    known = {row.urn for row in rows}
    children: dict[str, list[Row]] = {}
    for row in rows:
        children.setdefault(row.parent if row.parent in known and row.parent != row.urn else "", []).append(row)
    yield from _below("", "", children, top=True)


def _below(urn: str, indent: str, children: Mapping[str, list[Row]], *, top: bool = False) -> Iterator[tuple[Row, str]]:
    rows = children.get(urn, [])
    for index, row in enumerate(rows):
        last = index == len(rows) - 1
        # Two steps of one replacement stand under each other; what hangs on the resource hangs on the last of them.
        again = any(other.urn == row.urn for other in rows[index + 1 :])
        branch = "" if top else ("└─ " if last else "├─ ")
        yield row, f" {row.mark:<2} {indent}{branch}{row.text}"
        if not again:
            yield from _below(row.urn, indent + ("" if top else ("   " if last else "│  ")), children)

"""A page of rows and how many there are in all, at a cost that does not grow with the table. Never writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, Subquery, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from automation.errors import InputError
from automation.jobs.rows import json_safe

COUNT_LIMIT = 10_000
"""Counting stops here: a total of COUNT_LIMIT or above means as many or more, and above it, that there is a next page
or that this is the last one. A full count would cost every reader of the first page what the whole table costs."""

PAGE_LIMIT = 100_000
SIZE_LIMIT = 200


async def page_of(
    connection: AsyncConnection,
    statement: Select[Any],
    page: int,
    size: int,
    *,
    shown: Callable[[Subquery], Select[Any]] | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """The rows of a page (the first is 1) and the total. Raises InputError for a page or size out of bounds.

    `shown` adds to the rows of the page what is costly to look up, and keeps their order.
    """
    bounded("page", page, 1, PAGE_LIMIT)
    bounded("size", size, 1, SIZE_LIMIT)
    start = (page - 1) * size
    # One row more than is shown says whether there is a next page, however far counting goes.
    some = statement.limit(size + 1).offset(start)
    found = (await connection.execute(shown(some.subquery("shown")) if shown else some)).mappings().all()
    rows = [json_safe(row) for row in found[:size]]
    if len(found) <= size and (rows or page == 1):
        return rows, start + len(rows)
    counted = statement.with_only_columns(literal(1), maintain_column_froms=True).order_by(None).limit(COUNT_LIMIT)
    total = (await connection.execute(select(func.count()).select_from(counted.subquery()))).scalar_one()
    return rows, max(total, start + len(found)) if rows else total


def bounded(name: str, value: int, least: int, most: int) -> None:
    """Raises InputError when `value` is not from `least` to `most`."""
    if not least <= value <= most:
        valid = f"a whole number from {least} to {most}"
        raise InputError(f"{name} is {value}", hint=f"give {valid}", problems=[(name, str(value), f"must be {valid}")])

"""What becomes of a question about a company's records, where that company was archived or deleted in Odoo by hand.

Odoo refuses whatever names such a company with the error that it has for a user who lacks a right: only a look at the
company itself, which names none, tells these apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from providers.odoo.api import Odoo
from providers.odoo.errors import DeniedError

_MODEL = "res.company"
T = TypeVar("T")


def inside(odoo: Odoo, company: int | None, ask: Callable[[], T], *, what: str, gone: T, archived: T) -> T:
    """What `ask` answers; `gone` or `archived` where its company is. Raises DeniedError where that is neither."""
    try:
        return ask()
    except DeniedError:
        if company is None:
            raise
        rows = odoo.search(_MODEL, [("id", "=", company)], ["active"], what=what, limit=1)
        if not rows:
            return gone
        if not rows[0]["active"]:
            return archived
        raise
